"""The conversation's history as rows: what was said, what was refused and by which rule, and what
the app itself has to say.

| state | means |
| --- | --- |
| queued | one's own, not yet acknowledged by the service |
| sent | one's own, with the service's number and stamp |
| shown | another's, and every rule of section 5 holds |
| pending | another's, and all holds but F11: its period is over and its inclusion is not proved yet; not displayed |
| refused | a frame that a rule refuses; the rule is named, its text is not kept |
| unsent | one's own, which could not be sent any more: the device was removed first |
| note | the app's own line: who came and went, a new charter, a broken conversation |
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from counterseal.client.vault import Vault
from counterseal.protocol.frame import Attachment


class Counts(msgspec.Struct, frozen=True):
    """How many messages of others and of one's own (`sent` and `queued`) stand in each state."""

    shown: int
    sent: int
    queued: int
    pending: int
    refused: int


class Line(msgspec.Struct, frozen=True):
    """One row for display. `sender` is empty for the app's own lines; texts are as they came, not
    yet safe for a terminal.
    """

    number: int
    n: int | None
    state: str
    kind: str
    sender: str
    mine: bool
    sent_at_ms: int | None
    text: str
    rule: str | None
    gap: int
    attachments: tuple[Attachment, ...]


def counts(vault: Vault, conversation: bytes | None = None) -> Counts:
    """The counts of one conversation, or of all."""
    sql = "SELECT state, count(*) FROM client_message WHERE ?1 IS NULL OR conversation = ?1 GROUP BY state"
    rows = dict(vault.execute(sql, conversation))
    return Counts(
        *(int(rows.get(state, 0)) for state in ("shown", "sent", "queued", "pending", "refused"))
    )


def add_attachments(vault: Vault, message: int, attachments: tuple[Attachment, ...]) -> None:
    """The attachments of a row of the history."""
    for position, a in enumerate(attachments):
        vault.execute(
            "INSERT INTO client_attachment (message, position, digest, size, key, name, media_type) VALUES (?, ?, ?, ?, ?, ?, ?)",
            message, position, a.digest, a.size, a.key, a.name, a.media_type,
        )  # fmt: skip


def attachments_of(vault: Vault, message: int) -> tuple[Attachment, ...]:
    """The attachments of a row of the history, in order."""
    rows = vault.execute(
        "SELECT digest, size, key, name, media_type FROM client_attachment WHERE message = ? ORDER BY position",
        message,
    )
    return tuple(Attachment(*row) for row in rows)


def acknowledge(vault: Vault, message: int, n: int, stamp: int) -> None:
    """Marks one's own message as sent, however one learnt it: by the answer or by seeing it among
    the events.
    """
    vault.execute(
        "UPDATE client_message SET n = ?, stamp = ?, state = 'sent' WHERE id = ? AND state = 'queued'",
        n,
        stamp,
        message,
    )
    vault.execute("DELETE FROM client_outbox WHERE message = ?", message)


def find_own(vault: Vault, digest: bytes) -> int | None:
    """One's own message by the digest of its PrivateMessage, whatever its state."""
    row = vault.one("SELECT id FROM client_message WHERE digest = ?", digest)
    return int(row[0]) if row else None


def refuse(vault: Vault, conversation: bytes, n: int, stamp: int, rule: str) -> None:
    """Notes that frame `n` was refused by `rule`. What it said is not kept: nobody vouches for
    it.
    """
    vault.add_message(
        conversation, {"n": n, "kind": "frame", "stamp": stamp, "state": "refused", "rule": rule}
    )


_LINES = (
    "SELECT m.id, m.n, m.state, m.kind, coalesce(a.handle, ''), m.account, m.sent_at_ms, coalesce(m.text, ''), m.rule, "
    "coalesce(m.gap, 0) FROM client_message m LEFT JOIN client_account a ON a.account = m.account "
)


def lines(vault: Vault, conversation: bytes, after: int = 0, limit: int = 1000) -> list[Line]:
    """Rows with a number over `after`, in the order in which they were taken in; pending ones among
    them without their text.
    """
    rows = vault.execute(
        f"{_LINES} WHERE m.conversation = ? AND m.id > ? ORDER BY m.id LIMIT ?",
        conversation,
        after,
        limit,
    )
    return _lines(vault, rows)


def search(vault: Vault, words: str, limit: int = 100) -> list[Line]:
    """Messages that were shown or sent and hold all of `words`, newest first."""
    quoted = " ".join('"' + word.replace('"', '""') + '"' for word in words.split())
    if not quoted:
        return []
    matching = "WHERE m.id IN (SELECT rowid FROM client_search WHERE client_search MATCH ?)"
    newest = "AND m.state IN ('shown', 'sent', 'queued') ORDER BY m.id DESC LIMIT ?"
    return _lines(vault, vault.execute(" ".join((_LINES, matching, newest)), quoted, limit))


def _lines(vault: Vault, rows: Sequence[tuple[object, ...]]) -> list[Line]:
    me = vault.get("account")
    found = []
    for number, n, state, kind, sender, account, sent_at_ms, text, rule, gap in rows:
        pending = state == "pending"
        attachments = () if pending else attachments_of(vault, int(str(number)))
        row = (
            number,
            n,
            state,
            kind,
            sender,
            account == me,
            sent_at_ms,
            "" if pending else text,
            rule,
            gap,
            attachments,
        )
        found.append(
            msgspec.convert(
                row,
                tuple[
                    int,
                    int | None,
                    str,
                    str,
                    str,
                    bool,
                    int | None,
                    str,
                    str | None,
                    int,
                    tuple[Attachment, ...],
                ],
            )
        )
    return [Line(*row) for row in found]
