"""What the hub says of a referral, asked with the clinic's own key: is its loop closed?"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any, Final

from gateway.demo.fhir_client import FhirClient
from gateway.demo.inbox import DidNotComeError, expecting
from gateway.demo.people import Person
from gateway.demo.story import Story

LOOP_DELIVERED: Final = "https://care-gateway.example/fhir/StructureDefinition/loop-delivered"

Json = dict[str, Any]


class Desk:
    """A clinic's referral desk, which looks at the hub instead of waiting for the engine."""

    def __init__(self, name: str, fhir: FhirClient) -> None:
        self._name = name
        self._fhir = fhir

    async def delivered(self, number: str, status: str, kind: str) -> str:
        """Wait until the Task has ``status`` and its ``kind`` message was acknowledged: when."""
        async with expecting(f"the note at {self._name} that the loop of {number} is delivered"):
            while True:
                tasks = await self._tasks(number)
                found = [at for task in tasks for at in _acknowledged(task, kind)]
                if found and all(task["status"] == status for task in tasks):
                    return f"{datetime.fromisoformat(found[-1]).astimezone():%H:%M:%S}"
                await asyncio.sleep(0.05)

    async def stands(self, number: str, word: str) -> None:
        """Wait until the hub says of the referral that it is ``word`` (Task.businessStatus)."""
        async with expecting(f"the word '{word}' at {self._name} about {number}"):
            while not any(_says(task, word) for task in await self._tasks(number)):
                await asyncio.sleep(0.05)

    async def only_one(self, number: str) -> None:
        """``DidNotComeError`` unless the referral has one ServiceRequest and one Task."""
        requests = await self._requests(number)
        tasks = await self._tasks(number)
        if (len(requests), len(tasks)) != (1, 1):
            raise DidNotComeError(f"one ServiceRequest and one Task for {number}")

    async def result(self, code: str) -> str:
        """The reference of the Observation with that LOINC code."""
        found = await self._fhir.search(f"Observation?code=http://loinc.org|{code}")
        if not found:
            raise DidNotComeError(f"the Observation {code} at {self._name}")
        return f"Observation/{found[0]['id']}"

    async def _requests(self, number: str) -> list[Json]:
        return await self._fhir.search(f"ServiceRequest?identifier={number}")

    async def _tasks(self, number: str) -> list[Json]:
        requests = await self._requests(number)
        focus = ",".join(f"ServiceRequest/{request['id']}" for request in requests)
        return await self._fhir.search(f"Task?focus={focus}") if focus else []


class Keeper:
    """Who keeps the hub, and may read all that is in it."""

    def __init__(self, fhir: FhirClient, story: Story) -> None:
        self._fhir = fhir
        self._story = story

    async def knows_nobody(self, person: Person) -> None:
        """``DidNotComeError`` where the hub has a record of the person."""
        asked = f"Patient?family={person.family}", f"Patient?phone={person.phone}"
        if any([await self._fhir.search(each) for each in asked]):
            raise DidNotComeError("a hub that doesn't know who somebody is")
        what = f"looks for {person.name} in all of the hub: no such person"
        self._story.note("Keeper of the hub", what)


def _says(task: Json, word: str) -> bool:
    coding = task.get("businessStatus", {}).get("coding", [])
    return any(each.get("code") == word for each in coding)


def _acknowledged(task: Json, kind: str) -> list[str]:
    """When the clinic acknowledged each ``kind`` message of the Task, as FHIR instants."""
    notes = (note for note in task.get("extension", []) if note["url"] == LOOP_DELIVERED)
    parts = ({part["url"]: part for part in note["extension"]} for note in notes)
    return [
        each["acknowledged"]["valueInstant"]
        for each in parts
        if each["message"]["valueCode"] == kind
    ]
