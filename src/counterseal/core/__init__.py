"""The compiled core: MLS, windows, counterseals, frames, opening, and the device's one encrypted
database connection.

Its types are in `_core.pyi`, the bytes it makes in docs/protocol.md.
"""

from counterseal.core._core import (
    DEFAULT_SUITE,
    SQLITE_VERSION,
    SUITES,
    Commit,
    CoreError,
    Device,
    Opened,
    OpenedFrame,
    Public,
    Sealed,
    Staged,
    View,
    Window,
    check_key_package,
    derive_prk,
    join_shares,
    open_windows,
    parse_private,
    public_group,
    public_process,
    seal_counterseal,
    split_shares,
)

__all__ = [
    "DEFAULT_SUITE",
    "SQLITE_VERSION",
    "SUITES",
    "Commit",
    "CoreError",
    "Device",
    "Opened",
    "OpenedFrame",
    "Public",
    "Sealed",
    "Staged",
    "View",
    "Window",
    "check_key_package",
    "derive_prk",
    "join_shares",
    "open_windows",
    "parse_private",
    "public_group",
    "public_process",
    "seal_counterseal",
    "split_shares",
]
