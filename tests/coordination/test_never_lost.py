"""Random referrals, capacities, refusals, timeouts and restarts: nobody is ever lost.

Hypothesis plays a county. After each step every referral has somebody who holds or is asked for
each of its parts, or a timer, or a place in the navigator's queue and an open entry in the ledger;
or it is over and its asker told so. ``GATEWAY_TEST_STEPS`` says how many steps are played in all
(default 200; the long run has 10,000).
"""

from __future__ import annotations

import os
import tempfile
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from gateway.model import HUB, Context
from gateway.store import open_hub
from tests.coordination.county import CLINIC, FOOD, HOME, SHELTERS, County

STEPS = int(os.environ.get("GATEWAY_TEST_STEPS", "200"))
AT_ONCE = 50
OVER = {"completed", "rejected", "failed", "cancelled"}
NEXT = {
    "requested": ("accepted", "rejected", "cancelled"),
    "accepted": ("in-progress", "on-hold", "completed", "failed", "cancelled"),
    "in-progress": ("on-hold", "completed", "failed", "cancelled"),
    "on-hold": ("in-progress", "completed", "failed", "cancelled"),
}
ROOMS = ("capacity", "no-capacity", "waitlist", "additional-assessment-required")
WHY = ("no-capacity", "not-eligible", "client-declined", "too far away")
NAVIGATOR = Context(HUB, "test", admin=True)

agencies = st.sampled_from(SHELTERS)
needs = st.sampled_from([(HOME,), (FOOD,), (HOME, FOOD)])
nth = st.integers(0, 7)


