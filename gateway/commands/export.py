"""``gateway export hmis``: what an agency sent, and what the hub knows since, out again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.commands.flags import settings_from

if TYPE_CHECKING:
    from rich.table import Table

    from gateway.hmis.report import Report

export_cli = typer.Typer(no_args_is_help=True, help="Files of what the hub holds.")


@export_cli.callback()
def export() -> None:
    """Files of what the hub holds."""


@export_cli.command()
def hmis(
    out: Annotated[Path, typer.Argument(help="the zip to write", metavar="OUT.zip")],
    agency: Annotated[str, typer.Option(help="whose HMIS")],
    year: Annotated[str, typer.Option(help="the specification: 2024 or 2026")] = "2026",
    as_json: Annotated[bool, typer.Option("--json", help="the report for programs")] = False,
) -> None:
    """Write an agency's HMIS CSV: its rows as they came, and its referrals with their results.

    Prints for each file how many rows are as they came, bear a new ExportID alone, bear what the
    hub knows, were put into another year's columns, or are new; and which columns went or are
    blank. The zip holds whole names and numbers: only its owner may read it (mode 600).
    """
    from gateway import app

    with app.opened(settings_from([])) as pipeline:
        report = pipeline.exports.hmis(agency, year, out)
    if as_json:
        from gateway.hmis.report import as_json as told

        typer.echo(json.dumps(told(report), indent=2))
    else:
        from rich.console import Console

        Console().print(*_tables(report), sep="\n")


def _tables(report: Report) -> list[Table | str]:
    from rich.table import Table

    table = Table(title=f"HMIS CSV {report.year} of {report.agency}")
    for name in ("file", "rows", "as came", "renewed", "told", "turned", "new", "columns gone"):
        table.add_column(name, justify="left" if name in ("file", "columns gone") else "right")
    table.add_column("columns blank")
    for name, each in report.files.items():
        counts = (each.rows, each.as_came, each.renewed, each.told, each.turned, each.made)
        gone, blank = ", ".join(each.dropped), ", ".join(each.blank)
        table.add_row(name, *map(str, counts), gone, blank)
    left = [f"{count} referrals left out: {why}" for why, count in report.left_out.items()]
    return [table, *left]
