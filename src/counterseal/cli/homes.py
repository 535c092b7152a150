"""What the commands of institutions share: a home, its passphrase, files, and yes or no on a
terminal.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from counterseal.access.common.home import InstitutionHome, is_locked
from counterseal.protocol.errors import BadInput

F = TypeVar("F", bound=Callable[..., Any])
FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)


def home_option(command: F) -> F:
    """`--home` and `--passphrase-file`: a passphrase is typed or read from a file, never given on
    the command line.
    """
    command = click.option(
        "--passphrase-file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="File whose first line is the passphrase of the home; otherwise it is asked for.",
    )(command)
    return click.option(
        "--home", required=True, type=FOLDER, help="Directory of the institution's keys."
    )(command)


def json_option(command: F) -> F:
    """`--json`: for programs."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for a program.")(
        command
    )


def service_option(command: F) -> F:
    """`--service URL`, or the address that the home remembers."""
    return click.option(
        "--service",
        "service_url",
        help="The service's address; by default the one the home remembers.",
    )(command)


def open_home(path: Path, passphrase_file: Path | None) -> InstitutionHome:
    """The home, its passphrase asked for on the terminal if it is locked and no file was named."""
    if not is_locked(path):
        return InstitutionHome.open(path)
    return InstitutionHome.open(path, passphrase(passphrase_file, new=False))


def passphrase(file: Path | None, *, new: bool) -> bytes:
    """A passphrase from a file's first line, or from the terminal (twice when it is a new one).
    Raises `BadInput`.
    """
    if file is not None:
        first = file.read_text(encoding="utf-8").partition("\n")[0]
        if not first:
            raise BadInput(f"The first line of {file} is empty; it is to be the passphrase.")
        return first.encode()
    if not sys.stdin.isatty():
        raise BadInput(
            "The home is locked and there is no terminal to ask on; name --passphrase-file."
        )
    answer: str = click.prompt("Passphrase", hide_input=True, confirmation_prompt=new)
    return answer.encode()


def read_file(path: Path, what: str) -> bytes:
    """The bytes of a file that a person named. Raises `BadInput`."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"The {what} {path} cannot be read: {error.strerror}.") from None


def show(lines: list[str]) -> None:
    """Prints sentences, one a line."""
    for line in lines:
        click.echo(line)


def show_json(value: Any) -> None:
    """Prints one JSON value on one line; bytes as lower-case hexadecimal."""
    click.echo(msgspec.json.encode(_plain(value)))


def agree(question: str, yes: bool) -> None:
    """Goes on after a yes. Without a terminal only `--yes` will do. Raises `Abort` after a no,
    `BadInput` without a terminal.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise BadInput(
            "There is no terminal to answer on; read what is shown above, then say --yes."
        )
    click.confirm(question, abort=True)


def moment(text: str) -> int:
    """A date or a moment in UTC, `2026-11-23` or `2026-11-23T14:05`, in Unix seconds. Raises
    `BadInput`.
    """
    try:
        then = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput(
            f"{text!r} is no date; write 2026-11-23 or 2026-11-23T14:05, in UTC."
        ) from None
    return int(then.replace(tzinfo=then.tzinfo or UTC).timestamp())


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return value
