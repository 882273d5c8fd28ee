"""``gateway load``: files of rows or JSON records into the hub, from the command line."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.commands.flags import settings_from

if TYPE_CHECKING:
    from rich.progress import Progress

    from gateway.loading import Loading
    from gateway.loading.tally import Tally
    from gateway.model import Context
    from gateway.rows import Came

_PIECE: Final = 2**20
_LITTER: Final = 500_000
"""Objects made before garbage is looked for: what a row makes has no cycles."""


def load(
    feed: Annotated[str, typer.Argument(help="an agency and its feed", metavar="AGENCY/FEED")],
    path: Annotated[Path | None, typer.Argument(help="a file, a folder or a zip")] = None,
    again: Annotated[bool, typer.Option("--again", help="try what is set aside again")] = False,
    aside: Annotated[
        Path | None, typer.Option(help="a folder for the set-aside rows, to be mended")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="the summary for programs")] = False,
) -> None:
    """Load files into a feed of an agency: each row goes in by itself, or is set aside.

    Prints what became of the rows of each file and what they made, and exits with 1 if not all
    went in. The same files again change nothing.
    """
    from gateway import app
    from gateway.model import Context

    agency, _, name = feed.partition("/")
    if not name or (path is None) != again:
        typer.echo("name AGENCY/FEED, and a PATH or --again", err=True)
        raise typer.Exit(2)
    with app.opened(settings_from([])) as pipeline:
        gc.freeze()  # what is loaded now stays: it needn't be looked through again
        gc.set_threshold(_LITTER, 20, 100)
        context = Context(agency, "command")
        if path is None:
            waiting = [each for each in pipeline.loading.asides.open(context) if each.feed == name]
            tallies = pipeline.loading.again(context, waiting)
        else:
            tallies = [_loaded(pipeline.loading, context, name, path, quiet=as_json)]
        for tally in tallies:
            if aside is not None:
                _write_asides(pipeline.loading, context, tally, aside)
    for tally in tallies:
        if as_json:
            typer.echo(json.dumps(tally.summary()))
        else:
            _print(tally)
    raise typer.Exit(0 if all(tally.is_whole for tally in tallies) else 1)


def _loaded(loading: Loading, context: Context, feed: str, path: Path, *, quiet: bool) -> Tally:
    from gateway.loading import Watch
    from gateway.rows import gathered, lying

    rows, spool = loading.rows(context.agency, feed), loading.spool()
    try:
        files = gathered(rows.feed, list(lying(path)), spool, 2**62)
        with _bar(quiet=quiet) as bar:
            tasks = {one.name: bar.add_task(one.name, total=_lines(one)) for one in files}

            def progress(name: str, count: int) -> None:
                if name in tasks:
                    bar.advance(tasks[name], count)

            watch = Watch(progress)
            return loading(context, feed, files, channel="command", spool=spool, watch=watch)
    finally:
        loading.forget(spool)


def _bar(*, quiet: bool) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,.0f}")
    console = Console(stderr=True)
    return Progress(*columns, TimeElapsedColumn(), console=console, disable=quiet)


def _lines(came: Came) -> int:
    """About how many rows a file has: its line ends, without the header's."""
    count = 0
    with came.path.open("rb") as file:
        while piece := file.read(_PIECE):
            count += piece.count(b"\n")
    return max(count - 1, 1)


def _write_asides(loading: Loading, context: Context, tally: Tally, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    told = loading.told(context, tally.load)
    for name in tally.files:
        if tally.mendable[name]:
            _, pieces = loading.aside_file(context, told, name)
            mend = folder / name
            mend.touch(mode=0o600)  # it holds what rows tell of people
            with mend.open("wb") as file:
                file.writelines(pieces)


def _print(tally: Tally) -> None:
    from rich.console import Console
    from rich.table import Table

    told, console = tally.summary(), Console()
    if tally.refused:
        console.print(f"refused whole: {tally.refused}", markup=False)
    fates = ("rows", "new", "changed", "unchanged", "older", "deleted", "aside")
    table = Table("File", "Map", *fates, title=f"{tally.agency}/{tally.feed}: load {tally.load}")
    for file in told["files"]:
        table.add_row(file["file"], file["map"], *(f"{file[fate]:,}" for fate in fates))
    made = Table("Resource", "created", "updated", "deleted", "unchanged")
    for type_, counts in told["resources"].items():
        made.add_row(type_, *(f"{counts[each.header]:,}" for each in made.columns[1:]))
    console.print(table, made)
    for file in told["files"]:
        if "reason" in file:
            console.print(f"{file['place']}: {file['reason']}", markup=False)
    for one in told["aside"]:
        place = f"{one['file']}:{one['row']}:{one['column']}".rstrip(":")
        kept = "" if one["kept"] else " (not kept)"
        console.print(f"set aside {place}: {one['reason']}{kept}", markup=False)
    if told["ignored"]:
        console.print(f"no map reads: {', '.join(told['ignored'])}", markup=False)
