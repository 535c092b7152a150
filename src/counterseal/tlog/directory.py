"""The directory's map: from a handle to an account id and the head of that account's chain, under a
root that the log carries hourly.

The chains themselves are replayed by protocol/account_chain.py. The map is a binary tree over the
256 bits of `H([tag("handle"), handle])` that has a node only where two keys part. Looking a key up
means following its bits from the root: that path ends in exactly one leaf, which either is the
key's or shows that the key is absent. So one form of proof serves for both, and a root that was
made wrongly still gives each handle only one answer.

| rule | refuses |
| --- | --- |
| D1 | a directory root that is not of the form, or of another domain |
| D2 | a directory root that covers entries after itself, or goes back in time or size |
| D3 | a handle or a proof that is not of the form: depths that do not rise, a leaf that is not on |
|    | the key's path |
| D4 | a proof that does not lead to the root |
| D5 | a handle that is absent, taken, another account's, or at another head than expected |
| D6 | a root older than allowed |
| D7 | two entries for one handle |
"""

import hmac
import itertools
from collections.abc import Iterable, Sequence
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from counterseal.protocol.cbor import H, tag
from counterseal.protocol.directory_root import HANDLE_MAX, DirectoryRoot
from counterseal.protocol.errors import refuse_as
from counterseal.protocol.record import Bytes32, Part, Record
from counterseal.tlog.errors import DirectoryError

EMPTY_MAP = H([tag("map-empty")])


class DirectoryEntry(msgspec.Struct, frozen=True):
    """What the map says of a handle: the account's id and the digest of the last statement of its
    chain, 32 bytes each.
    """

    handle: str
    account_id: bytes
    head: bytes


class MapLeaf(Part, frozen=True):
    """A leaf of the map: the digest of its handle, account id and chain head."""

    key: Bytes32
    account_id: Bytes32
    head: Bytes32

    def hash(self) -> bytes:
        """The leaf's hash, 32 bytes."""
        return H([tag("map-leaf"), self.key, self.account_id, self.head])


class MapStep(Part, frozen=True):
    """A node on a key's path: the bit (0 to 255, from the left) at which keys part there, and the
    hash on the other side.
    """

    depth: Annotated[int, Meta(ge=0, le=255)]
    sibling: Bytes32


class LookupProof(Record, frozen=True, tag="counterseal/v1/lookup-proof"):
    """The path that a key's bits lead along, from the root down, and the leaf at its end; no leaf
    in an empty map.
    """

    limit: ClassVar[int] = 16_384
    steps: Annotated[tuple[MapStep, ...], Meta(max_length=256)]
    leaf: MapLeaf | None

    def verify(self, root: bytes, handle: str) -> "VerifiedLookup":
        """What the map under `root` (32 bytes) says of the handle, presence or absence alike.
        Raises `DirectoryError` D3 or D4.
        """
        key = handle_key(handle)
        if self.leaf is None:
            if self.steps or not hmac.compare_digest(root, EMPTY_MAP):
                raise DirectoryError("D4", "The map is not empty, and the proof ends in no leaf.")
            return VerifiedLookup(handle, None)

        node = self.leaf.hash()
        below = 256
        for step in reversed(self.steps):
            if step.depth >= below or _bit(self.leaf.key, step.depth) != _bit(key, step.depth):
                raise DirectoryError(
                    "D3", "The proof's depths do not rise, or its leaf is not on the handle's path."
                )
            below = step.depth
            node = map_node(
                step.depth,
                *((step.sibling, node) if _bit(key, step.depth) else (node, step.sibling)),
            )

        if not hmac.compare_digest(node, root):
            raise DirectoryError(
                "D4", f"The proof for {handle!r} does not lead to the directory's root."
            )
        if self.leaf.key != key:
            return VerifiedLookup(handle, None)

        return VerifiedLookup(handle, DirectoryEntry(handle, self.leaf.account_id, self.leaf.head))


class VerifiedLookup(msgspec.Struct, frozen=True):
    """What is proved of a handle: its entry, or None if it is absent."""

    handle: str
    entry: DirectoryEntry | None

    def expect(self, account_id: bytes, head: bytes | None = None) -> DirectoryEntry:
        """The entry, if it is this account's and (unless None) at this chain head. Raises
        `DirectoryError` D5.

        An app calls this for its own handle under every root since it last looked.
        """
        if self.entry is None:
            raise DirectoryError("D5", f"The directory has no handle {self.handle!r}.")
        if self.entry.account_id != account_id:
            raise DirectoryError(
                "D5",
                f"The directory gives {self.handle!r} to another account: show this to its owner.",
            )
        if head is not None and self.entry.head != head:
            raise DirectoryError(
                "D5",
                f"The chain of {self.handle!r} has another head than the one known: fetch and "
                "replay it.",
            )

        return self.entry

    def expect_absent(self) -> None:
        """Returns if the handle is proved to be absent. Raises `DirectoryError` D5 otherwise."""
        if self.entry is not None:
            raise DirectoryError("D5", f"The handle {self.handle!r} is taken.")


