"""What the hub lets go, and when: by settings in days, in small units, on record.

Kept for good unless a setting says otherwise. A referral's message stays until the referral has
come to its end and its asker was told: the answers are made out of it. What failed, waits, or was
set aside stays as long as ``keep_failed`` says. What went is counted in the trail (audit
``purge``), without a value.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from gateway.errors import Gone, NotFound
from gateway.fhir import json
from gateway.fhir.codes import MESSAGE_IDENTIFIER
from gateway.fhir.search import parse_query
from gateway.members import KEEPER, QUESTION, Members
from gateway.model import CLOSING
from gateway.settings import Settings
from gateway.store import Hub, Reader, Standing, Transaction
from gateway.store.attempts import Outcome
from gateway.store.purging import OldMessage, Step

KEY: Final = "purge"
"""What ``Work`` is woken by for what is old enough to go."""

EVERY: Final = timedelta(hours=1)
"""How often it is looked for."""

LOOK: Final = 1000
"""How many rows a look goes through."""

AT_ONCE: Final = 50
"""How many rows go in one unit: some milliseconds of the writer's."""

REST: Final = 4
"""A purge rests so many times as long as a unit took: most of the writer's time is others'."""

_ENDED: Final = frozenset(
    {"completed", "failed", "rejected", "cancelled", "entered-in-error", "revoked"}
)

_UNTOLD: Final[tuple[Outcome, ...]] = ("", "aside")
"""Of deliveries: those that may be sent still."""

Purge = Callable[[Transaction, Sequence[Any]], int]
Found = Iterator[tuple[Sequence[Any], Purge]]
"""Some keys at a time, and how they go."""


