"""The log as this device follows it: every statement is proved to be in it, under a checkpoint that
enough witnesses cosigned and that goes on from the largest one this device has ever seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from counterseal.client.home import DeviceHome
from counterseal.client.rules import DeviceRules
from counterseal.client.service_client import ServiceClient
from counterseal.client.store.device_store import DeviceStore
from counterseal.protocol import cbor
from counterseal.protocol.entry import entry_hash
from counterseal.protocol.errors import NotFound, Refused
from counterseal.protocol.verified_charter import VerifiedCharter
from counterseal.tlog.checkpoint import (
    Checkpoint,
    CosignedCheckpoint,
    follow,
    log_keys,
    verify_cosigned,
    witness_keys,
)
from counterseal.tlog.errors import TlogError
from counterseal.tlog.proof import verify_inclusion
from counterseal.tlog.tree import leaf_hash
from counterseal.wire.log import LOG_CONSISTENCY, LOG_PROOF, EntryProof

T = TypeVar("T")
_CHECKPOINT_MAX = 4096
# quarters of a second to wait for a statement that was just made to come under a checkpoint
_NOT_YET = 40


class LogFollower:
    """Proves entries, and remembers the largest checkpoint."""

    def __init__(self, home: DeviceHome, service: ServiceClient, rules: DeviceRules) -> None:
        self._home = home
        self._service = service
        self._rules = rules

    async def prove_statement(
        self, statement: bytes, index: int, candidate: VerifiedCharter | None = None
    ) -> CosignedCheckpoint:
        """Returns the checkpoint under which the statement is in the log at `index`.

        Raises what `prove_entry` raises.
        """
        return await self.prove_entry(entry_hash(statement), index, candidate)

    async def prove_entry(
        self, entry: bytes, index: int, candidate: VerifiedCharter | None = None
    ) -> CosignedCheckpoint:
        """Returns the checkpoint under which the entry (its hash, 32 bytes) is in the log at
        `index`. `candidate` is a charter whose own witnesses may have cosigned, for the first one
        there is.

        Raises `Refused` M7, T1 to T11, T29; `NotFound` when the log does not have it.
        """
        proof = await self._entry_proof(entry)
        if proof.index != index:
            raise Refused(
                "T9",
                f"The service says that a statement is entry {index} of the log"
                f" and proves that it is entry {proof.index}.",
            )
        cosigned = self._check_cosigned(proof.checkpoint.encode(), candidate)
        checkpoint = cosigned.checkpoint
        verify_inclusion(
            leaf_hash(entry), proof.index, checkpoint.size, checkpoint.root, proof.path
        )
        await self._follow(cosigned)
        return cosigned

    async def _entry_proof(self, entry: bytes) -> EntryProof:
        return await _soon(lambda: self._service.call(LOG_PROOF, entry=entry))

    async def _consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        answer = await _soon(lambda: self._service.call(LOG_CONSISTENCY, from_=old, to=new))
        return answer.path

    def _check_cosigned(self, note: bytes, candidate: VerifiedCharter | None) -> CosignedCheckpoint:
        """The checkpoint as the newest charter's witnesses cosigned it; as its predecessor's did,
        when that was before the change.
        """
        with self._home.store() as store:
            known = self._rules.trusted(store).charters
        charters = [one.charter for one in reversed(known[-2:])]
        if not charters and candidate is not None:
            charters = [candidate]

        log = log_keys(self._home.pins.log)
        last: TlogError | None = None
        for verified in charters:
            witnesses = verified.charter.witnesses
            pairs = [witness_keys([w.vkeys.ed25519, w.vkeys.mldsa44]) for w in witnesses.members]
            try:
                return verify_cosigned(note, log, pairs, witnesses.c)
            except TlogError as refused:
                # too few of this charter's witnesses: the one before may have others
                if refused.code != "T8":
                    raise
                last = last or refused
        raise last or Refused(
            "M7", "There is no charter yet whose witnesses could have cosigned the log."
        )

    async def _follow(self, cosigned: CosignedCheckpoint) -> None:
        """Follows the log: the largest checkpoint ever seen has to be a prefix of this one, or this
        one of it. Raises `Refused` T10, T29.
        """
        with self._home.store() as store:
            seen = _largest_seen(store)
        new = cosigned.checkpoint

        # an answer that was overtaken: it has to be a prefix of what was seen
        if seen is not None and new.size < seen.size:
            larger = msgspec.structs.replace(cosigned, checkpoint=seen)
            follow(new, larger, await self._consistency(new.size, seen.size))
            return

        path: tuple[bytes, ...] = ()
        if seen is not None and 0 < seen.size < new.size:
            path = await self._consistency(seen.size, new.size)
        follow(seen, cosigned, path)
        if seen is None or new.size > seen.size:
            with self._home.store() as store, store.transaction():
                store.settings.checkpoint = cbor.encode([new.origin, new.size, new.root])


async def _soon(ask: Callable[[], Awaitable[T]]) -> T:
    """The answer about the log. What was just made comes under the next checkpoint, a moment later.

    Raises `NotFound` in the end.
    """
    for _ in range(_NOT_YET):
        try:
            return await ask()
        except NotFound:
            await asyncio.sleep(0.25)
    return await ask()


def _largest_seen(store: DeviceStore) -> Checkpoint | None:
    data = store.settings.checkpoint
    if data is None:
        return None
    value: Any = cbor.decode(data, _CHECKPOINT_MAX)
    origin, size, root = value
    return Checkpoint(origin, size, root)
