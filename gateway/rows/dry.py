"""A load without a hub: what each row becomes. For tests beside maps, the bench, ``$convert``."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.errors import GatewayError, Issue
from gateway.model import Agency, Entry
from gateway.record import Given
from gateway.rows.came import Came, gathered
from gateway.rows.joins import Joins
from gateway.rows.records import Record, Records
from gateway.rows.staging import Staged, Staging, name_of
from gateway.translate import Library, Lookup, RecordPlan, Rows

LIMIT: Final = 2**30
"""The most bytes that an archive may unpack to."""


@dataclass(frozen=True, slots=True)
class Made:
    """What one row or record becomes. ``issue`` says why it would be set aside, None if it isn't.

    ``plan`` and ``given`` are what it was translated by and as; None where it couldn't be read.
    """

    file: str
    line: int
    id: str = field(repr=False)
    entries: tuple[Entry, ...] = field(default=(), repr=False)
    issue: Issue | None = None
    warnings: tuple[Issue, ...] = ()
    deleted: bool = False
    plan: RecordPlan | None = None
    given: Given | None = field(default=None, repr=False)


def read(library: Library, agency: Agency, feed: str, files: Iterable[Came]) -> Iterator[Made]:
    """What the rows of some files become, in the order of a load.

    Raises:
        ParseError: a file or archive that can't be read.
        TranslateError: the agency has no such feed, or a row of a file that decides says no.
    """
    rows = Rows(library, agency, feed)
    with tempfile.TemporaryDirectory() as folder:
        came = gathered(rows.feed, files, Path(folder), LIMIT)
        staging = Staging(None, rows)
        try:
            found = [Records(rows, one) for one in came]
            for records in found:
                staging.add(records)
            staging.index()
            joins = Joins(rows, staging, _nothing)
            for records in found:
                yield from (_made(rows, joins, record) for record in records)
        finally:
            staging.close()


def _nothing(lookup: Lookup, texts: Sequence[str]) -> Sequence[Staged]:
    return ()


def _made(rows: Rows, joins: Joins, record: Record) -> Made:
    given, plan = record.given, record.plan
    if record.fault:
        issue = Issue(record.fault, record.place, "structure", "100")
        return Made(given.file, given.line, "", issue=issue)
    if plan is None:
        return Made(given.file, given.line, "")
    given, scope = rows.found(plan, given, joins)
    run = rows.asking
    id_, deleted = name_of(plan.id(run, scope)), plan.is_deleted(run, scope)
    said = Made(given.file, given.line, id_, deleted=deleted, plan=plan, given=given)
    if deleted:
        return said
    try:
        made = rows.translate(plan, given)
    except GatewayError as error:
        return Made(given.file, given.line, id_, (), error.issues[0], plan=plan, given=given)
    entries, warnings = made.entries, made.warnings
    return Made(given.file, given.line, id_, entries, None, warnings, plan=plan, given=given)
