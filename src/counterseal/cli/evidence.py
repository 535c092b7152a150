"""`counterseal evidence`: check an evidence bag with nothing but the published keys."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from counterseal.evidence.verify import verify_bag
from counterseal.protocol.errors import BadInput

from .common import json_option, read_text, show_json


@click.group()
def evidence() -> None:
    """Evidence bags, as `counterseal open` writes them."""


@evidence.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="VKEY",
    help="A verifier key, or a file of them, one a line.",
)
@click.argument("more_keys", nargs=-1, metavar="[VKEY]...")
@json_option
def verify(folder: Path, keys: tuple[str, ...], more_keys: tuple[str, ...], as_json: bool) -> None:
    """Check everything in the bag FOLDER from its raw material.

    Give both verifier keys of the log, both of the ledger and both of each witness: they are the
    only trust the check takes. Exit status 0: nothing is wrong. 1: something is, and a numbered
    sentence says what. 2: it could not begin.
    """
    verdict = verify_bag(folder, [text for given in (*keys, *more_keys) for text in _texts(given)])
    if as_json:
        faults = [
            {"rule": one.rule, "where": one.where, "sentence": one.sentence}
            for one in verdict.faults
        ]
        show_json(
            {"faults": faults, "remarks": list(verdict.remarks), "messages": verdict.tally.messages}
        )
        sys.exit(1 if faults else 0)
    for remark in verdict.remarks:
        click.echo(f"Note: {remark}")
    for sentence in verdict.sentences:
        click.echo(sentence)
    if verdict.faults:
        click.echo(f"{len(verdict.faults)} things are wrong with {folder}.")
        sys.exit(1)
    tally = verdict.tally
    click.echo(
        f"{folder} stands: {tally.messages:,} messages in {tally.frames:,} frames of"
        f" {tally.windows:,} windows, each signed, sealed, stamped and logged as it should be; the"
        " order was approved by two bodies, logged, and released by both quorums, in that order."
    )


def _texts(given: str) -> list[str]:
    """A key as it is, or the keys in a file. A key holds two plus signs; a path that does has to be
    given as ./PATH.
    """
    if given.count("+") >= 2 and not given.startswith((".", "/")):
        return [given]
    try:
        text = read_text(Path(given), "file of verifier keys")
    except BadInput as error:
        raise BadInput(
            f"{given!r} is neither a verifier key nor a file of them: {error.message}", code="B1"
        ) from None
    return [line.strip() for line in text.splitlines() if line.strip()]
