"""Types of the compiled floor. All byte strings are `bytes`; ids and digests are 32 bytes, a conversation id is 16."""

from collections.abc import Sequence
from typing import Any, final

class CoreError(Exception):
    """Anything the compiled floor refuses. `code` is a rule of docs/protocol.md ("F4") or one of: "mls", "store", "busy", "usage", "fatal"."""

    code: str
    message: str

SUITES: dict[int, str]
"""MLS suite ids this build knows, by id."""
DEFAULT_SUITE: int
SQLITE_VERSION: str

@final
class View:
    """A member's view of a group in one epoch."""

    conversation: bytes
    epoch: int
    roster_epoch: int
    roster: list[tuple[bytes, bytes]]  # (account_id, device_key), sorted
    roster_digest: bytes
    charter_digest: bytes
    quarter: int
    keyset_digest: bytes
    suite: int

@final
class Commit:
    """A commit this device made: pending until `group_merge` or `group_discard`."""

    message: bytes  # PublicMessage
    welcome: bytes | None
    tree: bytes  # ratchet tree, sent once beside the Welcome
    group_info: bytes
    epoch: int  # the epoch the commit starts from

@final
class Staged:
    """A handshake message that MLS accepts, before this device's own policy has been asked."""

    kind: str  # "commit" | "proposal" (self-remove only)
    epoch: int  # the epoch it belongs to
    committer: tuple[bytes, bytes]
    added: list[tuple[bytes, bytes]]
    removed: list[tuple[bytes, bytes]]
    context: tuple[bytes, int, bytes] | None  # new (charter_digest, quarter, keyset_digest)
    removes_me: bool

@final
class Window:
    window_id: bytes
    label: bytes
    roster: bytes
    counterseal: bytes
    seal_digest: bytes
    opens: int
    closes: int
    serial: int
    next_seq: int

@final
class Sealed:
    """One frame, ready to be posted."""

    message: bytes  # PrivateMessage
    window_id: bytes
    seq: int

@final
class Opened:
    """A frame that passed F1 to F10 and F12. `current` is false when F11 still asks for the inclusion."""

    window_id: bytes
    seq: int
    account_id: bytes
    device_key: bytes
    label: bytes
    content: bytes  # the content array, signature verified
    sent_at_ms: int
    gap: int  # frames missing before this one
    current: bool
    epoch: int
    duplicate: bool  # F8, the same frame again; nothing else is set

