"""A partner that speaks FHIR R4 REST and is notified by rest-hook: a food bank, a shelter.

A notification is a knock without content (R4 Subscription, channel without payload): the partner
then asks what is new, so that no personal data travels to a door, and none is lost with a knock.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import uvicorn

from gateway.demo.fhir_client import FhirClient, RefusedError
from gateway.demo.inbox import DidNotComeError, Inbox, expecting
from gateway.demo.story import Story

HUB: Final = "Care Gateway"
SNOMED: Final = "http://snomed.info/sct"
SDOH: Final = "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes"
CAPACITY: Final = (
    "http://hl7.org/fhir/us/sdoh-clinicalcare/StructureDefinition/"
    "SDOHCC-ExtensionHealthcareServiceCapacityStatus"
)
BSER: Final = "http://hl7.org/fhir/us/bser/CodeSystem/TaskBusinessStatusCS"
FOOD: Final = ("710925007", "Provision of food")

Json = dict[str, Any]
Ask = Callable[[], Awaitable[MutableMapping[str, Any]]]
Say = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Referral:
    """What a partner may see of a referral: Task, ServiceRequest, Patient, and the Condition."""

    number: str
    task: Json
    request: Json
    patient: Json
    reason: Json

    @property
    def person(self) -> str:
        """The patient's name, as the partner's screen shows it."""
        name = self.patient["name"][0]
        return " ".join([*name.get("given", []), name["family"]])

    @property
    def need(self) -> str:
        """The reason, in the referrer's words."""
        code = self.reason["code"]
        return str(code.get("text") or code["coding"][0].get("display"))


