"""`counterseal conversation`: make one, change who is in it, look at it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from counterseal.client import conversations, history, member, sync
from counterseal.client.session import Session
from counterseal.client.terminal import safe
from counterseal.client.vault import Vault

from .member_home import home_option, json_option, local, show_json, with_session


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

    async def work(session: Session) -> bytes:
        await member.bring_up(session)
        accounts = [await session.directory.find(local(session, handle)) for handle in handles]
        made = await conversations.create(session, name)
        if accounts:
            await conversations.add_accounts(session, made, accounts)
        return made

    made = with_session(home, work)
    if as_json:
        show_json({"conversation": made})
    else:
        click.echo(
            f"The conversation {made.hex()[:8]} is there{', with ' + ', '.join(handles) if handles else ''}."
        )


@conversation.command()
@click.argument("conversation")
@click.argument("handles", nargs=-1, required=True)
@home_option
def add(conversation: str, handles: tuple[str, ...], home: Path) -> None:
    """Bring HANDLES in, with every device they have. They read from then on."""

    async def work(session: Session) -> None:
        await member.bring_up(session)
        found = _resolve(session, conversation)
        await conversations.add(session, found, [local(session, handle) for handle in handles])

    with_session(home, work)
    click.echo(f"Added {', '.join(handles)}.")


@conversation.command()
@click.argument("conversation")
@click.argument("handle")
@home_option
def remove(conversation: str, handle: str, home: Path) -> None:
    """Remove HANDLE, with every device."""

    async def work(session: Session) -> None:
        await member.bring_up(session)
        found = _resolve(session, conversation)
        await conversations.remove(
            session, found, await session.directory.find(local(session, handle))
        )

    with_session(home, work)
    click.echo(f"Removed {handle}.")


@conversation.command()
@click.argument("conversation")
@home_option
def leave(conversation: str, home: Path) -> None:
    """Leave. The next member who is active takes you out; nothing is sent to you after that."""

    async def work(session: Session) -> str:
        await member.bring_up(session)
        found = _resolve(session, conversation)
        await conversations.leave(session, found)
        with session.vault() as vault:
            return vault.state(found)

    left = with_session(home, work) == "left"
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

    async def work(session: Session) -> list[dict[str, Any]]:
        await sync.inbox(session)
        with session.vault() as vault:
            rows = vault.execute(
                "SELECT id, name, state, sentence FROM client_conversation ORDER BY created, id"
            )
            return [
                {
                    "conversation": cid,
                    "name": name or _others(session, vault, cid),
                    "state": state,
                    "sentence": sentence,
                }
                for cid, name, state, sentence in rows
            ]

    rows = with_session(home, work)
    if as_json:
        show_json(rows)
        return
    for row in rows:
        state = (
            ""
            if row["state"] == "active"
            else f"  ({row['state']}{': ' + safe(row['sentence']) if row['sentence'] else ''})"
        )
        click.echo(f"{row['conversation'].hex()[:8]}  {safe(row['name'])}{state}")
    if not rows:
        click.echo("There is none yet; `counterseal conversation new HANDLE` starts one.")


@conversation.command()
@click.argument("conversation")
@home_option
@json_option
def show(conversation: str, home: Path, as_json: bool) -> None:
    """Show who reads a conversation, and by which charter it can be opened."""

    async def work(session: Session) -> dict[str, Any]:
        await member.bring_up(session)
        found = _resolve(session, conversation)
        with session.vault() as vault:
            view = vault.device.group_view(found)
            readers = [
                {"account": a, "device": d, "handle": _handle(vault, a), "me": (a, d) == session.me}
                for a, d in view.roster
            ]
            charter = session.directory.charter_words(vault, view.charter_digest)
            counts = history.counts(vault, found)
            state = vault.state(found)
        facts = {
            "conversation": found,
            "state": state,
            "epoch": view.epoch,
            "suite": view.suite,
            "quarter": view.quarter,
        }
        return {**facts, "readers": readers, "charter": charter, "counts": counts}

    facts = with_session(home, work)
    if as_json:
        show_json(facts)
        return
    click.echo(
        f"{facts['conversation'].hex()}  {facts['state']}, epoch {facts['epoch']}, suite 0x{facts['suite']:04X}"
    )
    for reader in facts["readers"]:
        mine = "  (this device)" if reader["me"] else ""
        click.echo(
            f"  @{safe(reader['handle']) or reader['account'].hex()[:8]}  device {reader['device'].hex()[:16]}{mine}"
        )
    click.echo(safe(facts["charter"]))


def _resolve(session: Session, words: str) -> bytes:
    with session.vault() as vault:
        return conversations.resolve(vault, words)


def _handle(vault: Vault, account: bytes) -> str:
    row = vault.one("SELECT handle FROM client_account WHERE account = ?", account)
    return str(row[0]) if row else ""


def _others(session: Session, vault: Vault, conversation: bytes) -> str:
    """What a conversation is called that nobody has named: who else is in it."""
    if conversation not in vault.device.groups():
        return ""
    accounts = {
        account
        for account, _ in vault.device.group_view(conversation).roster
        if account != session.me[0]
    }
    return (
        ", ".join(sorted(_handle(vault, account) or account.hex()[:8] for account in accounts))
        or "you alone"
    )
