"""The files of a load: a file, several, a folder or a zip archive, in the order of their feed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import ParseError
from gateway.parse.archive import is_zip, unpack
from gateway.translate import Feed


@dataclass(frozen=True, slots=True)
class Came:
    """A file: its base name, and where it lies."""

    name: str
    path: Path


def gathered(feed: Feed, found: Iterable[Came], spool: Path, limit: int) -> list[Came]:
    """All files, archives unpacked into ``spool`` (``limit`` bytes in all), ordered by the feed.

    Raises ParseError: an archive that isn't unpacked, or two files of one name.
    """
    files = [each for one in found for each in _unpacked(one, spool, limit)]
    names: set[str] = set()
    for file in files:
        if file.name.casefold() in names:
            raise ParseError("two files of one name", place=file.name)
        names.add(file.name.casefold())
    return sorted(files, key=lambda file: (feed.order(file.name), file.name))


def lying(path: Path) -> Iterator[Came]:
    """A file, or the files of a folder. Raises ParseError where there is none."""
    if path.is_dir():
        yield from (Came(_name(one), one) for one in sorted(path.iterdir()) if _is_one(one))
    elif path.is_file():
        yield Came(_name(path), path)
    else:
        raise ParseError("no such file", place=_name(path))


def _name(path: Path) -> str:
    """What a file is called; a byte that is no UTF-8, which no database takes, as ``\\xe9``."""
    return os.fsencode(path.name).decode("utf-8", "backslashreplace")


def _is_one(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".")


def _unpacked(came: Came, spool: Path, limit: int) -> Iterator[Came]:
    with came.path.open("rb") as file:
        packed = is_zip(file.read(4))
    if not packed:
        yield came
        return
    inside = spool / f"{came.name}.d"
    inside.mkdir(parents=True)
    for path in unpack(came.name, came.path, inside, limit):
        yield Came(path.name, path)
