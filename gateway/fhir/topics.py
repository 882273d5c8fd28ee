"""SubscriptionTopics: what can be followed, as data (R5 SubscriptionTopic; R4 Backport 1.1).

Each ``topics/*.json`` in a folder of mappings is one, checked whole when it is loaded. Its triggers
are about one type of resource, and are searches that can be told from the resource alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal
from urllib.parse import parse_qsl

from gateway.errors import GatewayError, InvalidSearch, SettingError
from gateway.fhir import fhirpath
from gateway.fhir.codes import BASE
from gateway.fhir.elements import resource_types
from gateway.fhir.matching import in_memory, matches
from gateway.fhir.query import Query
from gateway.fhir.search import parse_query
from gateway.fhir.search_parameters import parameters
from gateway.model import Resource

FOLDER: Final = "topics"
LEAVING: Final = BASE + "StructureDefinition/topic-tells-leaving"
"""Extension of SubscriptionTopic (boolean): that the filters hold no longer is an event, too."""

RELATED: Final = (
    "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-related-query"
)

Interaction = Literal["create", "update", "delete"]
_INTERACTIONS: Final[tuple[Interaction, ...]] = ("create", "update", "delete")
_RESULTS: Final = {"test-passes": True, "test-fails": False, None: None}
_CORE: Final = "http://hl7.org/fhir/StructureDefinition/"


@dataclass(frozen=True, slots=True)
class Trigger:
    """Which changes of a resource are events.

    ``previous`` and ``current`` are searches that the version before and the new one must meet
    (None: any); ``both`` asks for both, else either is enough. ``on_create`` and ``on_delete``
    stand in for the version that isn't there. ``path`` is FHIRPath over %previous and %current.
    """

    interactions: frozenset[Interaction]
    previous: Query | None = None
    current: Query | None = None
    both: bool = False
    on_create: bool = False
    on_delete: bool = False
    path: str = ""

    def fires(
        self, interaction: Interaction, before: Resource | None, now: Resource | None
    ) -> bool:
        """Whether a change is an event; ``before`` and ``now`` are None where there is none."""
        if interaction not in self.interactions or not self._meets(before, now):
            return False
        return not self.path or fhirpath.true_of(self.path, before, now)

    def _meets(self, before: Resource | None, now: Resource | None) -> bool:
        tests = []
        if self.previous is not None:
            tests.append(self.on_create if before is None else matches(self.previous, before))
        if self.current is not None:
            tests.append(self.on_delete if now is None else matches(self.current, now))
        return all(tests) if self.both or not tests else any(tests)


@dataclass(frozen=True, slots=True)
class Filter:
    """A search parameter that a subscription may narrow a topic by; no ``suffixes``: any."""

    name: str
    suffixes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Related:
    """A query that tells more of an event: ``kind`` a Coding ({}: none), ``url`` with ``[id]``."""

    kind: Resource
    url: str


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic: events of ``type``. ``shape`` are includes of what goes with a whole resource.

    ``leaving``: that a subscription's filters hold no longer is an event, too. ``source`` is the
    resource that it was read from.
    """

    url: str
    title: str
    type: str
    triggers: tuple[Trigger, ...]
    filters: Mapping[str, Filter]
    shape: tuple[tuple[str, str], ...] = ()
    related: tuple[Related, ...] = ()
    leaving: bool = False
    source: Resource = field(default_factory=dict)

    @property
    def looks_back(self) -> bool:
        """Whether the version before an update must be known."""
        asks = (one.previous is not None or bool(one.path) for one in self.triggers)
        return self.leaving or any(asks)

    def fires(
        self, interaction: Interaction, before: Resource | None, now: Resource | None
    ) -> bool:
        """Whether a change is one of its events."""
        return any(each.fires(interaction, before, now) for each in self.triggers)

    def filtered(self, text: str) -> list[tuple[str, str]]:
        """A filter (``Task?owner=…``, or without the type) as search parameters.

        Raises InvalidSearch for what the topic can't be narrowed by.
        """
        pairs = parse_qsl(self._bare(text), keep_blank_values=True)
        if not pairs:
            raise InvalidSearch("a filter reads parameter=value", place="filter")
        for name, value in pairs:
            self._check(name, value)
        return pairs

    def criteria(self, filters: Iterable[str]) -> Query:
        """The search that all filters together ask for. Raises InvalidSearch."""
        pairs = [pair for text in filters for pair in self.filtered(text)]
        return _query(self.type, pairs)

    def _bare(self, text: str) -> str:
        for start in (f"{self.type}?", f"{self.type}."):  # both are about in published examples
            if text.startswith(start):
                return text.removeprefix(start)
        return text

    def _check(self, name: str, value: str) -> None:
        code, _, modifier = name.partition(":")
        known = self.filters.get(code)
        if known is None:
            names = ", ".join(sorted(self.filters)) or "nothing"
            raise InvalidSearch(f"the topic can be filtered by {names}", place="filter")
        prefix = value[:2] if value[:2] in _PREFIXES and value[2:3].isdigit() else ""
        asked = {each for each in (modifier, prefix) if each}
        if known.suffixes and not asked <= known.suffixes:
            allowed = ", ".join(sorted(known.suffixes))
            raise InvalidSearch(f"{code} can be filtered with {allowed}", place="filter")


_PREFIXES: Final = frozenset({"eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"})

Topics = Mapping[str, Topic]
"""Topics by canonical URL."""

NONE: Final[Topics] = MappingProxyType({})


