"""Places that are taken: services whose stays the hub counts keep their capacity live.

A HealthcareService asks for it (``capacity-detail``: ``stays`` and ``total``) and names its
Locations. Taken is a place for each patient with an Encounter of the service's own agency that is
in progress there, whether it came as ADT or as FHIR. Nothing is counted on the way in: a look every
few seconds finds what changed, and what a crash left uncounted the next start counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from gateway.admission.rules import Change, Hall, admit
from gateway.fhir import gates, json
from gateway.fhir.search import parse_query
from gateway.members import KEEPER
from gateway.model import Context, Reference, Resource, Stored
from gateway.route import capacity
from gateway.store import Hub, Reader, Transaction

KEY: Final = "beds"
"""What ``Work`` is woken by for stays to count."""

PRESENT: Final = "in-progress,onleave"
"""Encounter.status of somebody who has a place."""

OVERLAP: Final = timedelta(seconds=2)
"""A look goes back a little, over what was being committed during the last one."""

REFRESH: Final = timedelta(hours=1)
"""How often all are counted, changed or not: what was said mustn't grow stale."""

PAGE: Final = 500

Submit = Callable[[Callable[[Transaction], Any]], Future[Any]]


class Beds:
    """Counts stays. ``clock`` tells the time (aware)."""

    def __init__(
        self,
        hub: Hub,
        hall: Hall,
        submit: Submit,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._hub = hub
        self._hall = hall
        self._submit = submit
        self._clock = clock
        self._counted: dict[str, tuple[str, tuple[Reference, ...]]] = {}
        self._seen: datetime | None = None
        self._refreshed = datetime.min.replace(tzinfo=UTC)

    def due(self) -> bool:
        """Whether anything may have to be counted."""
        if self._seen is None:
            return True
        if self._counted and self._clock() - self._refreshed > REFRESH:
            return True
        types = ("HealthcareService", "Encounter") if self._counted else ("HealthcareService",)
        with self._hub.read() as reader:
            return any(next(_changed(reader, each, self._seen, 1), None) for each in types)

    def run(self) -> int:
        """Count, and say what changed; of how many services. Blocks."""
        now = self._clock()
        with self._hub.read() as reader:
            for stored in _changed(reader, "HealthcareService", self._seen, PAGE):
                self._learn(stored)
            counts = {id: _taken(reader, *known) for id, known in self._counted.items()}
        said = [
            self._submit(partial(self._tell, id=id, taken=taken)) for id, taken in counts.items()
        ]
        self._refreshed, self._seen = now, now - OVERLAP
        return sum(each.result() for each in said)

    def _learn(self, stored: Stored) -> None:
        """Whether its stays are to be counted, and where."""
        service = json.loads(stored.body)
        places = tuple(each.get("reference") or "" for each in service.get("location") or [])
        counts = capacity.counts_stays(service) and service.get("active") is not False
        if counts and any(places):
            self._counted[stored.id] = (stored.owner, places)
        else:
            self._counted.pop(stored.id, None)

    def _tell(self, tx: Transaction, id: str, taken: int) -> bool:
        """Say in the service's name how many places are free; whether that is news."""
        stored = tx.current("HealthcareService", id)
        service: Resource = json.loads(stored.body) if stored else {}
        now = self._clock()
        if stored is None or not capacity.counts_stays(service):
            return False
        said = capacity.after_stays(service, taken, now)
        if not capacity.is_news(service, said, now):
            return False
        context = Context(stored.owner, "gateway")
        admit(self._hall, tx, context, [Change(gates.check(said))], trusted=True)
        tx.audit(context, "update", stored.reference)
        return True


def _changed(reader: Reader, type: str, since: datetime | None, count: int) -> Iterator[Stored]:
    """The resources of a type that changed since then, or all; ``count`` a page."""
    when = [("_lastUpdated", f"ge{since.isoformat(timespec='milliseconds')}")] if since else []
    return _found(reader, type, *when, ("_count", str(count)))


def _taken(reader: Reader, owner: str, places: tuple[Reference, ...]) -> int:
    """How many patients of that agency are there."""
    pairs = (("location", ",".join(filter(None, places))), ("status", PRESENT))
    stays = _found(reader, "Encounter", *pairs, ("_count", str(PAGE)))
    there = [json.loads(each.body) for each in stays if each.owner == owner]
    return len({(each.get("subject") or {}).get("reference") or each["id"] for each in there})


def _found(reader: Reader, type: str, *pairs: tuple[str, str]) -> Iterator[Stored]:
    cursor: str | None = ""
    while cursor is not None:
        more = [("_cursor", cursor)] if cursor else []
        page = reader.search(KEEPER, parse_query(type, [*pairs, ("_total", "none"), *more]))
        yield from page.entries
        cursor = page.next
