"""Types of the compiled core.

All byte strings are `bytes`; ids, keys and digests are 32 bytes, a conversation id is 16. Times are
seconds since 1970 unless the name ends in `_ms`. Every call may raise `CoreError`; where a
docstring names codes, these are the ones that another's input can cause.
"""

from collections.abc import Sequence
from typing import Any, final

class CoreError(Exception):
    """What the compiled core refuses.

    `code` is a rule of docs/protocol.md ("F4"), or one of: "mls" (MLS, or this project's rules on
    top of it), "store" (the database), "busy" (another process has it open), "usage" (the caller
    asked for what cannot be; nothing was changed), "fatal" (a defect; a device is closed by it).
    """

    code: str
    message: str

SUITES: dict[int, str]
"""Names of the MLS suites that this build knows, by id."""
DEFAULT_SUITE: int
"""The suite of new groups."""
SQLITE_VERSION: str
"""The SQLite under the device's database."""

@final
class View:
    """A member's view of a group in one epoch."""

    conversation: bytes
    epoch: int
    roster_epoch: int
    # (account_id, device_key), sorted
    roster: list[tuple[bytes, bytes]]
    roster_digest: bytes
    charter_digest: bytes
    quarter: int
    keyset_digest: bytes
    suite: int

@final
class Commit:
    """A commit this device made: pending until `group_merge` or `group_discard`."""

    # a PublicMessage
    message: bytes
    welcome: bytes | None
    # the ratchet tree, sent once beside the Welcome
    tree: bytes
    group_info: bytes
    # the epoch that the commit starts from
    epoch: int

@final
class Staged:
    """A handshake message that MLS accepts, before this device's own policy has been asked."""

    # "commit", or "proposal" for a self-remove
    kind: str
    # the epoch it belongs to
    epoch: int
    committer: tuple[bytes, bytes]
    added: list[tuple[bytes, bytes]]
    removed: list[tuple[bytes, bytes]]
    # (charter_digest, quarter, keyset_digest), if the commit sets it
    context: tuple[bytes, int, bytes] | None
    removes_me: bool

@final
class Window:
    """A window of this device, with what the service is given of it."""

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

    # a PrivateMessage
    message: bytes
    window_id: bytes
    seq: int

@final
class Opened:
    """A frame that passed F1 to F10 and F12.

    `current` is false when F11 still asks for the inclusion.
    """

    window_id: bytes
    seq: int
    account_id: bytes
    device_key: bytes
    label: bytes
    # the content array, its signature verified
    content: bytes
    sent_at_ms: int
    # frames missing before this one
    gap: int
    current: bool
    epoch: int
    # F8, the same frame again: only the window and seq are set beside it
    duplicate: bool

