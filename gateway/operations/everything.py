"""``$everything``: all that the caller may see about a patient, page by page.

R4 patient-operation-everything. It is a search of the Patient's compartment and its Tasks, with
what these refer to. Each page is the store's own, so the one predicate and the pages' marks hold
here as in every search.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from gateway.errors import InvalidSearch
from gateway.fhir import json
from gateway.fhir.elements import resource_types
from gateway.fhir.query import Compartment, Condition, Include, Query
from gateway.fhir.rows import DateRow
from gateway.fhir.search import parse_query
from gateway.fhir.search_parameters import extract, parameters
from gateway.model import Context, Stored
from gateway.protect import scopes
from gateway.protect.least import shown
from gateway.store import Hub, Page, Reader

TASKS: Final = (("Task", "patient"),)
"""R4's compartment leaves Tasks out; a referral about the patient is about the patient."""

CARE: Final = (
    "date",
    "occurrence",
    "onset-date",
    "effective",
    "period",
    "authored-on",
    "authored",
    "authoredon",
    "recorded-date",
    "created",
    "whenhandedover",
    "location-period",
)
"""The parameters that say when care was given; the first that a type has counts."""

PAGE: Final = 100
"""How many resources a page holds."""

Note = Callable[[Context, str, Sequence[Stored]], None]
"""Notes what of others' was shown."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What of a patient is asked for. Times are FHIR's own texts, "" where not given.

    ``types`` bounds all that is answered, what is referred to as well. ``start`` and ``end`` bound
    the dates of care (what has none is in), ``since`` the last change.
    """

    types: tuple[str, ...] = ()
    since: str = ""
    start: str = ""
    end: str = ""
    count: int = PAGE
    cursor: str | None = None


class Everything:
    """Reads a patient's record as far as the caller may see it."""

    def __init__(self, hub: Hub, note: Note) -> None:
        self._hub = hub
        self._note = note

    def __call__(self, context: Context, id: str, asked: Asked, base: str) -> Page:
        """A page, with what it refers to. Raises Denied, NotFound, Gone, InvalidSearch."""
        scopes.require(context, "Patient", "r")
        with self._hub.read() as reader:
            reader.read(context, "Patient", id)
            page = gathered(reader, context, id, asked, base)
        self._note(context, "everything", (*page.entries, *page.included))
        return page


def gathered(reader: Reader, context: Context, id: str, asked: Asked, base: str) -> Page:
    """A page of what is about a patient, each as the caller may see it."""
    page = reader.search(context, _query(context, id, asked, base))
    kept = [one for one in page.entries if _may(context, one) and _in_care(one, asked)]
    # Another Patient that this one refers to is another record: it has an $everything of its own.
    along = [
        one
        for one in page.included
        if one.type != "Patient" and one.type in (asked.types or (one.type,)) and _may(context, one)
    ]
    # A filtered page holds less than it counts, so no total is told.
    total = None if asked.start or asked.end else page.total
    return Page(
        tuple(shown(context, one) for one in kept),
        total,
        page.next,
        tuple(shown(context, one) for one in along),
    )


def _query(context: Context, id: str, asked: Asked, base: str) -> Query:
    pairs = [("_count", str(asked.count))]
    pairs += [("_lastUpdated", f"ge{asked.since}")] if asked.since else []
    pairs += [("_cursor", asked.cursor)] if asked.cursor else []

    def allowed(type: str) -> bool:
        return scopes.allows(context.scopes, type, "r")

    query = parse_query("", pairs, base_url=base, within=("Patient", id), allows=allowed)
    types = tuple(dict.fromkeys((*query.types, *filter(allowed, ("Task",)))))
    wanted = tuple(type for type in asked.types if type in types)
    if not set(asked.types) <= set(resource_types()) or (asked.types and not wanted):
        raise InvalidSearch(f"must name one of: {', '.join(types)}", place="_type", code="value")
    return replace(
        query,
        types=wanted or types,
        criteria=tuple(_with_tasks(one) for one in query.criteria),
        includes=(Include("*", "*"),),
        pairs=(*query.pairs, ("_id", id), ("_type", ",".join(asked.types))),
    )


def _with_tasks(condition: Condition) -> Condition:
    if not isinstance(condition, Compartment):
        return condition
    return replace(condition, params=(*condition.params, *TASKS))


def _may(context: Context, one: Stored) -> bool:
    return scopes.allows(context.scopes, one.type, "r")


def _in_care(one: Stored, asked: Asked) -> bool:
    """Whether the care that a resource tells of is within the dates; one without a date is."""
    if not asked.start and not asked.end:
        return True
    known = parameters(one.type)
    code = next((name for name in CARE if name in known and known[name].kind == "date"), None)
    if code is None or one.type == "Patient":
        return True
    rows = extract(json.loads(one.body), frozenset({code}))
    times = [row for row in rows if isinstance(row, DateRow)]
    low, high = _moment(asked.start, "start"), _moment(asked.end, "end", last=True)
    return not times or any(row.low < high and row.high > low for row in times)


def _moment(text: str, place: str, *, last: bool = False) -> int:
    """The UTC microsecond that a FHIR date or time begins with, or with ``last`` ends before."""
    if not text:
        return 2**63 - 1 if last else -(2**63)
    row = extract({"resourceType": "Observation", "effectiveDateTime": text}, frozenset({"date"}))
    if not row or not isinstance(row[0], DateRow):
        raise InvalidSearch("not a date", place=place, code="value")
    return row[0].high if last else row[0].low