def load(folders: Iterable[Path]) -> Topics:
    """All topics of the folders; those of earlier folders go before later ones of the same URL.

    Raises SettingError, whose place is the file.
    """
    found: dict[str, Topic] = {}
    for folder in folders:
        for file in sorted((folder / FOLDER).glob("*.json")):
            topic = _read(file)
            found.setdefault(topic.url, topic)
    return found


def named(topics: Topics, canonical: str) -> Topic | None:
    """The topic of a canonical URL, whatever version it asks for."""
    return topics.get(canonical.partition("|")[0])


def _read(file: Path) -> Topic:
    place = f"{file.parent.parent.name}/{FOLDER}/{file.name}"
    try:
        return topic(json.loads(file.read_bytes()))
    except GatewayError as error:
        where = f"{place}: {error.place}" if error.place else place
        raise SettingError(str(error), place=where) from None
    except (ValueError, KeyError, TypeError, AttributeError, OSError):
        raise SettingError("not a SubscriptionTopic in JSON", place=place) from None


def topic(resource: Resource) -> Topic:
    """A SubscriptionTopic resource (R4B or R5) as a topic. Raises SettingError, InvalidSearch."""
    if resource.get("resourceType") != "SubscriptionTopic" or not resource.get("url"):
        raise SettingError("a SubscriptionTopic has a url", place="url")
    given = resource.get("resourceTrigger") or []
    types = {_type(each.get("resource", "")) for each in given}
    if len(types) != 1:
        raise SettingError("its triggers are about one type of resource", place="resourceTrigger")
    (type_,) = types
    shapes = list(resource.get("notificationShape") or [])
    made = Topic(
        resource["url"],
        resource.get("title") or resource["url"].rpartition("/")[2],
        type_,
        tuple(_trigger(type_, each) for each in given),
        {one.name: one for one in map(_filter, resource.get("canFilterBy") or [])},
        tuple(pair for each in shapes for pair in _shape(each)),
        tuple(one for each in shapes for one in _related(each)),
        any(each.get("url") == LEAVING and each.get("valueBoolean") for each in _own(resource)),
        resource,
    )
    _check_names(made)
    return made


def _own(element: Resource) -> Sequence[Resource]:
    return element.get("extension") or ()


def _type(text: str) -> str:
    name = text.removeprefix(_CORE)
    if name not in resource_types():
        raise SettingError("a trigger names a resource type", place="resourceTrigger.resource")
    return name


def _trigger(type_: str, given: Resource) -> Trigger:
    interactions = given.get("supportedInteraction") or list(_INTERACTIONS)
    if not set(interactions) <= set(_INTERACTIONS):
        raise SettingError("create, update or delete", place="resourceTrigger.supportedInteraction")
    asked = given.get("queryCriteria") or {}
    path = given.get("fhirPathCriteria") or ""
    if path and not fhirpath.readable(path, type_):
        raise SettingError("can't be read", place="resourceTrigger.fhirPathCriteria")
    made = Trigger(
        frozenset(interactions),
        _criteria(type_, asked.get("previous")),
        _criteria(type_, asked.get("current")),
        bool(asked.get("requireBoth")),
        bool(_result(asked, "resultForCreate")),
        bool(_result(asked, "resultForDelete")),
        path,
    )
    _check_said(made, asked)
    return made


def _check_said(made: Trigger, asked: Resource) -> None:
    """What stands in for a version that isn't there must be said, and not guessed."""
    for query, interaction, name in (
        (made.previous, "create", "resultForCreate"),
        (made.current, "delete", "resultForDelete"),
    ):
        if query is not None and interaction in made.interactions and name not in asked:
            place = f"resourceTrigger.queryCriteria.{name}"
            raise SettingError("must say test-passes or test-fails", place=place)


def _result(asked: Resource, name: str) -> bool | None:
    try:
        return _RESULTS[asked.get(name)]
    except KeyError:
        place = f"resourceTrigger.queryCriteria.{name}"
        raise SettingError("is test-passes or test-fails", place=place) from None


def _criteria(type_: str, text: str | None) -> Query | None:
    if text is None:
        return None
    bare = text.removeprefix(f"{type_}?")
    return _query(type_, parse_qsl(bare, keep_blank_values=True))


def _query(type_: str, pairs: Sequence[tuple[str, str]]) -> Query:
    query = parse_query(type_, pairs)
    if not all(map(in_memory, query.criteria)) or query.includes or query.sort:
        raise InvalidSearch("a topic asks of one resource alone", place="criteria")
    return query


def _filter(given: Resource) -> Filter:
    suffixes = [*given.get("modifier", ()), *given.get("comparator", ())]
    return Filter(given["filterParameter"], frozenset(suffixes))


def _shape(given: Resource) -> list[tuple[str, str]]:
    """What goes with a whole resource, as the search words it."""
    out = [("_include", text) for text in given.get("include") or ()]
    return out + [("_revinclude", text) for text in given.get("revInclude") or ()]


def _related(given: Resource) -> list[Related]:
    out = []
    for each in _own(given):
        if each.get("url") == RELATED:
            parts: dict[str, Any] = {one["url"]: one for one in _own(each)}
            kind = parts.get("queryType", {}).get("valueCoding", {})
            out.append(Related(kind, parts["query"]["valueString"]))
    return out


def _check_names(made: Topic) -> None:
    """Every filter and include must be one that the search knows."""
    known = parameters(made.type)
    for name in made.filters:
        if name not in known or known[name].kind == "words":
            place = "canFilterBy.filterParameter"
            raise SettingError(f"{made.type} has no parameter '{name}' for it", place=place)
    parse_query(made.type, list(made.shape))
