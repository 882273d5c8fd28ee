"""A small county for tests of the indirect flow: a clinic that asks, agencies that are asked.

Time is the test's own: it goes on by ``later``, and what is due then is done.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.coordination.timers import Timers
from gateway.exchange.searching import Search
from gateway.exchange.writing import Done
from gateway.fhir.codes import CAPACITY_STATUS, SDOH_CODES, TASK_CODE, TASK_PART
from gateway.model import HUB, Context
from gateway.pipeline import Pipeline
from gateway.receive.arrival import as_message
from gateway.route.timing import Timing
from gateway.settings import Settings
from gateway.store import Hub, Pursuit, Timer, Unmet
from tests.agencies import small_library

CLINIC = Context("clinic", "test")
ADMIN = Context(HUB, "test", admin=True)
SHELTERS = ("ash", "birch", "cedar", "doum", "elm")
FOOD, HOME = "food-insecurity", "homelessness"

Json = dict[str, Any]


class County:
    """The gateway without background work: a test says when it is done."""

    def __init__(self, hub: Hub, *, navigator: str = "", hops: int = 5) -> None:
        self.hub = hub
        settings = Settings(navigator=navigator, referral_hops=hops)
        self.timing = Timing.of(settings)
        self.pipeline = Pipeline(hub, small_library(), settings, as_message)
        for id in ("clinic", *SHELTERS, *([navigator] if navigator else [])):
            self.pipeline.add_agency(id, None, id.title())
        self.now = datetime.now(UTC)
        self.restart()

    def restart(self) -> None:
        """A new process: nothing is known but what the hub has."""
        members, submit = self.pipeline.members, self.pipeline._submit
        self.timers = Timers(self.hub, members, self.timing, submit, lambda: self.now)

    def work(self) -> int:
        """Do all that is due."""
        self.now = max(self.now, datetime.now(UTC))
        return self.timers.run()

    def later(self, span: timedelta) -> None:
        """Time goes by, and what falls due meanwhile is done in its turn."""
        end = self.now + span
        while True:
            with self.hub.read() as reader:
                due = [each.due for each in reader.due_timers(end)]
            if not due:
                break
            self.now = max(self.now, due[0])
            self.timers.run()
        self.now = end

    # --- the directory ----------------------------------------------------------------------------

    def service(self, agency: str, room: str = "capacity", category: str = HOME) -> str:
        """A service of an agency's, told of its room; its reference."""
        coding = [{"system": SDOH_CODES, "code": category}]
        made = self.put(
            Context(agency, "test"),
            {
                "resourceType": "HealthcareService",
                "id": f"{agency}-{category}",
                "active": True,
                "name": f"{agency} {category}",
                "providedBy": {"reference": f"Organization/{agency}"},
                "category": [{"coding": coding}],
                "extension": [_room(room)],
            },
        )
        return f"HealthcareService/{made['id']}"

    # --- the clinic -------------------------------------------------------------------------------

    def refer(
        self,
        *categories: str,
        owner: str = "",
        falls_back: bool = False,
        priority: str = "routine",
        zip: str = "52240",
        patient: str = "",
    ) -> str:
        """A referral; its Task's id. With an ``owner`` it names that agency."""
        address = [{"postalCode": zip}]
        who = patient or self.create(CLINIC, {"resourceType": "Patient", "address": address})
        ask: Json = {
            "resourceType": "ServiceRequest",
            "identifier": [{"value": "R-1"}],
            "status": "active",
            "intent": "order",
            "priority": priority,
            "category": [
                {"coding": [{"system": SDOH_CODES, "code": each}]} for each in categories or (HOME,)
            ],
            "subject": {"reference": who},
        }
        task: Json = {
            "resourceType": "Task",
            "status": "requested",
            "intent": "order",
            "priority": priority,
            "code": {"coding": [{"system": TASK_CODE, "code": "fulfill"}]},
            "authoredOn": "2026-03-02",
            "focus": {"reference": self.create(CLINIC, ask)},
            "for": {"reference": who},
            "requester": {"reference": "Organization/clinic"},
        }
        if owner:
            task["owner"] = {"reference": f"Organization/{owner}"}
        if falls_back:
            kind = {"coding": [{"system": TASK_PART, "code": "fallback"}]}
            task["input"] = [{"type": kind, "valueBoolean": True}]
        return self.create(CLINIC, task).removeprefix("Task/")

    def task(self, id: str, context: Context = ADMIN) -> Json:
        """A Task as somebody sees it."""
        found: Json = json.loads(self.pipeline.read(context, "Task", id).body)
        return found

    def status(self, id: str) -> str:
        """What the clinic is told."""
        return str(self.task(id, CLINIC)["status"])

    def word(self, id: str) -> str:
        """The hub's word for how it stands (Task.businessStatus)."""
        return str(self.task(id, CLINIC)["businessStatus"]["coding"][0]["code"])

    # --- the agencies -----------------------------------------------------------------------------

    def inbox(self, agency: str, status: str = "requested") -> list[Json]:
        """The Tasks that an agency has in a status."""
        pairs = [("owner", f"Organization/{agency}"), ("status", status)]
        return self.search(Context(agency, "test"), "Task", pairs)

    def asked(self) -> list[str]:
        """Who is asked now."""
        return [each for each in SHELTERS if self.inbox(each)]

    def answer(self, agency: str, status: str, why: str = "", **more: Any) -> Json:
        """An agency moves the newest Task that it has open."""
        context = Context(agency, "test")
        pairs = [
            ("owner", f"Organization/{agency}"),
            ("status", "requested,accepted,in-progress,on-hold"),
            ("_sort", "-_lastUpdated"),
        ]
        task = self.search(context, "Task", pairs)[0] | {"status": status} | more
        task.pop("statusReason", None)
        if why:
            task["statusReason"] = _why(why)
        return self.put(context, task)

    # --- the hub ----------------------------------------------------------------------------------

    def move(self, id: str, context: Context = CLINIC, **changes: Any) -> Json:
        """Somebody changes a Task."""
        return self.put(context, self.task(id, context) | changes)

    def create(self, context: Context, resource: Json) -> str:
        """POST it; its reference."""
        made = self.pipeline.create(context, resource["resourceType"], _raw(resource)).result()
        assert made.stored is not None
        return made.stored.reference

    def put(self, context: Context, resource: Json) -> Json:
        """PUT it."""
        kind, id = resource["resourceType"], resource["id"]
        return _body(self.pipeline.update(context, kind, id, _raw(resource)).result())

    def search(self, context: Context, type: str, pairs: list[tuple[str, str]]) -> list[Json]:
        """What somebody finds."""
        page = self.pipeline.search(context, Search(type, pairs)).page
        return [json.loads(each.body) for each in page.entries]

    def navigators(self) -> list[Json]:
        """The open Tasks of the navigator's queue."""
        return self.search(ADMIN, "Task", [("code", "navigate"), ("status", "requested")])

    def unmet(self) -> list[Unmet]:
        """The ledger."""
        with self.hub.read() as reader:
            return reader.unmet(closed=True)

    def pursuits(self, task: str) -> list[Pursuit]:
        """How the parts of a referral stand."""
        with self.hub.read() as reader:
            return reader.pursuits(task)

    def due(self, task: str) -> list[Timer]:
        """What is to be done about a Task."""
        with self.hub.read() as reader:
            return reader.timers(task)


def _room(room: str) -> Json:
    coding = [{"system": SDOH_CODES, "code": room}]
    return {
        "url": CAPACITY_STATUS,
        "extension": [{"url": "capacityStatus", "valueCodeableConcept": {"coding": coding}}],
    }


def _why(why: str) -> Json:
    known = ("no-capacity", "not-eligible", "client-declined", "client-not-reached")
    system = "https://care-gateway.example/fhir/CodeSystem/referral-reason"
    coded = {"coding": [{"system": system, "code": why}]} if why in known else {}
    return {**coded, "text": why.replace("-", " ")}


def _raw(resource: Json) -> bytes:
    return json.dumps(resource).encode()


def _body(done: Done) -> Json:
    assert done.stored is not None
    found: Json = json.loads(done.stored.body)
    return found
