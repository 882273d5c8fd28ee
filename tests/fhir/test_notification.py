"""Notifications as the R4 Backport 1.1 publishes them: made again by us, field by field."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.fhir import gates
from gateway.fhir.conformance import deviations
from gateway.fhir.notification import (
    NOTIFICATION,
    STATUS,
    Entry,
    Happening,
    Kind,
    State,
    bundle,
    status,
)
from gateway.fhir.profiles import shipped
from gateway.fhir.topics import Related
from tests.corpora import CORPORA, needs_corpora

Json = dict[str, Any]

PUBLISHED = [
    *sorted((CORPORA / "subscription-backport").glob("Bundle-*.json")),
    *sorted((CORPORA / "inferno-subscriptions/spec/fixtures").glob("*_bundle_example.json")),
]
HINT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
AT = datetime(2026, 3, 2, 15, 4, 5, tzinfo=UTC)


@needs_corpora
@pytest.mark.corpora
def test_the_published_bundles_are_here() -> None:
    assert len(PUBLISHED) >= 13


@needs_corpora
@pytest.mark.corpora
@pytest.mark.parametrize("file", PUBLISHED, ids=lambda file: file.stem)
def test_ours_has_the_fields_of_the_published_one(file: Path) -> None:
    theirs = as_r4(json.loads(file.read_bytes()))
    assert plain(made_again(theirs)) == plain(theirs)


@pytest.mark.parametrize("kind", ["handshake", "heartbeat", "event-notification", "query-event"])
def test_every_kind_is_a_notification_by_the_published_profile(kind: Kind) -> None:
    task = {"resourceType": "Task", "id": "t", "status": "requested", "intent": "order"}
    entry = Entry("Task/t", task, "create")
    related = (Related({"system": "http://example.org/q", "code": "x"}, "Patient/[id]/$x"),)
    happening = Happening(7, AT, "Task/t", ("Patient/p",), related, (entry,))
    told = () if kind in ("handshake", "heartbeat") else (happening,)
    made = bundle("https://hub.example/fhir", State("s", "http://t", "active", 7), kind, told, AT)
    gates.check(made, type="Bundle")
    conforms(made, NOTIFICATION)
    conforms(made["entry"][0]["resource"], STATUS)


def test_a_status_tells_why_it_is_in_error() -> None:
    state = State("s", "http://t", "error", 3, "Subscription.channel.endpoint: it answered 503")
    made = status("https://hub.example/fhir", state, "query-status")
    conforms(made, STATUS)
    error = made["parameter"][-1]["valueCodeableConcept"]
    assert error == {"text": "Subscription.channel.endpoint: it answered 503"}


def test_another_attempt_has_the_same_ids() -> None:
    state = State("s", "http://t", "active", 1)
    happening = (Happening(1, AT),)
    first = bundle("http://b", state, "event-notification", happening, AT, name="n")
    again = bundle("http://b", state, "event-notification", happening, AT, name="n")
    assert first == again
    assert first["id"] != first["entry"][0]["resource"]["id"]


def test_what_two_events_have_in_common_goes_once() -> None:
    person = {"resourceType": "Patient", "id": "p", "meta": {"versionId": "1"}}
    along = Entry("Patient/p", person)
    tasks = [
        Entry("Task/t", {"resourceType": "Task", "id": "t", "meta": {"versionId": n}}, "update")
        for n in ("1", "2")
    ]
    told = [
        Happening(n, AT, "Task/t", ("Patient/p",), (), (task, along))
        for n, task in enumerate(tasks, 1)
    ]
    made = bundle("http://b", State("s", "t", "active", 2), "event-notification", told, AT)
    assert [each["request"]["method"] for each in made["entry"]] == ["GET", "PUT", "GET", "PUT"]


def conforms(resource: Json, profile: str) -> None:
    known = shipped().get(profile)
    assert known is not None
    found = deviations(resource, known, shipped())
    assert [each for each in found if each.severity in ("error", "fatal")] == []


# --- a published bundle, read and made again ------------------------------------------------------


def made_again(theirs: Json) -> Json:
    parameters = theirs["entry"][0]["resource"]["parameter"]
    said = {each["name"]: value(each) for each in parameters if "part" not in each}
    base, _, id = said["subscription"]["reference"].rpartition("/Subscription/")
    happenings = [
        happening(base, each["part"], theirs["entry"][1:])
        for each in parameters
        if each["name"] == "notification-event"
    ]
    why = "the endpoint can't be reached" if "error" in said else ""
    count = int(said["events-since-subscription-start"])
    state = State(id, said["topic"], said["status"], count, why)
    return bundle(base, state, said["type"], happenings, moment(theirs["timestamp"]))


def happening(base: str, parts: list[Json], entries: list[Json]) -> Happening:
    along = tuple(
        value(each)["reference"].removeprefix(f"{base}/")
        for each in parts
        if each["name"] == "additional-context"
    )
    related = tuple(
        Related(value(each["part"][0]), value(each["part"][1]))
        for each in parts
        if each["name"] == "related-query"
    )
    said = {each["name"]: value(each) for each in parts if "part" not in each}
    focus = said.get("focus", {}).get("reference", "").removeprefix(f"{base}/")
    told = tuple(
        Entry(
            each["fullUrl"].removeprefix(f"{base}/"),
            each["resource"],
            "create" if each["request"]["method"] == "POST" else "",
        )
        for each in entries
    )
    return Happening(
        int(said["event-number"]), moment(said["timestamp"]), focus, along, related, told
    )


def value(parameter: Json) -> Any:
    return next(each for name, each in parameter.items() if name.startswith("value"))


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def as_r4(theirs: Json) -> Json:
    """R4B's SubscriptionStatus as R4's Parameters, by the backport's own table of names."""
    first = theirs["entry"][0]
    said = first["resource"]
    if said["resourceType"] == "Parameters":
        return theirs
    parameter = [
        {"name": "subscription", "valueReference": said["subscription"]},
        {"name": "topic", "valueCanonical": said["topic"]},
        {"name": "status", "valueCode": said["status"]},
        {"name": "type", "valueCode": said["type"]},
        {
            "name": "events-since-subscription-start",
            "valueString": said["eventsSinceSubscriptionStart"],
        },
        *(event(each) for each in said.get("notificationEvent", [])),
    ]
    meta = {"profile": [STATUS]}
    resource = {"resourceType": "Parameters", "id": "", "meta": meta, "parameter": parameter}
    entries = [{**first, "resource": resource}, *theirs["entry"][1:]]
    return {**theirs, "meta": {"profile": [NOTIFICATION]}, "entry": entries}


