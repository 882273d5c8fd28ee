"""Zip archives: what may stand in one, and unpacking it within limits.

Nothing is written where a name in the archive says: members are called by their base names.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from gateway.errors import ParseError

MEMBERS: Final = 1_000
RATIO: Final = 200
"""A member may unpack to this many times its size; small ones aren't asked."""

_SMALL: Final = 10 * 2**20
_PIECE: Final = 2**20
_MAGIC: Final = b"PK\x03\x04"
_EMPTY: Final = b"PK\x05\x06"


def is_zip(start: bytes) -> bool:
    """Whether a file that begins so is a zip archive."""
    return start.startswith((_MAGIC, _EMPTY))


def unpack(name: str, archive: Path, folder: Path, limit: int) -> Iterator[Path]:
    """Unpack an archive's files into ``folder``, one after the other; ``limit`` bytes in all.

    Raises ParseError, at the archive or the member: it is no zip, locked, holds a zip or a name
    that leads out of it, two files of one name, too many files, or far more than its size.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            left = limit
            for member in _members(name, opened):
                path = folder / _path(member).name
                left -= _unpack(name, opened, member, path, left)
                yield path
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError):
        raise ParseError("the zip archive is broken", place=name) from None


def _members(name: str, opened: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    found = opened.infolist()
    if len(found) > MEMBERS:
        raise ParseError(f"over {MEMBERS} files in one archive", place=name)
    kept: dict[str, zipfile.ZipInfo] = {}
    for member in found:
        path = _path(member)
        _check(name, member, path)
        if member.is_dir() or path.parts[:1] == ("__MACOSX",) or path.name.startswith("."):
            continue
        if kept.setdefault(path.name.casefold(), member) is not member:
            raise ParseError("two files of one name", place=f"{name}/{path.name}")
    return list(kept.values())


def _path(member: zipfile.ZipInfo) -> PurePosixPath:
    """Where a member stands; some software on Windows writes backslashes."""
    return PurePosixPath(member.orig_filename.replace("\\", "/"))


def _check(name: str, member: zipfile.ZipInfo, path: PurePosixPath) -> None:
    place = f"{name}/{path.name}"
    inside = member.orig_filename
    if path.is_absolute() or ".." in path.parts or ":" in inside or "\0" in inside:
        raise ParseError("a file's name leads out of the archive", place=name)
    if member.flag_bits & 1:
        raise ParseError("the archive is locked by a password", place=place)
    if member.external_attr >> 28 == 0o12:
        raise ParseError("a link, and no file", place=place)


def _unpack(
    name: str, opened: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, limit: int
) -> int:
    """How many bytes a member had."""
    place = f"{name}/{path.name}"
    most = min(limit, max(_SMALL, member.compress_size * RATIO))
    if member.file_size > most:
        raise ParseError("it unpacks to far more than is taken", place=place)
    size = 0
    with opened.open(member) as packed, path.open("wb") as file:
        while piece := packed.read(_PIECE):
            size += len(piece)  # zipfile gives no more than the size that was declared
            if size == len(piece) and is_zip(piece):
                raise ParseError("a zip archive in a zip archive", place=place)
            file.write(piece)
    return size
