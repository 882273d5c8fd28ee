"""The bench's table: a figure, the floor or peer of the same run, the budget, how far it is met."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from rich.console import Console
from rich.table import Table

LESS, MORE = "≤", "≥"
RATE: Final = "/s"
HEADINGS: Final = ("work", "engine", "figure", "", "beside", "", "x", "budget", "of it", "more")
WIDTH: Final = 200
"""Characters of a table that goes to a file or a pipe."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line. ``floor`` is what stands beside it, in the same unit; ``budget`` is "≤ 100"."""

    work: str
    value: float
    unit: str
    floor: float
    beside: str
    budget: str = ""
    more: str = ""
    engine: str = ""

    @property
    def ratio(self) -> float:
        """How many times better the floor is; below 1 ours is."""
        over, under = (self.floor, self.value) if self.unit == RATE else (self.value, self.floor)
        return over / max(under, 1e-9)

    @property
    def met(self) -> float | None:
        """How far the budget is met: 1 and more is; None where there is none."""
        if not self.budget:
            return None
        sign, bound = self.budget.split()
        wanted = float(bound)
        return wanted / max(self.value, 1e-9) if sign == LESS else self.value / wanted

    def cells(self) -> tuple[str, ...]:
        """By the headings."""
        met = "" if self.met is None else f"{self.met:.2f}"
        floor = (self.beside, short(self.floor), times(self.ratio))
        figure = (self.work, self.engine, short(self.value), self.unit)
        return (*figure, *floor, self.budget, met, self.more)

    def as_json(self) -> dict[str, Any]:
        """All of it, with what is worked out."""
        return {**asdict(self), "ratio": self.ratio, "met": self.met}


def short(value: float) -> str:
    """Three digits that say something."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def times(ratio: float) -> str:
    """A ratio as people read it."""
    return f"{ratio:.2g}" if ratio < 10 else f"{ratio:,.0f}"


def show(figures: Iterable[Figure], title: str = "") -> list[Figure]:
    """Print the table; what was printed."""
    shown = list(figures)
    table = Table(*HEADINGS, title=title or None, box=None, header_style="bold", pad_edge=False)
    for at in (2, 5, 6, 7, 8):
        table.columns[at].justify = "right"
    for column in table.columns:
        column.no_wrap = True
    for one in shown:
        late = one.met is not None and one.met < 1
        table.add_row(*one.cells(), style="yellow" if late else None)
    console = Console()
    (console if console.is_terminal else Console(width=WIDTH)).print(table)
    return shown


def markdown(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table as Markdown writes it."""
    lines = [headings, ["---"] * len(headings), *rows]
    cells = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "".join("| " + " | ".join(line) + " |\n" for line in cells)
