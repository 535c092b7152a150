"""What all commands share: options, files that are read and written, yes or no, and printing."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from counterseal import files
from counterseal.protocol.errors import BadInput, CountersealError, Refused
from counterseal.protocol.quarters import quarter_of
from counterseal.terminal import safe

F = TypeVar("F", bound=Callable[..., Any])

FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)

FILE_MAX = 64 << 20
"""Bytes of a file that a command reads, at most: the largest are the releases of many windows."""


def json_option(command: F) -> F:
    """`--json`: for programs."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for a program.")(
        command
    )


def out_option(what: str, *, default: str | None = None, required: bool = True) -> Callable[[F], F]:
    """`--out FILE`, and `--replace` to overwrite a file that is there."""

    def both(command: F) -> F:
        command = click.option(
            "--replace", is_flag=True, help="Overwrite the file if there is one already."
        )(command)
        return click.option(
            "--out",
            type=FILE,
            required=required and default is None,
            default=default,
            show_default=default is not None,
            help=what,
        )(command)

    return both


quarter_option = click.option(
    "--quarter", "quarter_text", help="Such as 2026Q4; by default the current one."
)


def read_file(path: Path, what: str) -> bytes:
    """The bytes of a file that a person named. Raises `BadInput`, `TooLarge`."""
    return files.read_whole(path, what, limit=FILE_MAX)


def read_text(path: Path, what: str) -> str:
    """The text of a file that a person named, in UTF-8. Raises `BadInput`, `TooLarge`."""
    try:
        # editors of other systems put a mark in front, which is no part of the text
        return read_file(path, what).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadInput(
            f"{path} is no text in UTF-8, so it is no {what}.", code="not-text"
        ) from None


def read_token(path: Path) -> str:
    """The operator's token in a service's operator.token. Raises `BadInput`, `TooLarge`."""
    token = read_text(path, "operator's token").strip()
    if not re.fullmatch(r"[A-Za-z0-9_-]{20,100}", token):
        raise BadInput(f"{path} holds no operator's token.", code="operator-token")
    return token


@contextmanager
def in_file(path: Path, what: str) -> Iterator[None]:
    """Lets a rule that refuses what was read from a file name the file. Raises `Refused`."""
    try:
        yield
    except Refused as error:
        raise Refused(error.rule, f"{path} is no {what} to go by: {error.message}") from error


def hex_bytes(text: str, size: int) -> bytes:
    """The `size` bytes that hexadecimal digits mean. Raises `BadInput`."""
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(value) != size:
        raise BadInput(f"{text!r} is not {2 * size} hexadecimal digits.")
    return value


def moment(text: str) -> int:
    """A date or a moment in UTC, `2026-11-23` or `2026-11-23T14:05`, in Unix seconds. Raises
    `BadInput`.
    """
    try:
        then = datetime.fromisoformat(text)
        return int(then.replace(tzinfo=then.tzinfo or UTC).timestamp())
    except (ValueError, OverflowError):
        raise BadInput(
            f"{text!r} is no date; write 2026-11-23 or 2026-11-23T14:05, in UTC."
        ) from None


def quarter_number(text: str | None) -> int:
    """A quarter's number from `2026Q4`, the current one for None. Raises `BadInput`."""
    if text is None:
        return quarter_of(int(time.time()))
    year, _, number = text.upper().partition("Q")
    if not (year.isascii() and year.isdigit() and len(year) == 4 and number in list("1234")):
        raise BadInput(f"{text!r} is no quarter; write for instance 2026Q4.")
    return 4 * int(year) + int(number) - 1


def day(seconds: int) -> str:
    """A day, UTC, as it is printed."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


def agree(question: str, yes: bool) -> None:
    """Goes on after a yes. Without a terminal only `--yes` will do. Raises `Abort` after a no,
    `BadInput` without a terminal.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise BadInput(
            "There is no terminal to answer on; read what is shown above, then say --yes.",
            code="no-terminal",
        )
    click.confirm(question, abort=True)


def require_terminal(otherwise: str) -> None:
    """Returns where a person sits at both ends. Raises `BadInput` "no-terminal" with the sentence
    that says what to do instead.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise BadInput(otherwise, code="no-terminal")


def show(lines: list[str]) -> None:
    """Prints sentences, one a line."""
    for line in lines:
        click.echo(line)


def show_json(value: Any) -> None:
    """Prints one JSON value on one line; bytes as lower-case hexadecimal."""
    click.echo(msgspec.json.encode(_plain(value)).decode())


def complain(error: CountersealError) -> None:
    """Says on the error stream what did not work, where the command goes on all the same."""
    click.echo(f"{error.code}: {safe(error.message)}", err=True)


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