class Referrals(RuleBasedStateMachine):
    """What may happen in a county, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.hub = open_hub(f"sqlite:///{self.folder.name}/hub.sqlite")
        self.county = County(self.hub, hops=3)
        self.referrals: list[str] = []

    def teardown(self) -> None:
        self.hub.close()
        self.folder.cleanup()

    @initialize(rooms=st.lists(st.sampled_from(ROOMS), min_size=5, max_size=5))
    def open_doors(self, rooms: list[str]) -> None:
        for agency, room in zip(SHELTERS, rooms, strict=True):
            self.county.service(agency, room)

    # --- what may happen --------------------------------------------------------------------------

    @precondition(lambda self: len(self.referrals) < 6)
    @rule(need=needs, owner=st.none() | agencies, falls_back=st.booleans(), urgent=st.booleans())
    def refer(
        self, need: tuple[str, ...], owner: str | None, *, falls_back: bool, urgent: bool
    ) -> None:
        priority = "urgent" if urgent else "routine"
        self.referrals.append(
            self.county.refer(*need, owner=owner or "", falls_back=falls_back, priority=priority)
        )

    @rule(agency=agencies, which=nth, move=nth, why=st.sampled_from(WHY))
    def answer(self, agency: str, which: int, move: int, why: str) -> None:
        """An agency moves one of its Tasks to where it may."""
        found = [task for status in NEXT for task in self.county.inbox(agency, status)]
        if not found:
            return
        task = found[which % len(found)]
        moves = NEXT[task["status"]]
        status = moves[move % len(moves)]
        moved: dict[str, Any] = {**task, "status": status}
        if status in ("rejected", "failed", "cancelled", "on-hold"):
            moved["statusReason"] = _reason(why)
        self.county.put(Context(agency, "test"), moved)

    @rule(agency=agencies, room=st.sampled_from(ROOMS), need=st.sampled_from((HOME, FOOD)))
    def say_how_full(self, agency: str, room: str, need: str) -> None:
        self.county.service(agency, room, need)

    @precondition(lambda self: bool(self.referrals))
    @rule(which=nth)
    def take_back(self, which: int) -> None:
        id = self.referrals[which % len(self.referrals)]
        if self.county.status(id) not in OVER:
            self.county.move(id, status="cancelled", statusReason={"text": "not needed"})

    @rule(which=nth, says=st.sampled_from(("rejected", "completed")), to=st.none() | agencies)
    def navigate(self, which: int, says: str, to: str | None) -> None:
        found = self.county.navigators()
        if not found:
            return
        task = found[which % len(found)]
        parent = task["partOf"][0]["reference"].removeprefix("Task/")
        changes: dict[str, Any] = {"status": says}
        if says == "rejected":
            changes["statusReason"] = {"text": "nobody in this county"}
        else:
            self.county.move(task["id"], NAVIGATOR, status="accepted")
            with self.hub.read() as reader:
                asked = {each.agency for each in reader.hops(parent)}
            if to is not None and to not in asked:
                party = {"reference": f"Organization/{to}"}
                changes["output"] = [{"type": {"text": "agency"}, "valueReference": party}]
        self.county.move(task["id"], NAVIGATOR, **changes)

    @rule(hours=st.sampled_from((1, 3, 30, 100, 400)))
    def time_goes_by(self, hours: int) -> None:
        self.county.later(timedelta(hours=hours))

    @rule()
    def background_work_is_done(self) -> None:
        self.county.work()

    @rule()
    def the_gateway_restarts(self) -> None:
        """The database is closed and opened, as after a kill: units are whole or not there."""
        self.hub.close()
        self.hub = open_hub(f"sqlite:///{self.folder.name}/hub.sqlite")
        now = self.county.now
        self.county = County(self.hub, hops=3)
        self.county.now = max(now, self.county.now)

    # --- what always holds ------------------------------------------------------------------------

    @invariant()
    def nobody_is_lost(self) -> None:
        for id in self.referrals:
            task = self.county.task(id, CLINIC)
            parts = self.county.pursuits(id)
            if task["status"] in OVER:
                assert all(each.stage == "ended" for each in parts), task["status"]
                assert not self.county.due(id), "nothing is due of what is over"
            elif task["owner"]["reference"] != f"Organization/{HUB}":
                assert task["status"] != "requested" or self._waits_or_escalated(id)
            else:
                assert parts
                assert any(each.stage != "ended" for each in parts)
                for each in parts:
                    assert each.stage == "ended" or self._is_cared_for(id, each.part), each

    @invariant()
    def nobody_is_asked_twice(self) -> None:
        with self.hub.read() as reader:
            for id in self.referrals:
                hops = [(h.part, h.agency) for h in reader.hops(id) if h.agency]
                assert len(hops) == len(set(hops))

    @invariant()
    def at_most_one_has_a_part(self) -> None:
        with self.hub.read() as reader:
            for id in self.referrals:
                live = [h.part for h in reader.hops(id) if h.state in ("asked", "accepted")]
                assert len(live) == len(set(live))

    def _is_cared_for(self, id: str, part: str) -> bool:
        """Somebody has it, or is asked and has a timer; or it has one; or a navigator has it."""
        with self.hub.read() as reader:
            live = [h for h in reader.hops(id) if h.part == part]
            for hop in live:
                if hop.state == "accepted":
                    return True
                if hop.state == "asked":
                    return bool(reader.timers(hop.task))
            if any(each.part == part for each in reader.timers(id)):
                return True
            open_ = [e for e in reader.unmet_of(id) if e.part == part and e.closed is None]
            pursuit = next(p for p in reader.pursuits(id) if p.part == part)
        if not pursuit.navigator or len(open_) != 1:
            return False
        navigators = self.county.task(pursuit.navigator)
        return navigators["status"] in ("requested", "accepted", "in-progress", "on-hold")

    def _waits_or_escalated(self, id: str) -> bool:
        if self.county.due(id):
            return True
        pairs = [("code", "navigate"), ("part-of", f"Task/{id}")]
        return bool(self.county.search(NAVIGATOR, "Task", pairs))


def _reason(why: str) -> dict[str, Any]:
    system = "https://care-gateway.example/fhir/CodeSystem/referral-reason"
    coding = [] if " " in why else [{"system": system, "code": why}]
    return {**({"coding": coding} if coding else {}), "text": why}


@pytest.mark.timeout(120 + STEPS)
def test_nobody_is_ever_lost() -> None:
    run_state_machine_as_test(
        Referrals,
        settings=settings(
            max_examples=max(1, STEPS // AT_ONCE),
            stateful_step_count=AT_ONCE,
            deadline=None,
            database=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
