"""`counterseal warrant` and `counterseal issuer`: draft, sign, approve, submit, follow."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from counterseal.access.authorities import issuer as work
from counterseal.access.common.home import InstitutionHome
from counterseal.access.common.institution_client import InstitutionClient
from counterseal.describe.keys import describe_new_key
from counterseal.describe.phrases import count, names
from counterseal.describe.status import describe_status, warrant_status
from counterseal.describe.warrant import describe_draft
from counterseal.protocol.errors import BadInput

from .homes import (
    FILE,
    FOLDER,
    agree,
    home_option,
    json_option,
    moment,
    open_home,
    passphrase,
    read_file,
    service_option,
    show,
    show_json,
)


@click.group()
def issuer() -> None:
    """A legal authority that may sign warrants."""


@issuer.command()
@click.option(
    "--home", required=True, type=FOLDER, help="Directory for the keys; made if it is not there."
)
@click.option("--name", required=True, help="The issuer's name, as the charter will have it.")
@click.option(
    "--body",
    required=True,
    help="The body it belongs to: requester and approver are of different ones.",
)
@click.option(
    "--lock/--no-lock", default=True, show_default=True, help="Lock the keys under a passphrase."
)
@click.option(
    "--passphrase-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Instead of asking.",
)
def keygen(home: Path, name: str, body: str, lock: bool, passphrase_file: Path | None) -> None:
    """Draw an issuer's keys and print where its card is."""
    secret = passphrase(passphrase_file, new=True) if lock else None
    made = InstitutionHome.create(home, "issuer", name, body, passphrase=secret)
    click.echo(
        f"{name} of {body} has keys in {home}. Give {home / 'card'} to whoever drafts the charter."
    )
    click.echo(describe_new_key(made.signer.kid))


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
@click.option("--out", required=True, type=FILE, help="Where the draft goes.")
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
    as_json: bool,
) -> None:
    """Draft a warrant under the charter in force. Periods are made whole, outward; what that adds
    is said.
    """
    charter = work.IssuerLedger(*_at(home, passphrase_file, service_url)).charter()
    made = work.draft(
        charter,
        [_hex(account, 32) for account in accounts],
        moment(start),
        moment(until),
        ground,
        direction=direction,
        conversations=[_hex(one, 16) for one in conversations] or None,
        urgent=urgent,
        units=units,
        opener=opener,
        expires=None if expires is None else moment(expires),
        reference=reference,
    )
    out.write_bytes(made.warrant.encode())
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
    opened, service = _at(home, passphrase_file, service_url)
    record = work.warrant_in(read_file(file, "warrant"))
    show(describe_draft(record, work.IssuerLedger(opened, service).charter().charter))
    agree(f"Sign this warrant as {opened.card.name}?", yes)
    file.write_bytes(work.sign_warrant(opened, record))
    click.echo(f"{opened.card.name} signed; `warrant submit {file}` puts it into the ledger.")


@warrant.command()
@click.argument("file", type=FILE)
@home_option
@service_option
@click.option(
    "--out", required=True, type=FILE, help="Where the approval goes, for `warrant submit`."
)
@click.option("--yes", is_flag=True, help="Approve without being asked.")
def approve(
    file: Path,
    home: Path,
    passphrase_file: Path | None,
    service_url: str | None,
    out: Path,
    yes: bool,
) -> None:
    """Approve somebody else's signed warrant (or ratify an urgent one), after it was checked and
    shown in words.
    """
    opened, service = _at(home, passphrase_file, service_url)
    charter = work.IssuerLedger(opened, service).charter()
    record = work.check_statement(read_file(file, "warrant"), charter)
    show(describe_draft(record, charter.charter))
    agree(f"{'Ratify' if record.urgent else 'Approve'} this warrant as {opened.card.name}?", yes)
    out.write_bytes(work.approve(opened, record))
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
@click.argument("files", type=FILE, nargs=-1, required=True)
@home_option
@service_option
def submit(
    files: tuple[Path, ...], home: Path, passphrase_file: Path | None, service_url: str | None
) -> None:
    """Put signed statements into the ledger, in the order given."""
    _, service = _at(home, passphrase_file, service_url)
    work.submit(service, *(read_file(file, "statement") for file in files))
    click.echo(
        f"{count(len(files), 'statement')} queued; `warrant status` says what the ledger makes of it."
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
    opened, service = _at(home, passphrase_file, service_url)
    access = work.find(work.IssuerLedger(opened, service).sync(), beginning)
    work.submit(service, work.cancel(opened, access.warrant, reason))
    click.echo("The cancellation is queued. Nothing more is released once the ledger has it.")


@warrant.command()
@click.argument("beginning")
@home_option
@service_option
@click.option(
    "--out",
    required=True,
    type=FILE,
    help="Where it goes, for the other issuer's `warrant countersign`.",
)
def extend(
    beginning: str, home: Path, passphrase_file: Path | None, service_url: str | None, out: Path
) -> None:
    """Put off the notices of a warrant once more; requester and approver both sign."""
    opened, service = _at(home, passphrase_file, service_url)
    access = work.find(work.IssuerLedger(opened, service).sync(), beginning)
    out.write_bytes(work.extend(opened, access.warrant, len(access.extended_at) + 1))
    click.echo(
        f"{out} is extension {len(access.extended_at) + 1}; the other issuer now runs `warrant countersign {out}`."
    )


@warrant.command()
@click.argument("file", type=FILE)
@home_option
def countersign(file: Path, home: Path, passphrase_file: Path | None) -> None:
    """Add this issuer's signatures to an extension."""
    file.write_bytes(
        work.countersign(open_home(home, passphrase_file), read_file(file, "statement"))
    )
    click.echo(f"Signed; `warrant submit {file}` puts it into the ledger.")


@warrant.command()
@click.argument("requester")
@home_option
@service_option
def reinstate(
    requester: str, home: Path, passphrase_file: Path | None, service_url: str | None
) -> None:
    """Let a requester (by name) whose urgent warrant lapsed start urgent ones again."""
    opened, service = _at(home, passphrase_file, service_url)
    charter = work.IssuerLedger(opened, service).charter()
    kids = [kid for kid, one in charter.issuers.items() if one.name == requester]
    if not kids:
        raise BadInput(
            f"The charter has no issuer {requester!r}; it has {names([one.name for one in charter.issuers.values()])}."
        )
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
    fresh = work.IssuerLedger(*_at(home, passphrase_file, service_url)).sync()
    digests = [work.find(fresh, beginning).digest] if beginning else list(fresh.state.accesses)
    found = [warrant_status(fresh.state, digest, fresh.time) for digest in digests]
    if as_json:
        show_json([msgspec.structs.asdict(one) for one in found])
        return
    for one in found:
        show(describe_status(one))
    if not found:
        click.echo("The ledger has no warrant.")


def _at(
    home: Path, passphrase_file: Path | None, service_url: str | None
) -> tuple[InstitutionHome, InstitutionClient]:
    opened = open_home(home, passphrase_file)
    return opened, InstitutionClient(
        service_url or opened.service_url(), opened.domain() or "", opened.signer
    )


def _hex(text: str, size: int) -> bytes:
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(value) != size:
        raise BadInput(f"{text!r} is not {2 * size} hexadecimal digits.")
    return value
