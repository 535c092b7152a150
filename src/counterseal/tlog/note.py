"""Signed notes (C2SP signed-note v1.0.0). Verifier keys are protocol/vkey.py's.

A note is text, an empty line, and signature lines; reading it says nothing about who signed. Which
keys have to have signed what is decided in checkpoint.py.

| rule | refuses |
| --- | --- |
| T1 | a note that is not of the form, over 1,000,000 bytes, or with over 100 signatures |
"""

import base64
import binascii
import unicodedata

import msgspec

from counterseal.protocol.vkey import NOTE_MAX, VerifierKey
from counterseal.tlog.errors import TlogError

MAX_SIGNATURES = 100
MAX_NAME = 255

_LINE_START = "\u2014 "


class SignatureLine(msgspec.Struct, frozen=True):
    """One signature line: the key's name and id, and the signature's bytes (which begin with a time
    for cosignatures).
    """

    name: str
    key_id: bytes
    signature: bytes

    def format(self) -> str:
        """The line, newline included."""
        return f"{_LINE_START}{self.name} {encode_base64(self.key_id + self.signature)}\n"


class ReceivedNote(msgspec.Struct, frozen=True):
    """A note as it came: `text` ends with a newline; no signature has been checked."""

    text: str
    signatures: tuple[SignatureLine, ...]

    def format(self) -> bytes:
        """The note's bytes."""
        return (self.text + "\n" + "".join(line.format() for line in self.signatures)).encode()

    def line_of(self, key: VerifierKey) -> SignatureLine | None:
        """The first line with this key's name and id, or None. A later line of the same key is
        ignored.
        """
        return next(
            (s for s in self.signatures if s.name == key.name and s.key_id == key.key_hash), None
        )


def parse_note(data: bytes) -> ReceivedNote:
    """The note in `data`, its signatures unchecked. Raises `TlogError` T1."""
    if len(data) > NOTE_MAX:
        raise TlogError("T1", f"A note of {len(data)} bytes is over the limit of {NOTE_MAX}.")
    try:
        whole = data.decode()
    except UnicodeDecodeError as error:
        raise TlogError("T1", "A note has to be UTF-8.") from error
    if any(c < " " and c != "\n" for c in whole):
        raise TlogError("T1", "A note holds no control characters.")
    text, separator, signatures = whole.rpartition("\n\n")
    if not separator or not signatures.endswith("\n"):
        raise TlogError("T1", "A note is text, an empty line and signature lines.")
    return ReceivedNote(text + "\n", parse_signatures(signatures))


def parse_signatures(text: str) -> tuple[SignatureLine, ...]:
    """The signature lines in `text`, which is one or more of them, each ended by a newline. Raises
    `TlogError` T1.
    """
    if not text.endswith("\n") or text.count("\n") > MAX_SIGNATURES:
        raise TlogError("T1", f"A note has 1 to {MAX_SIGNATURES} whole lines of signatures.")
    return tuple(_parse_line(line) for line in text[:-1].split("\n"))


def check_name(name: str) -> str:
    """The key name itself, if it is 1 to 255 bytes without spaces, control characters or a plus.
    Raises `TlogError` T1.
    """
    bad = any(c.isspace() or c == "+" or unicodedata.category(c) == "Cc" for c in name)
    if bad or not 1 <= len(name.encode()) <= MAX_NAME:
        raise TlogError("T1", "A key name is 1 to 255 bytes, without spaces or plus signs.")
    return name


def encode_base64(data: bytes) -> str:
    """Standard base64 with padding."""
    return base64.b64encode(data).decode()


def decode_base64(text: str, rule: str) -> bytes:
    """The bytes in `text`; raises `rule` for anything but the one standard base64 form of them."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise TlogError(rule, "Not base64.") from error
    if encode_base64(data) != text:  # unused bits that are set, or padding left over
        raise TlogError(rule, "Not the standard form of base64.")
    return data


def _parse_line(line: str) -> SignatureLine:
    name, separator, signature = line.removeprefix(_LINE_START).partition(" ")
    if not line.startswith(_LINE_START) or not separator:
        raise TlogError("T1", "A signature line is a dash, a name and a signature.")
    raw = decode_base64(signature, "T1")
    if len(raw) < 5:
        raise TlogError("T1", f"The signature of {name!r} is too short.")
    return SignatureLine(check_name(name), raw[:4], raw[4:])
