"""The keeper's view of what goes out: what was set aside, replays, and why something did, or
didn't, fire.

Everything here is an administrator's. It tells of places, states and reasons, never of a
resource's content; each replay is on record (audit ``replay``, and among the delivery's attempts).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

from gateway.errors import Conflict, GatewayError, Gone, NotFound
from gateway.model import Context, Event, Stored, Subscriber
from gateway.outgoing.following import Following
from gateway.outgoing.standing import begin_again
from gateway.store import Hub, Reader, Standing, Transaction
from gateway.store.attempts import Attempt, Outcome
from gateway.store.deliveries import Place, Sent, Waiting

PAGE: Final = 100
_VERSIONS: Final = 20


@dataclass(frozen=True, slots=True)
class Asked:
    """Which deliveries are looked for; "" and None ask for all. ``about`` is ``Type/id``."""

    subscriber: str = ""
    agency: str = ""
    outcome: Outcome | None = None
    about: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether one version was, is or will be told to one subscriber, and why (``because``)."""

    event: Event
    subscriber: Subscriber
    fired: bool
    because: str
    delivery: Sent | None = None
    attempts: tuple[Attempt, ...] = ()


class Dispatch:
    """Looks deliveries up and sends them anew. ``see_to`` wakes a subscriber, ``wake`` those of
    written types."""

    def __init__(
        self,
        hub: Hub,
        following: Following,
        see_to: Callable[[str], None],
        wake: Callable[[set[str]], None],
    ) -> None:
        self._hub = hub
        self._following = following
        self._see_to = see_to
        self._wake = wake

    def deliveries(self, asked: Asked, before: Place | None = None) -> list[Sent]:
        """A page of deliveries, newest first."""
        about = _parts(asked.about) if asked.about else None
        with self._hub.read() as reader:
            return reader.deliveries(
                subscriber=asked.subscriber,
                agency=asked.agency,
                outcome=asked.outcome,
                about=about,
                before=before or (2**62, ""),
                count=PAGE,
            )

    def delivery(self, id: str) -> tuple[Sent, list[Attempt]]:
        """One delivery and the attempts that failed, newest first. Raises NotFound."""
        with self._hub.read() as reader:
            return reader.delivery(id), reader.attempts(id)

    def replay(self, context: Context, id: str) -> str:
        """Send one again, under its id and number. Raises NotFound; Conflict: it is pending."""
        subscriber = self._hub.write(lambda tx: _replay(tx, context, id))
        self._see_to(subscriber)
        return subscriber

    def replay_aside(self, context: Context, subscriber: str) -> int:
        """Send again all that was set aside for a subscriber, in their order. How many."""
        count = 0
        while True:
            with self._hub.read() as reader:
                page = reader.deliveries(subscriber=subscriber, outcome="aside", count=PAGE)
            if not page:
                break
            ids = [each.id for each in page]
            self._hub.write(partial(_replay_all, context=context, ids=ids))
            count += len(ids)
        self._see_to(subscriber)
        return count

    def subscribers(self) -> list[tuple[Standing, Waiting]]:
        """Every subscriber, how it stands and what it has before it."""
        with self._hub.read() as reader:
            found = (reader.standing(each.id) for each in reader.subscribers())
            return [(each, reader.waiting(each.subscriber.id)) for each in found if each]

    def resume(self, context: Context, id: str) -> None:
        """Try a subscriber again that is in error: its events were kept, and follow in order.

        Raises NotFound; Conflict: it isn't in error.
        """
        self._hub.write(lambda tx: _resume(tx, context, id))
        self._wake({"Subscription"})
        self._see_to(id)

    def trace(self, about: str, subscriber: str = "", version: int = 0) -> list[Verdict]:
        """Why each of a resource's newest versions was told, or wasn't, to whom it might concern.

        ``about`` is ``Type/id``; of one ``subscriber`` alone, or of one ``version``. Raises
        NotFound.
        """
        type_, id = _parts(about)
        with self._hub.read() as reader:
            happened = reader.happened(type_, id, _VERSIONS if not version else 1000)
            if not happened:
                raise NotFound("no such resource", place="resource")
            known = {subscriber} if subscriber else {each.id for each in reader.subscribers()}
            told = [each for each in map(reader.standing, sorted(known)) if each]
            sent = reader.deliveries(about=(type_, id), count=100 * PAGE)
            return [
                self._verdict(reader, place, event, each, sent)
                for place, event in happened
                if version in (0, event.version)
                for each in told
                if subscriber or _type(each.subscriber) == type_
            ]

    def _verdict(
        self,
        reader: Reader,
        place: tuple[int, int],
        event: Event,
        standing: Standing,
        sent: Sequence[Sent],
    ) -> Verdict:
        told = standing.subscriber
        for each in sent:
            if each.subscriber == told.id and each.event.sequence == event.sequence:
                attempts = tuple(reader.attempts(each.id))
                because = next(_stands(each, standing, attempts))
                fired = each.outcome in ("", "delivered")
                return Verdict(event, told, fired, because, each, attempts)
        because = "; ".join(self._because(reader, place, event, standing))
        return Verdict(event, told, False, because)

    def _because(
        self, reader: Reader, place: tuple[int, int], event: Event, standing: Standing
    ) -> Iterator[str]:
        """Why nothing was queued; the first reason is enough, and the last is what remains."""
        told = standing.subscriber
        if _type(told) != event.type:
            yield f"it follows {_type(told)}"
            return
        if place > standing.cursor:
            yield "not read yet" if told.status == "active" else f"its status is {told.status}"
            return
        stored = _seen(reader, told, event)
        if stored is None:
            yield "its agency had no right to this version, and has none"
            return
        try:
            concerned = self._following.concerns(told, event, stored)
        except GatewayError as error:
            yield f"nobody could say: {error}"
            return
        if concerned:
            yield "it would be told now: the right to it, or the subscription, came later"
        elif event.interaction == "delete" and not told.topic:
            yield "without a topic a deletion isn't told"
        else:
            unmet = self._following.unmet(told, stored) if event.interaction != "delete" else []
            yield f"not met: {', '.join(unmet)}" if unmet else _ELSEWHERE


