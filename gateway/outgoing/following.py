"""Which events concern a subscriber: its criteria, or its topic and filters, over what it may see.

Asked when a version is read from the log. A criterion that asks of other resources too (a chain,
``_has``) or of a whole text is asked of the hub as it stands then: R4's Subscription is told when
the resource itself is written, not when another makes it match.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl

from gateway.close import loop
from gateway.closing import Closings
from gateway.errors import DeliverError, Gone, NotFound
from gateway.fhir import json
from gateway.fhir.matching import in_memory
from gateway.fhir.query import Composite, Criterion, Query
from gateway.fhir.search import awaited, matches, parse_query
from gateway.fhir.topics import Topic, Topics
from gateway.model import Context, Event, Resource, Stored, Subscriber
from gateway.outgoing.letters import is_news
from gateway.protect.least import shown
from gateway.store import Hub

SMALL: Final = 2**14
"""Bytes up to which a version is remembered as it was parsed."""


class Following:
    """Judges events."""

    def __init__(self, hub: Hub, closings: Closings, topics: Topics) -> None:
        self._hub = hub
        self._closings = closings
        self._topics = topics

    def concerns(self, told: Subscriber, event: Event, stored: Stored) -> bool:
        """Whether a version that the subscriber may see is one that it asked for.

        Raises DeliverError where its topic is no longer known.
        """
        if told.topic:
            return self._happened(told, event, stored)
        if event.interaction == "delete":
            return False
        seen = _seen(told, stored)
        if told.is_closing:
            return self._moved(told, event, seen)
        if told.is_mailed and not is_news(self._previous(told, event), seen):
            return False
        return self._meets(told, event, seen)

    def unmet(self, told: Subscriber, stored: Stored) -> list[str]:
        """The search parameters of its criteria, or filters, that a version doesn't meet by itself.

        Empty where what isn't met lies elsewhere: in other resources, or in its topic.
        """
        query, seen = _query(told.criteria), _seen(told, stored)
        alone = [one for one in query.criteria if isinstance(one, Criterion | Composite)]
        alone = [one for one in alone if in_memory(one)]
        return [one.param for one in alone if not matches(replace(query, criteria=(one,)), seen)]

    def _moved(self, told: Subscriber, event: Event, seen: Resource) -> bool:
        task = seen.get("resourceType") == "Task"
        if task and not loop.is_news(str(seen.get("status"))):
            return False
        return matches(_query(told.criteria), seen) and self._closings.concerns(told, event)

    def _meets(self, told: Subscriber, event: Event, seen: Resource) -> bool:
        query = _query(told.criteria)
        alone = tuple(one for one in query.criteria if in_memory(one))
        if not matches(replace(query, criteria=alone), seen):
            return False
        return len(alone) == len(query.criteria) or self._found(told, query, event.id)

    def _found(self, told: Subscriber, query: Query, id: str) -> bool:
        """Whether the hub finds the resource by the whole search, as the subscriber may."""
        for late in awaited(query):
            self._hub.catch_up(late)
        asked = [*query.pairs, ("_id", id), ("_count", "1"), ("_total", "none")]
        with self._hub.read() as reader:
            page = reader.search(Context(told.agency, told.id), parse_query(query.type, asked))
        return bool(page.entries)

    def _previous(self, told: Subscriber, event: Event) -> Resource | None:
        """The version before, where its agency may see it."""
        if event.version == 1:
            return None
        with self._hub.read() as reader:
            try:
                context = Context(told.agency, told.id)
                found = reader.vread(context, event.type, event.id, event.version - 1)
            except (NotFound, Gone):
                return None
        return _seen(told, found)

    def _happened(self, told: Subscriber, event: Event, stored: Stored) -> bool:
        topic = self._topics.get(told.topic)
        if topic is None:
            raise DeliverError("its topic is no longer known", place="Subscription.criteria")
        now = None if event.interaction == "delete" else _seen(told, stored)
        before = self._before(told, topic, event)
        if not topic.fires(event.interaction, before, now):
            return False
        query = _query(told.criteria)
        focus = [each for each in (now, before) if each is not None]
        asked: Sequence[Resource] = focus if topic.leaving else focus[:1]
        return any(matches(query, each) for each in asked) if asked else not query.criteria

    def _before(self, told: Subscriber, topic: Topic, event: Event) -> Resource | None:
        """The version before, as the subscriber may see it: what it couldn't see, wasn't there."""
        if not (topic.looks_back or event.interaction == "delete"):
            return None
        return self._previous(told, event)


def _seen(told: Subscriber, stored: Stored) -> Resource:
    """A version as the subscriber may see it. It isn't to be changed."""
    body = shown(Context(told.agency, told.id), stored).body
    return _parsed(body) if len(body) <= SMALL else json.loads(body)


@lru_cache(maxsize=512)
def _parsed(body: bytes) -> Resource:
    """Each of many subscribers is asked about the same version."""
    return json.loads(body)


@lru_cache(maxsize=4096)
def _query(criteria: str) -> Query:
    type_, _, rest = criteria.partition("?")
    return parse_query(type_, parse_qsl(rest, keep_blank_values=True))
