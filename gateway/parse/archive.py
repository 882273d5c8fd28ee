"""Zip archives: what may stand in one, and unpacking it within limits.

Nothing is written where a name in the archive says: members are called by their base names.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import IO, Final

from gateway.errors import ParseError

MEMBERS: Final = 1_000
RATIO: Final = 200
"""A member may unpack to this many times its size; small ones aren't asked."""

_SMALL: Final = 10 * 2**20
_HEADER: Final = 30
"""Bytes of a member's own header before its name (APPNOTE.TXT 4.3.7)."""

_PIECE: Final = 2**20
_BROKEN: Final = "the zip archive is broken"
_MAGIC: Final = b"PK\x03\x04"
_EMPTY: Final = b"PK\x05\x06"


def is_zip(start: bytes) -> bool:
    """Whether a file that begins so is a zip archive."""
    return start.startswith((_MAGIC, _EMPTY))


def unpack(name: str, archive: Path, folder: Path, limit: int) -> Iterator[Path]:
    """Unpack an archive's files into ``folder``, one after the other; ``limit`` bytes in all.

    Raises ParseError, at the archive or the member: it is no zip, locked, holds a zip or a name
    that leads out of it, two files of one name or in one place, too many files, or far more than
    its size.
    """
    try:
        with _Pieces(archive) as file, zipfile.ZipFile(file) as opened:
            left = min(limit, max(_SMALL, archive.stat().st_size * RATIO))
            for member in _members(name, opened):
                path = folder / _path(member).name
                left -= _unpack(name, opened, member, path, left)
                yield path
    except (zipfile.BadZipFile, zlib.error, LZMAError, EOFError, NotImplementedError):
        raise ParseError(_BROKEN, place=name) from None


class _Pieces(io.FileIO):
    """A file that is never read whole: so its list of members, which zipfile reads at once, and of
    which a small archive can hold millions, has an end."""

    def read(self, size: int | None = -1, /) -> bytes:
        """At most so many bytes; all that is left where that isn't much."""
        wanted = -1 if size is None else size
        read = super().read(min(wanted, _PIECE) if wanted >= 0 else _PIECE)
        if wanted > _PIECE and len(read) == _PIECE:
            raise zipfile.BadZipFile
        return read or b""


def _members(name: str, opened: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    found = opened.infolist()
    if len(found) > MEMBERS:
        raise ParseError(f"over {MEMBERS} files in one archive", place=name)
    _check_places(name, found, opened.start_dir)
    kept: dict[str, zipfile.ZipInfo] = {}
    for member in found:
        path = _path(member)
        _check(name, member, path)
        if member.is_dir() or path.parts[:1] == ("__MACOSX",) or path.name.startswith("."):
            continue
        if kept.setdefault(path.name.casefold(), member) is not member:
            raise ParseError("two files of one name", place=f"{name}/{path.name}")
    return list(kept.values())


def _check_places(name: str, members: list[zipfile.ZipInfo], end: int) -> None:
    """Each member has bytes of its own: one kernel of a bomb could be unpacked a thousand times."""
    for member in sorted(members, key=lambda each: each.header_offset, reverse=True):
        most = end - member.header_offset - _HEADER - len(member.orig_filename)
        if member.compress_size > most:
            raise ParseError("two files in one place", place=name)
        end = member.header_offset


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
        while piece := _read(packed, place):
            size += len(piece)  # zipfile gives no more than the size that was declared
            if size == len(piece) and is_zip(piece):
                raise ParseError("a zip archive in a zip archive", place=place)
            file.write(piece)
    return size


def _read(packed: IO[bytes], place: str) -> bytes:
    """The next piece. bzip2 says by an OSError without a number that it can't make sense of it."""
    try:
        return packed.read(_PIECE)
    except OSError as error:
        if error.errno is not None:  # the disk
            raise
        raise ParseError(_BROKEN, place=place) from None
