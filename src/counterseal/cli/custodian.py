"""`counterseal custodian`: keys, review in words, release."""

from __future__ import annotations

from pathlib import Path

import click

from counterseal import files
from counterseal.access.authorities import ceremony
from counterseal.access.common import keysets, signing
from counterseal.access.common.bundle import fetch_bundle, seen_so_far
from counterseal.access.common.home import InstitutionHome
from counterseal.access.common.new_home import create_home
from counterseal.access.common.pin import pinned_charter
from counterseal.access.common.sources import Folder
from counterseal.access.holders import custodian as work
from counterseal.access.holders import offline
from counterseal.access.holders.holder import Holder
from counterseal.describe.charter import describe_charter
from counterseal.describe.keys import describe_keyset
from counterseal.describe.phrases import count, names, quarter_name
from counterseal.protocol.charter import Charter
from counterseal.protocol.errors import BadInput, NotFound
from counterseal.protocol.keyset import Keyset

from .common import (
    FILE,
    FOLDER,
    agree,
    hex_bytes,
    in_file,
    json_option,
    out_option,
    quarter_number,
    quarter_option,
    read_file,
    show,
    show_json,
)
from .institution import (
    at_service,
    home_option,
    lock_options,
    new_home_option,
    open_home,
    passphrase,
    service_of,
    service_option,
    tell_new_keys,
    with_rules,
)


@click.group()
def custodian() -> None:
    """Decide, as a member of a custodian body, what may be opened."""


@custodian.command()
@new_home_option
@click.option("--body", required=True, help="The custodian body.")
@click.option("--member", required=True, help="The member's name.")
@lock_options(by_default=True)
def keygen(home: Path, body: str, member: str, lock: bool, passphrase_file: Path | None) -> None:
    """Draw a member's keys and print where its card is: `charter new` is given that file."""
    secret = passphrase(passphrase_file, new=True) if lock else None
    made = create_home(home, "custodian", member, body, passphrase=secret)
    tell_new_keys(made, f"{member} of {body} has keys")


@custodian.command(name="sealing-key")
@home_option
@service_option
@quarter_option
def sealing_key(
    home: Path, passphrase_file: Path | None, service_url: str | None, quarter_text: str | None
) -> None:
    """Draw this member's fresh sealing key for a quarter and deliver it to the service and to each
    witness.
    """
    quarter = quarter_number(quarter_text)
    opened, service, rules = with_rules(home, passphrase_file, service_url)
    silent = keysets.deliver(opened, rules.latest, quarter, service)
    click.echo(f"The key for {quarter_name(quarter)} is delivered.")
    if silent:
        click.echo(f"These witnesses did not answer: {names(silent)}. The others have it.")


@custodian.command()
@click.argument("file", type=FILE)
@home_option
@service_option
@click.option("--yes", is_flag=True, help="Sign without being asked.")
def sign(
    file: Path, home: Path, passphrase_file: Path | None, service_url: str | None, yes: bool
) -> None:
    """Sign a charter's or a keyset's file, after it was shown in words."""
    data, opened = read_file(file, "file"), open_home(home, passphrase_file)
    if b"counterseal/v1/keyset" in data[:64]:
        with in_file(file, "keyset"):
            keyset = Keyset.decode(signing.payload_of(data, Keyset.limit))
        _, _, rules = with_rules(home, passphrase_file, service_url)
        show(describe_keyset(keyset, rules.charter(keyset.charter_digest)))
        agree(f"Sign this keyset as {opened.card.name}?", yes)
        signed = ceremony.sign_keyset(opened, rules, data, keyset.quarter)
    else:
        with in_file(file, "charter or keyset"):
            record, digest = ceremony.charter_in(data)
        show(describe_charter(record, digest))
        agree(f"Sign this charter as {opened.card.name}?", yes)
        signed = ceremony.sign_charter(opened, data, service_url)
    files.rewrite(file, signed)
    signatures = len(signing.signers_of(signed, max(Charter.limit, Keyset.limit)))
    click.echo(f"{opened.card.name} signed; {signatures} have so far.")


