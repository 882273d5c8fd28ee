"""Rows that earlier loads brought, read again: for lookups, and to be made again."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence

from gateway.fhir.json import loads
from gateway.record import Found, Given
from gateway.rows import Record, Staged, counted, header_names
from gateway.store import Header, Hub, KeptRow, Reader
from gateway.translate import File, Lookup, Rows
from gateway.translate.columns import Pick, picker


class KeptRows:
    """The kept rows of one feed of an agency. Sheets that come to be later aren't seen."""

    def __init__(self, hub: Hub, rows: Rows) -> None:
        self._hub = hub
        self._rows = rows
        self._headers: dict[int, dict[int, Header]] = {}
        self._picks: dict[tuple[int, tuple[str, ...]], Pick] = {}
        with hub.read() as reader:
            self.sheets = reader.sheets(rows.agency.id, rows.feed.name)

    def has(self, file: str) -> bool:
        """Whether anything of a file was kept."""
        return file in self.sheets

    def __call__(self, lookup: Lookup, texts: Sequence[str]) -> Sequence[Staged]:
        """Those that a lookup means; none that were deleted."""
        if lookup.into not in self.sheets:
            return ()
        sheet = self.sheets[lookup.into]
        with self._hub.read() as reader:
            found = list(self._found(reader, sheet, lookup, texts))
        made = []
        for row, header in found:
            (value, *cells) = self._cells(row, header, (lookup.column, *lookup.columns))
            if not lookup.column or value in texts:
                made.append(Staged(row.id, Found(header.name, row.line, tuple(cells))))
        return made

    def _found(
        self, reader: Reader, sheet: int, lookup: Lookup, texts: Sequence[str]
    ) -> Iterator[tuple[KeptRow, Header]]:
        rows: Sequence[KeptRow | None]
        if not lookup.column:
            rows = [reader.last_row(sheet)]
        elif self._names(lookup):
            rows = reader.kept_rows(sheet, texts)
        else:
            rows = reader.rows_by(sheet, lookup.column, texts)
        for row in rows:
            if row is not None and not row.deleted:
                yield row, self._header(reader, sheet, row.header)

    def _names(self, lookup: Lookup) -> bool:
        """Whether rows are found by who they are."""
        plans = [file.plan for file in self._rows.feed.into(lookup.into)]
        return all(plan is not None and plan.id_columns == (lookup.column,) for plan in plans)

    def _header(self, reader: Reader, sheet: int, key: int) -> Header:
        known = self._headers.setdefault(sheet, {})
        if key not in known:
            known.update({each.key: each for each in reader.headers(sheet)})
        return known[key]

    def _cells(self, row: KeptRow, header: Header, columns: tuple[str, ...]) -> tuple[str, ...]:
        pick = self._picks.get((header.key, columns))
        if pick is None:
            names = header_names(header.raw, header.delimiter)
            pick = picker(columns, names, self._rows.feed.layout.empty)
            self._picks[header.key, columns] = pick
        return pick(cells_of(row.raw, header))

    def names(self, name: str, header: int) -> list[str]:
        """The columns of a kept row's file, in their order; none of JSON."""
        with self._hub.read() as reader:
            found = self._header(reader, self.sheets[name], header)
        return header_names(found.raw, found.delimiter) if found.raw else []

    # --- to be made again -------------------------------------------------------------------------

    def records(self, name: str, ids: Sequence[str]) -> list[tuple[Record, int]]:
        """Kept rows as they came, in this order, but the deleted; each with its header's key."""
        files = self._rows.feed.into(name)
        if name not in self.sheets or not files:
            return []
        (file, *_), sheet = files, self.sheets[name]
        order = {each: number for number, each in enumerate(ids)}
        with self._hub.read() as reader:
            rows = [row for row in reader.kept_rows(sheet, ids) if not row.deleted]
            headers = {row.header: self._header(reader, sheet, row.header) for row in rows}
        rows.sort(key=lambda row: order.get(row.id, 0))
        return [
            (self.record(file, headers[row.header], row.line, row.raw), row.header) for row in rows
        ]

    def record(self, file: File, header: Header, line: int, raw: bytes) -> Record:
        """A row or JSON record of these bytes, as if it came in its file."""
        text = raw.decode()
        if self._rows.feed.layout.kind == "json":
            given = Given(header.name, line, value=loads(raw), pointer=f"/{line - 1}")
            return Record(file, given, text, raw)
        cells, layout = cells_of(raw, header), self._rows.feed.layout
        names = header_names(header.raw, header.delimiter)
        columns = file.plan.columns if file.plan is not None else ()
        given = Given(header.name, line, picker(columns, names, layout.empty)(cells))
        return Record(file, given, text, counted(cells, names, layout.ignored), cells)


def cells_of(raw: bytes, header: Header) -> list[str]:
    """A kept row's cells."""
    rows = csv.reader(raw.decode().splitlines(keepends=True), delimiter=header.delimiter)
    return next(rows, [])
