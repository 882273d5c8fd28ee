"""The checker: holds what the hub and the subscriber have against the journal of the outside."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from tests.faults.load import Arrival, Journal

PAGE = 500
DELIVERED_WITHIN = 45.0

Json = dict[str, Any]


@dataclass
class Hub:
    """What the hub has, read over FHIR."""

    requests: list[Json]
    tasks: list[Json]
    patients: list[Json]
    provenances: list[Json]

    @classmethod
    async def read(cls, api: str, key: str) -> Hub:
        """Read all of it, page by page, with the key of its owner.

        Tasks come before what they refer to: a build that is still committing (the broken one)
        may add to what is read later, and takes nothing away from it.
        """
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(headers=headers, trust_env=False, timeout=60) as client:
            tasks = await _all(client, f"{api}/Task?_count={PAGE}")
            return cls(
                requests=await _all(client, f"{api}/ServiceRequest?_count={PAGE}"),
                tasks=tasks,
                patients=await _all(client, f"{api}/Patient?_count={PAGE}"),
                provenances=await _all(client, f"{api}/Provenance?_count={PAGE}"),
            )


async def delivered(journal: Journal, hub: Hub) -> None:
    """Wait until each subscriber has heard of every Task, or ``DELIVERED_WITHIN`` seconds."""
    due = {(each, task["id"]) for task in hub.tasks for each in journal.subscribers}
    waited = 0.0
    while due - {(it.subscriber, it.task) for it in journal.arrivals} and (
        waited < DELIVERED_WITHIN
    ):
        await asyncio.sleep(0.1)
        waited += 0.1


def faults(journal: Journal, hub: Hub) -> list[str]:
    """Every breach of the promise (DESIGN, section 2), a line each; none is what we want."""
    numbers = {request["id"]: number for number, request in _numbered(hub.requests)}
    return [*kept(journal, hub), *_undelivered(journal, hub, numbers)]


def kept(journal: Journal, hub: Hub) -> list[str]:
    """Those of them that the hub shows by itself, whoever heard of it."""
    refused = (f"refused: {answer}" for answer in journal.refusals)
    return [*refused, *_missing(journal, hub), *_doubled(journal, hub)]


def _missing(journal: Journal, hub: Hub) -> Iterator[str]:
    """What was acknowledged and isn't there."""
    requests = dict(_numbered(hub.requests))
    focused = {task["focus"]["reference"] for task in hub.tasks}
    for number in journal.acknowledged:
        if number not in requests:
            yield f"missing: ServiceRequest of {number}"
        elif f"ServiceRequest/{requests[number]['id']}" not in focused:
            yield f"missing: Task of {number}"
    patients = {patient["id"] for patient in hub.patients}
    for identifier, id in journal.created.items():
        if id not in patients:
            yield f"missing: Patient {identifier}"


def _doubled(journal: Journal, hub: Hub) -> Iterator[str]:
    """What is there twice, in two versions, or was never sent."""
    requests = [number for number, _ in _numbered(hub.requests)]
    yield from _twice("ServiceRequest", requests)
    yield from _twice("Task", (task["focus"]["reference"] for task in hub.tasks))
    people = [number for number, _ in _numbered(hub.patients)]
    yield from _twice("Patient", people)
    targets = (each["reference"] for source in hub.provenances for each in source["target"])
    yield from _twice("message about", (each for each in targets if each.startswith("Task/")))
    for resource in (*hub.requests, *hub.tasks, *hub.patients):
        if resource["meta"]["versionId"] != "1":
            yield f"doubled: {resource['resourceType']} has version {resource['meta']['versionId']}"
    for number in set(requests) - set(journal.sent):
        yield f"invented: {number}"


def _undelivered(journal: Journal, hub: Hub, numbers: dict[str, str]) -> Iterator[str]:
    """Each subscriber must have heard of each Task by one delivery id, each clinic's in order.

    A clinic sends a message after the last one's AA, so its Tasks' events stand in the order of
    its numbers; at least once means that a delivery may come again, but none may come early.
    """
    focused = {task["id"]: _id(task["focus"]["reference"]) for task in hub.tasks}
    yield from (f"dangling: focus of Task/{id}" for id in focused if focused[id] not in numbers)
    about = {id: numbers[request] for id, request in focused.items() if request in numbers}
    for subscriber in journal.subscribers:
        heard = [arrival for arrival in journal.arrivals if arrival.subscriber == subscriber]
        yield from _unheard(subscriber, heard, about)


def _unheard(subscriber: str, arrivals: list[Arrival], about: dict[str, str]) -> Iterator[str]:
    by_delivery: dict[str, Arrival] = {}
    for arrival in arrivals:
        by_delivery.setdefault(arrival.delivery, arrival)  # where it came first is its place
    firsts = by_delivery.values()
    yield from _twice(f"delivery to {subscriber}", (arrival.task for arrival in firsts))
    heard: dict[str, list[str]] = defaultdict(list)
    due: dict[str, list[str]] = defaultdict(list)
    for arrival in firsts:
        number = about.get(arrival.task, "S?-unknown")
        heard[number.split("-")[0]].append(number)
    for number in sorted(about.values()):
        due[number.split("-")[0]].append(number)
    for clinic in sorted({*due, *heard}):
        if heard[clinic] != due[clinic]:
            yield f"order: {subscriber} {clinic} {_difference(heard[clinic], due[clinic])}"


def _difference(heard: list[str], due: list[str]) -> str:
    for place, (got, wanted) in enumerate(zip(heard, due, strict=False), 1):
        if got != wanted:
            return f"event {place} should be {wanted} and is {got}"
    return f"{len(heard)} events came of {len(due)}"


def _twice(what: str, names: Iterable[str]) -> Iterator[str]:
    return (f"doubled: {what} {name}" for name, count in Counter(names).items() if count > 1)


def _numbered(resources: Iterable[Json]) -> Iterator[tuple[str, Json]]:
    """Resources by their own number, those of ours alone (``S0-00001``, ``D0-00001``)."""
    for resource in resources:
        for identifier in resource.get("identifier", []):
            if identifier.get("value", "")[:1] in ("S", "D"):
                yield identifier["value"], resource
                break


def _id(reference: str) -> str:
    return reference.partition("/")[2]


async def _all(client: httpx.AsyncClient, url: str | None) -> list[Json]:
    found: list[Json] = []
    while url:
        answer = await client.get(url)
        answer.raise_for_status()
        bundle = answer.json()
        found += [entry["resource"] for entry in bundle.get("entry", [])]
        links = {link["relation"]: link["url"] for link in bundle.get("link", [])}
        url = links.get("next")
    return found
