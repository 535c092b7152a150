"""`counterseal send`, `read` and `attach`."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import click

from counterseal.client.attachments import Progress
from counterseal.client.history import HistoryEntry
from counterseal.client.history_text import describe_entry
from counterseal.client.member_device import MemberDevice
from counterseal.client.states import READABLE
from counterseal.protocol.errors import BadInput, CountersealError, Unavailable
from counterseal.protocol.os_errors import error_from_os
from counterseal.terminal import output_is_closed, safe, until_stopped

from .common import FILE, FOLDER, complain, json_option, show_json
from .member import home_option, with_device

# rows of a conversation that are shown at once
_ALL = 100_000


class _ReaderGone(Exception):
    """Whoever read what `--follow` shows has closed the pipe."""


@click.command()
@click.argument("conversation")
@click.argument("text")
@home_option
def send(conversation: str, text: str, home: Path) -> None:
    """Send TEXT, or what is on the input if TEXT is `-`."""
    message = sys.stdin.read() if text == "-" else text
    if not message.strip():
        raise BadInput("There is nothing to send.", code="empty")

    async def work(device: MemberDevice) -> None:
        found = device.find_conversation(conversation)
        device.queue(found, message)
        try:
            await device.bring_up()
            await device.flush(found)
        except Unavailable as error:
            waits = "The message waits in the outbox and goes out with the next command."
            raise Unavailable(f"{error.message} {waits}", code=error.code) from None

    with_device(home, work)


@click.command()
@click.argument("conversation", required=False)
@click.option("--follow", is_flag=True, help="Stay and show what comes.")
@click.option(
    "--save",
    type=FOLDER,
    help="Fetch attachments into this folder.",
)
@click.option("--search", "wanted", help="Show messages that hold these words, newest first.")
@home_option
@json_option
def read(
    conversation: str | None,
    follow: bool,
    save: Path | None,
    wanted: str | None,
    home: Path,
    as_json: bool,
) -> None:
    """Read one conversation, or what is in all of them."""

    async def work(device: MemberDevice) -> None:
        if wanted is not None:
            for entry in device.search(wanted):
                _show(entry, as_json)
            return
        try:
            await device.bring_up()
        except CountersealError as error:
            complain(error)
        chosen = device.find_conversation(conversation) if conversation else None
        last = await _read_all(device, chosen, save, as_json)
        if follow:
            await _follow(device, chosen, last, save, as_json)

    if not follow:
        with_device(home, work)
        return
    with until_stopped(), suppress(_ReaderGone):
        with_device(home, work)
    # so that the prompt is not beside what Ctrl-C shows
    click.echo()


async def _read_all(
    device: MemberDevice, conversation: bytes | None, save: Path | None, as_json: bool
) -> int:
    """Shows what is there; returns the number of the last row shown."""
    chosen = [conversation] if conversation else device.conversations(*READABLE)
    histories = [(one, device.entries(one, limit=_ALL)) for one in chosen]
    last = 0
    for one, entries in histories:
        if len(histories) > 1 and not as_json:
            click.echo(f"== {one.hex()[:8]}")
        for entry in entries:
            _show(entry, as_json)
        for entry in entries:
            await _save(device, entry, save)
        last = max([last, *(entry.number for entry in entries)])
    return last


async def _follow(
    device: MemberDevice,
    conversation: bytes | None,
    last: int,
    save: Path | None,
    as_json: bool,
) -> None:
    """Shows new rows until interrupted. The folder is open only while something is taken in: `send`
    works beside it.
    """

    async def show(entry: HistoryEntry) -> None:
        _show(entry, as_json)
        await _save(device, entry, save)
        if output_is_closed():
            raise _ReaderGone

    await device.follow(show, after=last, conversation=conversation, trouble=complain)


def _show(entry: HistoryEntry, as_json: bool) -> None:
    if as_json:
        show_json(entry)
    else:
        click.echo(describe_entry(entry))


async def _save(device: MemberDevice, entry: HistoryEntry, folder: Path | None) -> None:
    if folder is None:
        return
    for attachment in entry.attachments:
        try:
            path = await device.download(attachment, folder)
            click.echo(f"   saved {safe(str(path))}")
        except CountersealError as error:
            complain(error)


@click.command()
@click.argument("conversation")
@click.argument("file", type=FILE)
@click.option("--text", default="", help="What to say with it.")
@home_option
def attach(conversation: str, file: Path, text: str, home: Path) -> None:
    """Send FILE, sealed, at most 100 MiB."""

    async def work(device: MemberDevice) -> None:
        await device.bring_up()
        await device.attach(device.find_conversation(conversation), file, text, _progress())

    # before anything is sent; it is read once the service answers
    try:
        file.open("rb").close()
    except OSError as error:
        raise error_from_os(error, file) from None
    with_device(home, work)
    click.echo(f"Sent {safe(file.name)}.")


def _progress() -> Progress | None:
    if not sys.stderr.isatty():
        return None
    return lambda words: click.echo(f"\r{words}", nl=False, err=True)