def event(theirs: Json) -> Json:
    part: list[Json] = [
        {"name": "event-number", "valueString": theirs["eventNumber"]},
        {"name": "timestamp", "valueInstant": theirs["timestamp"]},
    ]
    if "focus" in theirs:
        part.append({"name": "focus", "valueReference": theirs["focus"]})
    part += [
        {"name": "additional-context", "valueReference": each}
        for each in theirs.get("additionalContext", [])
    ]
    for each in theirs.get("extension", []):
        if each["url"] == f"{HINT}notification-authorization-hint":
            continue  # a subscriber has a key of its own here, and gets no other
        kind, query = (one for one in each["extension"])
        names = {"queryType": "query-type", "query": "query"}
        inner = [
            {"name": names[one["url"]]} | {k: v for k, v in one.items() if k != "url"}
            for one in (kind, query)
        ]
        part.append({"name": "related-query", "part": inner})
    return {"name": "notification-event", "part": part}


def plain(made: Json) -> Json:
    """Without what differs by nature: ids of our making, digits of a second, words of an error."""
    text = json.dumps(made)
    text = re.sub(r"urn:uuid:[0-9a-f-]{36}", "urn:uuid:", text)
    text = re.sub(r'"\d{4}-\d\d-\d\dT[^"]*"', lambda found: f'"{time(found[0])}"', text)
    out: Json = json.loads(text)
    out.pop("id", None)
    first = out["entry"][0]
    first["resource"].pop("id", None)
    for each in first["resource"]["parameter"]:
        each.get("valueCodeableConcept", {}).pop("text", None)
    return out


def time(quoted: str) -> str:
    at = datetime.fromisoformat(quoted.strip('"')).astimezone(UTC)
    return at.isoformat(timespec="milliseconds")
