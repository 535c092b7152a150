"""`counterseal charter`: draft, show, sign in turn, publish."""

from __future__ import annotations

from pathlib import Path

import click

from counterseal import files, state_files
from counterseal.access.authorities import ceremony, charter_draft, charter_file
from counterseal.access.common import signing
from counterseal.access.common.institution_client import InstitutionClient
from counterseal.access.common.sources import ask
from counterseal.describe.charter import describe_charter
from counterseal.describe.phrases import names
from counterseal.protocol.charter import Charter
from counterseal.protocol.errors import BadInput
from counterseal.wire.charter import CHARTER_IN_FORCE

from .common import (
    FILE,
    agree,
    in_file,
    json_option,
    out_option,
    read_file,
    read_token,
    show,
    show_json,
)
from .institution import home_option, open_home, service_option


@click.group()
def charter() -> None:
    """The published rules of access of a domain."""


@charter.command()
@click.option("--from", "source", required=True, type=FILE, help="The rules as charter.toml.")
@click.option(
    "--cards",
    required=True,
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="Cards, homes, directories.",
)
@click.option("--service", "service_url", required=True, help="The service's address.")
@out_option("Where the draft goes.")
def new(source: Path, cards: tuple[Path, ...], service_url: str, out: Path, replace: bool) -> None:
    """Draft a domain's first charter, or its next one, from charter.toml, the institutions' cards
    and the service's identity.
    """
    files.check_free(out, replace=replace)
    service = InstitutionClient(service_url)
    file, gathered = charter_file.read(source), charter_draft.gather(cards)
    record = charter_draft.draft(
        file, gathered, charter_draft.identity(service), previous=ceremony.published(service)
    )
    files.write_whole(out, record.encode(), mode=state_files.PUBLIC, replace=replace)
    show(describe_charter(record, record.digest()))
    click.echo(
        f"The draft is {out}. Each custodian's member and each witness now runs"
        f" `charter sign {out} --home DIR`."
    )


@charter.command()
@click.argument("file", type=FILE)
@home_option
@service_option
@click.option("--yes", is_flag=True, help="Sign without being asked.")
@click.option(
    "--accept-only", is_flag=True, help="Trust it as the first charter without signing it."
)
def sign(
    file: Path,
    home: Path,
    passphrase_file: Path | None,
    service_url: str | None,
    yes: bool,
    accept_only: bool,
) -> None:
    """Sign a charter, after it was shown in words. Signing the first one makes this home trust
    it.
    """
    data = read_file(file, "charter")
    with in_file(file, "charter"):
        record, digest = ceremony.charter_in(data)
    show(describe_charter(record, digest))
    opened = open_home(home, passphrase_file)
    agree(f"{'Trust' if accept_only else 'Sign'} this charter as {opened.card.name}?", yes)
    if accept_only:
        ceremony.accept_charter(opened, data, service_url)
        click.echo(f"{opened.card.name} trusts charter {digest.hex()[:16]}.")
        return
    signed = ceremony.sign_charter(opened, data, service_url)
    files.rewrite(file, signed)
    count = len(signing.signers_of(signed, Charter.limit))
    click.echo(f"{opened.card.name} signed; {count} have so far.")


@charter.command()
@click.argument("file", type=FILE)
@click.option("--service", "service_url", required=True, help="The service's address.")
@click.option(
    "--operator-token",
    "token_file",
    type=FILE,
    help="The service's file operator.token, which a domain's first charter needs.",
)
@json_option
def publish(file: Path, service_url: str, token_file: Path | None, as_json: bool) -> None:
    """Put a fully signed charter into the domain's log."""
    data = read_file(file, "charter")
    token = None if token_file is None else read_token(token_file)
    with in_file(file, "charter"):
        first = ceremony.charter_in(data)[0].version == 1
    service = InstitutionClient(service_url)
    digest, index = ceremony.publish_charter(
        service, data, None if first else ceremony.published(service), token
    )
    if as_json:
        show_json({"digest": digest, "index": index})
    else:
        click.echo(f"Charter {digest.hex()} stands in the log at {index}.")


@charter.command(name="show")
@click.argument("file", type=FILE, required=False)
@click.option("--service", "service_url", help="Show the charter in force at this service.")
def show_command(file: Path | None, service_url: str | None) -> None:
    """Say in words what a charter rules, and who together could open silently."""
    if (file is None) == (service_url is None):
        raise BadInput("Name a charter's file or --service, one of the two.")
    if file is None:
        data = _in_force(service_url or "")
        record, digest = ceremony.charter_in(data)
    else:
        data = read_file(file, "charter")
        with in_file(file, "charter"):
            record, digest = ceremony.charter_in(data)
    show(describe_charter(record, digest))
    people = {holder.key.kid: holder.name for holder in record.holders}
    signed = [
        people.get(kid, "somebody who is no holder")
        for kid in signing.signers_of(data, Charter.limit)
    ]
    click.echo(f"It bears signatures of {names(signed)}.")


def _in_force(service_url: str) -> bytes:
    return ask(InstitutionClient(service_url), CHARTER_IN_FORCE).statement
