"""Words that people compare: the published alphabet, and no two digests alike by accident."""

import hashlib

from counterseal.protocol.fingerprint import fingerprint, is_fingerprint_of


def test_the_published_examples():
    """From the proquint paper: 127.0.0.1 and 63.84.220.193."""
    digest = bytes([127, 0, 0, 1, 63, 84, 220, 193]) + bytes(24)
    assert fingerprint(digest).startswith("lusab-babad-gutih-tugad-")


def test_case_and_spaces_do_not_matter_and_letters_do():
    digest = hashlib.sha256(b"charter").digest()
    words = fingerprint(digest)
    assert len(words.split("-")) == 8
    assert is_fingerprint_of(words, digest)
    assert is_fingerprint_of(words.upper().replace("-", "  "), digest)
    assert not is_fingerprint_of(words[:-1] + ("b" if words[-1] != "b" else "d"), digest)
    assert not is_fingerprint_of("", digest)
    assert not is_fingerprint_of(words.rpartition("-")[0], digest)
