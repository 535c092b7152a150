"""`counterseal account`: make one, see it, and come back to it with its recovery phrase."""

from __future__ import annotations

import asyncio
import os
import secrets
from pathlib import Path

import click

from counterseal import files
from counterseal.client import recovery_phrase
from counterseal.client.home import Pins
from counterseal.client.member_device import MemberDevice
from counterseal.protocol.errors import BadInput
from counterseal.terminal import safe

from .common import agree, day, json_option, out_option, read_file, require_terminal, show_json
from .member import (
    ask_passphrase,
    demonstration_option,
    home_option,
    new_passphrase,
    passphrase_option,
    with_device,
)

PHRASE_FILE = "COUNTERSEAL_PHRASE_FILE"
"""Names a file with the recovery phrase, for a recovery without a terminal."""


@click.group()
def account() -> None:
    """Your account: its keys are drawn on this device; 24 words make them again."""


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
    click.echo(
        "Next: `counterseal account phrase` shows the 24 words that bring the account back when all"
        " its devices are lost. Write them down before you need them."
    )


@account.command()
@out_option("Write the words into a file, mode 0600, instead.", required=False)
@click.option("--confirm", is_flag=True, help="Type some of the words back, from your paper.")
@home_option
def phrase(out: Path | None, replace: bool, confirm: bool, home: Path) -> None:
    """Show the 24 words that bring the account back; confirm them once they are written down.

    A folder under a passphrase keeps them behind it; one without a passphrase forgets them once
    they are confirmed.
    """
    if out is not None:
        files.check_free(out, replace=replace)
    if confirm:
        require_terminal("Words are typed back at a terminal, not piped in.")
        places = sorted(secrets.SystemRandom().sample(range(1, recovery_phrase.WORDS + 1), 3))
        answers = [str(click.prompt(f"Word {place}")) for place in places]
        MemberDevice.confirm_phrase(home, places, answers, ask_passphrase)
        click.echo("Confirmed. Keep the paper where a thief of the device does not find it.")
        return
    words = MemberDevice.show_phrase(home, ask_passphrase)
    numbered = [f"{place:2}. {word}" for place, word in enumerate(words, 1)]
    rows = [
        "   ".join(f"{one:14}" for one in numbered[at : at + 4]).rstrip() for at in range(0, 24, 4)
    ]
    if out is not None:
        files.write_whole(out, ("\n".join(rows) + "\n").encode(), replace=replace)
        click.echo(f"The words are in {out}. Whoever reads them has your account.")
        return
    require_terminal("The words are for your eyes: run this at a terminal, or say --out FILE.")
    click.echo("Whoever reads these words has your account. Write them down, on paper.")
    for row in rows:
        click.echo(row)
    click.echo("Then run `counterseal account phrase --confirm`.")


@account.command()
@click.argument("handle")
@click.option("--service", required=True, help="The service's address.")
@click.option(
    "--genesis", help="Digest of the domain's first charter, as you were told it by other means."
)
@click.option(
    "--keep", multiple=True, help="First digits of the key of a device that you still have."
)
@click.option(
    "--replace-key", is_flag=True, help="Replace the account's key too: a main device was stolen."
)
@click.option("--yes", is_flag=True, help="Go on without being asked.")
@demonstration_option
@passphrase_option
@home_option
def recover(
    handle: str,
    service: str,
    genesis: str | None,
    keep: tuple[str, ...],
    replace_key: bool,
    yes: bool,
    demonstration: bool,
    locked: bool,
    home: Path,
) -> None:
    """Come back with the recovery phrase after all devices are lost.

    The phrase is asked for, or read from the file that COUNTERSEAL_PHRASE_FILE names. Every device
    that is not kept is revoked; this one is added. Others see that, and bring you back into your
    conversations; old messages do not come back.
    """
    words = _ask_phrase()

    async def work() -> None:
        secret = new_passphrase(locked)
        found = await MemberDevice.find_lost_account(
            home,
            service,
            handle,
            words,
            demonstration=demonstration,
            genesis=genesis,
            passphrase=secret,
        )
        lost = _lost_devices(found.added, keep)
        for key, added in found.added.items():
            click.echo(f"{key.hex()[:16]}  added {day(added)}  {'lost' if key in lost else 'kept'}")
        agree(f"Revoke the {len(lost)} lost ones for good, and add this device?", yes)
        made = await MemberDevice.come_back(
            found,
            lost=lost,
            replace_key=replace_key,
            prompt=(lambda: secret) if secret is not None else ask_passphrase,
            hold=False,
        )
        async with made:
            click.echo(
                f"You are @{made.handle}:{made.pins.domain} again. Your device is {home}; you are"
                " back in a conversation once somebody in it has brought you in."
            )

    asyncio.run(work())


def _ask_phrase() -> str:
    named = os.environ.get(PHRASE_FILE)
    if named:
        return read_file(Path(named), "recovery phrase").decode("utf-8", "replace")
    require_terminal(f"Put the recovery phrase into a file and name that in {PHRASE_FILE}.")
    return str(click.prompt("The 24 words"))


def _lost_devices(added: dict[bytes, int], keep: tuple[str, ...]) -> set[bytes]:
    kept = set()
    for digits in keep:
        found = [key for key in added if len(digits) >= 4 and key.hex().startswith(digits.lower())]
        if len(found) != 1:
            raise BadInput(f"{digits!r} begins the key of no device of the account, or of several.")
        kept.add(found[0])
    return set(added) - kept


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