_ELSEWHERE: Final = "not met: what its topic, its closing profile or other resources ask for"


def _stands(sent: Sent, standing: Standing, attempts: Sequence[Attempt]) -> Iterator[str]:
    """What became of a delivery, in words; the first counts."""
    if sent.outcome == "delivered":
        yield "the receiver took it"
    if sent.outcome == "withheld":
        yield "when it was due the right to it had ended"
    if sent.outcome == "aside":
        yield f"set aside: {attempts[0].reason}" if attempts else "set aside"
    if standing.subscriber.status != "active":
        yield f"it waits: the subscriber's status is {standing.subscriber.status}"
    if sent.attempts and attempts:
        yield f"it is tried again: {attempts[0].reason}"
    if standing.failing_since is not None:
        yield "it waits for one before it, which failed"
    yield "it is about to be sent"


def _seen(reader: Reader, told: Subscriber, event: Event) -> Stored | None:
    """The version as its agency may see it; of a deletion the one before."""
    number = event.version - (event.interaction == "delete")
    try:
        return reader.vread(Context(told.agency, told.id), event.type, event.id, number)
    except (NotFound, Gone):
        return None


def _replay(tx: Transaction, context: Context, id: str) -> str:
    subscriber = tx.replay(id, context.client, datetime.now(UTC))
    tx.audit(context, "replay", id)
    return subscriber


def _replay_all(tx: Transaction, context: Context, ids: Sequence[str]) -> None:
    for id in ids:
        _replay(tx, context, id)


def _resume(tx: Transaction, context: Context, id: str) -> None:
    standing = tx.standing(id)
    if standing is None:
        raise NotFound("no such subscriber")
    if standing.subscriber.status != "error":
        raise Conflict("this subscriber isn't in error")
    begin_again(tx, standing.subscriber)
    tx.audit(context, "resume", id)


def _type(told: Subscriber) -> str:
    return told.criteria.partition("?")[0]


def _parts(about: str) -> tuple[str, str]:
    type_, _, id = about.partition("/")
    return type_, id
