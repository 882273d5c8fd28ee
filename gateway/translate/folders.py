"""Where feeds lie: the built-in ones among the mappings' folders, an agency's in its own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Final

from gateway.settings import shipped
from gateway.translate.feeds import FILE, Feed, Layout, compile_feed, named, read_layout
from gateway.translate.maps import Maps, shown_folder
from gateway.translate.rules import Compiler
from gateway.translate.source import Block, read_yaml, refuse
from gateway.translate.tables import Table

_NOT: Final = frozenset({"agencies", "hl7v2"})
_APART: Final = "samples"


@dataclass(frozen=True)
class BuiltIn:
    """A feed that every agency has, and the folders that its maps lie in.

    Those that ship are compiled when somebody first sends one: most installations have no use for
    most of them, and their own tests have loaded them before they shipped.
    """

    layout: Layout
    layers: tuple[tuple[Path, str], ...]
    tables: Mapping[str, Table]

    @cached_property
    def feed(self) -> Feed:
        """It, compiled. Raises MapError."""
        version = digest(path for path, _ in self.layers)
        return compile_feed(self.layout, Maps(self.layers), self.tables, version, Compiler)


class Feeds(Mapping[str, Feed]):
    """Feeds by name, each made when it is asked for. Reading one may raise MapError."""

    def __init__(self, made: Mapping[str, Callable[[], Feed]]) -> None:
        self._made = made

    def __getitem__(self, name: str) -> Feed:
        return self._made[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._made)

    def __len__(self) -> int:
        return len(self._made)


def built_in(folders: Sequence[Path], tables: Mapping[str, Table]) -> dict[str, BuiltIn]:
    """The feeds in folders of maps, the first ``feed.yaml`` of a name in force. Raises MapError."""
    found: dict[str, list[Path]] = {}
    for folder in folders:
        for file in sorted(folder.glob(f"*/{FILE}")):
            if file.parent.name not in _NOT:
                found.setdefault(file.parent.name, []).append(file.parent)
    return {name: _built_in(name, each, tables) for name, each in found.items()}


def _built_in(name: str, folders: list[Path], tables: Mapping[str, Table]) -> BuiltIn:
    body = read_yaml(folders[0] / FILE, f"{name}/{FILE}")
    if named(body) != name:
        refuse(body.places["feed"], f"this is the folder of '{name}'")
    found = BuiltIn(read_layout(body), tuple((folder, name) for folder in folders), tables)
    if folders != [shipped("mappings") / name]:
        found.feed  # noqa: B018 - so that what is wrong with it is told now
    return found


def given_feeds(bases: Mapping[str, BuiltIn]) -> Feeds:
    """The built-in feeds as they are."""
    return Feeds({name: partial(_compiled, one) for name, one in bases.items()})


def own_feeds(
    blocks: Iterable[Block],
    folder: Path,
    bases: Mapping[str, BuiltIn],
    tables: Mapping[str, Table],
) -> Feeds:
    """An agency's feeds by name: the built-in ones, and what its ``agency.yaml`` says of others.

    Maps in a folder of a feed's name go before the built-in ones. Raises MapError.
    """
    found: dict[str, Callable[[], Feed]] = {
        name: partial(_compiled, one) for name, one in bases.items()
    }
    said = {named(block): block for block in blocks}
    for name in dict.fromkeys([*said, *_overridden(folder, bases)]):
        base = bases.get(name)
        layout = _layout(name, said.get(name), base)
        own = folder / name
        layers = (*([(own, f"{shown_folder(folder)}/{name}")] if own.is_dir() else ()),)
        layers += base.layers if base is not None else ()
        version = digest(path for path, _ in layers)
        if base is not None and layers == base.layers and layout.entries == base.layout.entries:
            found[name] = partial(_otherwise_laid, base, layout)
        else:
            feed = compile_feed(layout, Maps(layers), tables, version, Compiler)
            found[name] = partial(_itself, feed)
    return Feeds(found)


def _compiled(one: BuiltIn) -> Feed:
    return one.feed


def _otherwise_laid(base: BuiltIn, layout: Layout) -> Feed:
    return replace(base.feed, layout=layout)


def _itself(feed: Feed) -> Feed:
    return feed


def _overridden(folder: Path, bases: Mapping[str, BuiltIn]) -> Iterator[str]:
    """The built-in feeds for which an agency has maps of its own."""
    return (name for name in bases if (folder / name / "records").is_dir())


def _layout(name: str, said: Block | None, base: BuiltIn | None) -> Layout:
    if said is not None:
        return read_layout(said, base.layout if base is not None else None)
    assert base is not None, "it is said or built in"
    return base.layout


def digest(folders: Iterable[Path], before: str = "") -> str:
    """The first 12 hex digits of a hash over all map files and tables; samples aren't of them."""
    total = hashlib.sha256(before.encode())
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            inside = path.relative_to(folder)
            if path.suffix in (".yaml", ".csv") and _APART not in inside.parts:
                total.update(f"{inside.as_posix()}\n".encode())
                total.update(path.read_bytes())
    return total.hexdigest()[:12]
