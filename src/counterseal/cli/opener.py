"""`counterseal open` and `counterseal opener`: open what holders released under a warrant, and keep
the opener's keys.
"""

from __future__ import annotations

from pathlib import Path

import click

from counterseal.access.common.home import InstitutionHome
from counterseal.access.common.institution_client import InstitutionClient
from counterseal.access.common.new_home import create_home
from counterseal.access.openers.opener import WarrantOpener, warrant_digest
from counterseal.evidence.package import Written

from .common import json_option, show_json
from .institution import (
    home_option,
    lock_options,
    new_home_option,
    open_home,
    passphrase,
    service_option,
    tell_new_keys,
)


@click.command("open")
@click.argument("warrant")
@home_option
@service_option
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder to be made for the evidence.",
)
@click.option("--wait", is_flag=True, help="Wait for holders whose shares are still to come.")
@json_option
def open_command(
    warrant: str,
    home: Path,
    passphrase_file: Path | None,
    service_url: str | None,
    out: Path,
    wait: bool,
    as_json: bool,
) -> None:
    """Open what was released under WARRANT (a file, or its digest), and write the evidence.

    Nothing from the service is believed: everything is checked before a message is written, and the
    evidence can be checked again by anybody with `counterseal evidence verify`. An opening report
    is logged.
    """
    digest = warrant_digest(warrant)
    opener = _opener(home, passphrase_file, service_url, quiet=as_json)
    if out.exists() and opener.post_again(digest, out):
        click.echo(f"The evidence is in {out} already; its opening report is with the ledger.")
        return
    written = opener.open(digest, out, wait=wait)
    if as_json:
        show_json(_summary(written))
    else:
        _tell(written)


@click.group()
def opener() -> None:
    """Keys of an opener, and what it has to log."""


@opener.command()
@new_home_option
@click.option("--name", required=True, help="The opener's name, as the charter will have it.")
@lock_options(by_default=False)
def keygen(home: Path, name: str, lock: bool, passphrase_file: Path | None) -> None:
    """Draw the opener's keys and say where its card is: `charter new` is given that file."""
    secret = passphrase(passphrase_file, new=True) if lock or passphrase_file else None
    made = create_home(home, "opener", name, passphrase=secret)
    tell_new_keys(made, f"The opener {name} has its keys")


@opener.command()
@click.argument("warrant")
@home_option
@service_option
def destroyed(
    warrant: str, home: Path, passphrase_file: Path | None, service_url: str | None
) -> None:
    """Log that everything opened under WARRANT has been destroyed. Destroy it first."""
    _opener(home, passphrase_file, service_url).log_destruction(warrant_digest(warrant))
    click.echo("The destruction is with the ledger.")


def _opener(
    home: Path, passphrase_file: Path | None, service_url: str | None, quiet: bool = False
) -> WarrantOpener:
    opened = open_home(home, passphrase_file)
    service = InstitutionClient(
        service_url or opened.service_url(), _domain(opened, service_url), opened.signer
    )
    return WarrantOpener(opened, service, tell=lambda sentence: click.echo(sentence, err=quiet))


def _domain(home: InstitutionHome, service_url: str | None) -> str:
    """The domain that requests are signed for: the remembered one, else the service's word, which
    the charter then bears out.
    """
    known = home.domain()
    if known is not None:
        return known
    from counterseal.access.authorities.charter_draft import identity

    return identity(InstitutionClient(service_url or home.service_url())).domain


def _tell(written: Written) -> None:
    tally = written.tally
    click.echo(
        f"{tally.messages:,} messages in {tally.frames:,} frames of {tally.windows:,} windows are"
        " in"
        f" {written.place}."
    )
    if tally.unread:
        click.echo(f"{tally.unread:,} frames could not be read:")
    for one in written.judged:
        click.echo(f"  {one.sentence} [{one.rule}]")
    for remark in written.remarks:
        click.echo(remark)
    click.echo("The opening report is with the ledger.")


def _summary(written: Written) -> dict[str, object]:
    tally = written.tally
    return {
        "place": str(written.place),
        "windows": tally.windows,
        "frames": tally.frames,
        "messages": tally.messages,
        "unread": tally.unread,
        "bad": [
            {"window": one.window_id, "rule": one.rule, "sentence": one.sentence}
            for one in written.judged
        ],
        "remarks": list(written.remarks),
    }
