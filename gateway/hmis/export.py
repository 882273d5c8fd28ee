"""``gateway export hmis``: an agency's HMIS CSV as a zip (FY2024 or FY2026).

What came in goes out: row by row in the order in which it first came, in the columns of the year.
A row's cells stay as they stood, quotes and all, but for these: ExportID is that of the newest
Export.csv, CSVVersion the year's, and of an Event the result that the hub knows.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import IO, Final

from gateway.errors import SettingError
from gateway.hmis import cells
from gateway.hmis.cells import encoded
from gateway.hmis.events import FEED, Desk, made_here, zone_of
from gateway.hmis.layout import VERSIONS, Layout, canonical, is_of, read_layout
from gateway.hmis.outcomes import outcome
from gateway.hmis.report import Report, Written
from gateway.hmis.shape import Shape, lacking, shape
from gateway.members import Members
from gateway.model import Context
from gateway.store import Hub, KeptRow

EVENT: Final = "Event"
EXPORT: Final = "Export"
SERVICE: Final = "2"
"""The event that is a service given at once (problem solving): it has a result of its own."""

RESULT: Final = ("ReferralResult", "ResultDate", "DateUpdated")
"""The columns of an Outcome, in its order."""

BATCH: Final = 2_000
"""Lines that are written at once."""

Cells = list[str]


class Exports:
    """Writes agencies' exports."""

    def __init__(self, hub: Hub, members: Members, folders: Sequence[Path]) -> None:
        self._hub = hub
        self._members = members
        self._folders = folders

    def hmis(self, agency: str, year: str, out: Path) -> Report:
        """Write an agency's HMIS CSV of a year to a zip, and tell what is in it.

        It is noted in the audit. What stood at ``out`` is replaced once all is written. Raises
        SettingError: no such member, or year, or nothing of that feed came in.
        """
        member = self._members.get(agency)
        if member is None:
            raise SettingError("no such member", place="--agency")
        layout = read_layout(self._folders, year)
        context = Context(agency, "export", purpose="HOPERAT")
        part = out.with_name(f".{out.name}.part")
        part.touch(mode=0o600)
        try:
            with self._hub.read() as reader:
                if not reader.sheets(agency, FEED):
                    raise SettingError("nothing came in by the feed hmis", place="--agency")
                desk = Desk(reader, context, zone_of(self._members, member))
                report = _write(desk, layout, part)
            self._hub.write(lambda tx: tx.audit(context, "export", FEED))
            part.replace(out)
        finally:
            part.unlink(missing_ok=True)
        return report


def _write(desk: Desk, layout: Layout, part: Path) -> Report:
    report = Report(desk.context.agency, layout.year)
    newest = _newest(desk)
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as archive:
        for name, columns in layout.files.items():
            with archive.open(f"{name}.csv", "w", force_zip64=True) as sink:
                report.files[name] = _file(desk, layout, name, columns, newest, report, sink)
    return report


def _file(
    desk: Desk,
    layout: Layout,
    name: str,
    columns: tuple[str, ...],
    newest: Mapping[str, str],
    report: Report,
    sink: IO[bytes],
) -> Written:
    """One file's header and rows."""
    sheet = desk.reader.sheet(desk.context.agency, FEED, name)
    headers = desk.reader.headers(sheet) if sheet is not None else []
    form = shape(columns, headers)
    came = form.came[headers[-1].key] if headers else columns
    written = Written(dropped=_dropped(form, came), blank=lacking(columns, came))
    scribe = Scribe(form, newest.get("ExportID", ""), written)
    sink.write(form.mark + encoded(form.line + form.newline, form.charset))
    lines: list[str] = []
    for line in _lines(desk, layout, name, scribe, report):
        lines.append(line + form.newline)
        if len(lines) == BATCH:
            sink.write(encoded("".join(lines), form.charset))
            lines.clear()
    sink.write(encoded("".join(lines), form.charset))
    return written


def _dropped(form: Shape, came: Sequence[str]) -> tuple[str, ...]:
    return () if form.whole else lacking(came, form.columns)


