"""`counterseal issuer`: the keys of a legal authority."""

from __future__ import annotations

from pathlib import Path

import click

from counterseal.access.common.new_home import create_home

from .institution import lock_options, new_home_option, passphrase, tell_new_keys


@click.group()
def issuer() -> None:
    """A legal authority that may sign warrants."""


@issuer.command()
@new_home_option
@click.option("--name", required=True, help="The issuer's name, as the charter will have it.")
@click.option(
    "--body",
    required=True,
    help="The body it belongs to: requester and approver are of different ones.",
)
@lock_options(by_default=True)
def keygen(home: Path, name: str, body: str, lock: bool, passphrase_file: Path | None) -> None:
    """Draw an issuer's keys and print where its card is."""
    secret = passphrase(passphrase_file, new=True) if lock else None
    made = create_home(home, "issuer", name, body, passphrase=secret)
    tell_new_keys(made, f"{name} of {body} has keys")
