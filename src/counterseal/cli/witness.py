"""`counterseal witness`: set up a witness, run it, say how it is."""

from __future__ import annotations

from pathlib import Path

import click

from counterseal.access.common.home import read_card
from counterseal.access.common.institution_client import InstitutionClient
from counterseal.access.holders import witness as daemon
from counterseal.describe.keys import describe_new_key

from .homes import (
    FOLDER,
    home_option,
    json_option,
    open_home,
    passphrase,
    service_option,
    show_json,
)


@click.group()
def witness() -> None:
    """Cosign one history of the log, and give shares for what is logged and for nothing else."""


@witness.command()
@click.option(
    "--home", required=True, type=FOLDER, help="Directory for the keys; made if it is not there."
)
@click.option("--name", required=True, help="The witness's name, as the charter will have it.")
@click.option(
    "--listen", default=daemon.DEFAULT_LISTEN, show_default=True, help="Address to answer at."
)
@click.option("--url", help="Where others reach it; by default http:// and the address above.")
@click.option(
    "--lock", is_flag=True, help="Lock the keys under a passphrase; the daemon then asks for it."
)
@click.option(
    "--passphrase-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="With --lock.",
)
def init(
    home: Path, name: str, listen: str, url: str | None, lock: bool, passphrase_file: Path | None
) -> None:
    """Draw the witness's keys and print where its card is: `charter new` is given that file."""
    secret = passphrase(passphrase_file, new=True) if lock or passphrase_file else None
    made = daemon.create(home, name, listen, url, secret)
    click.echo(
        f"The witness {name} has its keys in {home}. Give {home / 'card'} to whoever drafts the charter."
    )
    click.echo(describe_new_key(made.signer.kid, "Its key"))


@witness.command()
@home_option
@service_option
@click.option("--listen", help="Address to answer at; by default the one given to `witness init`.")
def run(
    home: Path, passphrase_file: Path | None, service_url: str | None, listen: str | None
) -> None:
    """Run until stopped."""
    opened = open_home(home, passphrase_file)

    def ready(url: str) -> None:
        click.echo(f"The witness {opened.card.name} answers at {url}.")

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
