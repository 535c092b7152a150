"""What a bag shows of the domain's log and ledger: checkpoints, charters, keysets, accounts, period
roots.

All of it hangs from two checkpoints, and those from the keys that whoever checks has brought.

| rule | finds |
| --- | --- |
| B1 | too few keys: both of the log's, both of the ledger's, and both of each of `c` witnesses |
|    | have to be given; or keys that the charter does not name (refuses to begin in the first |
|    | case) |
| B3 | a file of the bag that does not decode as above |
| B4 | a checkpoint that does not bear its log's and `c` witnesses' signatures, both of each |
| B5 | a charter that is not in the log, not the successor of the one before, or not signed by its |
|    | own (version 1) or its predecessor's quorums |
| B6 | a keyset that is not in the log, or not signed as its charter says |
| B7 | an account's chain that is not in the log or not whole; a device that was not in it when |
|    | its window opened |
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from counterseal.evidence.bag import Bag
from counterseal.evidence.findings import Findings
from counterseal.evidence.records import BagAccounts, BagCharters, BagKeysets, BagPeriods, Path
from counterseal.protocol.account_chain import VerifiedChain
from counterseal.protocol.charter import Charter
from counterseal.protocol.charter_checks import check_charter
from counterseal.protocol.entry import LoggedEntry, entry_hash
from counterseal.protocol.errors import BadInput, Refused
from counterseal.protocol.period import PeriodRoot
from counterseal.protocol.record import Record
from counterseal.protocol.trusted_rules import TrustedRules
from counterseal.protocol.verified_charter import ReceivedCharter
from counterseal.protocol.vkey import (
    LOG_ED25519,
    MLDSA44,
    NOTE_MAX,
    WITNESS_ED25519,
    VerifierKey,
    parse_vkey,
)
from counterseal.tlog.checkpoint import (
    Checkpoint,
    KeyPair,
    log_keys,
    parse_checkpoint,
    verify_checkpoint,
    verify_cosigned,
    witness_keys,
)
from counterseal.tlog.ledger import Schedule, Segment
from counterseal.tlog.note import parse_note
from counterseal.tlog.periods import decode_period_root
from counterseal.tlog.proof import verify_inclusion
from counterseal.tlog.tree import leaf_hash

R = TypeVar("R", bound=Record)


class Keys(msgspec.Struct, frozen=True):
    """The only trust: the log's and the ledger's pairs of verifier keys, and each witness's."""

    log: KeyPair
    ledger: KeyPair
    witnesses: tuple[KeyPair, ...]


class Logged(msgspec.Struct, frozen=True):
    """What hangs together under the checkpoints. `devices` is each account's device keys and the
    log index of their statement.
    """

    ledger: Checkpoint
    rules: TrustedRules
    schedule: Schedule
    chains: dict[bytes, VerifiedChain]
    devices: dict[bytes, dict[bytes, int]]
    periods: dict[int, PeriodRoot]


def read_keys(texts: Sequence[str]) -> Keys:
    """The keys out of verifier keys as text. Raises `BadInput` B1 unless they are whole pairs of a
    log, a ledger and a witness.
    """
    by_name: dict[str, dict[int, VerifierKey]] = {}
    for text in texts:
        try:
            key = parse_vkey(text.strip(), (LOG_ED25519, WITNESS_ED25519, MLDSA44))
        except Refused as error:
            raise _no_keys(error.message) from None
        by_name.setdefault(key.name, {})[key.kind] = key
    logs = {name: kinds for name, kinds in by_name.items() if LOG_ED25519 in kinds}
    rest = {name: kinds for name, kinds in by_name.items() if name not in logs}
    found = [_pair(name, kinds, LOG_ED25519) for name, kinds in logs.items()]
    log = [pair for pair in found if pair.name.endswith("/log")]
    ledger = [pair for pair in found if pair.name.endswith("/ledger")]
    witnesses = tuple(_pair(name, kinds, WITNESS_ED25519) for name, kinds in sorted(rest.items()))
    if len(log) != 1 or len(ledger) != 1 or len(found) != 2 or not witnesses:
        raise _no_keys(
            f"The keys given are of {len(log)} logs (DOMAIN/log), {len(ledger)} ledgers"
            f" (DOMAIN/ledger) and {len(witnesses)} witnesses."
        )
    return Keys(log[0], ledger[0], witnesses)


