"""The program `counterseal`: finds the group that was asked for and loads only that."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

from counterseal import terminal
from counterseal.protocol.errors import BadInput
from counterseal.protocol.os_errors import error_from_os

_COMMANDS = {
    "account": "account:account",
    "attach": "messages:attach",
    "charter": "charter:charter",
    "conversation": "conversation:conversation",
    "custodian": "custodian:custodian",
    "demo": "demo:demo",
    "device": "device:device",
    "evidence": "evidence:evidence",
    "issuer": "issuer:issuer",
    "keyset": "keyset:keyset",
    "notices": "notices:notices",
    "open": "opener:open_command",
    "opener": "opener:opener",
    "read": "messages:read",
    "send": "messages:send",
    "serve": "service:serve",
    "service": "service:service",
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

    def invoke(self, ctx: click.Context) -> Any:
        """As click does, which would end the program in silence after a broken pipe of its own."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise error_from_os(error) from error


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="counterseal")
def program() -> None:
    """Counterseal: end-to-end encrypted messages that a logged, doubly signed warrant can open, and
    nothing else can.
    """


def main() -> None:
    """Entry point. The exit status is as terminal.py says; 1 is also a check that failed."""
    sys.exit(terminal.run(_run))


def _run() -> int | None:
    try:
        status = program(standalone_mode=False)
    except click.Abort:
        raise KeyboardInterrupt from None
    except click.exceptions.NoArgsIsHelpError as wrong:
        wrong.show()
        return wrong.exit_code
    except click.UsageError as wrong:
        raise BadInput(_sentence(wrong), code="usage") from None
    except click.ClickException as wrong:
        raise BadInput(wrong.format_message()) from None
    return status if isinstance(status, int) else None


def _sentence(wrong: click.UsageError) -> str:
    """What is wrong with the words that were typed, and where to read more."""
    what = wrong.format_message()
    if wrong.ctx is None:
        return what
    return f"{what} `{wrong.ctx.command_path} --help` says how it is used."
