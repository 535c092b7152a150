"""`counterseal notices`: were messages of mine opened?"""

from __future__ import annotations

from pathlib import Path

import click

from counterseal import files, state_files
from counterseal.client.member_device import MemberDevice
from counterseal.client.notices import WarrantNotice
from counterseal.describe.notice import describe_notice
from counterseal.terminal import safe

from .common import json_option, show_json
from .member import home_option, with_device


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

    async def work(device: MemberDevice) -> list[WarrantNotice]:
        await device.refresh()
        entries = await device.notices()
        if proofs is not None:
            proofs.mkdir(parents=True, exist_ok=True)
            for entry in entries:
                _write_proofs(device, entry, proofs)
        return entries

    entries = with_device(home, work)
    if as_json:
        show_json(entries)
        return
    for entry in entries:
        click.echo(safe(describe_notice(entry.notice, entry.witnesses)))
    if not entries:
        click.echo(
            "No notice is for this account. A warrant's notice is published after the charter's"
            " delay."
        )


def _write_proofs(device: MemberDevice, entry: WarrantNotice, folder: Path) -> None:
    warrant = entry.notice.warrant_digest
    for number, statement in enumerate(device.notice_statements(warrant)):
        place = folder / f"{warrant.hex()[:16]}-{number}.notice"
        files.write_once(place, statement, mode=state_files.PUBLIC)
