"""All that is wrong with some maps, where ``load`` stops at the first thing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from gateway.errors import MapError
from gateway.fhir.elements import resource_types
from gateway.translate.agency import FILE, read_profile
from gateway.translate.library import Library, load, standard
from gateway.translate.maps import KINDS, Maps, shown_folder
from gateway.translate.plans import compile_plan
from gateway.translate.rules import Compiler
from gateway.translate.source import read_yaml


def problems(folders: Sequence[Path]) -> list[MapError]:
    """Every MapError of some folders of mappings, one a place; [] where they load.

    One mistake may hide another: what a file that can't be read as YAML holds isn't looked at.
    """
    first = _tried(lambda: load(folders).checked(folders))
    if first is None:
        return []
    found = {first.place: first}
    for error in (*_files(folders), *_maps(folders), *_agencies(folders)):
        found.setdefault(error.place, error)
    return sorted(found.values(), key=_order)


def _order(error: MapError) -> tuple[str, int]:
    file, _, line = (error.place or "").rpartition(":")
    return (file, int(line)) if line.isdecimal() else (error.place or "", 0)


def _tried(what: Callable[..., object], *given: object) -> MapError | None:
    try:
        what(*given)
    except MapError as error:
        return error
    return None


def _found(errors: Iterable[MapError | None]) -> Iterator[MapError]:
    return (error for error in errors if error is not None)


def _files(folders: Sequence[Path]) -> Iterator[MapError]:
    """What isn't YAML."""
    for folder in folders:
        for path in sorted(folder.rglob("*.yaml")):
            shown = "/".join(path.relative_to(folder).parts[-3:])
            if path.parent.name in KINDS or path.name == FILE:
                yield from _found([_tried(read_yaml, path, shown)])


def _maps(folders: Sequence[Path]) -> Iterator[MapError]:
    """What the standard maps get wrong, each looked at by itself."""
    maps = Maps(tuple((folder / "hl7v2", "hl7v2") for folder in folders))
    try:
        compiler = Compiler(maps, maps.tables())
    except MapError as error:
        yield error
        return
    yield from _found(_tried(_data_type, compiler, name) for name in maps.names("datatypes"))
    yield from _found(_tried(_message, compiler, name) for name in maps.names("messages"))


def _data_type(compiler: Compiler, name: str) -> None:
    source = compiler.maps.find("datatypes", name)
    if source is not None and source.to in resource_types():
        compiler.check_resource_map(source)
    elif source is not None:
        compiler.data_type(name, source.to, source.place)


def _message(compiler: Compiler, name: str) -> None:
    source = compiler.maps.find("messages", name)
    if source is not None:
        compile_plan(compiler, source)


def _agencies(folders: Sequence[Path]) -> Iterator[MapError]:
    """What agencies get wrong: of their own maps too, where the standard ones load."""
    library: Library | None
    try:
        library = standard(folders)
    except MapError:
        library = None
    for folder in folders:
        homes = [file.parent for file in sorted((folder / "agencies").glob(f"*/{FILE}"))]
        yield from _found(_tried(_agency, library, home) for home in homes)


def _agency(library: Library | None, home: Path) -> None:
    if library is None:
        read_profile(home.name, home, shown_folder(home))
    else:
        library.with_agency(home.name, home)
