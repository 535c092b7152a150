"""A transcript for people: one HTML page by itself, without a script, the same bytes from
the same messages.

It is made from verified messages only, and `verify` makes it again and compares, so the page cannot
say anything that the frames do not. Everything that somebody else wrote is escaped and isolated
(`dir=auto`, `bdi`), so that text in one direction cannot rearrange what is beside it;
characters that steer direction or cannot be seen are shown by their code point.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from counterseal.evidence.messages import Message, rfc3339
from counterseal.protocol.warrant import Warrant

# A line that ends in a backslash goes on: transcripts are compared byte by byte.
STYLE = """
:root{color-scheme:light dark;--ink:#1c2128;--soft:#59636e;--line:#d5dae0;--page:#fff;\
--band:#f4f6f8;--mark:#0b5cad;--warn:#8a4b00}
@media(prefers-color-scheme:dark){:root{--ink:#e3e8ee;--soft:#9aa5b1;--line:#333b45;\
--page:#14181d;--band:#1d232a;--mark:#7ab8ff;--warn:#f0b866}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);\
font:16px/1.5 system-ui,"Noto Sans","DejaVu Sans",sans-serif}
main{max-width:60rem;margin:0 auto;padding:2rem 1.25rem 4rem}
h1{font-size:1.6rem;line-height:1.25;margin:0 0 .25rem}
h2{font-size:1.15rem;margin:2.5rem 0 .5rem;padding-top:1rem;border-top:2px solid var(--line);\
overflow-wrap:anywhere}
h3{position:sticky;top:0;background:var(--page);font-size:.95rem;color:var(--soft);\
margin:1.25rem 0 .25rem;padding:.4rem 0}
.lead{color:var(--soft);margin:0 0 1.5rem;max-width:44rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.3rem 1.25rem;background:var(--band);\
border-radius:.5rem;padding:1rem 1.25rem;margin:0 0 1rem}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
ol{list-style:none;margin:0;padding:0}
li{display:grid;grid-template-columns:5.5rem 11rem 1fr;gap:0 1rem;padding:.4rem 0;\
border-bottom:1px solid var(--line)}
time{color:var(--soft);font-variant-numeric:tabular-nums;font-size:.9rem}
.who{color:var(--mark);font-weight:600;overflow-wrap:anywhere}
.text{grid-column:3;white-space:pre-wrap;overflow-wrap:anywhere;min-width:0;margin:0}
.more{grid-column:3;color:var(--soft);font-size:.85rem;overflow-wrap:anywhere}
.code{color:var(--warn);font:.8em ui-monospace,"DejaVu Sans Mono",monospace}
.note{color:var(--soft);font-size:.9rem}
code{font:.85em ui-monospace,"DejaVu Sans Mono",monospace}
@media(max-width:40rem){main{padding:1.25rem .9rem 3rem}dl{grid-template-columns:1fr;gap:0}dd{\
margin-bottom:.5rem}
li{grid-template-columns:1fr auto;gap:0 .75rem}time{order:2;text-align:right}.text,.more{\
grid-column:1/-1;order:3}}
@media print{:root{--ink:#000;--soft:#444;--line:#bbb;--page:#fff;--band:#fff;--mark:#000;\
--warn:#000}body{font-size:10pt}main{max-width:none;padding:0}
h3{position:static;break-after:avoid}li{break-inside:avoid}dl{border:1px solid #bbb}@page{\
margin:18mm 15mm}}
""".strip()

_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
_POLICY = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'"

# Unseen or steering: every format character but the joiners, which scripts and emoji need, and
# controls but line feed and tab.
_UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f]"
    r"|[\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff]"
)


class Cover(msgspec.Struct, frozen=True):
    """What is on top, all of it from the warrant. Times are seconds UTC; the period's end is
    exclusive.
    """

    domain: str
    warrant: bytes
    reference: str
    ground: str
    direction: str
    accounts: tuple[bytes, ...]
    since: int
    until: int

    @classmethod
    def of(cls, warrant: Warrant) -> Cover:
        """The cover of a warrant's transcript."""
        return cls(
            domain=warrant.domain,
            warrant=warrant.digest(),
            reference=warrant.reference,
            ground=warrant.ground,
            direction=warrant.direction,
            accounts=warrant.account_ids,
            since=warrant.start,
            until=warrant.until,
        )


class Tally(msgspec.Struct, frozen=True):
    """What was opened: windows, frames, the messages in them, and frames that could not be read."""

    windows: int = 0
    frames: int = 0
    messages: int = 0
    unread: int = 0


class Transcript:
    """The page in pieces, UTF-8: `head`, each `message` in order, `foot`. Its length does not
    matter for memory.
    """

    def __init__(self, cover: Cover, names: Mapping[bytes, str]) -> None:
        self._cover, self._names = cover, names
        self._conversation: bytes | None = None
        self._day: str | None = None

    def head(self) -> bytes:
        """Everything before the first message."""
        return _head(self._cover, self._names).encode()

    def message(self, message: Message) -> bytes:
        """One message, under a new heading where the conversation or the day changes."""
        today, heading = _day(message.sent_at_ms // 1000), ""
        if (message.conversation, today) != (self._conversation, self._day):
            moved = message.conversation != self._conversation
            heading = _heading(message, today, first=self._conversation is None, moved=moved)
            self._conversation, self._day = message.conversation, today
        return (heading + _item(message, self._names)).encode()

    def foot(self, tally: Tally) -> bytes:
        """What comes after the last message."""
        messages, frames = _count(tally.messages, "message"), _count(tally.frames, "frame")
        said = f"{messages} in {frames} of {_count(tally.windows, 'window')}."
        if tally.unread:
            said += (
                f" Not readable: {_count(tally.unread, 'frame')}; the opening report names the"
                " windows and the rules."
            )
        closing = "</ol>\n" if self._conversation is not None else ""
        return (
            f'{closing}<p class="note">{said} End of the transcript.</p>\n'
            "</main>\n</body>\n</html>\n"
        ).encode()


def _head(cover: Cover, names: Mapping[bytes, str]) -> str:
    who = "<br>".join(
        f"{_name(account, names)} <code>{account.hex()}</code>" for account in cover.accounts
    )
    sent = (
        "messages sent by the account"
        if cover.direction == "sent"
        else "whole conversations of the account"
    )
    rows = [
        ("Order", f"{_isolated(cover.reference)} <code>{cover.warrant.hex()}</code>"),
        ("Service", _isolated(cover.domain)),
        ("Ground", _isolated(cover.ground)),
        ("Account" if len(cover.accounts) == 1 else "Accounts", who),
        ("Reach", sent),
        ("Period (UTC)", f"{_moment(cover.since)} until {_moment(cover.until)}"),
    ]
    table = "".join(f"<dt>{label}</dt><dd>{value}</dd>\n" for label, value in rows)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>Transcript: {html.escape(cover.reference)}</title>\n"
        f"<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>Transcript</h1>\n"
        '<p class="lead">For reading. The evidence is the signed material in this bag, from which'
        " this page can be made again. Names are the service's word; the account ids are proved."
        " Times are the sending devices', UTC.</p>\n"
        f"<dl>\n{table}</dl>\n"
    )


def _heading(message: Message, day: str, *, first: bool, moved: bool) -> str:
    opening = "" if first else "</ol>\n"
    if moved:
        opening += f"<h2>Conversation <code>{message.conversation.hex()}</code></h2>\n"
    return f"{opening}<h3>{day}</h3>\n<ol>\n"


def _item(message: Message, names: Mapping[bytes, str]) -> str:
    stamp = rfc3339(message.sent_at_ms)
    more = "".join(
        f'<div class="more">Attachment {_isolated(a.name)} ({_isolated(a.media_type)},'
        f" {_count(a.size, 'byte')}) "
        f"SHA-256 <code>{a.digest.hex()}</code></div>"
        for a in message.attachments
    )
    if message.kind != "text":
        more = f'<div class="more">Kind: {_isolated(message.kind)}</div>{more}'
    return (
        f'<li><time datetime="{stamp}">{stamp[11:-1]}</time><span'
        f' class="who">{_name(message.account, names)}</span>'
        f'<p class="text" dir="auto">{_visible(message.text)}</p>{more}</li>\n'
    )


def _name(account: bytes, names: Mapping[bytes, str]) -> str:
    return _isolated(names.get(account, account.hex()[:16]))


def _isolated(text: str) -> str:
    return f'<bdi dir="auto">{_visible(text)}</bdi>'


def _visible(text: str) -> str:
    """Escaped for element content; what cannot be seen is shown by its code point."""
    return _UNSEEN.sub(lambda match: _code_point(match[0]), html.escape(text))


def _code_point(character: str) -> str:
    name = unicodedata.name(character, "control")
    return f'<span class="code" title="{name.lower()}">[U+{ord(character):04X}]</span>'


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _day(seconds: int) -> str:
    when = datetime.fromtimestamp(seconds, UTC)
    return f"{when:%A} {when.day} {when:%B %Y}"


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