@final
class Device:
    """A device's one SQLCipher connection and its MLS groups.

    Every method that writes does so in one transaction; inside `begin`/`commit` all join the caller's. `rollback` also drops what the
    groups hold in memory, so they are read again. One process at a time ("busy" otherwise).
    """

    @staticmethod
    def create(path: str, key: bytes) -> Device: ...
    @staticmethod
    def open(path: str, key: bytes) -> Device: ...
    def close(self) -> None: ...
    # SQL, for the client's own tables
    def begin(self) -> None: ...
    def commit(self) -> None: ...
    def rollback(self) -> None: ...
    def execute(self, sql: str, params: Sequence[Any] = ...) -> list[tuple[Any, ...]]: ...
    # identity
    def set_identity(self, account_id: bytes, device_seed: bytes) -> None: ...
    def identity(self) -> tuple[bytes, bytes] | None: ...
    def sign(self, message: bytes) -> bytes:
        """Ed25519 by the device key, over `message` as it is: the caller gives a tagged encoding."""
    # what windows and frames of a charter and keyset need
    def register_keyset(
        self,
        domain: str,
        charter_digest: bytes,
        keyset_digest: bytes,
        tree: bytes,
        keys: Sequence[bytes | None],
        period_length: int,
    ) -> None: ...
    # groups
    def key_packages(self, count: int, last_resort: bool, suite: int) -> list[bytes]: ...
    def group_create(
        self,
        conversation: bytes,
        suite: int,
        charter_digest: bytes,
        quarter: int,
        keyset_digest: bytes,
    ) -> bytes:
        """Gives the GroupInfo of epoch 0, for the service."""
    def group_tree(self, conversation: bytes) -> bytes: ...
    def group_commit(
        self,
        conversation: bytes,
        add: Sequence[bytes],
        remove: Sequence[tuple[bytes, bytes]],
        context: tuple[bytes, int, bytes] | None,
    ) -> Commit:
        """Also commits every pending self-remove proposal. Errors: "mls"."""
    def group_merge(self, conversation: bytes) -> View: ...
    def group_discard(self, conversation: bytes) -> None: ...
    def group_leave(self, conversation: bytes) -> bytes: ...
    def group_stage(self, conversation: bytes, message: bytes) -> Staged: ...
    def group_accept(self, conversation: bytes) -> View: ...
    def group_refuse(self, conversation: bytes) -> None: ...
    def group_join(self, welcome: bytes, tree: bytes) -> View:
        """The view is not yet trusted: the caller checks the roster against the directory, then `group_accept` or `group_forget`."""
    def group_forget(self, conversation: bytes) -> None: ...
    def group_view(self, conversation: bytes, epoch: int | None = ...) -> View: ...
    def groups(self) -> list[bytes]: ...
    # windows and frames
    def window_open(self, conversation: bytes, opens: int, serial: int) -> Window: ...
    def window(self, window_id: bytes) -> Window | None: ...
    def window_current(self, conversation: bytes, opens: int) -> Window | None:
        """This device's newest window of the conversation in the period, if its label still fits the group's present view."""
    def window_drop_keys(self, closed_before: int) -> int: ...
    def window_remake(self, window_id: bytes) -> Window:
        """Any window whose K this device still has: makes label, roster and counterseal again."""
    def frame_seal(self, window_id: bytes, content: bytes) -> Sealed: ...
    def frame_unseal(self, window_id: bytes, seq: int) -> None:
        """Takes back the newest frame, which the service refused: its seq is used again with a fresh r."""
    def frame_open(self, conversation: bytes, message: bytes, now: int) -> Opened: ...

# the service's side: no secrets
@final
class Public:
    """What an accepted handshake means for the service."""

    state: bytes
    kind: str  # "group" | "commit" | "proposal"
    view: View
    sender: tuple[bytes, bytes]
    added: list[tuple[bytes, bytes]]
    removed: list[tuple[bytes, bytes]]
    added_refs: list[bytes]  # KeyPackageRef of each added key package

def public_group(group_info: bytes, tree: bytes) -> Public: ...
def public_process(state: bytes, message: bytes) -> Public:
    """Validates a PublicMessage against the group's public state. Errors: "mls"."""

def parse_private(message: bytes) -> tuple[bytes, int, bytes]:
    """(conversation, epoch, authenticated_data) of an MLS PrivateMessage that carries an application message. Errors: F1."""

def check_key_package(key_package: bytes) -> tuple[bytes, bytes, int, bytes, bool]:
    """(account_id, device_key, suite, KeyPackageRef, last_resort); signature, lifetime and capabilities verified. Errors: "mls"."""

# counterseal
def derive_prk(label: bytes, key: bytes) -> bytes: ...
def seal_counterseal(
    prk: bytes, window_id: bytes, charter_digest: bytes, tree: bytes, keys: Sequence[bytes | None]
) -> bytes: ...
def join_shares(tree: bytes, shares: Sequence[tuple[int, bytes]]) -> bytes:
    """prk from exactly or more than a quorum of (position, share). Errors: S4."""

def split_shares(tree: bytes, prk: bytes) -> list[bytes]: ...

# opening: no MLS state
@final
class OpenedFrame:
    seq: int
    content: bytes | None
    error: str | None  # rule that refuses it
    message_digest: bytes

def open_windows(
    windows: Sequence[tuple[bytes, bytes, bytes, Sequence[bytes]]], threads: int
) -> list[list[OpenedFrame]]:
    """For each (label, seal_digest, prk, [PrivateMessage, ...] in order of seq): every frame opened and its signature and chain checked.

    The GIL is released. A window whose prk does not give the label's commitment raises S5; a bad frame is reported in its place.
    """
