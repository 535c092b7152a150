"""Reads a conversation from a file: JSON Lines, or the text export of WhatsApp.

JSON Lines: `{"sent_at": RFC 3339, "sender": text, "text": text}`. A WhatsApp export has no time
zone: its times are taken as UTC. Whether its dates put the day or the month first is found out from
the whole file: a number over 12 decides, else the order in which the dates never go back, else the
day is first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from counterseal.files import read_whole
from counterseal.protocol.errors import BadInput

# bytes of UTF-8: what fits into one frame with its second seal's data and padding
MAX_TEXT = 48 * 1024
# bytes of UTF-8
MAX_NAME = 200
CHAT_MAX = 256 << 20
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Line(msgspec.Struct, frozen=True):
    """One message of the file. `sent_at_ms` is milliseconds since 1970 UTC; `number` is its place
    in the file.
    """

    sent_at_ms: int
    sender: str
    text: str
    number: int


def read_chat(path: Path) -> list[Line]:
    """The file's messages in order of time, those of one moment in the file's order. Raises
    `BadInput`, a sentence with the line's number.
    """
    try:
        raw = read_whole(path, "conversation", limit=CHAT_MAX).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadInput(f"The conversation {path} is not UTF-8 text.") from None
    lines = raw.split("\n")
    first = next((line for line in lines if line.strip()), "")
    found = list(
        _json_lines(path, lines) if first.lstrip().startswith("{") else _whatsapp(path, lines)
    )
    if not found:
        raise BadInput(f"There is no message in {path}.")
    return sorted(found, key=lambda line: (line.sent_at_ms, line.number))


def _json_lines(path: Path, lines: Sequence[str]) -> Iterator[Line]:
    for number, raw in enumerate(lines, 1):
        if not raw.strip():
            continue
        try:
            record: Any = msgspec.json.decode(raw.encode())
        except (msgspec.DecodeError, UnicodeEncodeError):
            raise BadInput(f"{path}, line {number}: not a JSON object.") from None
        fields = record if isinstance(record, dict) else {}
        sent_at, sender, text = (fields.get(name) for name in ("sent_at", "sender", "text"))
        if not (isinstance(sent_at, str) and isinstance(sender, str) and isinstance(text, str)):
            raise BadInput(
                f"{path}, line {number}: sent_at, sender and text have to be there, all three as"
                " text."
            )
        yield _line(path, number, _rfc3339(path, number, sent_at), sender, text)


def _rfc3339(path: Path, number: int, text: str) -> int:
    try:
        when = msgspec.json.decode(msgspec.json.encode(text), type=datetime)
    except msgspec.ValidationError:
        when = None
    if when is None or when.tzinfo is None:
        raise BadInput(
            f"{path}, line {number}: {text[:60]!r} is not a time as in RFC 3339, with its zone."
        )
    return _milliseconds(when)


def _milliseconds(when: datetime) -> int:
    return (when - _EPOCH) // timedelta(milliseconds=1)


def _line(path: Path, number: int, sent_at_ms: int, sender: str, text: str) -> Line:
    if not sender.strip() or len(sender.encode()) > MAX_NAME:
        raise BadInput(f"{path}, line {number}: a sender's name has 1 to {MAX_NAME} bytes.")
    if len(text.encode()) > MAX_TEXT:
        raise BadInput(f"{path}, line {number}: a message has at most {MAX_TEXT} bytes.")
    if sent_at_ms < 0:
        raise BadInput(f"{path}, line {number}: the time is before 1970.")
    return Line(sent_at_ms, sender, text, number)


# "31/12/2020, 23:59 - Name: text", "12/31/20, 11:59 PM - Name: text", "[31.12.20, 23:59:59] Name:
# text"
_HEAD = re.compile(
    r"^\[?(?P<a>\d{1,4})[./-](?P<b>\d{1,2})[./-](?P<c>\d{1,4}),?"
    r" +(?P<h>\d{1,2})[:.](?P<m>\d{2})(?:[:.](?P<s>\d{2}))?"
    r"(?: ?(?P<half>[AaPp])\.? ?[Mm]\.?)?(?:\]| -) (?P<rest>.*)$"
)
_MARKS = dict.fromkeys(map(ord, "\u200e\u200f\u202a\u202b\u202c"))
_SPACES = str.maketrans({"\u202f": " ", "\u00a0": " "})


def _whatsapp(path: Path, lines: Sequence[str]) -> Iterator[Line]:
    heads: list[tuple[int, re.Match[str], str, list[str]]] = []
    for number, raw in enumerate(lines, 1):
        line = raw.removesuffix("\r")
        # The marks and odd spaces of the head are the exporting phone's; those of the text are the
        # writer's, and stay.
        clean = line.lstrip("\u200e\u200f")
        match = _HEAD.match(clean[:40].translate(_SPACES) + clean[40:])
        if match is not None:
            sender, colon, text = match["rest"].partition(": ")
            # a line without a sender is the phone's own notice ("Ana joined"), and what follows it
            # belongs to nobody
            heads.append((number, match, sender.translate(_MARKS) if colon else "", [text]))
        elif heads:
            heads[-1][3].append(line)
        elif line.strip():
            raise BadInput(f"{path}, line {number}: neither JSON Lines nor a WhatsApp export.")
    order = _date_order([match for _, match, _, _ in heads])
    for number, match, sender, texts in heads:
        if not sender:
            continue
        while len(texts) > 1 and not texts[-1]:
            texts.pop()
        yield _line(path, number, _moment(path, number, match, order), sender, "\n".join(texts))


def _date_order(heads: Sequence[re.Match[str]]) -> str:
    dates = [(match["a"], match["b"], match["c"]) for match in heads]
    if any(len(a) == 4 for a, _, _ in dates):
        return "ymd"
    if any(int(a) > 12 for a, _, _ in dates):
        return "dmy"
    if any(int(b) > 12 for _, b, _ in dates):
        return "mdy"
    by_day = [(int(c), int(b), int(a)) for a, b, c in dates]
    by_month = [(int(c), int(a), int(b)) for a, b, c in dates]
    return "mdy" if by_day != sorted(by_day) and by_month == sorted(by_month) else "dmy"


def _moment(path: Path, number: int, match: re.Match[str], order: str) -> int:
    parts = dict(zip(order, (int(match["a"]), int(match["b"]), int(match["c"])), strict=True))
    year = parts["y"] + (2000 if parts["y"] < 100 else 0)
    hour = int(match["h"])
    if match["half"] is not None:
        hour = hour % 12 + (12 if match["half"] in "Pp" else 0)
    try:
        when = datetime(
            year, parts["m"], parts["d"], hour, int(match["m"]), int(match["s"] or 0), tzinfo=UTC
        )
    except ValueError:
        raise BadInput(f"{path}, line {number}: there is no such date or time.") from None
    return _milliseconds(when)
