"""``gateway map check | test | explain | coverage | diff``: the bench on the command line.

Each prints for people, and JSON with ``--json``. Values of records are printed only with
``--values``, on the machine of whoever asks. Commands import what they need themselves, as
``gateway.__main__`` says.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.commands.flags import settings_from
from gateway.errors import SettingError

if TYPE_CHECKING:
    from rich.table import Table

map_cli = typer.Typer(no_args_is_help=True, help="What maps make of messages.")

AsJson = Annotated[bool, typer.Option("--json", help="for programs")]
Values = Annotated[
    bool, typer.Option("--values", help="show the values too: they may be somebody's")
]
Feed = Annotated[str, typer.Option("--feed", help="of which feed; in samples/: of its folder")]
Whose = Annotated[str, typer.Option("--agency", help="whose maps; default: of whose folder it is")]


@map_cli.command()
def new(
    agency: Annotated[str, typer.Argument(help="its id; a folder of that name is made")],
    sample: Annotated[
        Path, typer.Option("--from", help="a .csv, .json or .hl7 file that it sends")
    ],
    into: Annotated[
        Path | None, typer.Option(help="a folder of mappings; default: the first that is searched")
    ] = None,
    feed: Annotated[str, typer.Option(help="the feed's name; default: the file's")] = "",
    as_json: AsJson = False,
) -> None:
    """Draft an agency's folder from a sample: a map, its description, a sample and its test.

    What the draft is unsure of is marked in its files. It loads, and `map test` passes it.
    """
    from gateway import bench
    from gateway.bench import drafting
    from gateway.translate import load

    folders = settings_from([]).folders
    home = (into or folders[0]) / "agencies" / agency
    library = load([each for each in folders if each.is_dir()])  # the first may be made by this
    made = bench.draft(library, agency, sample, feed)
    for path in bench.write(made, home):
        print(path, file=sys.stderr)
    library = library.with_agency(agency, home)
    for path in bench.bless(library, bench.samples([home])):
        print(path, file=sys.stderr)
    _print(drafting.as_json(made) if as_json else drafting.tables(made))


@map_cli.command()
def check(
    folders: Annotated[
        list[Path] | None, typer.Argument(help="folders of mappings; default: those in force")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Load every map and table and print what is wrong, with file and line; exit 1 if anything."""
    from gateway.bench import checking

    found = checking.check(_checked(folders))
    _print(checking.as_json(found) if as_json else checking.tables(found))
    raise typer.Exit(1 if found else 0)


def _checked(folders: Sequence[Path] | None) -> list[Path]:
    """The folders asked for before the searched ones, which they build upon."""
    return list(dict.fromkeys((*(folders or ()), *settings_from([]).folders)))


@map_cli.command()
def test(
    folders: Annotated[
        list[Path] | None, typer.Argument(help="where samples lie; default: the maps' folders")
    ] = None,
    bless: Annotated[
        bool, typer.Option("--bless", help="write what is made now as what is expected")
    ] = False,
    values: Values = False,
    as_json: AsJson = False,
) -> None:
    """Translate the samples beside the maps and compare; exit 1 if one isn't as expected."""
    from gateway import bench
    from gateway.bench import trying
    from gateway.translate import load

    searched = settings_from([]).folders
    wanted = folders or list(searched)
    library = bench.with_folders(load(searched), wanted)
    found = bench.samples(wanted)
    if bless:
        for file in bench.bless(library, found):
            print(file)
        return
    tried = list(bench.trials(library, found))
    said = trying.as_json(tried, values=values) if as_json else trying.tables(tried, values=values)
    _print(said)
    raise typer.Exit(0 if all(one.passed for one in tried) else 1)


