"""The windows of a bag, one period after the other: scope, stamps, shares, key, seal, frames; and
out of them the messages in order.

The opener writes `messages.jsonl` from what this gives, and whoever checks compares with what this
gives: one code for both. A period is in memory at a time, and no more, since a message is dated
inside its window's period (F10).

| rule | finds |
| --- | --- |
| B11 | a window that is listed and not in the bag, or in the bag and not listed |
| B12 | a window outside the warrant's scope: another account, period, conversation, direction or |
|     | charter |
| B13 | a period root that is not in the log; a window that is not under it; frames or stamps that |
|     | are not the ones it was made from; a counterseal that its first frame does not name |
| B14 | shares: a statement that its holder did not sign, or too few shares that have the hash in |
|     | their seal to satisfy the tree |
| B15 | a window whose shares do not join to the key that its label commits to, or whose |
|     | counterseal, made again, is another: the sender sealed it badly |
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import msgspec

from counterseal import core
from counterseal.evidence.bag import Bag
from counterseal.evidence.events import WarrantStory
from counterseal.evidence.findings import Findings
from counterseal.evidence.logged import Logged
from counterseal.evidence.messages import Message
from counterseal.evidence.period import check_frames, prove_window
from counterseal.evidence.records import WindowFile
from counterseal.evidence.shares import (
    Sifted,
    check_seal,
    join,
    remake,
    sift,
    verify_statement,
    who,
)
from counterseal.evidence.transcript import Tally
from counterseal.protocol.counterseal import Counterseal
from counterseal.protocol.decision import check_units, window_in_scope
from counterseal.protocol.errors import Refused
from counterseal.protocol.frame import Content
from counterseal.protocol.keyset import VerifiedKeyset
from counterseal.protocol.release import Shares
from counterseal.protocol.window import Label, Roster
from counterseal.protocol.window_checks import check_positions

THREADS = 2
_STATEMENT_MAX = Shares.limit + (1 << 19)

Given = dict[bytes, dict[int, dict[bytes, bytes | None]]]
"""Listing digest, position, window id: the share, or None for "mismatch"."""


class Judged(msgspec.Struct, frozen=True):
    """A window that a sender spoilt: what the opening report names. `rule` is one of S2, S5, F1 to
    F10.
    """

    window_id: bytes
    rule: str
    sentence: str


class _Window(msgspec.Struct, frozen=True):
    """One window's file, decoded, with its key if it has been joined."""

    where: str
    file: WindowFile
    label: Label
    roster: Roster
    counterseal: Counterseal
    window_id: bytes


