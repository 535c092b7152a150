"""Writes the evidence bag: raw material in, out comes a bag that has passed the very check that its
receiver will run.

Nothing is exported that `verify` would fault: what is wrong with the material stops the writing,
and says so, before a bag is there. What a sender spoilt is different: it is reported, and the rest
is exported.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from counterseal.evidence.bag import BagWriter
from counterseal.evidence.events import WarrantStory, order_statements, read_story
from counterseal.evidence.findings import Finding, Findings
from counterseal.evidence.logged import Keys, read_logged
from counterseal.evidence.messages import rfc3339
from counterseal.evidence.records import (
    BagAccounts,
    BagCharters,
    BagEvents,
    BagKeysets,
    BagPeriods,
    WindowFile,
)
from counterseal.evidence.transcript import Cover, Tally, Transcript
from counterseal.evidence.windows import Judged, Reading, file_name
from counterseal.protocol.cose import sign
from counterseal.protocol.errors import CountersealError
from counterseal.protocol.keys import InstitutionSigner
from counterseal.protocol.report import Fault, OpeningReport
from counterseal.protocol.window import Label

REPORT = "opening-report.cose"


class Unsound(CountersealError):
    """The material is not in order: `faults` says each thing that is wrong. No bag was written."""

    default_code = "unsound"

    def __init__(self, faults: Sequence[Finding]) -> None:
        self.faults = tuple(faults)
        lines = "\n".join(f"{number}. {fault}" for number, fault in enumerate(faults, 1))
        super().__init__(
            f"The material that was released does not stand, so no evidence is written:\n{lines}"
        )


class Material(msgspec.Struct, frozen=True):
    """What a bag holds beside its windows. `shares` is by listing number and position; `names` are
    the service's, by account id.
    """

    warrant: bytes
    log_note: bytes
    ledger_note: bytes
    charters: BagCharters
    keysets: BagKeysets
    accounts: BagAccounts
    periods: BagPeriods
    events: BagEvents
    shares: dict[tuple[int, int], bytes]
    names: dict[bytes, str]


class Written(msgspec.Struct, frozen=True):
    """A bag that is in its place: what was opened, whose seals or frames were bad, what else to
    know, and the report for the ledger.
    """

    place: Path
    tally: Tally
    judged: tuple[Judged, ...]
    remarks: tuple[str, ...]
    report: bytes


class Package:
    """A bag in the making. Add the windows, then `finish`. As a context manager it leaves nothing
    behind when it was not finished.
    """

    def __init__(self, place: Path) -> None:
        """Raises `Conflict` if something is at `place` already."""
        self._place, self._writer = place, BagWriter(place)
        self.senders: set[bytes] = set()
        self.periods: set[int] = set()
        self.windows: set[bytes] = set()

    def __enter__(self) -> Self:
        self._writer.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.__exit__(kind, error, trace)

    def add_window(self, window: WindowFile) -> None:
        """Takes one window's raw material; `senders`, `periods` (log indices) and `windows` say
        what was taken. Raises `Refused` E1 to E7.
        """
        label = Label.decode(window.label)
        self._writer.add(file_name(label), window.encode())
        self.senders.add(label.account_id)
        self.periods.add(window.period)
        self.windows.add(label.window_id)

    def finish(
        self,
        material: Material,
        keys: Keys,
        signer: InstitutionSigner,
        custody: Iterable[Mapping[str, Any]],
        now: int,
    ) -> Written:
        """Writes the rest, opens the windows, signs the report at `now` (Unix seconds), and moves
        the bag to its place.

        Raises `Unsound` if anything but a sender's own fault is found, `Conflict` or `FatalError`
        (disk).
        """
        findings = Findings()
        story, reading = self._open(material, keys, findings)
        self._write_words(story, reading, custody, now)
        report = self._report(story, reading, signer, now)
        self._writer.finish(_info(story, reading.tally, now), {REPORT: report})
        self._writer.publish()
        return Written(
            self._place, reading.tally, tuple(reading.judged), tuple(findings.remarks), report
        )

    def _open(
        self, material: Material, keys: Keys, findings: Findings
    ) -> tuple[WarrantStory, Reading]:
        self._write_material(material)
        bag = self._writer.read_back()
        for kind, statement in order_statements(bag, material.warrant).items():
            self._writer.add(f"order/{kind}.cose", statement)
        logged = read_logged(bag, keys, findings)
        story = read_story(bag, logged, material.warrant, findings) if logged is not None else None
        if logged is None or story is None or findings.faults:
            raise Unsound(findings.faults)
        reading = Reading(bag, logged, story, findings)
        transcript = Transcript(Cover.of(story.verified.warrant), material.names)
        with (
            self._writer.stream("messages.jsonl") as lines,
            self._writer.stream("transcript.html") as page,
        ):
            page.write(transcript.head())
            for message in reading.messages():
                lines.write(message.line(material.names))
                page.write(transcript.message(message))
            page.write(transcript.foot(reading.tally))
        if findings.faults:
            raise Unsound(findings.faults)
        return story, reading

    def _write_material(self, material: Material) -> None:
        files = {
            "log/checkpoint": material.log_note,
            "log/charters.cbor": material.charters.encode(),
            "log/keysets.cbor": material.keysets.encode(),
            "log/accounts.cbor": material.accounts.encode(),
            "log/periods.cbor": material.periods.encode(),
            "ledger/checkpoint": material.ledger_note,
            "ledger/events.cbor": material.events.encode(),
            "names.json": _json(
                {account.hex(): name for account, name in sorted(material.names.items())}, indent=1
            ),
        }
        for (listing, position), statement in material.shares.items():
            files[f"shares/{listing}-{position}.cose"] = statement
        for name, data in files.items():
            self._writer.add(name, data)

    def _write_words(
        self, story: WarrantStory, reading: Reading, custody: Iterable[Mapping[str, Any]], now: int
    ) -> None:
        opened = {
            "at": rfc3339(now * 1000),
            "what": "opened",
            "windows": reading.tally.windows,
            "frames": reading.tally.frames,
            "messages": reading.tally.messages,
            "not readable": reading.tally.unread,
        }
        bad = [
            {"at": opened["at"], "what": "found bad", "rule": one.rule, "detail": one.sentence}
            for one in reading.judged
        ]
        self._writer.add(
            "custody.jsonl", b"".join(_json(entry) for entry in (*custody, opened, *bad))
        )
        self._writer.add("README.txt", _readme(story).encode())

    def _report(
        self, story: WarrantStory, reading: Reading, signer: InstitutionSigner, now: int
    ) -> bytes:
        report = OpeningReport(
            domain=story.verified.warrant.domain,
            charter_digest=story.verified.warrant.charter_digest,
            warrant_digest=story.verified.digest,
            listings=tuple(story.listings),
            windows=reading.tally.windows,
            frames=reading.tally.frames,
            faults=tuple(Fault(one.window_id, one.rule) for one in reading.judged),
            evidence_digest=hashlib.sha256(self._writer.manifest()).digest(),
            time=now,
        )
        return sign([signer], report.encode())


def _info(story: WarrantStory, tally: Tally, now: int) -> dict[str, str]:
    return {
        "Source-Organization": story.verified.warrant.domain,
        "External-Identifier": story.verified.digest.hex(),
        "External-Description": "Messages opened under the order"
        " {story.verified.warrant.reference}",
        "Bagging-Date": datetime.fromtimestamp(now, UTC).date().isoformat(),
        "Bag-Software-Agent": "counterseal",
        **info_counts(tally),
    }


def info_counts(tally: Tally) -> dict[str, str]:
    """The counts that bag-info.txt states."""
    return {
        "Counterseal-Windows": str(tally.windows),
        "Counterseal-Frames": str(tally.frames),
        "Counterseal-Messages": str(tally.messages),
        "Counterseal-Not-Readable": str(tally.unread),
    }


def _json(value: Any, indent: int | None = None) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=indent).encode() + b"\n"


def _readme(story: WarrantStory) -> str:
    warrant = story.verified.warrant
    approver = story.verified.approver.name if story.verified.approver else "nobody yet"
    return f"""Messages opened under the order {warrant.reference or warrant.digest().hex()}

Requested by {story.verified.requester.name}, approved by {approver}; released by the holders \
whose signed statements
lie in ledger/events.cbor. Domain: {warrant.domain}. Ground: {warrant.ground}.

messages.jsonl    every message, in order, one JSON object a line (UTF-8)
transcript.html   the same for reading, in any browser, without a network
names.json        the names that the service gives for the accounts: a claim. \
The account ids are what is proved
order/            the order and its approval, as signed
log/, ledger/     the public log's and the ledger's checkpoints, and the statements under \
them with proofs
shares/           what each holder handed over, signed
windows/          the sealed messages themselves, as they were sent and stamped
custody.jsonl     what the opener did

To check all of it, get the verifier keys of the log, the ledger and the witnesses from where \
they are published, not from
this bag, and run

    counterseal evidence verify THIS-FOLDER --key KEY --key KEY ...

It recomputes every message from windows/ and reports each thing that does not fit. \
opening-report.cose, beside data/, is the
opener's signature over the list of these files.
"""
