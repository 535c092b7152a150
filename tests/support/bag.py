"""A warrant from request to release, made of real keys, seals, frames, trees and checkpoints; what
the evidence tests take apart.

Alice and Bob talk for three hours; the warrant reaches Alice's messages of the first two. `Scene`
builds everything; a test changes what it wants to before `package` writes the bag.
"""

import functools
import hashlib
import struct
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from tests.support import world as w

from counterseal import core
from counterseal.evidence.logged import Keys
from counterseal.evidence.package import Material, Package, Written
from counterseal.evidence.records import (
    AccountChain,
    BagAccounts,
    BagCharters,
    BagEvents,
    BagFrame,
    BagKeysets,
    BagPeriods,
    LedgerEvent,
    PlacedCharter,
    PlacedWindow,
    ProvedStatement,
    WindowFile,
)
from counterseal.protocol import account, account_chain, cbor, release, sign1, window, window_key
from counterseal.protocol.approval import Approval
from counterseal.protocol.charter import Reader
from counterseal.protocol.entry import entry_hash
from counterseal.protocol.frame import Attachment, Authenticated, Content, seal_frame
from counterseal.protocol.ledger_leaf import Opening, TickRecord
from counterseal.protocol.stamp import Stamp, message_digest
from counterseal.tlog.checkpoint import Checkpoint, log_keys, witness_keys
from counterseal.tlog.cosigned_note import add_signatures
from counterseal.tlog.ledger import WHOLE, Segment, chunk_digest, item
from counterseal.tlog.ledger_writer import build_chunk, seal_chunk
from counterseal.tlog.log_signer import LogSigner
from counterseal.tlog.memory_tree import MemoryTree
from counterseal.tlog.period_tree import PeriodTree
from counterseal.tlog.prove import make_inclusion
from counterseal.tlog.signers import WitnessSigner
from counterseal.tlog.tree import leaf_hash

HOUR = w.HOUR
CHARTER = msgspec.structs.replace(
    w.CHARTER, readers=(*w.CHARTER.readers, Reader("Opener", w.sealing("Opener").public))
)
JUDGE = w.verified(CHARTER)
KEYSET = w.verified_keyset(JUDGE)
LEAVES = w.CHARTER.ledger.leaves
SEGMENT = Segment(0, w.seed(f"ledger {w.QUARTER}"), LEAVES, w.CHARTER.ledger.batch)
APPROVED = w.T0 + w.DAY
TEXTS = (
    ("Alice", 0, 5, "Meet me at noon."),
    ("Bob", 0, 9, "Where?"),
    ("Alice", 0, 9, "At the café — 第3番出口 \U0001f6b2\u200f"),
    ("Alice", 0, 30, 'Bring "it"\n\tand <b>no</b> one\u2028else.'),
    ("Bob", 1, 1, "On my way"),
    ("Alice", 1, 2, ""),
    ("Alice", 1, 3, "\u202eevil"),
    ("Alice", 2, 4, "Outside of the warrant."),
)
"""Who, in which hour, at which minute of it, what."""


def private_message(conversation: bytes, authenticated: bytes) -> bytes:
    """An MLS PrivateMessage with nothing inside: what it carries for us stands in its authenticated
    data.
    """

    def vector(data: bytes) -> bytes:
        size = len(data)
        head = (
            struct.pack(">B", size)
            if size < 64
            else struct.pack(">H", 0x4000 | size)
            if size < 1 << 14
            else b""
        )
        return (head or struct.pack(">I", 0x80000000 | size)) + data

    parts = (
        vector(conversation),
        struct.pack(">QB", 7, 1),
        vector(authenticated),
        vector(b"s" * 28),
        vector(b"c" * 48),
    )
    return struct.pack(">HH", 1, 2) + b"".join(parts)


@functools.cache
def statement(record, name: str) -> bytes:
    """Signed once: ML-DSA's signatures differ each time, and tests look for the very statement that
    is in the bag.
    """
    return w.statement(record, name)


def signer_of(origin: str, kind: type) -> LogSigner | WitnessSigner:
    return kind(
        origin, w.ed25519(origin), MLDSA44PrivateKey.from_seed_bytes(w.seed("mldsa44 " + origin))
    )