class Retention:
    """Looks for what is old, and lets it go. ``clock`` tells the time (aware)."""

    def __init__(
        self,
        hub: Hub,
        members: Members,
        settings: Settings,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._hub = hub
        self._members = members
        self._clock = clock
        self._days = {
            "messages": settings.keep_messages,
            "failed": settings.keep_failed,
            "audit": settings.keep_audit,
            "deliveries": settings.keep_deliveries,
            "history": settings.keep_history,
        }
        self._looked: datetime | None = None

    def due(self) -> bool:
        """Whether it is time to look again, and anything may go at all."""
        if not any(self._days.values()) or self._is_fresh(self._looked):
            return False
        with self._hub.read() as reader:
            self._looked = reader.purged()
        return not self._is_fresh(self._looked)

    def run(self) -> int:
        """Let go of all that may go; how many rows."""
        return sum(self(dry=False).values())

    def __call__(self, *, dry: bool) -> dict[str, int]:
        """What goes (``dry``: would go), by kind."""
        now = self._clock()
        told = {name: self._gone(found, dry=dry) for name, found in self._kinds(now)}
        if not dry:
            self._hub.write(partial(_note, at=now, told=told))
            self._looked = now
        return told

    def _is_fresh(self, looked: datetime | None) -> bool:
        return looked is not None and timedelta() <= self._clock() - looked < EVERY

    def _kinds(self, now: datetime) -> Iterator[tuple[str, Found]]:
        """What there is to look for, in the order in which it must go."""
        before = {name: now - timedelta(days=days) for name, days in self._days.items() if days}
        never = datetime.min.replace(tzinfo=UTC) + timedelta(days=1)
        if "messages" in before or "failed" in before:
            accepted, failed = before.get("messages", never), before.get("failed", never)
            yield "messages", self._messages(accepted, failed)
        if "messages" in before:
            for state in ("mended", "dropped"):
                yield f"{state} rows", self._asides(before["messages"], state)
        if "failed" in before:
            yield "rows set aside", self._asides(before["failed"], "open")
        if "messages" in before:
            walk = self._steps(Reader.old_loads, Transaction.purge_loads, before["messages"])
            yield "loads", walk
        if "audit" in before:
            yield "audit", self._steps(Reader.old_audit, Transaction.purge_audit, before["audit"])
        if "deliveries" in before:
            yield "deliveries", self._deliveries(before["deliveries"])
        if "history" in before:
            walk = self._steps(Reader.old_versions, Transaction.purge_versions, before["history"])
            yield "versions", walk

    def _gone(self, found: Found, *, dry: bool) -> int:
        gone = 0
        for keys, purge in found:
            for start in range(0, len(keys), AT_ONCE):
                some = keys[start : start + AT_ONCE]
                gone += len(some) if dry else self._written(purge, some)
        return gone

    def _written(self, purge: Purge, keys: Sequence[Any]) -> int:
        began = time.monotonic()
        gone: int = self._hub.write(lambda tx: purge(tx, keys))
        time.sleep(min(1.0, REST * (time.monotonic() - began)))
        return gone

    def _steps(
        self, look: Callable[..., Step], purge: Purge, *arguments: Any
    ) -> Iterator[tuple[Sequence[Any], Purge]]:
        after: int | None = 0
        while after is not None:
            with self._hub.read() as reader:
                step = look(reader, *arguments, after=after, count=LOOK)
            yield step.keys, purge
            after = step.next

    def _asides(self, before: datetime, state: str) -> Found:
        purge = partial(Transaction.purge_asides, state=state)
        return self._steps(Reader.old_asides, purge, before, state)

    def _deliveries(self, before: datetime) -> Found:
        with self._hub.read() as reader:
            ids = [each.id for each in reader.subscribers()]
        for id_ in ids:
            yield from self._steps(Reader.old_deliveries, Transaction.purge_deliveries, id_, before)

    # --- messages ---------------------------------------------------------------------------------

    def _messages(self, accepted: datetime, failed: datetime) -> Found:
        after: int | None = 0
        while after is not None:
            with self._hub.read() as reader:
                found, after = reader.old_messages(accepted, failed, after, LOOK)
                free = [one for one in found if one.failed or self._is_free(reader, one, accepted)]
            yield free, Transaction.purge_messages

    def _is_free(self, reader: Reader, one: OldMessage, before: datetime) -> bool:
        """Whether no answer will be made out of a message any more."""
        agency = self._members.get(one.agency)
        if agency is None or agency.closing is None:
            return True
        asked = [("entity:identifier", f"{MESSAGE_IDENTIFIER}|{one.id}"), ("_count", "10")]
        for source in reader.search(KEEPER, parse_query("Provenance", asked)).entries:
            for target in json.loads(source.body)["target"]:
                type_, _, id_ = str(target["reference"]).partition("/")
                if type_ in ("Task", QUESTION) and not _is_over(
                    reader, one.agency, type_, id_, before
                ):
                    return False
        return True


def _is_over(reader: Reader, agency: str, type: str, id: str, before: datetime) -> bool:
    """Whether a referral, or a question about one, ended long ago and its asker was told."""
    try:
        current = reader.read(KEEPER, type, id)
    except (NotFound, Gone):
        return True
    if current.updated >= before or json.loads(current.body).get("status") not in _ENDED:
        return False
    suffix = ":asks" if type == QUESTION else ""
    standing = reader.standing(f"{CLOSING}{agency}{suffix}")
    if standing is None or standing.subscriber.status == "off":
        return True
    return _is_told(reader, standing, type, id)


def _is_told(reader: Reader, standing: Standing, type: str, id: str) -> bool:
    """Whether a subscriber has read all of a resource's versions, and nothing of it waits."""
    newest = reader.happened(type, id, 1)
    if newest and newest[0][0] > standing.cursor:
        return False
    of = standing.subscriber.id
    return not any(
        reader.deliveries(subscriber=of, about=(type, id), outcome=outcome, count=1)
        for outcome in _UNTOLD
    )


def _note(tx: Transaction, at: datetime, told: dict[str, int]) -> None:
    for name, count in told.items():
        if count:
            tx.audit(KEEPER, "purge", f"{count} {name}")
    tx.purged_now(at)
