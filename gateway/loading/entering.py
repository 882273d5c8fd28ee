"""Rows into the hub: a batch a unit, each row whole or set aside, with what it was and made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

from gateway.admission.changes import change
from gateway.admission.rules import RULED, Hall, admit
from gateway.errors import GatewayError, Refused, TranslateError, Unavailable
from gateway.fhir.provenance import provenance
from gateway.identify.merge import led
from gateway.loading.due import Due
from gateway.loading.leaving import leave
from gateway.loading.meaning import Meaning, Question
from gateway.loading.tally import Fate
from gateway.messages import unmapped
from gateway.model import Context, Reference
from gateway.route.referral import assign
from gateway.store import Aside, NewRow, Ready, RowHead, Transaction, ready
from gateway.store.session import microseconds, moment
from gateway.translate import RecordPlan

ROUTED: Final = frozenset({"Task"})


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one file, in their order. ``name`` is what lookups call the file, ``map`` its map
    and version; ``head`` how it is written. ``mean`` tells what a row means of which nobody asked,
    since it was as it had been kept: before another row of its id, just ahead, took that place."""

    load: str
    feed: str
    name: str
    map: str
    sheet: int
    head: int
    rows: Sequence[Due]
    mean: Callable[[Sequence[Question]], list[Meaning]]


@dataclass(slots=True)
class Result:
    """What became of a batch: each row's fate, what was written, what was set aside."""

    fates: list[Fate] = field(default_factory=list)
    changes: Counter[tuple[str, str | None]] = field(default_factory=Counter)
    asides: list[Aside] = field(default_factory=list)  # raw: its first byte, b"" where none is kept
    warnings: list[tuple[str, str]] = field(default_factory=list)
    again: list[Due] = field(default_factory=list)


def enter(hall: Hall, tx: Transaction, context: Context, batch: Batch) -> Result:
    """Write a batch. Where one row fails, each is tried by itself.

    Raises:
        Unavailable: the database can't take it now: nothing was done.
    """
    try:
        with tx.savepoint():
            return _Entering(hall, tx, context, batch).all(alone=False)
    except Unavailable:
        raise
    except GatewayError:
        return _Entering(hall, tx, context, batch).all(alone=True)