class Log:
    """A log of entry hashes with its cosigned checkpoint."""

    def __init__(self, origin: str) -> None:
        self.origin, self.tree = origin, MemoryTree()

    def add(self, entry: bytes) -> int:
        self.tree.append(leaf_hash(entry))
        return self.tree.size - 1

    def path(self, index: int) -> tuple[bytes, ...]:
        return make_inclusion(index, self.tree.size, self.tree).path

    def note(self, witnesses=w.WITNESSES, time: int = APPROVED + HOUR) -> bytes:
        checkpoint = Checkpoint(self.origin, self.tree.size, self.tree.root())
        note = signer_of(self.origin, LogSigner).sign(checkpoint, time)
        for name in witnesses:
            note = add_signatures(
                note, signer_of(f"{name.lower()}.example", WitnessSigner).sign(checkpoint, time)
            )
        return note.format()


def keys() -> Keys:
    """What the one who checks brings."""
    charter = w.CHARTER
    witnesses = tuple(
        witness_keys((one.vkeys.ed25519, one.vkeys.mldsa44)) for one in charter.witnesses.members
    )
    log, ledger = charter.log.vkeys, charter.ledger.vkeys
    return Keys(
        log_keys((log.ed25519, log.mldsa44)), log_keys((ledger.ed25519, ledger.mldsa44)), witnesses
    )


def key_texts() -> list[str]:
    brought = keys()
    return [
        text for pair in (brought.log, brought.ledger, *brought.witnesses) for text in pair.texts()
    ]


class Person:
    """An account with one device."""

    def __init__(self, name: str) -> None:
        self.name, self.device = name, f"{name}'s phone"
        first = account.Account(
            w.DOMAIN, w.public(name), w.sealing(name).public, w.seed("nonce")[:16], w.T0 - w.DAY
        )
        self.id = first.digest()
        added = account_chain.Device(self.id, self.id, 1, w.public(self.device), w.T0 - w.DAY)
        link = account_chain.sign_link(w.ed25519(name), added, w.ed25519(self.device))
        self.statements = [sign1.sign1(w.ed25519(name), first.encode()), link]


class Sent:
    """One window with its frames, as its device makes them. `prk` is what the holders' shares are
    made from.
    """

    def __init__(
        self, person: Person, hour: int, serial: int, roster: window.Roster, **changes
    ) -> None:
        self.person = person
        self.key = w.seed(f"K {person.name} {serial}")
        opens = w.T0 + hour * HOUR
        label = w.make_label(
            JUDGE.digest,
            KEYSET.digest,
            account_id=person.id,
            device_key=w.public(person.device),
            opens=opens,
            closes=opens + HOUR,
            serial=serial,
            roster_digest=roster.digest(),
            key_commitment=bytes(32),
            **changes,
        )
        self.prk = window_key.derive_prk(label, self.key)
        self.label = msgspec.structs.replace(
            label, key_commitment=window_key.key_commitment(self.prk)
        )
        self.roster = roster
        self.id = self.label.window_id
        self.counterseal = self.seal(self.prk)
        self.frames: list[BagFrame] = []
        self.last: Authenticated | None = None

    def seal(self, prk: bytes) -> bytes:
        return core.seal_counterseal(prk, self.id, JUDGE.digest, JUDGE.tree.encode(), KEYSET.keys)

    def say(
        self, text: str, at: int, number: int, device: str | None = None, attachments=()
    ) -> None:
        """Seals one frame at `at` (seconds); `device` is who signs it, the person's own unless
        another is to be tried.
        """
        seq = len(self.frames)
        prev = self.last.ct_digest if self.last else None
        seal_digest = cbor_digest(self.counterseal)
        empty = Authenticated(self.id, seal_digest, seq, w.seed(f"r {seq}", 16), prev, bytes(20))
        content = Content(at * 1000, "text", text, attachments).encode()
        signed = sign1.sign1(w.ed25519(device or self.person.device), content, empty.external)
        self.last = seal_frame(self.prk, empty, signed)
        message = private_message(self.label.conversation_id, self.last.encode())
        self.frames.append(BagFrame(number, at, message))


def cbor_digest(encoded: bytes) -> bytes:
    return hashlib.sha256(encoded).digest()


