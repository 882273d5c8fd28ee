"""Rows that were set aside, as files that can be mended and sent back, or tried again as they are.

A CSV file has its own header and four columns more, ``#id``, ``#row``, ``#column``, ``#reason``; a
JSON record such keys. Sent back they tell which row it was, and aren't part of it.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, Final

from gateway.errors import InvalidResource, NotFound
from gateway.fhir.json import dumps, parse
from gateway.loading.kept import cells_of
from gateway.model import Context
from gateway.rows import MARK, MASK, Came, header_names
from gateway.store import Aside, Header, Hub, Reader

_PAGE: Final = 500
_ADDED: Final = (f"{MARK}id", f"{MARK}row", f"{MARK}column", f"{MARK}reason")


class Asides:
    """What was set aside of an agency's rows."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def open(self, context: Context, count: int = 1000) -> list[Aside]:
        """Those that are so still: the caller's own, or all for an admin."""
        with self._hub.read() as reader:
            return [each for _, each in reader.row_asides(context, count=count)]

    def one(self, context: Context, id_: str) -> Aside:
        """One of them. Raises NotFound."""
        with self._hub.read() as reader:
            return reader.row_aside(context, id_)

    def file(
        self, context: Context, load: str, file: str, masked: frozenset[str]
    ) -> Iterator[bytes]:
        """Those rows of one file that a load set aside and that may be kept, as a file.

        Raises:
            NotFound: there are none.
        """
        found = self._all(context, load)
        first = next((each for each in found if each[1].name == file), None)
        if first is None:
            raise NotFound("no row of such a file was set aside", place="file")
        alike = (each for each, header in found if header.key == first[1].key)
        return _pieces([first[0]], alike, first[1], masked)

    def files(self, context: Context, folder: Path, asides: Iterable[Aside]) -> list[Came]:
        """Set-aside rows as files in ``folder``, unmasked: to be tried again."""
        made: dict[int, Came] = {}
        for aside in asides:
            header = self._header(aside)
            came = made.get(header.key)
            if came is None:
                inside = folder / str(header.key)
                inside.mkdir(parents=True)
                came = made[header.key] = Came(header.name, inside / "rows")
                came.path.write_bytes(_head(header))
            with came.path.open("ab") as file:
                file.write(_line(aside, header, frozenset()))
        return list(made.values())

    def before(self, context: Context, id_: str) -> Mapping[str, Any]:
        """What a set-aside row says, by its columns or keys; {} where there is none."""
        try:
            aside = self.one(context, id_)
        except NotFound:
            return {}
        header = self._header(aside)
        if not header.raw:
            value = parse(aside.raw)
            return value if isinstance(value, dict) else {}
        names = header_names(header.raw, header.delimiter)
        return dict(zip(names, cells_of(aside.raw, header), strict=False))

    def _all(self, context: Context, load: str) -> Iterator[tuple[Aside, Header]]:
        """What a load set aside and was kept, a page at a time."""
        after = 0
        while True:
            with self._hub.read() as reader:
                found = reader.row_asides(context, load=load, after=after, count=_PAGE)
            if not found:
                return
            yield from ((each, self._header(each)) for _, each in found if each.raw)
            after = found[-1][0]

    def _header(self, aside: Aside) -> Header:
        with self._hub.read() as reader:
            return _header(reader, aside)


def _header(reader: Reader, aside: Aside) -> Header:
    sheet = reader.sheet(aside.agency, aside.feed, aside.file)
    found = reader.headers(sheet) if sheet is not None else []
    return next(each for each in found if each.key == aside.head)


def _pieces(
    first: list[Aside], rest: Iterable[Aside], header: Header, masked: frozenset[str]
) -> Iterator[bytes]:
    yield _head(header)
    for each in chain(first, rest):
        yield _line(each, header, masked)


def _head(header: Header) -> bytes:
    """The header line of a file of set-aside rows; of JSON there is none."""
    if not header.raw:
        return b""
    names = [*header_names(header.raw, header.delimiter), *_ADDED]
    return codecs.BOM_UTF8 + _written(names, header)


def _line(aside: Aside, header: Header, masked: frozenset[str]) -> bytes:
    column = aside.place.rpartition(":")[2] if aside.place.count(":") > 1 else ""
    told = dict(zip(_ADDED, (aside.id, str(aside.line), column, aside.reason), strict=True))
    if not header.raw:
        return _record(aside.raw, told, masked) + b"\n"
    names = header_names(header.raw, header.delimiter)
    cells = [*cells_of(aside.raw, header), *[""] * len(names)][: len(names)]
    shown = [
        MASK if name in masked and cell else cell for name, cell in zip(names, cells, strict=True)
    ]
    return _written([*shown, *told.values()], header)


def _record(raw: bytes, told: dict[str, str], masked: frozenset[str]) -> bytes:
    """A JSON record with what is said of it; one that is no object stands as it came."""
    try:
        value = parse(raw)
    except InvalidResource:
        return raw
    if not isinstance(value, dict):
        return raw
    shown = {key: MASK if key in masked else each for key, each in value.items()}
    return dumps({**shown, **told})


def _written(cells: Iterable[str], header: Header) -> bytes:
    out = io.StringIO()
    csv.writer(out, delimiter=header.delimiter, lineterminator="\r\n").writerow(cells)
    return out.getvalue().encode()
