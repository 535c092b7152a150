"""The demonstration's voice: what happens, in sentences, on a terminal or into a log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table


class Narrator:
    """Writes to one stream. Names and texts from a file are never markup, and never control the
    terminal.
    """

    def __init__(self, out: TextIO) -> None:
        self.console = Console(file=out, highlight=False, soft_wrap=False)

    def chapter(self, title: str) -> None:
        """A heading."""
        self.console.print()
        self.console.print(f"[bold]{plain(title)}[/bold]")

    def say(self, sentence: str) -> None:
        """One thing that happened."""
        row = Table.grid(padding=(0, 1, 0, 0))
        # a grid, so that a long sentence goes on under its own beginning
        row.add_row("  [green]·[/green]", plain(sentence))
        self.console.print(row)

    def quote(self, lines: list[str]) -> None:
        """Something shown as somebody sees it."""
        for line in lines:
            self.console.print(Padding(f"[dim]{plain(line)}[/dim]", (0, 0, 0, 6)))

    @contextmanager
    def counting(self, what: str, total: int) -> Iterator[Progress]:
        """A bar that goes to `total`; on anything but a terminal it says nothing until it is
        full.
        """
        columns = (
            TextColumn("  [green]·[/green] {task.description}"),
            BarColumn(bar_width=32),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self.console, transient=False) as progress:
            progress.add_task(plain(what), total=total)
            yield progress


def plain(text: str) -> str:
    """The text with nothing in it that a terminal or the markup would obey."""
    return escape("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text))
