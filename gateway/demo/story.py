"""The story as it happens: a readable line an event, who → whom, and a table at the end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

WIDTH = 130
COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "red")


@dataclass(frozen=True, slots=True)
class Loop:
    """A row of the last table: one referral and what became of it.

    ``how`` says what the asker heard, ``delivered`` when the hub saw it acknowledged ("" if never),
    ``closed`` whether the loop is whole.
    """

    referral: str
    asker: str
    asked: str
    status: str
    how: str
    delivered: str
    closed: bool


class Story:
    """Tells on stdout; a terminal's own width where there is one, else ``WIDTH`` columns."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        if not self._console.is_terminal:
            self._console.width = WIDTH
        self._colours: dict[str, str] = {}

    def open(self, title: str, facts: Iterable[tuple[str, str]]) -> None:
        """The addresses, before the first line."""
        grid = Table.grid(padding=(0, 2))
        for name, value in facts:
            grid.add_row(Text(name, style="bold"), Text(value))
        self._console.print(Panel(grid, title=title, expand=False))

    def scene(self, title: str) -> None:
        """A headline."""
        self._console.print()
        self._console.rule(Text(title, style="bold"), align="left")

    def tell(self, who: str, whom: str, what: str) -> None:
        """One event: the local time, who → whom, and what."""
        line = Text.assemble(
            (f"{datetime.now().astimezone():%H:%M:%S} ", "dim"),
            (f"{who:>16}", self._colour(who)),
            (" → " if whom else "   ", "dim"),
            (f"{whom:<16}", self._colour(whom)),
            " ",
            what,
        )
        self._console.print(line, soft_wrap=True)

    def note(self, who: str, what: str) -> None:
        """What happens to one of them, and reaches nobody."""
        self.tell(who, "", what)

    def trouble(self, what: str) -> None:
        """Something that should have come and did not."""
        self._console.print(Text(f"did not come: {what}", style="bold red"), soft_wrap=True)

    def close(self, loops: Sequence[Loop]) -> None:
        """The table of referrals, and whether every loop closed."""
        table = Table(title="Referrals of this run", title_justify="left")
        for name in ("Referral", "From", "To", "Status", "How the loop closed", "Delivered at"):
            table.add_column(name, overflow="fold")
        for loop in loops:
            row = (loop.referral, loop.asker, loop.asked, loop.status, loop.how, loop.delivered)
            table.add_row(*row, style="" if loop.closed else "bold red")
        self._console.print()
        self._console.print(table)
        closed = sum(loop.closed for loop in loops)
        self._console.print(f"{closed} of {len(loops)} loops closed.")

    def _colour(self, who: str) -> str:
        return self._colours.setdefault(who, COLOURS[len(self._colours) % len(COLOURS)])
