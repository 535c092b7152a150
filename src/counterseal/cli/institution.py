"""What the commands of institutions share: a home, its passphrase, and the service."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from counterseal.access.common.home import InstitutionHome, is_locked
from counterseal.access.common.institution_client import InstitutionClient
from counterseal.access.common.rules import Rules
from counterseal.describe.keys import describe_new_key
from counterseal.protocol.errors import BadInput

from .common import FOLDER, read_text

F = TypeVar("F", bound=Callable[..., Any])

# looked at even where the keys turn out not to be locked
_PASSPHRASE = click.Path(exists=True, dir_okay=False, path_type=Path)


def home_option(command: F) -> F:
    """`--home` and `--passphrase-file`: a passphrase is typed or read from a file, never given on
    the command line.
    """
    command = click.option(
        "--passphrase-file",
        type=_PASSPHRASE,
        help="File whose first line is the passphrase of the home; otherwise it is asked for.",
    )(command)
    return click.option(
        "--home", required=True, type=FOLDER, help="Directory of the institution's keys."
    )(command)


def new_home_option(command: F) -> F:
    """`--home` for a command that draws the keys."""
    return click.option(
        "--home",
        required=True,
        type=FOLDER,
        help="Directory for the keys; made if it is not there.",
    )(command)


def lock_options(*, by_default: bool) -> Callable[[F], F]:
    """`--lock` and `--passphrase-file`, for a command that draws keys."""

    def both(command: F) -> F:
        command = click.option(
            "--passphrase-file", type=_PASSPHRASE, help="Instead of asking for the passphrase."
        )(command)
        if by_default:
            return click.option(
                "--lock/--no-lock",
                default=True,
                show_default=True,
                help="Lock the keys under a passphrase.",
            )(command)
        return click.option("--lock", is_flag=True, help="Lock the keys under a passphrase.")(
            command
        )

    return both


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
        first = read_text(file, "passphrase").partition("\n")[0]
        if not first:
            raise BadInput(f"The first line of {file} is empty; it is to be the passphrase.")
        return first.encode()
    if not sys.stdin.isatty():
        raise BadInput(
            "The home is locked and there is no terminal to ask on; name --passphrase-file."
        )
    answer: str = click.prompt("Passphrase", hide_input=True, confirmation_prompt=new)
    return answer.encode()


def tell_new_keys(home: InstitutionHome, whose: str) -> None:
    """Says where the keys are and what comes next, after they were drawn."""
    click.echo(f"{whose} in {home.path}. Give {home.path / 'card'} to whoever drafts the charter.")
    click.echo(describe_new_key(home.signer.kid))


def service_of(home: InstitutionHome, service_url: str | None) -> InstitutionClient:
    """The service as this home asks it, signing with its key. Raises `NotFound` without an
    address.
    """
    return InstitutionClient(service_url or home.service_url(), home.domain() or "", home.signer)


def at_service(
    home: Path, passphrase_file: Path | None, service_url: str | None
) -> tuple[InstitutionHome, InstitutionClient]:
    """The opened home and its service."""
    opened = open_home(home, passphrase_file)
    return opened, service_of(opened, service_url)


def with_rules(
    home: Path, passphrase_file: Path | None, service_url: str | None
) -> tuple[InstitutionHome, InstitutionClient, Rules]:
    """The opened home, its service, and the charters and keysets up to now."""
    opened, service = at_service(home, passphrase_file, service_url)
    rules = Rules(opened)
    rules.sync(service)
    return opened, service, rules
