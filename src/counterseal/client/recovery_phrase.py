"""The recovery phrase: 24 words from which an account's own keys are made again (BIP 39's English
list, 256 bits and a checksum; the seed of BIP 39 itself is not used).

```
account key of generation g   Ed25519 seed expand(entropy, [tag("recovery-account"), domain, g], 32)
notice key                    X-Wing seed  expand(entropy, [tag("recovery-notice"), domain], 32)
```

A device that holds one generation's key cannot make the next one's; whoever has the words can.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from mnemonic import Mnemonic

from counterseal.protocol.cbor import expand, tag
from counterseal.protocol.errors import BadInput
from counterseal.protocol.keys import SealingKey

WORDS = 24
ENTROPY = 32
"""Bytes behind the words."""
GENERATIONS = 16
"""Account keys that one phrase makes, one after another, at most."""
_BOOK = Mnemonic("english")


def draw() -> bytes:
    """A new phrase's 32 bytes, from the system's randomness."""
    return os.urandom(ENTROPY)


def spell(entropy: bytes) -> list[str]:
    """The 24 words of 32 bytes."""
    return str(_BOOK.to_mnemonic(entropy)).split(" ")


def read(text: str) -> bytes:
    """The 32 bytes behind 24 words, however they are spaced and written; numbers before them, as
    `account phrase` prints, do not matter. Raises `BadInput` "phrase", which names no word but its
    place.
    """
    words = [word for word in text.lower().split() if not word.rstrip(".").isdigit()]
    if len(words) != WORDS:
        raise BadInput(
            f"A recovery phrase has {WORDS} words; these are {len(words)}.", code="phrase"
        )
    for place, word in enumerate(words, 1):
        if word not in _BOOK.wordlist:
            raise BadInput(
                f"Word {place} is not one of the list; compare it with what you wrote down.",
                code="phrase",
            )
    if not _BOOK.check(" ".join(words)):
        raise BadInput(
            "The words are not a phrase in this order: one of them is another, or two are swapped.",
            code="phrase",
        )
    return bytes(_BOOK.to_entropy(words))


def differing(entropy: bytes, places: Sequence[int], answers: Sequence[str]) -> list[int]:
    """Those of the places (from 1) at which the answer is not the phrase's word."""
    words = spell(entropy)
    return [
        place
        for place, answer in zip(places, answers, strict=True)
        if answer.strip().lower() != words[place - 1]
    ]


def account_key(entropy: bytes, domain: str, generation: int) -> Ed25519PrivateKey:
    """The account's signing key; generation 0 is the account's first."""
    seed = expand(entropy, [tag("recovery-account"), domain, generation], 32)
    return Ed25519PrivateKey.from_private_bytes(seed)


def notice_key(entropy: bytes, domain: str) -> SealingKey:
    """The key that notices for the account are sealed to. It stays the same."""
    return SealingKey(expand(entropy, [tag("recovery-notice"), domain], 32))
