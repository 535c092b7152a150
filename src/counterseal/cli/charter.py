"""`counterseal charter` and `counterseal keyset`: draft, show, sign in turn, publish."""

from __future__ import annotations

import time
from pathlib import Path

import click

from counterseal.access.authorities import ceremony, charter_draft, charter_file
from counterseal.access.common import keysets, signing
from counterseal.access.common.home import InstitutionHome
from counterseal.access.common.institution_client import InstitutionClient
from counterseal.access.common.rules import Rules
from counterseal.access.common.sources import ask
from counterseal.describe.charter import describe_charter
from counterseal.describe.keys import absent_holders, describe_keyset
from counterseal.describe.phrases import names, quarter_name
from counterseal.protocol.charter import Charter
from counterseal.protocol.errors import BadInput
from counterseal.protocol.keyset import Keyset, quarter_of
from counterseal.wire.charters import CHARTER_IN_FORCE

from .homes import (
    FILE,
    agree,
    home_option,
    json_option,
    open_home,
    read_file,
    service_option,
    show,
    show_json,
)


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
@click.option("--out", required=True, type=FILE, help="Where the draft goes.")
def new(source: Path, cards: tuple[Path, ...], service_url: str, out: Path) -> None:
    """Draft a domain's first charter, or its next one, from charter.toml, the institutions' cards
    and the service's identity.
    """
    service = InstitutionClient(service_url)
    file, gathered = charter_file.read(source), charter_draft.gather(cards)
    record = charter_draft.draft(
        file, gathered, charter_draft.identity(service), previous=ceremony.published(service)
    )
    out.write_bytes(record.encode())
    show(describe_charter(record, record.digest()))
    click.echo(
        f"The draft is {out}. Each custodian's member and each witness now runs `charter sign {out} --home DIR`."
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
    record, digest = ceremony.charter_in(data)
    show(describe_charter(record, digest))
    opened = open_home(home, passphrase_file)
    agree(f"{'Trust' if accept_only else 'Sign'} this charter as {opened.card.name}?", yes)
    if accept_only:
        ceremony.accept_charter(opened, data, service_url)
        click.echo(f"{opened.card.name} trusts charter {digest.hex()[:16]}.")
        return
    file.write_bytes(ceremony.sign_charter(opened, data, service_url))
    click.echo(
        f"{opened.card.name} signed; {len(signing.signers_of(file.read_bytes(), Charter.limit))} have so far."
    )


@charter.command()
@click.argument("file", type=FILE)
@click.option("--service", "service_url", required=True, help="The service's address.")
@json_option
def publish(file: Path, service_url: str, as_json: bool) -> None:
    """Put a fully signed charter into the domain's log."""
    service, data = InstitutionClient(service_url), read_file(file, "charter")
    first = ceremony.charter_in(data)[0].version == 1
    digest, index = ceremony.publish_charter(
        service, data, None if first else ceremony.published(service)
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
    data = read_file(file, "charter") if file is not None else _in_force(service_url or "")
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


@click.group()
def keyset() -> None:
    """The holders' sealing keys of one quarter."""


def quarter_number(text: str | None) -> int:
    if text is None:
        return quarter_of(int(time.time()))
    year, _, number = text.upper().partition("Q")
    if not (year.isdigit() and len(year) == 4 and number in ("1", "2", "3", "4")):
        raise BadInput(f"{text!r} is no quarter; write for instance 2026Q4.")
    return 4 * int(year) + int(number) - 1


quarter_option = click.option(
    "--quarter", "quarter_text", help="Such as 2026Q4; by default the current one."
)


def _rules(home: InstitutionHome, service_url: str | None) -> tuple[Rules, InstitutionClient]:
    service = InstitutionClient(service_url or home.service_url(), home.domain() or "", home.signer)
    rules = Rules(home)
    rules.sync(service)
    return rules, service


@keyset.command(name="status")
@home_option
@service_option
@quarter_option
@json_option
def keyset_status(
    home: Path,
    passphrase_file: Path | None,
    service_url: str | None,
    quarter_text: str | None,
    as_json: bool,
) -> None:
    """Say whose keys for a quarter are delivered, and whether the keyset is logged."""
    quarter = quarter_number(quarter_text)
    rules, service = _rules(open_home(home, passphrase_file), service_url)
    logged = rules.trusted.keyset_for(rules.latest.digest, quarter)
    record = logged.keyset if logged else Keyset.decode(keysets.draft(service, quarter))
    absent = absent_holders(record, rules.latest)
    if as_json:
        show_json(
            {
                "quarter": quarter_name(quarter),
                "logged": logged is not None,
                "absent": list(absent),
            }
        )
        return
    state = "is logged" if logged else "is a draft"
    click.echo(
        f"The keyset of {quarter_name(quarter)} {state}; missing are the keys of {names(absent)}."
    )


@keyset.command()
@home_option
@service_option
@quarter_option
@click.option(
    "--out", required=True, type=FILE, help="Where the keyset with the witnesses' signatures goes."
)
def assemble(
    home: Path,
    passphrase_file: Path | None,
    service_url: str | None,
    quarter_text: str | None,
    out: Path,
) -> None:
    """Gather the draft and the witnesses' signatures into a file for the custodians to sign."""
    rules, service = _rules(open_home(home, passphrase_file), service_url)
    out.write_bytes(ceremony.assemble_keyset(service, rules, quarter_number(quarter_text)))
    click.echo(
        f"{out} has {len(signing.signers_of(out.read_bytes(), Keyset.limit))} witnesses' signatures; now the custodians sign it."
    )


@keyset.command(name="sign")
@click.argument("file", type=FILE)
@home_option
@service_option
@click.option("--yes", is_flag=True, help="Sign without being asked.")
def keyset_sign(
    file: Path, home: Path, passphrase_file: Path | None, service_url: str | None, yes: bool
) -> None:
    """Sign a keyset after the checks that every signer makes."""
    opened = open_home(home, passphrase_file)
    rules, _ = _rules(opened, service_url)
    data = read_file(file, "keyset")
    record = Keyset.decode(signing.payload_of(data, Keyset.limit))
    show(describe_keyset(record, rules.charter(record.charter_digest)))
    agree(f"Sign this keyset as {opened.card.name}?", yes)
    file.write_bytes(ceremony.sign_keyset(opened, rules, data, record.quarter))
    click.echo(f"{opened.card.name} signed.")


@keyset.command(name="publish")
@click.argument("file", type=FILE)
@home_option
@service_option
@json_option
def keyset_publish(
    file: Path, home: Path, passphrase_file: Path | None, service_url: str | None, as_json: bool
) -> None:
    """Put a fully signed keyset into the domain's log."""
    rules, service = _rules(open_home(home, passphrase_file), service_url)
    digest, index = ceremony.publish_keyset(service, rules, read_file(file, "keyset"))
    if as_json:
        show_json({"digest": digest, "index": index})
    else:
        click.echo(f"Keyset {digest.hex()} stands in the log at {index}.")
