"""`counterseal keyset`: gather a quarter's sealing keys, sign in turn, publish."""

from __future__ import annotations

from pathlib import Path

import click

from counterseal import files, state_files
from counterseal.access.authorities import ceremony
from counterseal.access.common import keysets, signing
from counterseal.describe.keys import absent_holders, describe_keyset
from counterseal.describe.phrases import names, quarter_name
from counterseal.protocol.keyset import Keyset

from .common import (
    FILE,
    agree,
    in_file,
    json_option,
    out_option,
    quarter_number,
    quarter_option,
    read_file,
    show,
    show_json,
)
from .institution import home_option, service_option, with_rules


@click.group()
def keyset() -> None:
    """The holders' sealing keys of one quarter."""


@keyset.command()
@home_option
@service_option
@quarter_option
@json_option
def status(
    home: Path,
    passphrase_file: Path | None,
    service_url: str | None,
    quarter_text: str | None,
    as_json: bool,
) -> None:
    """Say whose keys for a quarter are delivered, and whether the keyset is logged."""
    quarter = quarter_number(quarter_text)
    _, service, rules = with_rules(home, passphrase_file, service_url)
    logged = rules.trusted.keyset_for(rules.latest.digest, quarter)
    record = logged.keyset if logged else Keyset.decode(keysets.draft(service, quarter))
    absent = absent_holders(record, rules.latest)
    name = quarter_name(quarter)
    if as_json:
        show_json({"quarter": name, "logged": logged is not None, "absent": list(absent)})
        return
    state = "is logged" if logged else "is a draft"
    click.echo(f"The keyset of {name} {state}; missing are the keys of {names(absent)}.")


@keyset.command()
@home_option
@service_option
@quarter_option
@out_option("Where the keyset with the witnesses' signatures goes.")
def assemble(
    home: Path,
    passphrase_file: Path | None,
    service_url: str | None,
    quarter_text: str | None,
    out: Path,
    replace: bool,
) -> None:
    """Gather the draft and the witnesses' signatures into a file for the custodians to sign."""
    quarter = quarter_number(quarter_text)
    files.check_free(out, replace=replace)
    _, service, rules = with_rules(home, passphrase_file, service_url)
    made = ceremony.assemble_keyset(service, rules, quarter)
    files.write_whole(out, made, mode=state_files.PUBLIC, replace=replace)
    click.echo(
        f"{out} has {len(signing.signers_of(made, Keyset.limit))} witnesses' signatures; now the"
        " custodians sign it."
    )


@keyset.command()
@click.argument("file", type=FILE)
@home_option
@service_option
@click.option("--yes", is_flag=True, help="Sign without being asked.")
def sign(
    file: Path, home: Path, passphrase_file: Path | None, service_url: str | None, yes: bool
) -> None:
    """Sign a keyset after the checks that every signer makes."""
    data = read_file(file, "keyset")
    with in_file(file, "keyset"):
        record = Keyset.decode(signing.payload_of(data, Keyset.limit))
    opened, _, rules = with_rules(home, passphrase_file, service_url)
    show(describe_keyset(record, rules.charter(record.charter_digest)))
    agree(f"Sign this keyset as {opened.card.name}?", yes)
    files.rewrite(file, ceremony.sign_keyset(opened, rules, data, record.quarter))
    click.echo(f"{opened.card.name} signed.")


@keyset.command()
@click.argument("file", type=FILE)
@home_option
@service_option
@json_option
def publish(
    file: Path, home: Path, passphrase_file: Path | None, service_url: str | None, as_json: bool
) -> None:
    """Put a fully signed keyset into the domain's log."""
    data = read_file(file, "keyset")
    _, service, rules = with_rules(home, passphrase_file, service_url)
    digest, index = ceremony.publish_keyset(service, rules, data)
    if as_json:
        show_json({"digest": digest, "index": index})
    else:
        click.echo(f"Keyset {digest.hex()} stands in the log at {index}.")