@final
class Device:
    """A device's one SQLCipher connection and its MLS groups.

    Every method that writes does so in one transaction; between `begin` and `commit` all join the
    caller's. `rollback` also drops what the groups have in memory, so they are read again.
    """

    @staticmethod
    def create(path: str, key: bytes) -> Device:
        """Makes the database. Raises `CoreError` "usage" when the file exists, "busy" when another
        process has it open."""
    @staticmethod
    def open(path: str, key: bytes) -> Device:
        """Raises `CoreError` "usage" when there is no file, "store" for a wrong key, "busy" when
        another process has it open."""
    def close(self) -> None: ...

    # SQL, for the client's own tables

    def begin(self) -> None: ...
    def commit(self) -> None: ...
    def rollback(self) -> None: ...
    def execute(self, sql: str, params: Sequence[Any] = ...) -> list[tuple[Any, ...]]: ...

    # identity, keysets

    def set_identity(self, account_id: bytes, device_seed: bytes) -> None: ...
    def identity(self) -> tuple[bytes, bytes] | None: ...
    def sign(self, message: bytes) -> bytes:
        """Ed25519 by the device key, over `message` as it is: the caller gives a tagged
        encoding."""
    def register_keyset(
        self,
        domain: str,
        charter_digest: bytes,
        keyset_digest: bytes,
        tree: bytes,
        keys: Sequence[bytes | None],
        period_length: int,
    ) -> None:
        """Keeps what windows and frames under this charter and keyset need. Raises `CoreError` S1,
        E6 for keys that nobody can seal to."""

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
        """Returns the GroupInfo of epoch 0, for the service."""
    def group_tree(self, conversation: bytes) -> bytes: ...
    def group_commit(
        self,
        conversation: bytes,
        add: Sequence[bytes],
        remove: Sequence[tuple[bytes, bytes]],
        context: tuple[bytes, int, bytes] | None,
    ) -> Commit:
        """Also commits every pending self-remove proposal. Raises `CoreError` "mls"."""
    def group_merge(self, conversation: bytes) -> View:
        """The service took the pending commit."""
    def group_discard(self, conversation: bytes) -> None:
        """The service took another: the pending commit is dropped and never sent again."""
    def group_leave(self, conversation: bytes) -> bytes:
        """A self-remove proposal, for somebody else's commit."""
    def group_stage(self, conversation: bytes, message: bytes) -> Staged:
        """Says what a handshake would do, and changes nothing. Raises `CoreError` "mls"."""
    def group_accept(self, conversation: bytes) -> View:
        """Takes what was staged, or a group that was joined."""
    def group_refuse(self, conversation: bytes) -> None: ...
    def group_join(self, welcome: bytes, tree: bytes) -> View:
        """The view is not yet trusted: the caller checks the roster against the directory, then
        calls `group_accept` or `group_forget`. Raises `CoreError` "mls"."""
    def group_forget(self, conversation: bytes) -> None: ...
    def group_view(self, conversation: bytes, epoch: int | None = ...) -> View: ...
    def groups(self) -> list[bytes]: ...

    # windows and frames

    def window_open(self, conversation: bytes, opens: int, serial: int) -> Window: ...
    def window(self, window_id: bytes) -> Window | None: ...
    def window_current(self, conversation: bytes, opens: int) -> Window | None:
        """This device's newest window of the conversation in the period, if its label still fits
        the group's present view."""
    def window_drop_keys(self, closed_before: int) -> int:
        """Erases the keys of all windows, own and others', that had closed by then. Returns their
        number."""
    def window_remake(self, window_id: bytes) -> Window:
        """Label, roster and counterseal, made again, of any window whose K this device has."""
    def frame_seal(self, window_id: bytes, content: bytes) -> Sealed:
        """Raises `CoreError` F10 for content sent outside the window."""
    def frame_unseal(self, window_id: bytes, seq: int) -> None:
        """Takes back the newest frame, which the service refused: its seq is used again with a
        fresh r."""
    def frame_open(self, conversation: bytes, message: bytes, now: int) -> Opened:
        """Raises `CoreError` F1 to F10, F12."""

# ---- the service's side: no secrets

@final
class Public:
    """What an accepted handshake means for the service."""

    state: bytes
    # "group", "commit" or "proposal"
    kind: str
    view: View
    sender: tuple[bytes, bytes]
    added: list[tuple[bytes, bytes]]
    removed: list[tuple[bytes, bytes]]
    # the KeyPackageRef of each added key package
    added_refs: list[bytes]

def public_group(group_info: bytes, tree: bytes) -> Public:
    """Begins to follow a group. Raises `CoreError` "mls"."""

def public_process(state: bytes, message: bytes) -> Public:
    """Judges a PublicMessage against the group's public state. Raises `CoreError` "mls"."""

def parse_private(message: bytes) -> tuple[bytes, int, bytes]:
    """(conversation, epoch, authenticated_data) of an MLS PrivateMessage that carries an
    application message. Raises `CoreError` F1."""

def check_key_package(key_package: bytes) -> tuple[bytes, bytes, int, bytes, bool]:
    """(account_id, device_key, suite, KeyPackageRef, last_resort); signature, lifetime and
    capabilities verified. Raises `CoreError` "mls"."""

# ---- the counterseal

def derive_prk(label: bytes, key: bytes) -> bytes: ...
def seal_counterseal(
    prk: bytes, window_id: bytes, charter_digest: bytes, tree: bytes, keys: Sequence[bytes | None]
) -> bytes: ...
def join_shares(tree: bytes, shares: Sequence[tuple[int, bytes]]) -> bytes:
    """prk from a quorum or more of (position, share). Raises `CoreError` S4."""

def split_shares(tree: bytes, prk: bytes) -> list[bytes]: ...

# ---- opening: no MLS state

@final
class OpenedFrame:
    """A frame with either its content or the rule that refuses it."""

    # 0 when the message is too malformed to name one
    seq: int
    content: bytes | None
    error: str | None
    message_digest: bytes

def open_windows(
    windows: Sequence[tuple[bytes, bytes, bytes, Sequence[bytes]]], threads: int
) -> list[list[OpenedFrame]]:
    """For each (label, seal_digest, prk, [PrivateMessage, ...] in order of seq): every frame
    opened,
    its signature and the window's chain checked.

    A bad frame is reported in its place. The interpreter lock is let go. Raises `CoreError` S5 for
    a prk that does not give the label's commitment.
    """
