"""All that a run found: shown to people, written as Markdown, JSON and SVG."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.plot import Plot
from tests.bench.table import HEADINGS, Figure, markdown, show


@dataclass(frozen=True, slots=True)
class Table:
    """A study's own table; ``said`` stands below it."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    said: str = ""

    def as_markdown(self) -> str:
        """Under its title."""
        return f"## {self.title}\n\n{markdown(self.headings, self.rows)}\n{self.said}\n"


@dataclass(slots=True)
class Report:
    """A run's size, its machine, its figures; tables and plots by name; data for programs."""

    size: str
    machine: dict[str, str]
    figures: list[Figure] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    plots: dict[str, Plot] = field(default_factory=dict)
    studies: dict[str, Any] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    """What ended otherwise than it should, and how."""

    def add(self, figures: Sequence[Figure]) -> None:
        """More lines of the one table."""
        self.figures += figures

    def tell(self, table: Table) -> None:
        """A study's table, printed at once."""
        self.tables.append(table)
        print(f"\n{table.as_markdown()}", flush=True)

    def plot(self, name: str) -> Plot:
        """The plot of this name, which engines share."""
        return self.plots[name]

    def show(self) -> None:
        """The one table, and what it was measured on."""
        if self.figures:
            show(self.figures, f"DESIGN, section 10 ({self.size})")
        print("\n".join(f"{name}: {text}" for name, text in self.machine.items()))
        for name, text in self.failed.items():
            print(f"\nFAILED {name}\n{text}")

    def write(self, folder: Path) -> None:
        """bench.md, bench.json, and an SVG a plot."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "bench.md").write_text(self._markdown(), encoding="utf-8")
        told = {
            "size": self.size,
            "machine": self.machine,
            "figures": [one.as_json() for one in self.figures],
            "studies": self.studies,
            "failed": self.failed,
        }
        (folder / "bench.json").write_text(json.dumps(told, indent=1), encoding="utf-8")
        for name, plot in self.plots.items():
            (folder / f"{name}.svg").write_text(plot.svg(), encoding="utf-8")

    def _markdown(self) -> str:
        machine = markdown(("", ""), self.machine.items())
        figures = markdown(HEADINGS, (one.cells() for one in self.figures))
        tables = "\n".join(table.as_markdown() for table in self.tables)
        plots = "".join(f"![{plot.title}]({name}.svg)\n\n" for name, plot in self.plots.items())
        failed = "".join(f"**Failed: {name}.** " for name in self.failed)
        return f"# Bench ({self.size})\n\n{failed}\n\n{machine}\n{figures}\n{tables}\n{plots}"