class Partner:
    """One partner: ``referred`` waits for a referral, the other verbs answer it."""

    def __init__(self, id: str, name: str, fhir: FhirClient, story: Story) -> None:
        self.id, self.name = id, name
        self._fhir = fhir
        self._story = story
        self._knocks: Inbox[str] = Inbox()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._door = Door(
            uvicorn.Config(self._answer, log_config=None, lifespan="off", interface="asgi3")
        )
        self._serving: asyncio.Task[None] | None = None
        self._offer: Json | None = None

    @property
    def address(self) -> str:
        """Where it is notified."""
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    async def open(self, *statuses: str) -> None:
        """Open the door and subscribe to its own Tasks in each of the statuses."""
        self._serving = asyncio.create_task(self._door.serve(sockets=[self._socket]))
        async with expecting(f"the door of {self.name}"):
            while not self._door.started:
                await asyncio.sleep(0.005)
        for status in statuses:
            await self._subscribe(status)

    async def close(self) -> None:
        """Close the door."""
        self._door.should_exit = True
        if self._serving is not None:
            await self._serving

    async def referred(self, number: str) -> Referral:
        """Wait to be notified of the referral, then fetch it: Task, ServiceRequest, Patient."""
        task, request = await self._notified(number)
        self._story.tell(HUB, self.name, f"knocks: a Task is requested (referral {number})")
        patient = await self._fhir.read(request["subject"]["reference"])
        reason = await self._fhir.read(request["reasonReference"][0]["reference"])
        referral = Referral(number, task, request, patient, reason)
        seen = f"{referral.person}, {referral.need}"
        self._story.tell(self.name, HUB, f"GETs Task, ServiceRequest, Patient, Condition: {seen}")
        return referral

    async def cancelled(self, referral: Referral) -> None:
        """Wait to be notified of a cancellation: the Task is all that is left to see."""
        task, number = str(referral.task["id"]), referral.number
        what = f"a notification of referral {number} (cancelled) to {self.name}"
        async with expecting(what):
            while True:
                await self._knocks.take(what, lambda path: path == "/cancelled")
                if (await self._fhir.read(f"Task/{task}"))["status"] == "cancelled":
                    break
        self._story.tell(HUB, self.name, f"knocks: referral {number} is cancelled")

    async def move(
        self, referral: Referral, status: str, because: str = "", *, state: str = ""
    ) -> None:
        """Set the Task's status, with the reason where there is one; ``state`` in BSeR's codes."""
        change: Json = {"status": status}
        if because:
            change["statusReason"] = {"text": because}
        if state:
            change["businessStatus"] = {"coding": [{"system": BSER, "code": state}]}
        await self._change(referral, change)
        why = f" ({state})" if state else ""
        why += f": {because}" if because else ""
        self._story.tell(self.name, HUB, f"Task {referral.number} {status}{why}")

    async def again(self, referral: Referral) -> Referral:
        """GET the Task and the Patient that it is for anew."""
        task = await self._fhir.read(f"Task/{referral.task['id']}")
        patient = await self._fhir.read(task["for"]["reference"])
        return replace(referral, task=task, patient=patient)

    async def serve(self, referral: Referral) -> None:
        """Record the service as a Procedure, and complete the Task with it as output."""
        coding = {"system": SNOMED, "code": FOOD[0], "display": FOOD[1]}
        procedure = await self._fhir.create(
            {
                "resourceType": "Procedure",
                "status": "completed",
                "code": {"coding": [coding], "text": "Food package for a week"},
                "subject": referral.task["for"],
                "basedOn": [referral.task["focus"]],
                "performedDateTime": datetime.now(UTC).isoformat(timespec="seconds"),
                "performer": [{"actor": {"reference": f"Organization/{self.id}"}}],
            }
        )
        self._story.tell(self.name, HUB, f"POSTs Procedure {FOOD[0]} {FOOD[1]}")
        reference = f"Procedure/{procedure['id']}"
        kind = {"coding": [{"system": SDOH, "code": "resulting-activity"}]}
        output = [{"type": kind, "valueReference": {"reference": reference}}]
        await self._change(referral, {"status": "completed", "output": output})
        self._story.tell(self.name, HUB, f"Task {referral.number} completed, with the Procedure")

    async def offers(self, service: str, need: str, room: str) -> None:
        """Say in the directory that it has a service, and how much room (SDOH-CC's capacity)."""
        coding = [{"system": SDOH, "code": room}]
        told = {"url": "capacityStatus", "valueCodeableConcept": {"coding": coding}}
        offer: Json = self._offer or {
            "resourceType": "HealthcareService",
            "active": True,
            "name": service,
            "providedBy": {"reference": f"Organization/{self.id}"},
            "category": [{"coding": [{"system": SDOH, "code": need}]}],
        }
        offer["extension"] = [{"url": CAPACITY, "extension": [told]}]
        known = "id" in offer
        self._offer = await (self._fhir.update(offer) if known else self._fhir.create(offer))
        self._story.tell(self.name, HUB, f"{'PUTs' if known else 'POSTs'} {service}: {room}")

    async def may_not_bring(self, resource: Json, what: str) -> None:
        """Try to bring in what doesn't belong; ``DidNotComeError`` where that isn't refused."""
        try:
            await self._fhir.create(resource)
        except RefusedError as refused:
            self._story.tell(self.name, HUB, f"would POST {what}: {refused}")
            return
        raise DidNotComeError(f"a refusal of {what} of {self.name}")

    async def may_not_see(self, reference: str) -> None:
        """Ask for what no referral gives it; ``DidNotComeError`` where that isn't refused."""
        try:
            await self._fhir.read(reference)
        except RefusedError as refused:
            self._story.tell(self.name, HUB, f"asks for {reference}: {refused}")
            return
        raise DidNotComeError(f"a refusal of {reference} to {self.name}")

    async def _change(self, referral: Referral, change: Json) -> None:
        """Update the Task as it stands now: the hub may have written to it in the meantime."""
        async with expecting(f"an undisturbed update of Task {referral.number}"):
            while True:
                task = await self._fhir.read(f"Task/{referral.task['id']}")
                try:
                    await self._fhir.update(task | change)
                except RefusedError as refused:
                    if refused.status != 412:
                        raise
                else:
                    return

    async def _notified(self, number: str) -> tuple[Json, Json]:
        """Wait for knocks of what is requested until the referral is behind one."""
        what = f"a notification of referral {number} (requested) to {self.name}"
        async with expecting(what):
            while True:
                await self._knocks.take(what, lambda path: path == "/requested")
                found = await self._find(number)
                if found is not None:
                    return found

    async def _find(self, number: str) -> tuple[Json, Json] | None:
        for task in await self._fhir.search(f"Task?owner=Organization/{self.id}&status=requested"):
            request = await self._fhir.read(task["focus"]["reference"])
            if number in (each.get("value") for each in request.get("identifier", [])):
                return task, request
        return None

    async def _subscribe(self, status: str) -> None:
        criteria = f"Task?owner=Organization/{self.id}&status={status}"
        await self._fhir.create(
            {
                "resourceType": "Subscription",
                "status": "requested",
                "reason": f"{self.name} acts on its referrals",
                "criteria": criteria,
                "channel": {"type": "rest-hook", "endpoint": f"{self.address}/{status}"},
            }
        )
        self._story.tell(self.name, HUB, f"subscribes to {criteria}")

    async def _answer(self, scope: MutableMapping[str, Any], ask: Ask, say: Say) -> None:
        """ASGI: note the knock, answer 204."""
        while (await ask()).get("more_body"):
            pass
        await self._knocks.put(scope["path"])
        await say({"type": "http.response.start", "status": 204, "headers": []})
        await say({"type": "http.response.body", "body": b""})


class Door(uvicorn.Server):
    """Where an agency is called; it leaves the signals to the program that it is part of."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None: Ctrl-C is the program's."""
        yield
