"""A record on its way into the hub: who it is, whether it is new, and what is known against it."""

from __future__ import annotations

import hashlib
import marshal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from gateway.errors import GatewayError, ParseError, Refused, TranslateError
from gateway.loading.meaning import Meaning, Question
from gateway.rows import Joins, Record, name_of
from gateway.store import RowHead
from gateway.store.session import microseconds
from gateway.translate import RecordPlan, Rows
from gateway.translate.run import Scope

Verdict = Literal["go", "unchanged", "older", "deleted"]


@dataclass(slots=True)  # not frozen: a million are made, and freezing costs a microsecond each
class Due:
    """A record with all that can be told of it before it is translated.

    ``error`` says why it can't go in at all; ``by`` are its texts by which other files find it;
    ``passed``: another row of its id stands in the same file, and is the one that counts.
    ``scope`` is the record as paths see it, until somebody asks for its meaning.
    """

    record: Record
    id: str = field(repr=False)
    digest: bytes
    updated: int | None = None
    deleted: bool = False
    error: GatewayError | None = None
    by: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    meaning: Meaning | None = None
    passed: bool = False
    scope: Scope | None = field(default=None, repr=False)

    @property
    def question(self) -> Question | None:
        """What is to be asked of its meaning; None of a record that no map reads."""
        plan = self.record.plan
        return None if plan is None else (plan.name, self.record.given)

    @property
    def is_barred(self) -> bool:
        """Whether its map says that it may be kept nowhere."""
        return isinstance(self.error, Refused) and not self.error.keeps

    def verdict(self, known: RowHead | None) -> Verdict:
        """What is to be done about it, by what was kept of the same row."""
        if known is not None:
            said = self.updated, known.updated
            if said[0] is not None and said[1] is not None and said[0] < said[1]:
                return "older"
            if known.digest == self.digest and known.deleted == self.deleted:
                return "unchanged"
            if self.passed:
                return "older"
        if self.deleted:
            return "deleted" if known is not None and not known.deleted else "unchanged"
        return "go"


Columns = Callable[[RecordPlan], tuple[str, ...]]
"""The columns of a plan's file that other files find its rows by, beside their ids."""


def due(rows: Rows, joins: Joins, record: Record, by: tuple[str, ...], version: bytes) -> Due:
    """A record made ready to be judged: its lookups made, its id and time read."""
    plan = record.plan
    if record.fault:
        fault = ParseError(record.fault, place=record.place)
        return Due(record, "", _digest(record.raw.encode("utf-8", "replace")), error=fault)
    if plan is None:
        digest = _digest(version, record.counted)
        return Due(record, _digest(record.counted).hex(), digest)
    record.given, scope = rows.found(plan, record.given, joins)
    found = [one.texts for each in record.given.found.values() for one in each]
    digest = _digest(version, plan.name.encode(), record.counted, marshal.dumps(found, 2))
    run = rows.asking
    own = "" if plan.ids else _digest(plan.name.encode(), record.counted).hex()
    id_ = name_of(plan.id(run, scope)) or own
    said = plan.said(run, scope)
    error = _against(rows, plan, record, scope) if id_ else _nameless(plan, record)
    return Due(
        record,
        id_,
        digest,
        microseconds(said) if said is not None else None,
        plan.is_deleted(run, scope),
        error,
        tuple([(name, text) for name in by if (text := _text(plan, record, name))]),
        scope=scope,
    )


def _digest(*parts: bytes) -> bytes:
    return hashlib.blake2b(b"\0".join(parts), digest_size=16).digest()


def _text(plan: RecordPlan, record: Record, column: str) -> str:
    if column not in plan.columns:
        return ""
    return record.given.texts[plan.columns.index(column)]


def _nameless(plan: RecordPlan, record: Record) -> GatewayError:
    column = f":{plan.id_columns[0]}" if plan.id_columns and plan.id_columns[0] else ""
    place = f"{record.place}{column}"
    return TranslateError("nothing says which row this is", place=place, code="required")


def _against(rows: Rows, plan: RecordPlan, record: Record, scope: Scope) -> GatewayError | None:
    """What the maps and the agency's kind say against a row."""
    if rows.agency.confidential and plan.name in rows.feed.layout.persons:
        text = "a victim service provider's clients may not enter a shared database"
        return Refused(text, place=record.place, keeps=False)
    try:
        plan.refuse(rows.asking, scope)
    except Refused as error:
        return error
    return None
