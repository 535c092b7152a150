"""`counterseal warrant`: draft, sign, approve, submit, follow."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from counterseal import files
from counterseal.access.authorities import issuer as work
from counterseal.describe.phrases import count, names
from counterseal.describe.status import describe_status, warrant_status
from counterseal.describe.warrant import describe_draft
from counterseal.protocol.errors import BadInput

from .common import (
    FILE,
    agree,
    hex_bytes,
    in_file,
    json_option,
    moment,
    out_option,
    read_file,
    show,
    show_json,
)
from .institution import at_service, home_option, open_home, service_option


@click.group()
def warrant() -> None:
    """An order to read certain accounts' messages of certain periods."""


@warrant.command()
@home_option
@service_option
@click.option(
    "--account",
    "accounts",
    multiple=True,
    required=True,
    help="Account id, 64 hexadecimal digits; may be repeated.",
)
@click.option(
    "--from", "start", required=True, help="First day or moment, UTC, such as 2026-11-01."
)
@click.option("--until", required=True, help="Day or moment after the last one, UTC.")
@click.option("--ground", required=True, help="One of the charter's grounds.")
@click.option(
    "--direction", type=click.Choice(["sent", "conversation"]), default="sent", show_default=True
)
@click.option(
    "--conversation",
    "conversations",
    multiple=True,
    help="Only this conversation, 32 hexadecimal digits; may be repeated.",
)
@click.option(
    "--urgent", is_flag=True, help="Start before an approver has signed, on an urgent ground."
)
@click.option(
    "--units",
    type=click.IntRange(1),
    help="Most units that may be opened; by default as many as could be needed.",
)
@click.option(
    "--opener", help="Whose key the shares are sealed to, if the charter has several openers."
)
@click.option("--expires", help="Day or moment, UTC; by default 30 days on.")
@click.option("--reference", default="", help="The order's own reference.")
@out_option("Where the draft goes.")
@json_option
def draft(
    home: Path,
    passphrase_file: Path | None,
    service_url: str | None,
    accounts: tuple[str, ...],
    start: str,
    until: str,
    ground: str,
    direction: str,
    conversations: tuple[str, ...],
    urgent: bool,
    units: int | None,
    opener: str | None,
    expires: str | None,
    reference: str,
    out: Path,
    replace: bool,
    as_json: bool,
) -> None:
    """Draft a warrant under the charter in force. Periods are made whole, outward; what that adds
    is said.
    """
    files.check_free(out, replace=replace)
    account_ids = [hex_bytes(account, 32) for account in accounts]
    first, end = moment(start), moment(until)
    only = [hex_bytes(one, 16) for one in conversations] or None
    expiry = None if expires is None else moment(expires)

    charter = work.IssuerLedger(*at_service(home, passphrase_file, service_url)).charter()
    made = work.draft(
        charter,
        account_ids,
        first,
        end,
        ground,
        direction=direction,
        conversations=only,
        urgent=urgent,
        units=units,
        opener=opener,
        expires=expiry,
        reference=reference,
    )
    files.write_whole(out, made.warrant.encode(), replace=replace)
    if as_json:
        show_json(
            {
                "warrant": made.warrant.digest(),
                "units": made.warrant.units,
                "notes": list(made.notes),
            }
        )
        return
    show(describe_draft(made.warrant, charter.charter))
    show(list(made.notes))
    click.echo(f"The draft is {out}; a requester now runs `warrant sign {out} --home DIR`.")


@warrant.command()
@click.argument("file", type=FILE)
@home_option
@service_option
@click.option("--yes", is_flag=True, help="Sign without being asked.")
def sign(
    file: Path, home: Path, passphrase_file: Path | None, service_url: str | None, yes: bool
) -> None:
    """Sign a warrant's draft as its requester, after it was shown in words."""
    data = read_file(file, "warrant")
    with in_file(file, "warrant"):
        record = work.warrant_in(data)
    opened, service = at_service(home, passphrase_file, service_url)
    show(describe_draft(record, work.IssuerLedger(opened, service).charter().charter))
    agree(f"Sign this warrant as {opened.card.name}?", yes)
    files.rewrite(file, work.sign_warrant(opened, record))
    click.echo(f"{opened.card.name} signed; `warrant submit {file}` puts it into the ledger.")


