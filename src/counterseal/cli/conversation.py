"""`counterseal conversation`: make one, change who is in it, look at it."""

from __future__ import annotations

from pathlib import Path

import click

from counterseal.client.member_device import MemberDevice
from counterseal.client.overview import ConversationOverview
from counterseal.client.states import ConversationState
from counterseal.terminal import safe

from .common import json_option, show_json
from .member import home_option, with_device


@click.group()
def conversation() -> None:
    """Conversations, named by your own word for them or by the first digits of their id."""


@conversation.command()
@click.argument("handles", nargs=-1)
@click.option("--name", default="", help="Your own word for it; nobody else sees it.")
@home_option
@json_option
def new(handles: tuple[str, ...], name: str, home: Path, as_json: bool) -> None:
    """Start a conversation with HANDLES."""

    async def work(device: MemberDevice) -> bytes:
        await device.bring_up()
        return await device.create_conversation(name, handles)

    made = with_device(home, work)
    if as_json:
        show_json({"conversation": made})
    else:
        click.echo(
            f"The conversation {made.hex()[:8]} is"
            f" there{', with ' + ', '.join(handles) if handles else ''}."
        )


@conversation.command()
@click.argument("conversation")
@click.argument("handles", nargs=-1, required=True)
@home_option
def add(conversation: str, handles: tuple[str, ...], home: Path) -> None:
    """Bring HANDLES in, with every device they have. They read from then on."""

    async def work(device: MemberDevice) -> None:
        await device.bring_up()
        await device.add(device.find_conversation(conversation), handles)

    with_device(home, work)
    click.echo(f"Added {', '.join(handles)}.")


@conversation.command()
@click.argument("conversation")
@click.argument("handle")
@home_option
def remove(conversation: str, handle: str, home: Path) -> None:
    """Remove HANDLE, with every device."""

    async def work(device: MemberDevice) -> None:
        await device.bring_up()
        await device.remove(device.find_conversation(conversation), handle)

    with_device(home, work)
    click.echo(f"Removed {handle}.")


@conversation.command()
@click.argument("conversation")
@home_option
def leave(conversation: str, home: Path) -> None:
    """Leave. The next member who is active takes you out; nothing is sent to you after that."""

    async def work(device: MemberDevice) -> ConversationState:
        await device.bring_up()
        return await device.leave(device.find_conversation(conversation))

    left = with_device(home, work) is ConversationState.LEFT
    click.echo(
        "You have left."
        if left
        else "You have asked to be taken out; the next active member's device does it."
    )


@conversation.command("list")
@home_option
@json_option
def list_conversations(home: Path, as_json: bool) -> None:
    """List your conversations."""

    rows = with_device(home, lambda device: device.list_conversations())
    if as_json:
        show_json(rows)
        return
    for row in rows:
        why = f": {safe(row.sentence)}" if row.sentence else ""
        state = "" if row.state is ConversationState.ACTIVE else f"  ({row.state}{why})"
        click.echo(f"{row.conversation.hex()[:8]}  {safe(row.name)}{state}")
    if not rows:
        click.echo("There is none yet; `counterseal conversation new HANDLE` starts one.")


@conversation.command()
@click.argument("conversation")
@home_option
@json_option
def show(conversation: str, home: Path, as_json: bool) -> None:
    """Show who reads a conversation, and by which charter it can be opened."""

    async def work(device: MemberDevice) -> ConversationOverview:
        await device.bring_up()
        return device.describe_conversation(device.find_conversation(conversation))

    facts = with_device(home, work)
    if as_json:
        show_json(facts)
        return
    click.echo(
        f"{facts.conversation.hex()}  {facts.state}, epoch {facts.epoch}, suite 0x{facts.suite:04X}"
    )
    for reader in facts.readers:
        name = safe(reader.handle) or reader.account.hex()[:8]
        mine = "  (this device)" if reader.me else ""
        click.echo(f"  @{name}  device {reader.device.hex()[:16]}{mine}")
    click.echo(safe(facts.charter))
