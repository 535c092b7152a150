"""The program `counterseal`: finds the group that was asked for, loads only that, and turns
refusals into a sentence and an exit status.
"""

from __future__ import annotations

import importlib
import sys

import click

from counterseal.protocol.errors import CountersealError

_COMMANDS = {
    "account": "account:account",
    "attach": "messages:attach",
    "charter": "charter:charter",
    "conversation": "conversation:conversation",
    "custodian": "custodian:custodian",
    "demo": "demo:demo",
    "device": "device:device",
    "evidence": "evidence:evidence",
    "issuer": "warrant:issuer",
    "keyset": "charter:keyset",
    "notices": "notices:notices",
    "open": "opening:open_command",
    "opener": "opening:opener",
    "read": "messages:read",
    "send": "messages:send",
    "serve": "serve:serve",
    "service": "serve:service",
    "warrant": "warrant:warrant",
    "witness": "witness:witness",
}


class _Lazy(click.Group):
    """Imports a command's module when it is used: starting the program must not cost what the other
    commands need.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = _COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, _, name = place.partition(":")
        command = getattr(importlib.import_module(f"counterseal.cli.{module}"), name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="counterseal")
def _program() -> None:
    """Counterseal: end-to-end encrypted messages that a logged, doubly signed warrant can open, and
    nothing else can.
    """


def main() -> None:
    """Entry point. Exit status 0; 1 a check that failed; 2 wrong use; others as
    `CountersealError.exit_status` says.
    """
    try:
        _program(standalone_mode=False)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.Abort:
        click.echo("Stopped.", err=True)
        sys.exit(130)
    except click.ClickException as wrong:
        wrong.show()
        sys.exit(wrong.exit_code)
    except CountersealError as refused:
        click.echo(f"{refused.code}: {refused.message}", err=True)
        sys.exit(refused.exit_status)
