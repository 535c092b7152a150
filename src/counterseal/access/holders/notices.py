"""A witness's notices: sealed with its release, committed to in it, published when due, among
dummies, at a fixed cadence.

```
HOME/notices/kept/DIGEST        a sealed notice that waits: its warrant, its listing, its bytes
HOME/notices/published/NUMBER   what was published, dummies too, for apps that ask the witness
HOME/notices/next               when the next batch goes out
```
"""

from __future__ import annotations

from collections.abc import Sequence

from counterseal import state_files
from counterseal.access.common import store
from counterseal.access.common.home import InstitutionHome
from counterseal.access.common.sources import Source, ask
from counterseal.access.holders.checks import VerifiedListing
from counterseal.protocol import cbor
from counterseal.protocol.access_state import AccessState
from counterseal.protocol.account import check_notice_key, verify_account
from counterseal.protocol.charter import Charter
from counterseal.protocol.errors import CountersealError, Refused, Unavailable
from counterseal.protocol.keys import SealingKey
from counterseal.protocol.notice import make_notice, notice_due, seal_notice
from counterseal.protocol.record import Bytes32, Record
from counterseal.wire.notice_key import NOTICE_KEY

HELD_MAX = 10_000
"""Published notices that a witness keeps to show."""


class Kept(Record, frozen=True, tag=cbor.tag("kept-notice")):
    """A notice that waits until it is due."""

    limit = 32_768

    warrant_digest: Bytes32
    listing_digest: Bytes32
    sealed: bytes


def accounts(listing: VerifiedListing) -> tuple[bytes, ...]:
    """Whose messages a listing opens: each window's sender, and accounts of the warrant that were
    in the conversation.
    """
    senders = {window.label.account_id for window in listing.windows}
    named = set(listing.warrant.warrant.account_ids)
    present = {account for window in listing.windows for account in window.roster.accounts & named}
    return tuple(sorted(senders | present))


class NoticeStore:
    """One witness's notices on disk."""

    def __init__(self, home: InstitutionHome) -> None:
        self._home = home
        self._folder = home.path / "notices"

    def seal(
        self, source: Source, listing: VerifiedListing, position: int, now: int, in_force: Charter
    ) -> tuple[bytes, ...]:
        """Seals and keeps one notice for every account concerned; gives their digests, for the
        release to commit to.
        """
        warrant = listing.warrant
        issuers = (warrant.requester.name, warrant.approver.name if warrant.approver else "")
        digests = []
        for account_id in accounts(listing):
            record = make_notice(warrant.warrant, account_id, position, now, in_force, issuers)
            sealed = seal_notice(self._home.signer, record, _key_for(source, account_id, in_force))
            kept = Kept(warrant.digest, listing.digest, sealed.encode())
            state_files.write_state(self._folder / "kept" / sealed.digest().hex(), kept.encode())
            digests.append(sealed.digest())
        return tuple(digests)

    def due(self, state: AccessState, position: int, now: int) -> list[tuple[int, bytes, bytes]]:
        """`(due, digest, sealed notice)` of what is due at `now`, the longest due first. Only what
        a logged release commits to.
        """
        found = []
        for place in (self._folder / "kept").glob("?" * 64):
            kept, digest = Kept.decode(store.read(place, "notice")), bytes.fromhex(place.name)
            access = state.accesses.get(kept.warrant_digest)
            for logged in access.releases if access else ():
                if (
                    access is not None
                    and logged.release.position == position
                    and digest in logged.release.notices
                ):
                    rule = state.rulebook.in_force(logged.time).charter.notices
                    due = notice_due(access, logged, rule.delay, rule.extension)
                    if due <= now:
                        found.append((due, digest, kept.sealed))
        return sorted(found)

    def next_batch(self) -> int:
        """When the next batch goes out."""
        place = self._folder / "next"
        return int(store.read(place, "time of the next notices").decode()) if place.exists() else 0

    def set_next(self, moment: int) -> None:
        """Fixes when the next batch goes out."""
        state_files.write_state(self._folder / "next", str(moment).encode())

    def published(self, sealed: bytes, digest: bytes | None) -> None:
        """Keeps a published notice to show, and forgets that it waits."""
        numbers = self._numbers()
        state_files.write_state(
            self._folder / "published" / f"{(numbers[-1] if numbers else -1) + 1:020d}",
            sealed,
            mode=state_files.PUBLIC,
        )
        if digest is not None:
            (self._folder / "kept" / digest.hex()).unlink(missing_ok=True)
        for number in numbers[: max(len(numbers) - HELD_MAX, 0)]:
            (self._folder / "published" / f"{number:020d}").unlink(missing_ok=True)

    def after(self, index: int) -> list[tuple[int, bytes]]:
        """Published notices with a number over `index`, at most 500."""
        wanted = [number for number in self._numbers() if number > index][:500]
        return [
            (number, store.read(self._folder / "published" / f"{number:020d}", "notice"))
            for number in wanted
        ]

    def _numbers(self) -> list[int]:
        folder = self._folder / "published"
        return (
            sorted(int(place.name) for place in folder.glob("[0-9]" * 20))
            if folder.is_dir()
            else []
        )


def _key_for(source: Source, account_id: bytes, charter: Charter) -> bytes:
    """The account's notice key; the substitute's if the account is gone or its key is bad; else a
    key that nobody has.

    A bad notice key never blocks a release. Raises `Unavailable`.
    """
    candidates: Sequence[bytes | None] = (account_id, charter.notices.substitute)
    for candidate in candidates:
        if candidate is None:
            continue
        try:
            return _notice_key(source, candidate, charter.domain)
        except Unavailable:
            raise
        except CountersealError:
            continue
    return SealingKey.generate().public


def _notice_key(source: Source, account_id: bytes, domain: str) -> bytes:
    statement = ask(source, NOTICE_KEY, account=account_id).statement
    first = verify_account(statement, domain)
    if first.account_id != account_id:
        raise Refused("A1", "The service gave another account's statement than the one asked for.")
    return check_notice_key(first.account.notice_key)