def _pair(name: str, kinds: dict[int, VerifierKey], first: int) -> KeyPair:
    if set(kinds) != {first, MLDSA44}:
        raise _no_keys(f"Of {name!r} one of its two keys is missing, or one is of another kind.")
    return KeyPair(kinds[first], kinds[MLDSA44])


def _no_keys(what: str) -> BadInput:
    return BadInput(
        f"{what} Give --key for both keys of the log, both of the ledger and both of each witness:"
        " they are the only trust that the "
        "check takes, and without them it says nothing.",
        code="B1",
    )


def read_logged(bag: Bag, keys: Keys, findings: Findings) -> Logged | None:
    """Checks everything that hangs from the checkpoints. None if not even a charter can be read:
    then nothing else can be judged.
    """
    charters = decode_file(bag, "log/charters.cbor", BagCharters, findings)
    if charters is None:
        return None
    needed = _check_keys(charters, keys, findings)
    log = _checkpoint(bag, "log", keys.log, keys.witnesses, needed, findings)
    ledger = _checkpoint(bag, "ledger", keys.ledger, keys.witnesses, needed, findings)
    if log is None or ledger is None:
        return None

    rules = TrustedRules()
    _read_charters(charters, log, rules, findings)
    if rules.newest is None:
        return None
    _read_keysets(bag, log, rules, findings)
    chains, devices = _read_accounts(bag, log, rules.newest.charter.domain, findings)
    return Logged(
        ledger=ledger,
        rules=rules,
        schedule=_schedule(rules, findings),
        chains=chains,
        devices=devices,
        periods=_read_periods(bag, log, findings),
    )


def decode_file(bag: Bag, name: str, kind: type[R], findings: Findings) -> R | None:
    """The record in `data/NAME`, or None and a fault B3."""
    with findings.under("B3", f"data/{name}"):
        return kind.decode(bag.read(name, kind.limit))
    return None


def prove(checkpoint: Checkpoint, entry: bytes, index: int, path: Path) -> None:
    """Returns if the entry (32 bytes) is at `index` under the checkpoint. Raises `TlogError` T9
    or T11.
    """
    verify_inclusion(leaf_hash(entry), index, checkpoint.size, checkpoint.root, path)


def _check_keys(charters: BagCharters, keys: Keys, findings: Findings) -> int:
    """How many witnesses have to have cosigned, by the newest charter; every key given has to be
    one that it names.

    The second half keeps a forged charter from choosing its own witnesses, or asking for fewer than
    those given can be: the charter's rule `2c >= W + w` counts all whom it names.
    """
    where, most = "data/log/charters.cbor", len(keys.witnesses)
    with findings.under("B5", where):
        charter = check_charter(ReceivedCharter.decode(charters.charters[-1].statement).charter)
        for name, given, named in _pairs(charter, keys):
            if given not in named:
                findings.fault(
                    "B1", where, f"the newest charter does not name the keys given for {name}."
                )
        if most < charter.witnesses.c:
            findings.fault(
                "B1",
                where,
                f"the keys of {charter.witnesses.c} witnesses are needed, and {most} were given.",
            )
        return charter.witnesses.c
    return most


def _pairs(charter: Charter, keys: Keys) -> list[tuple[str, KeyPair, list[KeyPair]]]:
    witnesses = [
        witness_keys((one.vkeys.ed25519, one.vkeys.mldsa44)) for one in charter.witnesses.members
    ]
    log = log_keys((charter.log.vkeys.ed25519, charter.log.vkeys.mldsa44))
    ledger = log_keys((charter.ledger.vkeys.ed25519, charter.ledger.vkeys.mldsa44))
    rows = [(keys.log.name, keys.log, [log]), (keys.ledger.name, keys.ledger, [ledger])]
    return rows + [(pair.name, pair, witnesses) for pair in keys.witnesses]


def _checkpoint(
    bag: Bag, log: str, key: KeyPair, witnesses: Sequence[KeyPair], needed: int, findings: Findings
) -> Checkpoint | None:
    """The checkpoint, also one that is not signed as it has to be: then a fault says so, and what
    hangs from it is checked all the same.
    """
    name = f"{log}/checkpoint"
    with findings.under("B4", f"data/{name}"):
        note = bag.read(name, NOTE_MAX)
        with findings.under("B4", f"data/{name}"):
            verify_checkpoint(note, key)
            return verify_cosigned(note, key, witnesses, needed).checkpoint
        return parse_checkpoint(parse_note(note).text)
    return None


