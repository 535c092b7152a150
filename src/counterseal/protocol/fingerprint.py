"""Fingerprints: the first 16 bytes of a digest or key id as eight words that two people can compare
over a telephone, in the alphabet of "proquints" (arXiv:0901.4016).

A word is 16 bits: consonant, vowel, consonant, vowel, consonant. 128 bits are more than anybody can
search through for a second digest with the same words.
"""

from __future__ import annotations

_CONSONANTS, _VOWELS = "bdfghjklmnprstvz", "aiou"
_SIZE = 16


def fingerprint(digest: bytes) -> str:
    """Eight words of five letters, parted by hyphens, for the first 16 bytes of `digest`."""
    pairs = (digest[at : at + 2] for at in range(0, _SIZE, 2))
    return "-".join(_word(int.from_bytes(pair)) for pair in pairs)


def is_fingerprint_of(words: str, digest: bytes) -> bool:
    """Whether these are the digest's words, whatever their case and what parts them."""
    return "".join(c for c in words.lower() if c.isalpha()) == fingerprint(digest).replace("-", "")


def _word(number: int) -> str:
    return (
        _CONSONANTS[number >> 12]
        + _VOWELS[number >> 10 & 3]
        + _CONSONANTS[number >> 6 & 15]
        + _VOWELS[number >> 4 & 3]
        + _CONSONANTS[number & 15]
    )
