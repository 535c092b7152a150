"""A handle's proof: the path in the directory's map, under a root whose place in the log is proved
apart.
"""

from __future__ import annotations

from typing import Any

from counterseal.client.answers import HandleAnswer
from counterseal.protocol import cbor
from counterseal.protocol.account import DirectoryRoot
from counterseal.tlog.directory import check_next_root, decode_directory_root, decode_lookup


def check_handle(handle: str, told: HandleAnswer, domain: str) -> tuple[bytes, DirectoryRoot]:
    """The chain head (32 bytes) that the root gives the handle's account, and the root. Raises D1
    to D5.

    That the root is in the log, and how old it may be, is the caller's to check.
    """
    root = check_next_root(None, decode_directory_root(told.root, domain), told.log_index)
    proof: Any = told.proof
    lookup = decode_lookup(proof if isinstance(proof, bytes) else cbor.encode(proof))
    return lookup.verify(root.root, handle).expect(told.account).head, root