class Reading:
    """One pass over a bag's windows. After `messages` has run out, `tally`, `judged` and `labels`
    are whole.
    """

    def __init__(self, bag: Bag, logged: Logged, story: WarrantStory, findings: Findings) -> None:
        self._bag, self._logged, self._story, self._findings = bag, logged, story, findings
        self._given = read_shares(bag, story, findings)
        self.tally = Tally()
        self.judged: list[Judged] = []
        self.labels: dict[bytes, Label] = {}
        self._short: dict[str, list[str]] = {}

    def messages(self) -> Iterator[Message]:
        """The messages in order. Faults go to the findings and, where a sender is at fault, to
        `judged`.
        """
        names = sorted(self._bag.names("windows"), key=_period_first)
        for _, group in itertools.groupby(names, key=lambda name: _period_first(name)[0]):
            windows = [window for name in group if (window := self._read(name)) is not None]
            yield from self._open_period(windows)
        for window_id in sorted(self._story.windows.keys() - self.labels.keys()):
            self._findings.fault(
                "B11", f"window {window_id.hex()[:16]}", "it is in a listing and not in the bag."
            )
        self._check_units()
        for sentence, where in self._short.items():
            more = f" and {len(where) - 3} more" if len(where) > 3 else ""
            self._findings.fault("B14", f"{', '.join(where[:3])}{more}", sentence)

    def _read(self, name: str) -> _Window | None:
        where = f"data/{name}"
        with self._findings.under("B3", where):
            file = WindowFile.decode(self._bag.read(name, WindowFile.limit))
            label = Label.decode(file.label)
            window = _Window(
                where,
                file,
                label,
                Roster.decode(file.roster),
                Counterseal.decode(file.counterseal),
                label.window_id,
            )
            if name != file_name(label):
                self._findings.fault(
                    "B11",
                    where,
                    f"this file holds window {window.window_id.hex()[:16]} of {label.opens}.",
                )
            if window.window_id not in self._story.windows:
                self._findings.fault(
                    "B11", where, "this window is in no listing that was released."
                )
                return None
            if window.window_id in self.labels:
                self._findings.fault("B11", where, "this window is in the bag twice.")
                return None
            self.labels[window.window_id] = label
            return window
        return None

    def _open_period(self, windows: list[_Window]) -> Iterator[Message]:
        opened: list[tuple[_Window, bytes]] = []
        for window in windows:
            self._count(windows=1, frames=len(window.file.frames))
            before = len(self._findings.faults)
            keyset = self._check_context(window)
            # Nobody is blamed for a window whose material is not what was logged.
            prk = (
                self._join(window, keyset)
                if self._check_place(window) and keyset is not None
                else None
            )
            if prk is not None:
                opened.append((window, prk))
            elif len(self._findings.faults) == before:
                # a sender's fault, and nobody else's
                self._count(unread=len(window.file.frames))
        tasks = [
            (
                window.file.label,
                window.counterseal.seal_digest,
                prk,
                [frame.message for frame in window.file.frames],
            )
            for window, prk in opened
        ]
        messages: list[Message] = []
        for (window, _), frames in zip(opened, core.open_windows(tasks, THREADS), strict=True):
            messages += self._messages_of(window, frames)
        messages.sort(key=lambda message: message.order)
        self._count(messages=len(messages))
        yield from messages

    def _check_place(self, window: _Window) -> bool:
        """Period root, window proof, stamps and seal (B13), then the warrant's scope (B12). False
        if the first is not in order.
        """
        with self._findings.under("B13", window.where):
            logged = prove_window(window.file, window.window_id, self._logged.periods)
            check_frames(window.file, window.label, logged)
            check_seal(window.counterseal, [frame.message for frame in window.file.frames])
            with self._findings.under("B12", window.where):
                time = self._story.released_at[self._story.windows[window.window_id]]
                window_in_scope(self._story.verified, window.label, window.roster, logged, time)
            return True
        return False

    def _check_context(self, window: _Window) -> VerifiedKeyset | None:
        """The keyset the window was sealed under (B6), after its device (B7) and its counterseal's
        form (B15).
        """
        label = window.label
        added = self._logged.devices.get(label.account_id, {}).get(label.device_key)
        if added is None or added >= window.file.period:
            self._findings.fault(
                "B7",
                window.where,
                f"its device {label.device_key.hex()[:16]} is not in the logged chain of its"
                " account before that.",
            )
        found = self._logged.rules.find_keyset(label.keyset_digest)
        keyset = found.keyset if found else None
        if keyset is None or keyset.keyset.charter_digest != label.charter_digest:
            self._findings.fault(
                "B6",
                window.where,
                "the keyset that its label names is not in the bag, or is another charter's.",
            )
            return None
        with self._findings.under("B15", window.where):
            check_positions(window.counterseal, keyset.keys)
            return keyset
        return None

    def _join(self, window: _Window, keyset: VerifiedKeyset) -> bytes | None:
        """The window's `prk`, proved by its label and by the counterseal made again; None after a
        fault.
        """
        charter = self._story.verified.charter
        listing = self._story.windows[window.window_id]
        given = {
            position: shares[window.window_id]
            for position, shares in self._given.get(listing, {}).items()
        }
        sifted = sift(window.window_id, window.counterseal, given)
        self._remark_false(window, sifted)
        try:
            prk = join(charter.tree, window.label, sifted.good)
            remake(charter, keyset, window.label, prk, window.counterseal)
        except Refused as error:
            if error.rule == "S4":
                false = (
                    f" False ones came from {who(charter, sifted.false)}." if sifted.false else ""
                )
                self._short.setdefault(f"{error.message}{false} [S4]", []).append(window.where)
            else:
                self._judge(window, error.rule, error.message)
            return None
        for position in sifted.null:
            self._findings.remark(
                f"{who(charter, [position])} signed that its share of window"
                f" {window.window_id.hex()[:16]} does not match; the "
                "counterseal made again shows that it does: that word was false."
            )
        return prk

    def _remark_false(self, window: _Window, sifted: Sifted) -> None:
        for position in sifted.false:
            self._findings.remark(
                f"{who(self._story.verified.charter, [position])} signed a false share of window"
                f" {window.window_id.hex()[:16]} [S3]."
            )

    def _messages_of(self, window: _Window, frames: list[core.OpenedFrame]) -> Iterator[Message]:
        for seq, (frame, opened) in enumerate(zip(window.file.frames, frames, strict=True)):
            rule = opened.error or ("F8" if opened.seq != seq else None)
            if rule is not None or opened.content is None:
                self._judge(window, rule or "F7", f"Frame {seq} is refused.")
                self._count(unread=1)
                continue
            yield Message.of(
                window.label, window.window_id, seq, frame, Content.decode(opened.content)
            )

    def _judge(self, window: _Window, rule: str, sentence: str) -> None:
        # a window is named once, by its first fault
        if all(one.window_id != window.window_id for one in self.judged):
            device, account = window.label.device_key.hex()[:16], window.label.account_id.hex()[:16]
            sender = f"Device {device} of account {account}"
            self.judged.append(
                Judged(
                    window.window_id,
                    rule,
                    f"{sender}, window {window.window_id.hex()[:16]}: {sentence}",
                )
            )

    def _check_units(self) -> None:
        """Units over the labels of every listing up to each one (R8)."""
        everything = [one for _, one in self._story.verified.access.listings]
        for digest, listing in self._story.listings.items():
            ids = [
                window
                for one in everything
                if one.number <= listing.number
                for window in one.windows
            ]
            labels = [self.labels[window] for window in ids if window in self.labels]
            if len(labels) == len(ids):
                with self._findings.under("B10", f"listing {listing.number}"):
                    check_units(self._story.verified, labels, digest)

    def _count(self, windows: int = 0, frames: int = 0, messages: int = 0, unread: int = 0) -> None:
        old = self.tally
        self.tally = Tally(
            old.windows + windows, old.frames + frames, old.messages + messages, old.unread + unread
        )