@custodian.command()
@click.argument("bundle", type=FOLDER, required=False)
@home_option
@service_option
@json_option
def review(
    bundle: Path | None,
    home: Path,
    passphrase_file: Path | None,
    service_url: str | None,
    as_json: bool,
) -> None:
    """Say in words what waits for this member: from the service, or from a BUNDLE carried to this
    machine.
    """
    holder = _holder(open_home(home, passphrase_file), service_url, bundle)
    reviewed = work.review(holder)
    if as_json:
        show_json([_as_json(one) for one in reviewed])
        return
    if not reviewed:
        click.echo("No warrant waits for you. The ledger was read whole; there is nothing else.")
    for one in reviewed:
        show(list(one.lines))
        click.echo()


@custodian.command()
@click.argument("bundle", type=FOLDER, required=False)
@home_option
@service_option
@click.option(
    "--warrant",
    "beginning",
    help="The warrant's digest or its beginning; needed if more than one waits.",
)
@click.option(
    "--standing", is_flag=True, help="Release also what is listed later, until the warrant expires."
)
@out_option("With a BUNDLE: the file for `custodian submit`.", required=False)
@click.option("--yes", is_flag=True, help="Release without being asked.")
@json_option
def release(
    bundle: Path | None,
    home: Path,
    passphrase_file: Path | None,
    service_url: str | None,
    beginning: str | None,
    standing: bool,
    out: Path | None,
    replace: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Release a warrant's listings, after they were shown in words and you said yes."""
    if (bundle is None) != (out is None):
        raise BadInput(
            "A BUNDLE and --out go together: on a machine without a network the release goes into a"
            " file."
        )
    if out is not None:
        files.check_free(out, replace=replace)
    opened = open_home(home, passphrase_file)
    holder = _holder(opened, service_url, bundle)
    chosen = _choose(work.review(holder), beginning)
    if not as_json:
        show(list(chosen.lines))
    digest = chosen.case.warrant.digest
    agree("Give a standing release?" if standing else "Release these windows?", yes)
    if out is not None:
        made = offline.release_offline(holder, digest, standing=standing)
        files.write_whole(out, made, replace=replace)
        click.echo(
            f"{out} holds the release; carry it to a machine with a network and run"
            f" `custodian submit {out}`."
        )
        return
    done = work.release(holder, service_of(opened, service_url), digest, standing=standing)
    if as_json:
        show_json(
            {
                "warrant": digest,
                "released": done.released,
                "handed_over": done.handed_over,
                "standing": done.standing,
            }
        )
    else:
        click.echo(
            f"Released; the shares of {count(done.handed_over, 'listing')} are with the opener."
        )


@custodian.command()
@home_option
@service_option
def follow(home: Path, passphrase_file: Path | None, service_url: str | None) -> None:
    """Hand over the shares that earlier releases cover, such as later listings under a standing
    release.
    """
    opened = open_home(home, passphrase_file)
    done = work.follow(_holder(opened, service_url, None), service_of(opened, service_url))
    handed_over = count(sum(one.handed_over for one in done), "listing")
    click.echo(f"The shares of {handed_over} were handed over.")


@custodian.command()
@home_option
@service_option
@click.option(
    "--position",
    "positions",
    type=int,
    multiple=True,
    required=True,
    help="The holder the bundle is for; may be repeated.",
)
@click.option(
    "--seen", type=FILE, help="What `custodian seen` wrote on the machine without a network."
)
@click.option("--out", required=True, type=FOLDER, help="The folder to carry there.")
def fetch(
    home: Path,
    passphrase_file: Path | None,
    service_url: str | None,
    positions: tuple[int, ...],
    seen: Path | None,
    out: Path,
) -> None:
    """Gather, as an issuer or opener, all that a custodian needs on a machine without a network."""
    start = read_file(seen, "file of `custodian seen`") if seen else None
    opened, service = at_service(home, passphrase_file, service_url)
    listings = fetch_bundle(opened, service, out, positions, start)
    click.echo(
        f"{out} holds the ledger and {count(listings, 'listing')}. Nothing in it needs to be"
        " trusted: it is all checked."
    )


@custodian.command()
@home_option
@out_option("The file for `custodian fetch --seen`.")
def seen(home: Path, passphrase_file: Path | None, out: Path, replace: bool) -> None:
    """Write how far this machine has read log and ledger, so that the next bundle holds only what
    is new.
    """
    files.check_free(out, replace=replace)
    opened = open_home(home, passphrase_file)
    kids = [holder.key.kid for holder in pinned_charter(opened).holders]
    place = (
        f" Under the first charter your position is {kids.index(opened.signer.kid)}."
        if opened.signer.kid in kids
        else ""
    )
    files.write_whole(out, seen_so_far(opened), replace=replace)
    click.echo(f"{out} says how far this machine has read.{place}")


@custodian.command()
@click.argument("file", type=FILE)
@home_option
@service_option
def submit(file: Path, home: Path, passphrase_file: Path | None, service_url: str | None) -> None:
    """Send what `custodian release BUNDLE --out FILE` made."""
    data = read_file(file, "release")
    _, service = at_service(home, passphrase_file, service_url)
    sent = offline.submit(service, data)
    click.echo(f"{count(sent, 'statement')} sent.")


@custodian.command(name="destroy-key")
@home_option
@click.option(
    "--charter", "charter_text", required=True, help="Digest of the charter the key is under."
)
@quarter_option
@click.option("--yes", is_flag=True, help="Destroy without being asked.")
def destroy_key(
    home: Path, passphrase_file: Path | None, charter_text: str, quarter_text: str | None, yes: bool
) -> None:
    """Destroy a quarter's sealing key after the charter's retention. Destroy its back-ups too."""
    quarter, digest = quarter_number(quarter_text), hex_bytes(charter_text, 32)
    opened = open_home(home, passphrase_file)
    if opened.sealing_key(digest, quarter) is None:
        raise NotFound(
            f"This home has no sealing key of {quarter_name(quarter)} under that charter."
        )
    agree(f"Destroy the key of {quarter_name(quarter)} for ever?", yes)
    opened.destroy_sealing_key(digest, quarter)
    click.echo(
        "The key is destroyed here. What was sealed to it is closed for this holder, for good."
    )


def _holder(home: InstitutionHome, service_url: str | None, bundle: Path | None) -> Holder:
    return (
        Holder(home, service_of(home, service_url))
        if bundle is None
        else Holder(home, Folder(bundle), offline=True)
    )


def _choose(reviewed: list[work.Reviewed], beginning: str | None) -> work.Reviewed:
    found = [
        one
        for one in reviewed
        if beginning is None or one.case.warrant.digest.hex().startswith(beginning.lower())
    ]
    if not found:
        raise NotFound("No such warrant waits for you.")
    if len(found) > 1:
        digests = names([one.case.warrant.digest.hex()[:16] for one in found])
        raise BadInput(f"{len(found)} warrants wait: {digests}. Say which with --warrant.")
    return found[0]


def _as_json(one: work.Reviewed) -> dict[str, object]:
    warrant = one.case.warrant
    return {
        "warrant": warrant.digest,
        "accounts": list(warrant.warrant.account_ids),
        "from": warrant.warrant.start,
        "until": warrant.warrant.until,
        "ground": warrant.warrant.ground,
        "expires": warrant.warrant.expires,
        "windows": sum(len(listing.windows) for listing in one.listings),
        "units": max((listing.units for listing in one.listings), default=0),
        "units_allowed": warrant.warrant.units,
        "refused": list(one.refused),
        "standing": one.case.standing,
        "words": list(one.lines),
    }
