"""The messages as people and programs read them: `data/messages.jsonl`, one JSON object a line.

`sender` is the name that the service gives for the account: a claim. What the bag proves is
`account`. `sent_at` is what the sending device signed; the service's stamp bears it out to within
the window's period.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from counterseal.evidence.records import BagFrame
from counterseal.protocol.frame import Attachment, Content
from counterseal.protocol.window import Label

# Some readers take these for ends of lines; in JSON text they are only inside strings, where an
# escape means the same character.
_BREAKS = (("\x85", "\\u0085"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029"))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Message(msgspec.Struct, frozen=True):
    """One opened message. Ids and digests are bytes (32; a conversation's 16); `stamp` is seconds,
    `sent_at_ms` milliseconds, both UTC.

    `number` is the frame's in its conversation, as the service stamped it."""

    account: bytes
    conversation: bytes
    window: bytes
    seq: int
    sent_at_ms: int
    stamp: int
    number: int
    kind: str
    text: str
    attachments: tuple[Attachment, ...] = ()

    @classmethod
    def of(
        cls, label: Label, window: bytes, seq: int, frame: BagFrame, content: Content
    ) -> Message:
        """The message in a frame's verified content."""
        return cls(
            account=label.account_id,
            conversation=label.conversation_id,
            window=window,
            seq=seq,
            sent_at_ms=content.sent_at_ms,
            stamp=frame.time,
            number=frame.number,
            kind=content.kind,
            text=content.text,
            attachments=content.attachments,
        )

    @property
    def order(self) -> tuple[int, int, bytes, int, bytes, int]:
        """By the sender's time, then the service's stamp; then, so that any two readers agree, by
        conversation and number in it.
        """
        return (self.sent_at_ms, self.stamp, self.conversation, self.number, self.window, self.seq)

    def line(self, names: Mapping[bytes, str]) -> bytes:
        """The message's line, newline included: UTF-8, every character of the text as it was
        sent.
        """
        fields: dict[str, Any] = {
            "sent_at": rfc3339(self.sent_at_ms),
            "sender": names.get(self.account, self.account.hex()),
            "account": self.account.hex(),
            "conversation": self.conversation.hex(),
            "text": self.text,
            "window": self.window.hex(),
            "seq": self.seq,
        }
        if self.kind != "text":
            fields["kind"] = self.kind
        if self.attachments:
            fields["attachments"] = [
                {
                    "name": a.name,
                    "media_type": a.media_type,
                    "size": a.size,
                    "sha256": a.digest.hex(),
                    "key": a.key.hex(),
                }
                for a in self.attachments
            ]
        line = json.dumps(fields, ensure_ascii=False)
        for character, escape in _BREAKS:
            line = line.replace(character, escape)
        return line.encode() + b"\n"


def rfc3339(milliseconds: int) -> str:
    """A time as in RFC 3339, UTC, with milliseconds where there are any."""
    when = _EPOCH + timedelta(milliseconds=milliseconds)
    fraction = f".{milliseconds % 1000:03d}" if milliseconds % 1000 else ""
    return when.strftime("%Y-%m-%dT%H:%M:%S") + fraction + "Z"
