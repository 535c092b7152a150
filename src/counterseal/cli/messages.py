"""`counterseal send`, `read` and `attach`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click

from counterseal.client import attachments, conversations, history, member, outbox
from counterseal.client.history import Line
from counterseal.client.session import Progress, Session
from counterseal.client.terminal import safe, words
from counterseal.protocol.errors import BadInput, CountersealError, NotFound, Unavailable

from .member_home import complain, home_option, json_option, show_json, with_session


@click.command()
@click.argument("conversation")
@click.argument("text")
@home_option
def send(conversation: str, text: str, home: Path) -> None:
    """Send TEXT, or what stands on the input if TEXT is `-`."""
    message = sys.stdin.read() if text == "-" else text
    if not message.strip():
        raise BadInput("There is nothing to send.", code="empty")

    async def work(session: Session) -> None:
        with session.transaction() as vault:
            found = conversations.resolve(vault, conversation)
            outbox.queue(vault, found, session.me, message, None)
        try:
            await member.bring_up(session)
            await outbox.flush(session, found)
        except Unavailable as error:
            waits = "The message waits in the outbox and goes out with the next command."
            raise Unavailable(f"{error.message} {waits}", code=error.code) from None

    with_session(home, work)


@click.command()
@click.argument("conversation", required=False)
@click.option("--follow", is_flag=True, help="Stay and show what comes.")
@click.option(
    "--save",
    type=click.Path(file_okay=False, path_type=Path),
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

    async def work(session: Session) -> None:
        if wanted is not None:
            with session.vault() as vault:
                _show(history.search(vault, wanted), as_json)
            return
        try:
            await member.bring_up(session)
        except CountersealError as error:
            complain(error)
        last = await _read_all(session, conversation, save, as_json)
        if follow:
            await _follow(session, conversation, last, save, as_json)

    try:
        with_session(home, work)
    except KeyboardInterrupt:
        click.echo()


async def _read_all(
    session: Session, conversation: str | None, save: Path | None, as_json: bool
) -> int:
    """Shows what is there; gives the number of the last row shown."""
    with session.vault() as vault:
        chosen = (
            [conversations.resolve(vault, conversation)]
            if conversation
            else vault.conversations("active", "leaving", "left", "broken")
        )
        histories = [(cid, history.lines(vault, cid, 0, 100_000)) for cid in chosen]
    last = 0
    for cid, lines in histories:
        if len(histories) > 1 and not as_json:
            click.echo(f"== {cid.hex()[:8]}")
        _show(lines, as_json)
        await _save(session, lines, save)
        last = max([last, *(line.number for line in lines)])
    return last


async def _follow(
    session: Session, conversation: str | None, last: int, save: Path | None, as_json: bool
) -> None:
    """Shows new rows until interrupted. The folder is open only while something is taken in: `send`
    works beside it.
    """
    async for _ in member.follow(session, asyncio.Lock(), complain):
        with session.vault() as vault:
            chosen = (
                [conversations.resolve(vault, conversation)]
                if conversation
                else vault.conversations("active", "leaving", "left", "broken")
            )
            lines = [line for cid in chosen for line in history.lines(vault, cid, last)]
        lines.sort(key=lambda line: line.number)
        _show(lines, as_json)
        await _save(session, lines, save)
        last = max([last, *(line.number for line in lines)])


def _show(lines: list[Line], as_json: bool) -> None:
    for line in lines:
        if as_json:
            show_json(line)
        else:
            click.echo(words(line))


async def _save(session: Session, lines: list[Line], folder: Path | None) -> None:
    for line in lines if folder is not None else ():
        for attachment in line.attachments:
            try:
                click.echo(
                    f"   saved {safe(str(await attachments.download(session, attachment, folder or Path())))}"
                )
            except CountersealError as error:
                complain(error)


@click.command()
@click.argument("conversation")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--text", default="", help="What to say with it.")
@home_option
def attach(conversation: str, file: Path, text: str, home: Path) -> None:
    """Send FILE, sealed, at most 100 MiB."""

    async def work(session: Session) -> None:
        await member.bring_up(session)
        with session.vault() as vault:
            found = conversations.resolve(vault, conversation)
        await attachments.attach(session, found, file, text, _progress())

    if not file.exists():
        raise NotFound(f"There is no file {file}.", code="file")
    with_session(home, work)
    click.echo(f"Sent {safe(file.name)}.")


def _progress() -> Progress | None:
    if not sys.stderr.isatty():
        return None
    return lambda words: click.echo(f"\r{words}", nl=False, err=True)