@warrant.command()
@click.argument("file", type=FILE)
@home_option
@service_option
@out_option("Where the approval goes, for `warrant submit`.")
@click.option("--yes", is_flag=True, help="Approve without being asked.")
def approve(
    file: Path,
    home: Path,
    passphrase_file: Path | None,
    service_url: str | None,
    out: Path,
    replace: bool,
    yes: bool,
) -> None:
    """Approve somebody else's signed warrant (or ratify an urgent one), after it was checked and
    shown in words.
    """
    data = read_file(file, "warrant")
    files.check_free(out, replace=replace)
    opened, service = at_service(home, passphrase_file, service_url)
    charter = work.IssuerLedger(opened, service).charter()
    with in_file(file, "signed warrant"):
        record = work.check_statement(data, charter)
    show(describe_draft(record, charter.charter))
    agree(f"{'Ratify' if record.urgent else 'Approve'} this warrant as {opened.card.name}?", yes)
    files.write_whole(out, work.approve(opened, record), replace=replace)
    click.echo(f"{opened.card.name} approved; `warrant submit {out}` puts that into the ledger.")


warrant.add_command(
    click.Command(
        "ratify",
        params=approve.params,
        callback=approve.callback,
        help="The same for an urgent warrant.",
    )
)


@warrant.command()
@click.argument("places", metavar="FILES...", type=FILE, nargs=-1, required=True)
@home_option
@service_option
def submit(
    places: tuple[Path, ...], home: Path, passphrase_file: Path | None, service_url: str | None
) -> None:
    """Put signed statements into the ledger, in the order given."""
    statements = [read_file(place, "statement") for place in places]
    _, service = at_service(home, passphrase_file, service_url)
    work.submit(service, *statements)
    click.echo(
        f"{count(len(statements), 'statement')} queued; `warrant status` says what the ledger"
        " makes of it."
    )


@warrant.command()
@click.argument("beginning")
@home_option
@service_option
@click.option("--reason", required=True, help="Why.")
def cancel(
    beginning: str, home: Path, passphrase_file: Path | None, service_url: str | None, reason: str
) -> None:
    """Cancel a warrant, named by the beginning of its digest, as its requester or an approver."""
    opened, service = at_service(home, passphrase_file, service_url)
    access = work.find(work.IssuerLedger(opened, service).sync(), beginning)
    work.submit(service, work.cancel(opened, access.warrant, reason))
    click.echo("The cancellation is queued. Nothing more is released once the ledger has it.")


@warrant.command()
@click.argument("beginning")
@home_option
@service_option
@out_option("Where it goes, for the other issuer's `warrant countersign`.")
def extend(
    beginning: str,
    home: Path,
    passphrase_file: Path | None,
    service_url: str | None,
    out: Path,
    replace: bool,
) -> None:
    """Put off the notices of a warrant once more; requester and approver both sign."""
    files.check_free(out, replace=replace)
    opened, service = at_service(home, passphrase_file, service_url)
    access = work.find(work.IssuerLedger(opened, service).sync(), beginning)
    number = len(access.extended_at) + 1
    files.write_whole(out, work.extend(opened, access.warrant, number), replace=replace)
    click.echo(
        f"{out} is extension {number}; the other issuer now runs `warrant countersign {out}`."
    )


@warrant.command()
@click.argument("file", type=FILE)
@home_option
def countersign(file: Path, home: Path, passphrase_file: Path | None) -> None:
    """Add this issuer's signatures to an extension."""
    data = read_file(file, "statement")
    opened = open_home(home, passphrase_file)
    with in_file(file, "extension"):
        signed = work.countersign(opened, data)
    files.rewrite(file, signed)
    click.echo(f"Signed; `warrant submit {file}` puts it into the ledger.")


@warrant.command()
@click.argument("requester")
@home_option
@service_option
def reinstate(
    requester: str, home: Path, passphrase_file: Path | None, service_url: str | None
) -> None:
    """Let a requester (by name) whose urgent warrant lapsed start urgent ones again."""
    opened, service = at_service(home, passphrase_file, service_url)
    charter = work.IssuerLedger(opened, service).charter()
    kids = [kid for kid, one in charter.issuers.items() if one.name == requester]
    if not kids:
        known = names([one.name for one in charter.issuers.values()])
        raise BadInput(f"The charter has no issuer {requester!r}; it has {known}.")
    work.submit(service, work.reinstate(opened, charter, kids[0]))
    click.echo("The reinstatement is queued.")


@warrant.command()
@click.argument("beginning", required=False)
@home_option
@service_option
@json_option
def status(
    beginning: str | None,
    home: Path,
    passphrase_file: Path | None,
    service_url: str | None,
    as_json: bool,
) -> None:
    """Say what the ledger says of a warrant, or of all of them."""
    fresh = work.IssuerLedger(*at_service(home, passphrase_file, service_url)).sync()
    digests = [work.find(fresh, beginning).digest] if beginning else list(fresh.state.accesses)
    found = [warrant_status(fresh.state, digest, fresh.time) for digest in digests]
    if as_json:
        show_json([msgspec.structs.asdict(one) for one in found])
        return
    for one in found:
        show(describe_status(one))
    if not found:
        click.echo("The ledger has no warrant.")
