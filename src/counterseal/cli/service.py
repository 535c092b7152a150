"""`counterseal service init` and `counterseal serve`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click
import msgspec

_DATA = click.option(
    "--data",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="The service's data directory.",
)


@click.group()
def service() -> None:
    """Set up a domain's service."""


@service.command()
@_DATA
@click.option("--domain", required=True, help="The domain, such as chat.example.org.")
@click.option("--json", "as_json", is_flag=True, help="Print the keys as JSON.")
def init(directory: Path, domain: str, as_json: bool) -> None:
    """Make the log's and the ledger's keys and the operator's token; print the verifier keys for
    the charter.
    """
    from counterseal.service import service_keys

    made = service_keys.create(directory, domain)
    keys = {"log": list(made.log.keys.texts()), "ledger": list(made.ledger.keys.texts())}
    if as_json:
        origins = {"log_origin": made.log.keys.name, "ledger_origin": made.ledger.keys.name}
        click.echo(msgspec.json.encode({"domain": domain, **origins, **keys}).decode())
        return
    click.echo(
        f"The service of {domain} has its data in {directory}. These verifier keys belong into its"
        " charter:"
    )
    for name, pair in keys.items():
        for key in pair:
            click.echo(f"{name}: {key}")


@click.command()
@_DATA
@click.option(
    "--host", help="The address to listen on; 127.0.0.1 unless settings.toml says otherwise."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="The port; 0 takes any that is free and prints it.",
)
def serve(directory: Path, host: str | None, port: int | None) -> None:
    """Serve one domain until SIGTERM or Ctrl-C."""
    from counterseal.service.server import run

    status = run(directory, host, port, sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    # a thread that waits for a witness has nothing that is not durable, and would be waited for
    os._exit(status)
