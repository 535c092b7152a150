"""`counterseal device`: link another device of the account, list them, end one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from counterseal import files
from counterseal.client.member_device import MemberDevice
from counterseal.protocol.account_chain import Device
from counterseal.protocol.errors import BadInput

from .common import FILE, agree, day, json_option, out_option, read_file, show_json
from .member import (
    ask_passphrase,
    demonstration_option,
    home_option,
    new_passphrase,
    passphrase_option,
    with_device,
)


@click.group()
def device() -> None:
    """The devices of your account. A new device reads from then on, and nothing older."""


@device.command()
@home_option
def invite(home: Path) -> None:
    """On a device you have: print the code that a new device is linked with."""
    click.echo(with_device(home, lambda device: device.invite()))


@device.command()
@click.option("--service", help="The service's address.")
@click.option("--account", "code", help="The code that `device invite` printed.")
@out_option("Where the request goes.", default="device.request")
@click.option(
    "--finish", "reply", type=FILE, help="The reply that `device approve` wrote: the last step."
)
@demonstration_option
@passphrase_option
@home_option
def link(
    service: str | None,
    code: str | None,
    out: Path,
    replace: bool,
    reply: Path | None,
    demonstration: bool,
    locked: bool,
    home: Path,
) -> None:
    """On the new device: write a request; after it was approved, finish."""
    if reply is not None:
        data = read_file(reply, "reply")
        asyncio.run(MemberDevice.finish_link(home, data, ask_passphrase))
        click.echo(
            "This device is linked. It reads from now on; it is in your conversations as soon as"
            " your other device has synchronised."
        )
        return
    if service is None or code is None:
        raise BadInput(
            "Say --service URL and --account CODE; `device invite` on your other device prints the"
            " code."
        )
    # before the keys are drawn, which is done once
    files.check_free(out, replace=replace)
    request = asyncio.run(
        MemberDevice.request_link(
            home, service, code, demonstration=demonstration, passphrase=new_passphrase(locked)
        )
    )
    files.write_whole(out, request.encode(), replace=replace)
    key = Device.decode(request.payload).device_key.hex()
    shown = " ".join(key[at : at + 4] for at in range(0, 32, 4))
    click.echo(
        f"The request is {out}. Take it to your other device and run"
        f" `counterseal device approve {out}`."
    )
    click.echo(f"That device has to show this key: {shown}")


@device.command()
@click.argument("request", type=FILE)
@out_option("Where the reply goes.", default="device.reply")
@click.option(
    "--main",
    is_flag=True,
    help="Give it the account's key as well: it may then approve and revoke devices.",
)
@click.option("--yes", is_flag=True, help="Approve without being asked.")
@home_option
def approve(request: Path, out: Path, replace: bool, main: bool, yes: bool, home: Path) -> None:
    """On a device you have: approve a request, after it was shown in words."""
    data = read_file(request, "request")
    files.check_free(out, replace=replace)

    async def work(device: MemberDevice) -> None:
        click.echo(device.describe_request(data))
        if main:
            click.echo(
                "It also gets the account's key: it may approve and end any device of yours."
            )
        agree("Approve it?", yes)
        files.write_whole(out, await device.approve(data, main=main), replace=replace)
        click.echo(
            f"Approved. Take {out} to the new device and run"
            f" `counterseal device link --finish {out}`;"
        )
        click.echo(
            "then synchronise here once (`counterseal read`), and it is brought into your"
            " conversations."
        )

    with_device(home, work)


@device.command("list")
@home_option
@json_option
def list_devices(home: Path, as_json: bool) -> None:
    """List the account's devices, as its chain in the log has them."""

    rows = with_device(home, lambda device: device.linked_devices())
    if as_json:
        show_json(rows)
        return
    for row in rows:
        state = "this device" if row.this else "linked"
        if row.revoked:
            state = f"revoked {day(row.revoked)}"
        click.echo(f"{row.device.hex()[:16]}  added {day(row.added)}  {state}")


@device.command()
@click.argument("key")
@click.option("--yes", is_flag=True, help="Revoke without being asked.")
@home_option
def revoke(key: str, yes: bool, home: Path) -> None:
    """End a device: it is revoked in the log and removed from every conversation. KEY is the first
    digits of its key.
    """

    async def work(device: MemberDevice) -> None:
        await device.synchronise()
        found = device.find_device(key)
        agree(f"Revoke the device {found.hex()[:16]} for good?", yes)
        await device.revoke(found)
        click.echo(
            "Revoked. Others refuse what it sends from now on, and nothing more is sealed to it."
        )

    with_device(home, work)
