"""`counterseal demo`: a whole domain on this machine, from the first message to a verified
opening.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import click

from counterseal.demonstration.narrator import Narrator
from counterseal.demonstration.run import Options, Result, demonstrate
from counterseal.protocol.errors import BadInput


@click.command()
@click.option(
    "--chat",
    type=click.Path(path_type=Path),
    help="JSON Lines or a WhatsApp text export; a sample ships.",
)
@click.option(
    "--members",
    type=int,
    help="How many take part, the most active first.  [default: all, at most 10]",
)
@click.option(
    "--target",
    help="Whose messages are asked for, spelt as in the file.  [default: the second most active]",
)
@click.option(
    "--from",
    "first",
    metavar="DAY",
    help="First day of the warrant, UTC.  [default: the file's first]",
)
@click.option(
    "--until",
    "last",
    metavar="DAY",
    help="Last day of the warrant, UTC.  [default: the file's last]",
)
@click.option(
    "--direction", type=click.Choice(["sent", "conversation"]), default="sent", show_default=True
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="New or empty folder for everything.  [default: a temporary one]",
)
@click.option(
    "--headless", is_flag=True, help="End when all is done, instead of leaving everything running."
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="One JSON object on standard output, the story on standard error.",
)
def demo(
    chat: Path | None,
    members: int | None,
    target: str | None,
    first: str | None,
    last: str | None,
    direction: str,
    out: Path | None,
    headless: bool,
    as_json: bool,
) -> None:
    """Replay a conversation, write a warrant, have it approved, logged, released and opened, and
    show it all.

    Starts a service, 4 witnesses, 5 custodian bodies, 2 issuers and the members, each with its own
    key and folder.
    """
    if headless and out is None:
        raise BadInput("Say with --out where a headless demonstration leaves its folders.")
    root = Path(tempfile.mkdtemp(prefix="counterseal-demo-")) if out is None else out

    def done(result: Result) -> None:
        if as_json:
            click.echo(json.dumps(result, ensure_ascii=False))

    options = Options(chat, members, target, first, last, direction, root.resolve(), headless)
    demonstrate(options, Narrator(sys.stderr if as_json else sys.stdout), done)