class Scene:
    """Everything from the charter to the shares. Change `sent`, `shares` or `events` before
    `build`.
    """

    def __init__(self, direction: str = "sent") -> None:
        self.alice, self.bob = Person("Alice"), Person("Bob")
        devices = [(person.id, w.public(person.device)) for person in (self.alice, self.bob)]
        self.roster = window.Roster.of(devices)
        self.sent: list[Sent] = []
        windows: dict[tuple[str, int], Sent] = {}
        people = {"Alice": self.alice, "Bob": self.bob}
        for number, (name, hour, minute, text) in enumerate(TEXTS, 1):
            if (name, hour) not in windows:
                windows[name, hour] = Sent(people[name], hour, len(windows) + 1, self.roster)
            attachments = (
                (Attachment(w.seed("blob"), 12, w.seed("blob key"), "a.txt", "text/plain"),)
                if minute == 5
                else ()
            )
            at = w.T0 + hour * HOUR + minute * 60
            windows[name, hour].say(text, at, number, attachments=attachments)
        self.sent = list(windows.values())
        self.warrant = w.make_warrant(
            JUDGE.digest, account_ids=(self.alice.id,), until=w.T0 + 2 * HOUR, direction=direction
        )
        self.listed = [one for one in self.sent if self.in_scope(one)]
        self.names = {self.alice.id: "Alice \U0001f98a", self.bob.id: "Bob"}
        self.holders = list(w.ALL_HOLDERS)
        self.false: dict[str, set[bytes]] = {}
        self.null: dict[str, set[bytes]] = {}
        self.skip_events: set[str] = set()

    def in_scope(self, one: Sent) -> bool:
        reached = one.person is self.alice or self.warrant.direction == "conversation"
        return reached and one.label.closes <= self.warrant.until

    # the ledger's statements, in order

    def listing(self) -> release.Listing:
        units = len({(one.label.account_id, one.label.opens) for one in self.listed})
        return release.Listing(
            w.DOMAIN, self.warrant.digest(), 0, units, tuple(sorted(one.id for one in self.listed))
        )

    def ledger_statements(self) -> list[tuple[str, bytes]]:
        digest, listing = self.warrant.digest(), self.listing()
        approval = Approval(w.DOMAIN, JUDGE.digest, digest, APPROVED)
        rows = [
            ("request", statement(self.warrant, "Prosecutor")),
            ("approval", statement(approval, "Judge")),
            ("listing", listing.encode()),
        ]
        rows += [
            (
                f"release {name}",
                statement(w.make_release(self.warrant, listing.digest(), name), name),
            )
            for name in self.holders
        ]
        return [(name, signed) for name, signed in rows if name not in self.skip_events]

    def shares(self) -> dict[tuple[int, int], bytes]:
        found = {}
        listing = self.listing()
        by_id = {one.id: one for one in self.listed}
        for name in self.holders:
            position = w.ALL_HOLDERS.index(name)
            rows = []
            for window_id in listing.windows:
                share = core.split_shares(JUDGE.tree.encode(), by_id[window_id].prk)[position]
                if window_id in self.false.get(name, ()):
                    share = bytes(31) + b"\1"
                rows.append(
                    release.WindowShare(
                        window_id, None if window_id in self.null.get(name, ()) else share
                    )
                )
            record = release.Shares(
                w.DOMAIN, self.warrant.digest(), listing.digest(), position, tuple(rows)
            )
            found[0, position] = statement(record, name)
        return found

    # what lies in the bag

    def build(self) -> "Built":
        return Built(self)

    def package(self, place: Path, signer: str = "Opener") -> Written:
        built = self.build()
        with Package(place) as package:
            for one in built.windows():
                package.add_window(one)
            custody = [{"at": "2027-01-16T08:00:00Z", "what": "fetched"}]
            return package.finish(
                built.material(), keys(), w.signer(signer), custody, APPROVED + 2 * HOUR
            )


