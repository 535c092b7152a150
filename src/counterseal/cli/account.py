"""`counterseal account`: make one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from counterseal.client.home import Pins
from counterseal.client.member_device import MemberDevice
from counterseal.terminal import safe

from .common import json_option, show_json
from .member import (
    demonstration_option,
    home_option,
    new_passphrase,
    passphrase_option,
    with_device,
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

    async def work() -> tuple[str, Pins]:
        made = await MemberDevice.create_account(
            home,
            service,
            handle,
            name,
            demonstration=demonstration,
            genesis=genesis,
            passphrase=new_passphrase(locked),
            hold=False,
        )
        async with made:
            return made.handle, made.pins

    local, pins = asyncio.run(work())
    click.echo(f"You are @{local}:{pins.domain}. Your device is {home}.")
    click.echo(
        f"Pinned: the first charter, {pins.genesis}, and the keys of"
        f" {len(pins.witnesses)} witnesses."
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

    who = with_device(home, lambda device: device.describe_account())
    if as_json:
        facts = {
            "handle": who.handle,
            "domain": who.domain,
            "account": who.account,
            "device": who.device,
            "charter": who.charter,
        }
        show_json(facts)
        return
    click.echo(
        f"@{who.handle}:{who.domain}, account {who.account.hex()}, device {who.device.hex()}."
    )
    click.echo(safe(who.sentence))
