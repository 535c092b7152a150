"""What the commands of a member share: the folder, the passphrase, the device, and the event
loop.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from counterseal.client.home import passphrase_of
from counterseal.client.member_device import MemberDevice
from counterseal.protocol.errors import BadInput

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")
DEFAULT_HOME = "~/.counterseal"


def home_option(command: F) -> F:
    """`--home DIR`, from COUNTERSEAL_HOME, or `~/.counterseal`."""
    return click.option(
        "--home",
        envvar="COUNTERSEAL_HOME",
        default=DEFAULT_HOME,
        show_default=True,
        callback=lambda _context, _option, value: _expand(value),
        help="The member's folder.",
    )(command)


def demonstration_option(command: F) -> F:
    """`--demonstration`: joins a domain whose charter is marked as one."""
    return click.option(
        "--demonstration",
        is_flag=True,
        help="Join a demonstration: nothing in it is for real messages.",
    )(command)


def passphrase_option(command: F) -> F:
    """`--passphrase`: lock the folder; the passphrase itself is asked for or read from a file."""
    return click.option(
        "--passphrase",
        "locked",
        is_flag=True,
        help="Lock the folder under a passphrase, asked for or in the file that"
        " COUNTERSEAL_PASSPHRASE_FILE names.",
    )(command)


def ask_passphrase() -> str:
    """The passphrase of an existing folder, from the terminal. Raises `BadInput` without one."""
    if not sys.stdin.isatty():
        raise BadInput(
            "This device wants a passphrase; put it in a file and name that in"
            " COUNTERSEAL_PASSPHRASE_FILE.",
            code="passphrase",
        )
    answer: str = click.prompt("Passphrase", hide_input=True)
    return answer


def new_passphrase(locked: bool) -> str | None:
    """A new folder's passphrase, None for a key file without one."""
    if not locked:
        return None
    return passphrase_of(
        lambda: str(click.prompt("New passphrase", hide_input=True, confirmation_prompt=True))
    )


def with_device(home: Path, work: Callable[[MemberDevice], Awaitable[T]]) -> T:
    """Runs `work` on the folder's device, and closes its connections."""

    async def run() -> T:
        async with await MemberDevice.open(home, prompt=ask_passphrase, hold=False) as device:
            return await work(device)

    return asyncio.run(run())


def _expand(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise BadInput(f"{path} names the folder of a user who is not known here.") from None
