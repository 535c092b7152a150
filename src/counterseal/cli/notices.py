"""`counterseal notices`: were messages of mine opened?"""

from __future__ import annotations

from pathlib import Path

import click

from counterseal.client import notices as told
from counterseal.client.session import Session
from counterseal.client.terminal import safe
from counterseal.describe.notice import describe_notice

from .member_home import home_option, json_option, show_json, with_session


@click.command()
@click.option(
    "--proofs",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the witnesses' signed statements into this folder.",
)
@home_option
@json_option
def notices(proofs: Path | None, home: Path, as_json: bool) -> None:
    """Show which warrants opened messages of yours. Witnesses publish this themselves, after the
    charter's delay.
    """

    async def work(session: Session) -> list[told.Told]:
        await session.directory.refresh()
        await told.fetch(session)
        with session.vault() as vault:
            entries = told.told(vault)
            if proofs is not None:
                proofs.mkdir(parents=True, exist_ok=True)
                for entry in entries:
                    for number, statement in enumerate(
                        told.statements(vault, entry.notice.warrant_digest)
                    ):
                        (
                            proofs / f"{entry.notice.warrant_digest.hex()[:16]}-{number}.notice"
                        ).write_bytes(statement)
        return entries

    entries = with_session(home, work)
    if as_json:
        show_json(entries)
        return
    for entry in entries:
        click.echo(safe(describe_notice(entry.notice, entry.witnesses)))
    if not entries:
        click.echo(
            "No notice is for this account. A warrant's notice is published after the charter's delay."
        )