def _lines(desk: Desk, layout: Layout, name: str, scribe: Scribe, report: Report) -> Iterator[str]:
    if name == EXPORT:
        sheet = desk.reader.sheet(desk.context.agency, FEED, EXPORT)
        last = desk.reader.last_row(sheet) if sheet is not None else None
        if last is not None:
            yield scribe.export(last, layout.year)
        return
    new = {row["EventID"]: row for row in made_here(desk, report)} if name == EVENT else {}
    for kept in desk.reader.rows(desk.context, FEED, name):
        told: Mapping[str, str] = {}
        if name == EVENT and not kept.deleted:
            told = _told(desk, kept, new.pop(kept.id, None))
        yield scribe.row(kept, told)
    for row in new.values():
        yield scribe.new(row)


def _newest(desk: Desk) -> Mapping[str, str]:
    """The newest row of Export.csv, by column; {} where none came."""
    sheet = desk.reader.sheet(desk.context.agency, FEED, EXPORT)
    last = desk.reader.last_row(sheet) if sheet is not None else None
    if sheet is None or last is None:
        return {}
    header = next(each for each in desk.reader.headers(sheet) if each.key == last.header)
    named = canonical(("ExportID", "CSVVersion"), cells.texts(header.raw, header.delimiter))
    return dict(zip(named, cells.texts(last.raw.decode(), header.delimiter), strict=False))


def _told(desk: Desk, kept: KeptRow, own: Mapping[str, str] | None) -> Mapping[str, str]:
    """What the hub knows of an Event: its result, by the row's Task, or by the hub's ``own`` row
    that HMIS sent back; {} while it is open.
    """
    if own is not None:
        return {name: own[name] for name in RESULT} if own["ReferralResult"] else {}
    tasks = (each for each in kept.made if each.startswith("Task/"))
    task = next((found for each in tasks if (found := desk.read(each)) is not None), None)
    ended = outcome(task, desk.zone) if task is not None else None
    return dict(zip(RESULT, astuple(ended), strict=True)) if ended else {}


class Scribe:
    """Writes the rows of one file, and counts how."""

    def __init__(self, form: Shape, export: str, written: Written) -> None:
        self._form = form
        self._export = export
        self._written = written
        self._at = form.place("ExportID")
        self._style: Cells = []

    def row(self, kept: KeptRow, told: Mapping[str, str]) -> str:
        """A kept row, with what is told of it in place of what it says."""
        raw = kept.raw.decode()
        found = self._form.row(raw, kept.header)
        self._style = found
        renewed = self._renew(found)
        if self._knows(kept, told):
            told = {}
        for column, text in told.items():
            self._put(found, column, text)
        if told:
            self._written.told += 1
        elif not self._form.is_alike(kept.header):
            self._written.turned += 1
        elif renewed:
            self._written.renewed += 1
        else:
            self._written.as_came += 1
            return raw
        return cells.line(found)

    def export(self, kept: KeptRow, year: str) -> str:
        """The row of Export.csv, of the year that the file is of now."""
        said = self.says(kept, "CSVVersion")
        return self.row(kept, {} if is_of(said, year) else {"CSVVersion": VERSIONS[year]})

    def new(self, row: Mapping[str, str]) -> str:
        """A row that never came, written like the last that did."""
        found = [""] * len(self._form.columns)
        for column, text in {**row, "ExportID": self._export}.items():
            self._put(found, column, text, like=self._style)
        self._written.made += 1
        return cells.line(found)

    def _knows(self, kept: KeptRow, told: Mapping[str, str]) -> bool:
        """Whether an Event says its result itself; a service given at once has one of its own."""
        if RESULT[0] not in told:
            return False
        said, event = (cells.code(self.says(kept, each)) for each in (RESULT[0], "Event"))
        return said == told[RESULT[0]] or event == SERVICE

    def says(self, kept: KeptRow, column: str) -> str:
        """What a kept row says in a column."""
        at = self._form.place(column)
        return (
            cells.read(self._form.row(kept.raw.decode(), kept.header)[at]) if at is not None else ""
        )

    def _renew(self, found: Cells) -> bool:
        at = self._at
        if at is None or not self._export or at >= len(found):
            return False
        if cells.read(found[at]) == self._export:
            return False
        found[at] = cells.write(self._export, quoted=found[at].startswith('"'))
        return True

    def _put(self, found: Cells, column: str, text: str, like: Cells | None = None) -> None:
        at = self._form.place(column)
        if at is None or at >= len(found):
            return
        model = found if like is None else like
        quoted = at < len(model) and model[at].startswith('"')
        found[at] = cells.write(text, quoted=quoted)
