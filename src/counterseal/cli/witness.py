"""`counterseal witness`: set up a witness, run it, say how it is."""

from __future__ import annotations

from pathlib import Path

import click

from counterseal.access.common.card import read_card
from counterseal.access.common.institution_client import InstitutionClient
from counterseal.access.holders import witness as daemon
from counterseal.terminal import until_stopped

from .common import FOLDER, json_option, show_json
from .institution import (
    home_option,
    lock_options,
    new_home_option,
    open_home,
    passphrase,
    service_option,
    tell_new_keys,
)


@click.group()
def witness() -> None:
    """Cosign one history of the log, and give shares for what is logged and for nothing else."""


@witness.command()
@new_home_option
@click.option("--name", required=True, help="The witness's name, as the charter will have it.")
@click.option(
    "--listen", default=daemon.DEFAULT_LISTEN, show_default=True, help="Address to answer at."
)
@click.option("--url", help="Where others reach it; by default http:// and the address above.")
@lock_options(by_default=False)
def init(
    home: Path, name: str, listen: str, url: str | None, lock: bool, passphrase_file: Path | None
) -> None:
    """Draw the witness's keys and print where its card is: `charter new` is given that file."""
    secret = passphrase(passphrase_file, new=True) if lock or passphrase_file else None
    made = daemon.create(home, name, listen, url, secret)
    tell_new_keys(made, f"The witness {name} has its keys")


@witness.command()
@home_option
@service_option
@click.option("--listen", help="Address to answer at; by default the one given to `witness init`.")
def run(
    home: Path, passphrase_file: Path | None, service_url: str | None, listen: str | None
) -> None:
    """Run until SIGTERM or Ctrl-C."""
    opened = open_home(home, passphrase_file)

    def ready(url: str) -> None:
        click.echo(f"The witness {opened.card.name} answers at {url}.")

    with until_stopped():
        daemon.run(opened, listen, service_url, ready)


@witness.command()
@click.option("--home", required=True, type=FOLDER, help="Directory of the witness.")
@json_option
def status(home: Path, as_json: bool) -> None:
    """Ask a running witness how it is."""
    card = read_card(home)
    said = InstitutionClient(card.url or "", timeout=5.0).get("/health").decode().strip()
    if as_json:
        show_json({"name": card.name, "url": card.url, "health": said})
    else:
        click.echo(f"The witness {card.name} at {card.url} says: {said}.")