def _read_charters(
    file: BagCharters, log: Checkpoint, rules: TrustedRules, findings: Findings
) -> None:
    """Takes the charters in, each as the successor of the one before. One whose proof of logging
    fails is a fault, and is gone by all the same, so that everything else can be judged.
    """
    for number, placed in enumerate(file.charters, 1):
        where = f"data/log/charters.cbor, charter {number}"
        with findings.under("B5", where):
            prove(log, entry_hash(placed.statement), placed.index, placed.path)
        with findings.under("B5", where):
            charter = rules.check_charter(placed.statement)
            if rules.find_charter(charter.digest) is not None:
                raise Refused("C19", "This charter is in the file already.")
            logged = LoggedEntry.of(placed.statement, placed.index)
            rules.add_charter(charter, logged, placed.active)

    times = [since for since, _ in rules.rulebook().charters]
    if times != sorted(times) or (times and times[0]):
        findings.fault(
            "B5",
            "data/log/charters.cbor",
            "the charters do not come into force one after the other.",
        )


def _read_keysets(bag: Bag, log: Checkpoint, rules: TrustedRules, findings: Findings) -> None:
    """Takes the keysets in, as `_read_charters` does the charters."""
    file = decode_file(bag, "log/keysets.cbor", BagKeysets, findings)
    for number, placed in enumerate(file.keysets if file else (), 1):
        where = f"data/log/keysets.cbor, keyset {number}"
        with findings.under("B6", where):
            prove(log, entry_hash(placed.statement), placed.index, placed.path)
        with findings.under("B6", where):
            keyset = rules.check_keyset(placed.statement)
            if rules.find_keyset(keyset.digest) is not None:
                raise Refused("K1", "This keyset is in the file already.")
            rules.add_keyset(keyset, LoggedEntry.of(placed.statement, placed.index))


def _read_accounts(
    bag: Bag, log: Checkpoint, domain: str, findings: Findings
) -> tuple[dict[bytes, VerifiedChain], dict[bytes, dict[bytes, int]]]:
    chains: dict[bytes, VerifiedChain] = {}
    devices: dict[bytes, dict[bytes, int]] = {}
    file = decode_file(bag, "log/accounts.cbor", BagAccounts, findings)
    for account in file.accounts if file else ():
        where = f"data/log/accounts.cbor, account {account.account_id.hex()[:16]}"
        chain: VerifiedChain | None = None
        for link in account.links:
            with findings.under("B7", where):
                prove(log, entry_hash(link.statement), link.index, link.path)
            with findings.under("B7", where):
                chain = (
                    chain.extend(link.statement)
                    if chain
                    else VerifiedChain.start(link.statement, domain)
                )
                for device in chain.devices:
                    devices.setdefault(account.account_id, {}).setdefault(device, link.index)
        if chain is None or chain.account_id != account.account_id:
            findings.fault("B7", where, "the chain is of another account.")
            devices.pop(account.account_id, None)
        else:
            chains[account.account_id] = chain
    return chains, devices


def _read_periods(bag: Bag, log: Checkpoint, findings: Findings) -> dict[int, PeriodRoot]:
    found: dict[int, PeriodRoot] = {}
    file = decode_file(bag, "log/periods.cbor", BagPeriods, findings)
    for placed in file.roots if file else ():
        with findings.under("B13", f"data/log/periods.cbor, period root at {placed.index}"):
            prove(log, entry_hash(placed.statement), placed.index, placed.path)
            found[placed.index] = decode_period_root(placed.statement)
    return found


def _schedule(rules: TrustedRules, findings: Findings) -> Schedule:
    """How many leaves the ledger takes in each tick, by the keysets and their charters; the keys
    themselves are not needed here.
    """
    with findings.under("B6", "data/log/keysets.cbor"):
        segments = []
        for one in rules.keysets:
            keyset = one.keyset.keyset
            ledger = rules.charter(keyset.charter_digest).charter.ledger
            segments.append(
                Segment(keyset.ledger_key.first_chunk, bytes(32), ledger.leaves, ledger.batch)
            )
        return Schedule(segments)

    # without keysets the first charter's numbers are the best guess
    ledger = rules.charters[0].charter.charter.ledger
    return Schedule([Segment(0, bytes(32), ledger.leaves, ledger.batch)])