@map_cli.command()
def explain(
    path: Annotated[str, typer.Argument(help="Patient.name.family, or Patient/ID.name of the hub")],
    file: Annotated[
        Path | None, typer.Argument(help="a message, rows or JSON; default: what is stored")
    ] = None,
    agency: Whose = "",
    feed: Feed = "",
    values: Values = False,
    as_json: AsJson = False,
) -> None:
    """From an element back to the bytes it came from, and the rule (file:line) that made it."""
    from gateway import bench
    from gateway.bench import explaining
    from gateway.translate import load

    if file is None:
        from gateway import app
        from gateway.members import KEEPER

        with app.opened(settings_from([])) as pipeline:
            message, found = pipeline.bench.explain(KEEPER, path)
        print(f"message {message}", file=sys.stderr)
    else:
        library = bench.with_folders(load(settings_from([]).folders), [file.parent])
        whose = bench.agency(library, agency) if agency else bench.owner(library, file)
        wanted = bench.asked(path)
        if name := feed or _feed(file):
            found = bench.explained_rows(library, whose, name, file, wanted)
        else:
            sent = bench.messages_in([file])
            found = [one for raw in sent for one in bench.explained(library, whose, raw, wanted)]
    if not found:
        raise SettingError("nothing of that name is made", place=path)
    said = explaining.as_json(found, values=values)
    _print(said if as_json else explaining.tables(found, values=values))


@map_cli.command()
def coverage(
    files: Annotated[
        list[Path] | None, typer.Argument(help="files of HL7 v2 messages; of rows or JSON one")
    ] = None,
    folder: Annotated[Path | None, typer.Option(help="every file below it")] = None,
    agency: Whose = "",
    feed: Feed = "",
    as_json: AsJson = False,
) -> None:
    """Count what messages held and no rule read: segments, fields, components; columns of rows.

    It holds names of places alone, never a value.
    """
    from gateway import bench
    from gateway.bench import counting, unread
    from gateway.translate import load

    below = sorted(each for each in folder.rglob("*") if each.is_file()) if folder else []
    paths = [*(files or ()), *below]
    if not paths:
        print("name files, or a --folder", file=sys.stderr)
        raise typer.Exit(2)
    if name := feed or _feed(paths[0]):
        library = bench.with_folders(load(settings_from([]).folders), [paths[0].parent])
        whose = bench.agency(library, agency) if agency else bench.owner(library, paths[0])
        told = bench.columns(library, whose, name, folder or paths[0])
        _print(unread.as_json(told) if as_json else unread.tables(told))
        return
    library = load(settings_from([]).folders)
    counted = bench.coverage(library, bench.agency(library, agency), bench.messages_in(paths))
    _print(counting.as_json(counted) if as_json else counting.tables(counted))


@map_cli.command()
def diff(
    replay: Annotated[int, typer.Option(help="how many of the last messages to try")] = 100,
    maps: Annotated[
        list[Path] | None, typer.Option(help="folders of edited maps, not yet in force")
    ] = None,
    agency: Annotated[str, typer.Option(help="of this agency only")] = "",
    values: Values = False,
    as_json: AsJson = False,
) -> None:
    """Which of the last stored messages would come out otherwise; exit 1 if any.

    With --maps by those maps, against the maps in force; without, by the maps in force against what
    the hub holds. Prints paths.
    """
    from gateway import app
    from gateway.bench import comparing
    from gateway.members import KEEPER

    folders = _checked(maps) if maps else []
    with app.opened(settings_from([])) as pipeline:
        found = pipeline.bench.compare(KEEPER, agency, replay, folders)
    said = comparing.as_json(found, values=values) if as_json else comparing.tables(found)
    _print(said)
    raise typer.Exit(1 if found.changed else 0)


def _feed(file: Path) -> str:
    """The feed of a sample that lies beside its maps; "" for an HL7 v2 message."""
    if file.suffix.casefold() in (".hl7", ".er7"):
        return ""
    from gateway.bench.sources import SAMPLES

    home = next((one for one in file.resolve().parents if one.name == SAMPLES), None)
    return home.parent.name if home is not None else ""


def _print(said: dict[str, Any] | list[Table]) -> None:
    from rich.console import Console

    if isinstance(said, dict):
        print(json.dumps(said, indent=1, default=str, ensure_ascii=False))
    else:
        Console().print(*said, sep="\n")