class Built:
    """The logs and what is proved under them."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.log, self.ledger = Log(f"{w.DOMAIN}/log"), Log(f"{w.DOMAIN}/ledger")
        self.charter = self.log.add(entry_hash(JUDGE.statement))
        self.keyset = self.log.add(entry_hash(KEYSET.statement))
        people = (scene.alice, scene.bob)
        self.links = {
            one.id: [self.log.add(entry_hash(s)) for s in one.statements] for one in people
        }
        self.trees: dict[int, tuple[PeriodTree, int]] = {}
        self._periods()
        self.chunks: list[bytes] = []
        self.events = self._events()

    def _periods(self) -> None:
        previous = None
        for opens in sorted({one.label.opens for one in self.scene.sent}):
            stamps = {
                one.id: [stamp(frame) for frame in one.frames]
                for one in self.scene.sent
                if one.label.opens == opens
            }
            tree = PeriodTree(w.DOMAIN, opens, opens + HOUR, stamps, previous)
            previous = tree.record.digest()
            self.trees[opens] = (tree, self.log.add(entry_hash(tree.record.encode())))

    def _events(self) -> list[tuple[int, bytes, bytes]]:
        """Each tick: its record, up to two statements, and dummies; (index, salt, statement) of
        what is no dummy.
        """
        rows = [statement for _, statement in self.scene.ledger_statements()]
        found = []
        for tick, at in enumerate(range(0, len(rows), 2)):
            previous = chunk_digest(self.chunks[-1]) if self.chunks else None
            time = APPROVED + tick * 60
            record = TickRecord(tick, time, previous, self.log.tree.size).encode()
            leaves = [record, *rows[at : at + 2]]
            items = []
            for place in range(LEAVES):
                statement = leaves[place] if place < len(leaves) else None
                salt = w.seed(f"salt {tick} {place}")
                index = self.ledger.add(Opening(salt, statement).leaf())
                items.append(item(WHOLE, Opening(salt, statement).encode()))
                if statement is not None:
                    found.append((index, salt, statement))
            self.chunks.append(
                seal_chunk(SEGMENT, self.ledger.origin, tick, build_chunk(items, SEGMENT.batch))
            )
        return found

    def windows(self, chosen=None) -> list[WindowFile]:
        files = []
        for one in self.scene.listed if chosen is None else chosen:
            tree, index = self.trees[one.label.opens]
            proof = tree.prove_window(one.id)
            placed = window_proof(proof, tree)
            label, roster = one.label.encode(), one.roster.encode()
            files.append(
                WindowFile(label, roster, one.counterseal, placed, index, tuple(one.frames))
            )
        return files

    def material(self, **changes) -> Material:
        chains = [
            AccountChain(
                one.id,
                tuple(
                    self.place(s, i)
                    for s, i in zip(one.statements, self.links[one.id], strict=True)
                ),
            )
            for one in sorted((self.scene.alice, self.scene.bob), key=lambda one: one.id)
        ]
        made = Material(
            warrant=self.scene.warrant.digest(),
            log_note=self.log.note(),
            ledger_note=self.ledger.note(),
            charters=BagCharters(
                (PlacedCharter(JUDGE.statement, self.charter, self.log.path(self.charter), 0),)
            ),
            keysets=BagKeysets((self.place(KEYSET.statement, self.keyset),)),
            accounts=BagAccounts(tuple(chains)),
            periods=BagPeriods(
                tuple(
                    self.place(tree.record.encode(), index) for tree, index in self.trees.values()
                )
            ),
            events=BagEvents(
                tuple(
                    LedgerEvent(i, salt, statement, self.ledger.path(i))
                    for i, salt, statement in self.events
                )
            ),
            shares=self.scene.shares(),
            names=self.scene.names,
        )
        return msgspec.structs.replace(made, **changes)

    def place(self, statement: bytes, index: int) -> ProvedStatement:
        return ProvedStatement(statement, index, self.log.path(index))


def stamp(frame: BagFrame) -> Stamp:
    return Stamp(message_digest(frame.message), frame.number, frame.time)


def window_proof(proof, tree: PeriodTree) -> PlacedWindow:
    return PlacedWindow(
        proof.frames.count, proof.frames.root, proof.index, tree.record.windows, proof.path
    )


def rewrite_manifests(bag: Path) -> None:
    """Makes the bag's manifests fit its files again, as somebody who tampers would."""

    def digest(path: Path) -> str:
        return hashlib.sha256(path.read_bytes()).hexdigest()

    payload = sorted(path for path in (bag / "data").rglob("*") if path.is_file())
    lines = [f"{digest(path)}  {path.relative_to(bag).as_posix()}\n" for path in payload]
    (bag / "manifest-sha256.txt").write_text("".join(lines))
    info = (bag / "bag-info.txt").read_text().splitlines()
    kept = [line for line in info if not line.startswith("Payload-Oxum")]
    oxum = f"Payload-Oxum: {sum(path.stat().st_size for path in payload)}.{len(payload)}"
    (bag / "bag-info.txt").write_text("\n".join([*kept, oxum]) + "\n")
    tags = sorted(
        path for path in bag.iterdir() if path.is_file() and path.name != "tagmanifest-sha256.txt"
    )
    (bag / "tagmanifest-sha256.txt").write_text(
        "".join(f"{digest(path)}  {path.name}\n" for path in tags)
    )


def edit(bag: Path, name: str, change) -> None:
    """Replaces a payload record of the bag: `change` takes the decoded array as nested lists and
    gives the new one.
    """
    path = bag / "data" / name
    path.write_bytes(cbor.encode(change(thaw(cbor.decode(path.read_bytes(), 1 << 30)))))


def thaw(value):
    return [thaw(one) for one in value] if isinstance(value, tuple) else value