class DirectoryMap:
    """The whole map, as the service and an auditor build it. O(n log n) to build, O(log n) to
    prove.
    """

    def __init__(self, entries: Iterable[DirectoryEntry]) -> None:
        """Raises `DirectoryError` D7 if a handle occurs twice."""
        leaves = sorted(
            (MapLeaf(handle_key(e.handle), e.account_id, e.head) for e in entries),
            key=lambda leaf: leaf.key,
        )
        if any(a.key == b.key for a, b in itertools.pairwise(leaves)):
            raise DirectoryError("D7", "A handle is in the directory twice.")
        self._root = _build(leaves, 0, len(leaves)) if leaves else None

    @property
    def root(self) -> bytes:
        """The map's root, 32 bytes."""
        return self._root.hash if self._root else EMPTY_MAP

    def prove(self, handle: str) -> LookupProof:
        """The proof of the handle's entry, or of its absence."""
        key, node = handle_key(handle), self._root
        steps: list[MapStep] = []
        while isinstance(node, _Node):
            near, far = (
                (node.right, node.left) if _bit(key, node.depth) else (node.left, node.right)
            )
            steps.append(MapStep(node.depth, far.hash))
            node = near
        return LookupProof(tuple(steps), node.leaf if node else None)


class _Leaf(msgspec.Struct, frozen=True):
    leaf: MapLeaf
    hash: bytes


class _Node(msgspec.Struct, frozen=True):
    depth: int
    left: "_Node | _Leaf"
    right: "_Node | _Leaf"
    hash: bytes


def handle_key(handle: str) -> bytes:
    """Where a handle is in the map: 32 bytes. Raises `DirectoryError` D3 for a handle over 320
    bytes or one that is no text.
    """
    try:
        if not 1 <= len(handle.encode()) <= HANDLE_MAX:
            raise DirectoryError("D3", f"A handle is 1 to {HANDLE_MAX} bytes.")
    except UnicodeEncodeError as error:
        raise DirectoryError("D3", "A handle is text that can be written as UTF-8.") from error
    return H([tag("handle"), handle])


def map_node(depth: int, left: bytes, right: bytes) -> bytes:
    """The hash, 32 bytes, of a node at which keys part at bit `depth`: those with 0 to the left."""
    return H([tag("map-node"), depth, left, right])


def decode_lookup(data: bytes) -> LookupProof:
    """A look-up proof as it came, nothing proved. Raises `DirectoryError` D3."""
    with refuse_as("D3", "This is no look-up proof:", DirectoryError):
        return LookupProof.decode(data)


def decode_directory_root(data: bytes, domain: str) -> DirectoryRoot:
    """The directory root in a log entry's statement. Raises `DirectoryError` D1."""
    with refuse_as("D1", "This is no directory root:", DirectoryError):
        record = DirectoryRoot.decode(data)
    if record.domain != domain:
        raise DirectoryError(
            "D1", f"This is a directory root of {record.domain!r}, not of {domain!r}."
        )
    return record


def check_next_root(
    before: DirectoryRoot | None, after: DirectoryRoot, index: int
) -> DirectoryRoot:
    """The later root itself, if it is at log index `index`, covers no more than lies before it,
    and goes back nowhere. Raises `DirectoryError` D2.
    """
    if after.log_size > index:
        raise DirectoryError(
            "D2", f"A directory root at log index {index} claims to cover {after.log_size} entries."
        )
    if before and (after.log_size < before.log_size or after.time <= before.time):
        raise DirectoryError(
            "D2", f"The directory root of {after.time} goes back behind that of {before.time}."
        )
    return after


def check_fresh_root(root: DirectoryRoot, now: int, limit: int) -> DirectoryRoot:
    """The root itself, if it is at most `limit` seconds old (86,400 for other people's handles).
    Raises `DirectoryError` D6.
    """
    if now - root.time > limit:
        raise DirectoryError(
            "D6",
            f"The directory root is {now - root.time} s old, {limit} s are allowed: fetch a newer "
            "one.",
        )
    return root


def _bit(key: bytes, depth: int) -> int:
    return key[depth >> 3] >> (7 - (depth & 7)) & 1


def _build(leaves: Sequence[MapLeaf], start: int, end: int) -> _Node | _Leaf:
    """The subtree over `leaves[start:end]`, sorted by key; at most 256 deep."""
    first = leaves[start]
    if end - start == 1:
        return _Leaf(first, first.hash())
    differing = int.from_bytes(first.key, "big") ^ int.from_bytes(leaves[end - 1].key, "big")
    # sorted keys all agree up to where the first and the last part
    depth = 256 - differing.bit_length()
    middle, high = start, end
    while middle < high:
        probe = (middle + high) // 2
        middle, high = (middle, probe) if _bit(leaves[probe].key, depth) else (probe + 1, high)
    left, right = _build(leaves, start, middle), _build(leaves, middle, end)
    return _Node(depth, left, right, map_node(depth, left.hash, right.hash))