def file_name(label: Label) -> str:
    """Where a window's file lies, below `data/`."""
    return f"windows/{label.opens}/{label.window_id.hex()}.cbor"


def _period_first(name: str) -> tuple[int, str]:
    """The period that a file's folder names (a folder that names none sorts first), and the
    name.
    """
    folder = name.split("/")[1]
    return (int(folder) if folder.isascii() and folder.isdigit() and len(folder) < 20 else -1, name)


def read_shares(bag: Bag, story: WarrantStory, findings: Findings) -> Given:
    """The statements in `data/shares/`, each by the holder and for the listing that its name says
    (B14).
    """
    given: Given = {}
    by_number = {listing.number: (digest, listing) for digest, listing in story.listings.items()}
    for name in bag.names("shares"):
        with findings.under("B14", f"data/{name}"):
            number, position = _numbers(name)
            if number not in by_number:
                raise Refused(
                    "R11", f"There is no released listing {number} that these shares could be of."
                )
            digest, listing = by_number[number]
            statement = bag.read(name, _STATEMENT_MAX)
            shares = verify_statement(
                statement, story.verified.charter, story.verified.digest, digest, listing, position
            )
            given.setdefault(digest, {})[position] = shares
    return given


def _numbers(name: str) -> tuple[int, int]:
    listing, hyphen, position = name.removeprefix("shares/").removesuffix(".cose").partition("-")
    if not (
        hyphen
        and listing.isdigit()
        and position.isdigit()
        and name == f"shares/{int(listing)}-{int(position)}.cose"
    ):
        raise Refused("R11", "Shares lie in files named LISTING-POSITION.cose.")
    return int(listing), int(position)
