"""The compiled core's public side, with its refusals in the one family of errors.

No secret of any group is here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from counterseal.core import _core
from counterseal.core._core import Public, View
from counterseal.protocol.errors import FatalError, Refused

__all__ = ["Public", "View", "check_key_package", "parse_private", "public_group", "public_process"]

P = ParamSpec("P")
T = TypeVar("T")


def _call(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return function(*args, **kwargs)
    except _core.CoreError as error:
        if error.code == "fatal":
            raise FatalError(error.message) from error
        raise Refused(error.code, error.message) from None


def public_group(group_info: bytes, tree: bytes) -> Public:
    """The public state of a new group, signatures verified. Raises `Refused` "mls"."""
    return _call(_core.public_group, group_info, tree)


def public_process(state: bytes, message: bytes) -> Public:
    """What a PublicMessage makes of the group. Raises `Refused` "mls"."""
    return _call(_core.public_process, state, message)


def parse_private(message: bytes) -> tuple[bytes, int, bytes]:
    """(conversation, epoch, authenticated data) of a PrivateMessage with an application message.
    Raises `Refused` F1.
    """
    return _call(_core.parse_private, message)


def check_key_package(package: bytes) -> tuple[bytes, bytes, int, bytes, bool]:
    """(account, device, suite, KeyPackageRef, last resort), verified. Raises `Refused` "mls"."""
    return _call(_core.check_key_package, package)
