"""`counterseal account`: make one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from counterseal.client import accounts
from counterseal.client.session import Session
from counterseal.client.terminal import safe

from .member_home import (
    demonstration_option,
    home_option,
    json_option,
    new_passphrase,
    passphrase_option,
    show_json,
    with_session,
)


@click.group()
def account() -> None:
    """Your account: its keys are drawn on this device and never leave it."""


@account.command()
@click.argument("handle")
@click.option("--service", required=True, help="The service's address.")
@click.option("--name", default="", help="The name that others are shown.")
@click.option(
    "--genesis", help="Digest of the domain's first charter, as you were told it by other means."
)
@demonstration_option
@passphrase_option
@home_option
def create(
    handle: str,
    service: str,
    name: str,
    genesis: str | None,
    demonstration: bool,
    locked: bool,
    home: Path,
) -> None:
    """Make an account with its first device."""
    made = asyncio.run(
        accounts.create(
            home,
            service,
            handle,
            name,
            demonstration=demonstration,
            genesis=genesis,
            passphrase=new_passphrase(locked),
        )
    )
    pins = made.pins
    click.echo(
        f"You are @{accounts.local_handle(handle, pins.domain)}:{pins.domain}. Your device is {home}."
    )
    click.echo(
        f"Pinned: the first charter, {pins.genesis}, and the keys of {len(pins.witnesses)} witnesses."
    )
    if genesis is None:
        click.echo(
            "Nobody vouched for that digest but the service; compare it with the published one."
        )
    if pins.demonstration:
        click.echo("This is a demonstration: nothing in it is for real messages.")


@account.command()
@home_option
@json_option
def show(home: Path, as_json: bool) -> None:
    """Show who you are, and by which charter your messages may be opened."""

    async def work(session: Session) -> None:
        await session.directory.refresh()
        with session.vault() as vault:
            handle, in_force = vault.get("handle"), vault.get("charter_in_force")
            words = session.directory.charter_words(vault, in_force)
        facts = {
            "handle": handle,
            "domain": session.home.pins.domain,
            "account": session.me[0],
            "device": session.me[1],
            "charter": in_force,
        }
        if as_json:
            show_json(facts)
            return
        click.echo(
            f"@{handle}:{session.home.pins.domain}, account {session.me[0].hex()}, device {session.me[1].hex()}."
        )
        click.echo(safe(words))

    with_session(home, work)
