"""The map files: found in layers of folders, the first of a kind and name goes; ``extends``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.errors import MapError
from gateway.translate.include import included, overlaid
from gateway.translate.source import Block, flag, read_yaml, refuse, text
from gateway.translate.tables import Table, read_table

KINDS: Final = ("messages", "parts", "segments", "datatypes", "records")
_WITH_PARTS: Final = frozenset({"messages", "records"})
_BY_NAME: Final = frozenset({"groups", "resources", "lookup"})
HEADER: Final = frozenset({"map", "to", "extends"})
"""The keys of a segment or data type map that aren't elements."""


@dataclass(frozen=True, slots=True)
class Source:
    """A map as written: the type it makes ("" for a message's), and the rest of its file."""

    name: str
    place: str
    to: str
    body: Block


@dataclass(slots=True)
class Maps:
    """All maps of some layers of folders, each of which holds ``messages``, ``segments`` ….

    Beside each folder stands what its files are called in places. ``read`` keeps what was read.
    """

    layers: Sequence[tuple[Path, str]]
    read: dict[Path, Block] = field(default_factory=dict)

    def names(self, kind: str) -> list[str]:
        """The names of all maps of a kind, in alphabetical order."""
        found = {path.stem for folder, _ in self.layers for path in (folder / kind).glob("*.yaml")}
        return sorted(found)

    def find(self, kind: str, name: str) -> Source | None:
        """The map in force, with what it extends already in it."""
        blocks = list(self._blocks(kind, name))
        if not blocks:
            return None
        body = blocks[0]
        for base in blocks[1:]:
            body = _extended(body, base)
        if "extends" in body.items:
            refuse(body.places["extends"], f"no other {kind[:-1]} map '{name}' to extend")
        to = text(body.need("to"), "'to'") if kind in ("segments", "datatypes") else ""
        return Source(name, body.place, to, body)

    def _blocks(self, kind: str, name: str) -> Iterator[Block]:
        """The file in force and, while they say ``extends``, those behind it."""
        for folder, shown in self.layers:
            path = folder / kind / f"{name}.yaml"
            if not path.is_file():
                continue
            block = self._load(path, f"{shown}/{kind}/{name}.yaml")
            if text(block.need("map"), "'map'") != name:
                refuse(block.places["map"], f"the file's name says '{name}'")
            yield included(block, self._part) if kind in _WITH_PARTS else block
            if not _extends(block):
                return

    def _part(self, name: str, place: str) -> Block:
        """The body of a part, for a message map that includes it at ``place``."""
        found = self.find("parts", name)
        if found is None:
            raise missing("parts", name, place)
        return found.body

    def _load(self, path: Path, shown: str) -> Block:
        if path not in self.read:
            self.read[path] = read_yaml(path, shown)
        return self.read[path]

    def read_all(self) -> None:
        """Read every file, used or not, so that none hides a mistake in its YAML."""
        for folder, shown in self.layers:
            for kind in KINDS:
                for path in sorted((folder / kind).glob("*.yaml")):
                    self._load(path, f"{shown}/{kind}/{path.name}")

    def tables(self) -> dict[str, Table]:
        """The tables of all layers, by name."""
        found: dict[str, Table] = {}
        for folder, shown in self.layers:
            for path in sorted((folder / "tables").glob("*.csv")):
                if path.stem not in found:
                    found[path.stem] = read_table(path.stem, path, f"{shown}/tables/{path.name}")
        return found


def _extends(block: Block) -> bool:
    item = block.get("extends")
    return item is not None and flag(item, "'extends'")


def _extended(body: Block, base: Block) -> Block:
    """``base`` with the rules of ``body`` in place of its own; ``drop`` takes one away.

    ``groups``, ``lookup`` and ``resources`` are taken one level deeper, by name.
    """
    said = {key: item for key, item in body.items.items() if key != "extends"}
    made = overlaid(base, Block(body.place, said, body.places), (_BY_NAME,))
    return Block(body.place, made.items, made.places)


def shown_folder(folder: Path) -> str:
    """What a folder of maps is called in places: its last two names."""
    return "/".join(folder.parts[-2:])


def missing(kind: str, name: str, place: str) -> MapError:
    """The error for a map that doesn't exist."""
    return MapError(f"{place}: there is no {kind[:-1]} map '{name}'", place=place)
