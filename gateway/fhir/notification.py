"""A topic's notification: a Bundle that begins with the subscription's status as Parameters.

R4 Backport 1.1, profiles backport-subscription-notification-r4 and backport-subscription-status-r4:
pure, from what is to be told to JSON.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from gateway.fhir.meta import instant
from gateway.fhir.topics import Related
from gateway.model import Reference, Resource

IG: Final = "http://hl7.org/fhir/uv/subscriptions-backport/"
PROFILES: Final = IG + "StructureDefinition/"
NOTIFICATION: Final = PROFILES + "backport-subscription-notification-r4"
STATUS: Final = PROFILES + "backport-subscription-status-r4"
SUBSCRIPTION: Final = PROFILES + "backport-subscription"
TOPIC: Final = PROFILES + "capabilitystatement-subscriptiontopic-canonical"
FILTER: Final = PROFILES + "backport-filter-criteria"
HEARTBEAT: Final = PROFILES + "backport-heartbeat-period"
TIMEOUT: Final = PROFILES + "backport-timeout"
MAX_COUNT: Final = PROFILES + "backport-max-count"
CONTENT: Final = PROFILES + "backport-payload-content"
CHANNEL: Final = PROFILES + "backport-channel-type"

ERRORS: Final = "http://terminology.hl7.org/CodeSystem/subscription-error"
_NAMES: Final = uuid.UUID("5f0d4f6e-6a5e-5c3e-9a55-0c6a1f2a7c11")

Kind = Literal["handshake", "heartbeat", "event-notification", "query-status", "query-event"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A resource that goes with a notification; ``resource`` None: it was deleted.

    ``interaction`` is what happened to it; "" where it only goes along.
    """

    reference: Reference
    resource: Resource | None
    interaction: Literal["create", "update", "delete", ""] = ""


@dataclass(frozen=True, slots=True)
class Happening:
    """One event: its number and time; ``focus`` "" where it isn't told.

    ``along`` are references to what belongs to it, ``related`` queries that tell more.
    """

    number: int
    at: datetime
    focus: Reference = ""
    along: tuple[Reference, ...] = ()
    related: tuple[Related, ...] = ()
    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class State:
    """How a subscription stands: ``events`` is how many there were since it began.

    ``topic`` "" for one that follows none; ``error`` is why it is in error, "" if it isn't.
    """

    id: str
    topic: str
    status: str
    events: int
    error: str = ""


def status(
    base: str, state: State, kind: Kind, happenings: Iterable[Happening] = (), *, name: str = ""
) -> Resource:
    """The status as Parameters. ``base`` is the FHIR base URL; ``name`` makes its id, else any."""
    told: list[Resource] = [
        {
            "name": "subscription",
            "valueReference": {"reference": f"{base}/Subscription/{state.id}"},
        },
    ]
    if state.topic:
        told.append({"name": "topic", "valueCanonical": state.topic})
    told += [
        {"name": "status", "valueCode": state.status},
        {"name": "type", "valueCode": kind},
        {"name": "events-since-subscription-start", "valueString": str(state.events)},
    ]
    told += [_happening(base, each) for each in happenings]
    if state.error:
        told.append({"name": "error", "valueCodeableConcept": _error(state.error)})
    id_ = str(uuid.uuid5(_NAMES, name) if name else uuid.uuid4())
    return {
        "resourceType": "Parameters",
        "id": id_,
        "meta": {"profile": [STATUS]},
        "parameter": told,
    }


def bundle(
    base: str,
    state: State,
    kind: Kind,
    happenings: Sequence[Happening],
    at: datetime,
    *,
    name: str = "",
) -> Resource:
    """A notification. The same ``name`` gives the same ids: another attempt is the same one."""
    said = status(base, state, kind, happenings, name=name)
    entries = [each for one in happenings for each in one.entries]
    id_ = str(uuid.uuid5(_NAMES, f"bundle {name}") if name else uuid.uuid4())
    first = {
        "fullUrl": f"urn:uuid:{said['id']}",
        "resource": said,
        "request": {"method": "GET", "url": f"{base}/Subscription/{state.id}/$status"},
        "response": {"status": "200"},
    }
    return {
        "resourceType": "Bundle",
        "id": id_,
        "meta": {"profile": [NOTIFICATION]},
        "type": "history",
        "timestamp": instant(at),
        "entry": [first, *(_entry(base, each) for each in _once(entries))],
    }


def _happening(base: str, one: Happening) -> Resource:
    part: list[Resource] = [
        {"name": "event-number", "valueString": str(one.number)},
        {"name": "timestamp", "valueInstant": instant(one.at)},
    ]
    if one.focus:
        part.append({"name": "focus", "valueReference": {"reference": f"{base}/{one.focus}"}})
    part += [
        {"name": "additional-context", "valueReference": {"reference": f"{base}/{each}"}}
        for each in one.along
    ]
    part += [_related(base, each, one.focus) for each in one.related]
    return {"name": "notification-event", "part": part}


def _related(base: str, one: Related, focus: Reference) -> Resource:
    url = one.url.replace("[id]", focus.rpartition("/")[2])
    query = url if "://" in url else f"{base}/{url}"
    part: list[Resource] = [{"name": "query-type", "valueCoding": one.kind}] if one.kind else []
    return {"name": "related-query", "part": [*part, {"name": "query", "valueString": query}]}


def _error(text: str) -> Resource:
    silent = "answer in time" in text or "can't be reached" in text
    coding = [{"system": ERRORS, "code": "no-response"}]
    return {"coding": coding, "text": text} if silent else {"text": text}


def _once(entries: Iterable[Entry]) -> list[Entry]:
    """Each version once: what two events have in common needn't go twice (bdl-7)."""
    found: dict[tuple[str, str], Entry] = {}
    for each in entries:
        version = ((each.resource or {}).get("meta") or {}).get("versionId", "")
        known = found.get((each.reference, version))
        if known is None or (each.interaction and not known.interaction):
            found[each.reference, version] = each
    return list(found.values())


_METHODS: Final = {
    "create": ("POST", "201"),
    "update": ("PUT", "200"),
    "delete": ("DELETE", "204"),
    "": ("GET", "200"),
}


def _entry(base: str, one: Entry) -> Resource:
    method, code = _METHODS[one.interaction]
    url = one.reference.partition("/")[0] if method == "POST" else one.reference
    out: Resource = {"fullUrl": f"{base}/{one.reference}"}
    if one.resource is not None:
        out["resource"] = one.resource
    return out | {"request": {"method": method, "url": url}, "response": {"status": code}}
