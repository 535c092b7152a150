"""Checks an evidence bag from its raw material, trusting nothing but the verifier keys that its
user brings.

In order: the bag's files (B2); checkpoints, charters, keysets, accounts and period roots (B3 to B7,
B13); the ledger's story of the warrant (B8 to B10); every window, share, seal and frame (B11 to
B16); and only then what people read (B17, B18) and what the opener signed (B19). It goes on after a
fault and lists them all. No network; one period of messages in memory at a time.

| rule | finds |
| --- | --- |
| B16 | a frame that does not open, that its device did not sign for this place, that does not |
|     | follow the frame before, or is dated outside its window |
| B17 | a line of `messages.jsonl` that the frames do not give, or a message that they give and it |
|     | lacks |
| B18 | a transcript, names, order files, counts or custody record that do not fit the material |
| B19 | an opening report that the opener did not sign, or that is about another bag, other |
|     | windows or other faults |
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from counterseal.evidence.bag import INFO, MANIFEST, Bag, open_bag, read_info, read_plain
from counterseal.evidence.events import (
    WarrantStory,
    check_order_files,
    order_statements,
    read_story,
)
from counterseal.evidence.findings import Finding, Findings
from counterseal.evidence.logged import Logged, read_keys, read_logged
from counterseal.evidence.messages import Message
from counterseal.evidence.package import REPORT, info_counts
from counterseal.evidence.transcript import Cover, Tally, Transcript
from counterseal.evidence.windows import Judged, Reading
from counterseal.protocol.cose import ReceivedSign
from counterseal.protocol.errors import BadInput, Refused
from counterseal.protocol.report import OpeningReport
from counterseal.protocol.warrant import Warrant

_TEXT_MAX = 64 << 20
_LINE_MAX = 1 << 20
# A frame's fault is B16, its window's B15.
_WINDOW_RULES = ("S", "X", "E")


class Verdict(msgspec.Struct, frozen=True):
    """What a check found. The bag is in order if `faults` is empty; `remarks` are for the reader
    all the same.
    """

    faults: tuple[Finding, ...]
    remarks: tuple[str, ...]
    tally: Tally

    @property
    def sentences(self) -> list[str]:
        """Each thing that is wrong, numbered."""
        return [f"{number}. {fault}" for number, fault in enumerate(self.faults, 1)]


def verify_bag(folder: Path, key_texts: Sequence[str]) -> Verdict:
    """Checks the bag in `folder` with verifier keys as text (signed-note form). Raises `BadInput`
    B1 or `NotFound` if it cannot begin.
    """
    keys = read_keys(key_texts)
    findings = Findings()
    bag = open_bag(folder, findings)
    logged = read_logged(bag, keys, findings)
    tally = Tally()
    if logged is not None:
        tally = _check_story(bag, logged, findings)
    return Verdict(tuple(findings.faults), tuple(findings.remarks), tally)


def _check_story(bag: Bag, logged: Logged, findings: Findings) -> Tally:
    where = "data/order/warrant.cose"
    warrant: bytes | None = None
    with findings.under("B3", where):
        payload = ReceivedSign.decode(
            bag.read("order/warrant.cose", _TEXT_MAX), Warrant.limit
        ).payload
        warrant = Warrant.decode(payload).digest()
    if warrant is None:
        return Tally()
    story = read_story(bag, logged, warrant, findings)
    with findings.under("B18", "data/order"):
        check_order_files(bag, order_statements(bag, warrant), findings)
    if story is None:
        return Tally()
    if story.verified.charter.charter.demonstration:
        findings.remark(
            "This is a demonstration's charter: its messages go by the clock of the file that was"
            " replayed."
        )
    names = _read_names(bag, findings)
    reading = Reading(bag, logged, story, findings)
    _check_words(bag, story, reading, names, findings)
    _check_counts(bag, story, reading.tally, findings)
    _check_custody(bag, findings)
    _check_report(bag, logged, story, reading, findings)
    return reading.tally


def _read_names(bag: Bag, findings: Findings) -> dict[bytes, str]:
    with findings.under("B18", "data/names.json"):
        try:
            value = json.loads(bag.read("names.json", _TEXT_MAX))
            return {bytes.fromhex(account): str(name) for account, name in value.items()}
        except (ValueError, AttributeError):
            raise BadInput(
                "This is not a JSON object of account ids and names.", code="B18"
            ) from None
    return {}


def _check_words(
    bag: Bag, story: WarrantStory, reading: Reading, names: dict[bytes, str], findings: Findings
) -> None:
    """Runs the reading, and compares its messages with the two files that people read."""
    lines, page = _Lines(bag, findings), _Page(bag, findings)
    transcript = Transcript(Cover.of(story.verified.warrant), names)
    page.expect(transcript.head())
    for message in reading.messages():
        lines.expect(message, message.line(names))
        page.expect(transcript.message(message))
    page.expect(transcript.foot(reading.tally))
    lines.finish()
    page.finish()


class _Lines:
    """Compares `messages.jsonl` with the messages as they come. A shift by one line is one fault
    and not a thousand: lines that do not match at once wait to be met later."""

    def __init__(self, bag: Bag, findings: Findings) -> None:
        self._findings, self._where = findings, "data/messages.jsonl"
        self._file: BinaryIO | None = None
        self._number = 0
        self._missing: dict[bytes, str] = {}
        self._extra: dict[bytes, int] = {}
        self._moved = 0
        with findings.under("B17", self._where):
            self._file = bag.open("messages.jsonl")

    def expect(self, message: Message, line: bytes) -> None:
        """The next message has to be the next line."""
        got = self._next()
        if got == line:
            return
        if self._extra.pop(line, None) is None:
            self._missing[line] = f"frame {message.seq} of window {message.window.hex()[:16]}"
        else:
            self._moved += 1
        if got is not None:
            self._met(got)

    def finish(self) -> None:
        """Says what is wrong, if anything is."""
        while (got := self._next()) is not None:
            self._met(got)
        if self._file is not None:
            self._file.close()
        for what in list(self._missing.values())[:100]:
            self._findings.fault(
                "B17", self._where, f"it lacks the message of {what}, or has it with other words."
            )
        for line, number in list(self._extra.items())[:100]:
            start = line[:80].decode("utf-8", "replace")
            self._findings.fault(
                "B17", f"{self._where}, line {number}", f"no frame gives this line: {start!r}."
            )
        for count, what in (
            (len(self._missing), "missing messages"),
            (len(self._extra), "added lines"),
        ):
            if count > 100:
                self._findings.fault("B17", self._where, f"there are {count - 100} more {what}.")
        if self._moved and not self._missing and not self._extra:
            self._findings.fault(
                "B17",
                self._where,
                f"the messages are all there and not in order: {self._moved} are out of place.",
            )

    def _met(self, line: bytes) -> None:
        if self._missing.pop(line, None) is None:
            self._extra[line] = self._number
        else:
            self._moved += 1

    def _next(self) -> bytes | None:
        line = self._file.readline(_LINE_MAX) if self._file is not None else b""
        self._number += 1
        return line or None


class _Page:
    """Compares `transcript.html` with the page as it is made again."""

    def __init__(self, bag: Bag, findings: Findings) -> None:
        self._findings, self._where, self._same = findings, "data/transcript.html", False
        self._file: BinaryIO | None = None
        with findings.under("B18", self._where):
            self._file = bag.open("transcript.html")
            self._same = True

    def expect(self, piece: bytes) -> None:
        """The next bytes have to be these."""
        self._same = self._same and self._file is not None and self._file.read(len(piece)) == piece

    def finish(self) -> None:
        """The page has to end here."""
        if self._file is None:
            return
        if not self._same or self._file.read(1):
            self._findings.fault("B18", self._where, "this is not the page that the messages give.")
        self._file.close()


def _check_counts(bag: Bag, story: WarrantStory, tally: Tally, findings: Findings) -> None:
    expected = {"External-Identifier": story.verified.digest.hex(), **info_counts(tally)}
    info = read_info(bag.folder, findings)
    for label, value in expected.items():
        if info.get(label) != value:
            findings.fault(
                "B18", INFO, f"{label} is {info.get(label)}, and {value} by the material."
            )


def _check_custody(bag: Bag, findings: Findings) -> None:
    where = "data/custody.jsonl"
    with findings.under("B18", where):
        try:
            entries = [
                json.loads(line) for line in bag.read("custody.jsonl", _TEXT_MAX).splitlines()
            ]
            whole = bool(entries) and all(entry["at"] and entry["what"] for entry in entries)
        except (ValueError, KeyError, TypeError):
            whole = False
        if not whole:
            findings.fault("B18", where, "this is no record of times and deeds.")


def _check_report(
    bag: Bag, logged: Logged, story: WarrantStory, reading: Reading, findings: Findings
) -> None:
    """The opener's report: signed by the warrant's opener, about these files, listings, counts and
    faults.
    """
    report: OpeningReport | None = None
    with findings.under("B19", REPORT):
        cose = ReceivedSign.decode(read_plain(bag.folder, REPORT, _TEXT_MAX), OpeningReport.limit)
        report = OpeningReport.decode(cose.payload)
        warrant, access = story.verified.warrant, story.verified.access
        opener = logged.rules.in_force(access.requested_at).openers.get(warrant.opener_key)
        if opener is None:
            raise Refused("W9", "The charter has no opener with the warrant's key.")
        cose.verify({opener.key.kid: opener.key})
    expected = {
        "warrant_digest": story.verified.digest,
        "charter_digest": story.verified.warrant.charter_digest,
        "domain": story.verified.warrant.domain,
        "windows": reading.tally.windows,
        "frames": reading.tally.frames,
        "evidence_digest": hashlib.sha256(read_plain(bag.folder, MANIFEST, _TEXT_MAX)).digest(),
    }
    for field, value in expected.items() if report else ():
        if getattr(report, field) != value:
            findings.fault("B19", REPORT, f"its {field.replace('_', ' ')} is not that of this bag.")
    if report is not None and set(report.listings) != set(story.listings):
        findings.fault("B19", REPORT, "it is about other listings than those released.")
    reported = (
        {(fault.window_id, fault.rule) for fault in report.faults} if report is not None else set()
    )
    _check_judged(reading.judged, reported, findings)


def _check_judged(
    judged: list[Judged], reported: set[tuple[bytes, str]], findings: Findings
) -> None:
    """A sender's fault that the opener reported is a remark; one that it did not is a fault of the
    bag, and so is the reverse.
    """
    for one in judged:
        if (one.window_id, one.rule) in reported:
            findings.remark(f"{one.sentence} [{one.rule}], as the opening report says.")
        else:
            rule = "B15" if one.rule.startswith(_WINDOW_RULES) else "B16"
            findings.fault(
                rule, f"window {one.window_id.hex()[:16]}", f"{one.sentence} [{one.rule}]"
            )
    for window_id, rule_said in sorted(reported - {(one.window_id, one.rule) for one in judged}):
        findings.fault(
            "B19",
            REPORT,
            f"it reports {rule_said} for window {window_id.hex()[:16]}, which the material does"
            " not show.",
        )
