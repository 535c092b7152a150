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
import msgspec

from counterseal.client.home import passphrase_of
from counterseal.client.member_device import MemberDevice
from counterseal.client.terminal import safe
from counterseal.protocol.errors import BadInput, CountersealError

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
        callback=lambda _context, _option, value: Path(value).expanduser(),
        help="The member's folder.",
    )(command)


def json_option(command: F) -> F:
    """`--json`: for programs."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for a program.")(
        command
    )


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
        help="Lock the folder under a passphrase, asked for or in the file that COUNTERSEAL_PASSPHRASE_FILE names.",
    )(command)


def ask_passphrase() -> str:
    """The passphrase of an existing folder, from the terminal. Errors: BadInput without one."""
    if not sys.stdin.isatty():
        raise BadInput(
            "This device wants a passphrase; put it in a file and name that in COUNTERSEAL_PASSPHRASE_FILE.",
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


def agree(question: str, yes: bool) -> None:
    """Goes on after a yes; without a terminal only `--yes` will do."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise BadInput(
            "There is no terminal to answer on; read what is shown above, then say --yes.",
            code="no-terminal",
        )
    click.confirm(question, abort=True)


def show_json(value: Any) -> None:
    """Prints one JSON value; bytes as lower-case hexadecimal."""
    click.echo(msgspec.json.encode(_plain(value)).decode())


def _plain(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value


def complain(error: CountersealError) -> None:
    """Says on the error stream what did not work, where the command goes on all the same."""
    click.echo(f"{error.code}: {safe(error.message)}", err=True)