class _Entering:
    """One attempt at a batch."""

    def __init__(self, hall: Hall, tx: Transaction, context: Context, batch: Batch) -> None:
        self._hall = hall
        self._tx = tx
        self._context = context
        self._batch = batch
        self._hides = context.agency in hall.members.confidential
        self._known = tx.row_heads(batch.sheet, (due.id for due in batch.rows if due.id))
        self._result = Result()
        self._kept: dict[str, NewRow] = {}
        self._written: list[Reference] = []
        self._wait = False

    def all(self, *, alone: bool) -> Result:
        """Each row in turn; ``alone``: one that fails takes nobody with it."""
        batch, tx = self._batch, self._tx
        tx.fetch(self._references())
        mends, self._wait = tx.has_row_asides(batch.sheet), tx.rows_wait(batch.sheet)
        for due in batch.rows:
            fate = self._one(due, alone=alone)
            self._result.fates.append(fate)
            if fate in ("new", "changed", "deleted") and mends:
                tx.rows_mended(batch.sheet, [due.id])
            if fate != "aside" and due.record.of:
                tx.close_row_aside(due.record.of, "mended")
        tx.keep_rows(batch.sheet, list(self._kept.values()))
        self._tell()
        return self._result

    def _references(self) -> Iterable[Reference]:
        for due in self._batch.rows:
            if due.meaning is not None:
                yield from (each.reference for each in due.meaning.entries)
                yield from (reference for reference, _ in due.meaning.refers)
            if due.deleted and due.id in self._known:
                yield from self._known[due.id].made

    def _one(self, due: Due, *, alone: bool) -> Fate:
        if due.error is not None:
            return self._aside(due, due.error)
        known = self._known.get(due.id)
        verdict = due.verdict(known)
        if verdict in ("unchanged", "older"):
            return verdict
        if verdict == "go" and due.meaning is None and due.question is not None:
            (due.meaning,) = self._batch.mean([due.question])
        before = len(self._written)
        try:
            if alone:
                with self._tx.savepoint():
                    made = self._changed(due, known)
            else:
                made = self._changed(due, known)
        except Unavailable:
            raise
        except GatewayError as error:
            if not alone and not isinstance(error, (TranslateError, Refused)):
                raise
            return self._aside(due, error)
        self._keep(due, made)
        self._lack(due, "accepted")
        if known is None:
            fate: Fate = "new"
        elif due.deleted:
            fate = "deleted"
        else:  # other maps, or other columns, may have made nothing else of it
            fate = "unchanged" if len(self._written) == before else "changed"
        if fate != "unchanged":
            self._result.again.append(due)
        return fate

    def _changed(self, due: Due, known: RowHead | None) -> tuple[Reference, ...]:
        """Write what a row says; what it makes from now on."""
        meaning = due.meaning or Meaning()
        if meaning.stage and not due.deleted:
            raise _error(meaning)
        written = [] if due.deleted else self._write(due, meaning)
        made = tuple([reference for reference, _ in written])
        if known is not None:
            self._leave([each for each in known.made if each not in made])
        for reference, made_so in written:
            self._result.changes[reference.partition("/")[0], made_so] += 1
            if made_so is not None:
                self._written.append(reference)
        if meaning.issues and not meaning.stage:
            told = [(each.place or due.record.place, each.text) for each in meaning.issues]
            self._result.warnings += told
        return made

    def _leave(self, made: Sequence[Reference]) -> None:
        """Take out what a row made, the last first."""
        for reference in reversed(made):
            left = leave(self._hall, self._tx, self._context, reference)
            if left is not None:
                self._result.changes[reference.partition("/")[0], left] += 1
                self._written.append(reference)

    def _write(self, due: Due, meaning: Meaning) -> list[tuple[Reference, str | None]]:
        """What a row makes: each resource, and what was done about it."""
        tx, me = self._tx, self._context.agency
        for reference, place in meaning.refers:
            if tx.owner(reference) != me:
                raise _absent(due.record.plan, reference.partition("/")[0], place)
        if self._hides or any(each.type in RULED for each in meaning.entries):
            return self._admitted(due, meaning.entries)
        made: list[tuple[Reference, str | None]] = []
        for each in meaning.entries:
            if tx.create(self._context, each.parts, due.updated):
                made.append((each.reference, "create"))
            else:
                made += self._admitted(due, (each,))
        return made

    def _admitted(self, due: Due, some: Sequence[Ready]) -> list[tuple[Reference, str | None]]:
        """The same of resources that are there, or that rules are about."""
        tx, opened = self._tx, [each.opened() for each in some]
        entries = tuple(entry for entry, _ in opened)
        if any(entry.resource["resourceType"] in ROUTED for entry in entries):
            entries = assign(entries, self._hall.members.directory)
        entries, warnings = led(entries, tx.content)
        self._result.warnings += [(due.record.place, one.text) for one in warnings]
        prepared = {id(entry): one for entry, one in opened}
        said = moment(due.updated) if due.updated is not None else None
        changes = [change(tx, entry, prepared.get(id(entry)), said) for entry in entries]
        written = admit(self._hall, tx, self._context, changes, trusted=True)
        return [(each.reference, each.change) for each in written]

    def _keep(self, due: Due, made: tuple[Reference, ...]) -> None:
        if due.id in self._kept:  # twice in one batch: the later one counts
            self._tx.keep_rows(self._batch.sheet, [self._kept.pop(due.id)])
        raw = due.record.raw.encode("utf-8", "replace")
        line = due.record.given.line
        new = NewRow(
            due.id, self._batch.head, line, due.digest, due.updated, due.deleted, made, raw, due.by
        )
        self._kept[due.id] = new
        self._known[due.id] = RowHead(due.id, due.digest, due.updated, due.deleted, made)

    def _aside(self, due: Due, error: GatewayError) -> Fate:
        keeps = not self._hides and (not isinstance(error, Refused) or error.keeps)
        record, issue = due.record, error.issues[0]
        found = Aside(
            id=str(uuid4()),
            agency=self._context.agency,
            feed=self._batch.feed,
            file=self._batch.name,
            load=self._batch.load,
            row=due.id if keeps else "",
            head=self._batch.head,
            line=record.given.line,
            stage=error.stage,
            place=issue.place or record.place,
            reason=issue.text,
            raw=record.raw.encode("utf-8", "replace") if keeps else b"",
            at=microseconds(datetime.now(UTC)),
            state="open",
        )
        self._tx.set_row_aside(self._batch.sheet, found)
        if found.row:
            self._lack(due, "failed")
        elif due.is_barred and due.id in self._known:
            self._forget(due, self._known[due.id])
        self._result.asides.append(replace(found, raw=found.raw[:1], row=""))
        return "aside"

    def _forget(self, due: Due, known: RowHead) -> None:
        """A row went in and may be kept no longer: what it made leaves, what it said is gone."""
        if due.verdict(known) == "older":
            return
        self._leave(known.made)
        given = due.record.given
        self._kept.pop(due.id, None)
        self._tx.keep_rows(
            self._batch.sheet,
            [NewRow(due.id, self._batch.head, given.line, b"", due.updated, True, (), b"")],
        )
        self._known[due.id] = RowHead(due.id, b"", due.updated, True, ())
        self._lack(due, "failed")

    def _lack(self, due: Due, outcome: str) -> None:
        """Have somebody asked for the codes that a row lacks; of the others this is its outcome."""
        lacks = due.meaning.lacks if due.meaning is not None and not due.deleted else ()
        if lacks or self._wait:
            source = unmapped.Source(self._batch.load, self._batch.feed)
            keys = unmapped.asked(self._tx, self._hall.members, self._context.agency, source, lacks)
            self._tx.row_waits(self._batch.sheet, due.id, keys, outcome)
            self._wait = True

    def _tell(self) -> None:
        """The batch's Provenance, and its line in the audit."""
        batch, context = self._batch, self._context
        if not self._written:
            return
        source = provenance(
            str(uuid4()),
            dict.fromkeys(self._written),
            sender=context.organization,
            message=batch.load,
            event=f"{batch.feed}/{batch.name}",
            map=batch.map,
            at=datetime.now(UTC),
        )
        self._tx.create(context, ready(source), None)
        self._tx.audit(context, f"load {batch.feed}/{batch.name}", batch.load)


def _absent(plan: RecordPlan | None, type_: str, place: str) -> GatewayError:
    """Why a row can't go in that refers to what isn't here.

    Where some rows of its file may be kept nowhere, this may be one of them: what would tell was
    itself refused, perhaps, by an earlier load.
    """
    text = f"refers to a {type_} that isn't here"
    if plan is not None and any(one.looks and not one.keeps for one in plan.refusals):
        whole = f"{text} to say whether the row may be kept: send it again, with that or after it"
        return Refused(whole, place=place, keeps=False)
    return TranslateError(text, place=place, code="not-found")


def _error(meaning: Meaning) -> GatewayError:
    """Why nothing could be made of a row, as an error of its stage."""
    first = meaning.issues[0]
    error = TranslateError(first.text, place=first.place, code=first.code)
    error.issues = meaning.issues
    return error


Settle = Callable[[Transaction, Hall, Context, str], None]
