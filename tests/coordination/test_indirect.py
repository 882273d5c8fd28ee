"""The indirect flow: who is asked, one after another, and what the asker is told throughout."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.close.business import SYSTEM, state
from gateway.coordination import flow
from gateway.coordination.timers import KEY
from gateway.errors import CloseError, Denied, GatewayError, NotFound
from gateway.fhir.codes import SDOH
from gateway.fhir.conformance import deviations
from gateway.fhir.profiles import shipped
from gateway.model import Context
from gateway.store import Hub, open_hub
from tests.coordination.county import ADMIN, CLINIC, FOOD, HOME, County

DAYS = timedelta(days=1)


@pytest.fixture
def county(sqlite_url: str) -> Iterator[County]:
    """On SQLite; what differs by engine is in the tests that take a ``hub``."""
    hub = open_hub(sqlite_url)
    yield County(hub)
    hub.close()


def test_the_whole_story_on_either_engine(hub: Hub) -> None:
    county = County(hub)
    county.service("ash")
    county.service("birch", room="waitlist")
    id = county.refer(priority="urgent")
    county.work()
    county.later(timedelta(hours=7))
    assert (county.inbox("ash"), county.word(id)) == ([], "waiting")
    county.restart()
    county.service("birch", room="capacity")
    county.work()
    county.answer("birch", "accepted")
    county.answer("birch", "cancelled", "no-capacity")
    county.work()
    assert (county.status(id), county.word(id)) == ("on-hold", "navigator")
    task = only(county.navigators())
    county.move(task["id"], _hub(), status="accepted")
    county.move(task["id"], _hub(), status="failed", statusReason={"text": "No bed"})
    assert (county.status(id), only(county.unmet()).outcome) == ("failed", "unmet")


def only(found: list[Any]) -> Any:
    assert len(found) == 1
    return found[0]


def test_processes_that_work_at_once_ask_each_agency_once(hub: Hub) -> None:
    county = County(hub)
    for agency in ("ash", "birch"):
        county.service(agency)
    ids = [county.refer() for _ in range(6)]
    county.now = datetime.now(UTC)
    with ThreadPoolExecutor(3) as processes:
        list(processes.map(lambda _: county.timers.run(), range(3)))
    with hub.read() as reader:
        hops = [reader.hops(id) for id in ids]
        assert [len(each) for each in hops] == [1] * 6
        assert all(reader.timers(only(each).task) for each in hops)
        assert reader.due_timers(county.now) == []
    assert sum(len(county.inbox(each)) for each in ("ash", "birch")) == 6


def test_a_referral_that_names_nobody_is_asked_of_one_agency_by_a_child_task(
    county: County,
) -> None:
    county.service("ash")
    id = county.refer()
    assert county.task(id)["owner"] == {"reference": "Organization/hub"}
    county.work()
    child = only(county.inbox("ash"))
    assert child["partOf"] == [{"reference": f"Task/{id}"}]
    assert child["requester"] == {"reference": "Organization/hub"}
    assert child["owner"] == {"reference": "Organization/ash"}
    focus = child["focus"]["reference"].removeprefix("ServiceRequest/")
    request = only(county.search(_of("ash"), "ServiceRequest", [("_id", focus)]))
    assert request["intent"] == "filler-order"
    assert request["basedOn"] == [county.task(id)["focus"]]
    assert request["identifier"] == [{"value": "R-1"}]
    assert request["performer"][1] == {"reference": "HealthcareService/ash-homelessness"}
    assert (county.status(id), county.word(id)) == ("requested", "asked")


def test_whoever_is_asked_sees_what_it_needs_and_nobody_else_does(county: County) -> None:
    county.service("ash")
    id = county.refer()
    county.work()
    child = only(county.inbox("ash"))
    patient = child["for"]["reference"].removeprefix("Patient/")
    county.pipeline.read(_of("ash"), "Patient", patient)
    for kind, number in (("Patient", patient), ("Task", child["id"])):
        with pytest.raises(NotFound):
            county.pipeline.read(_of("birch"), kind, number)
    with pytest.raises(NotFound):
        county.pipeline.read(_of("ash"), "Task", id)
    with pytest.raises(NotFound):
        county.pipeline.read(CLINIC, "Task", child["id"])


def test_the_outcome_comes_back_to_the_asker(county: County) -> None:
    county.service("ash")
    id = county.refer()
    county.work()
    county.answer("ash", "accepted")
    assert county.status(id) == "accepted"
    county.answer("ash", "in-progress")
    assert county.status(id) == "in-progress"
    patient = county.task(id)["for"]
    made = county.create(
        _of("ash"),
        {"resourceType": "Procedure", "status": "completed", "subject": patient},
    )
    output = [{"type": {"text": "resulting-activity"}, "valueReference": {"reference": made}}]
    county.answer("ash", "completed", output=output)
    task = county.task(id, CLINIC)
    assert (task["status"], task["output"]) == ("completed", output)
    (request,) = county.search(_of("ash"), "ServiceRequest", [])
    assert request["status"] == "completed"
    county.pipeline.read(CLINIC, "Procedure", made.removeprefix("Procedure/"))
    assert county.due(id) == []


def test_nobody_has_what_is_anothers_passed_on(county: County) -> None:
    county.refer(owner="ash")
    theirs = only(county.inbox("ash"))
    task = {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "focus": theirs["focus"],
        "for": theirs["for"],
        "requester": {"reference": "Organization/ash"},
    }
    with pytest.raises(Denied):
        county.create(_of("ash"), task)


def test_a_refusal_asks_the_next_and_a_refuser_is_never_asked_again(county: County) -> None:
    for agency in ("ash", "birch", "cedar"):
        county.service(agency)
    id = county.refer()
    county.work()
    refused = []
    for _ in range(3):
        agency = only(county.asked())
        refused.append(agency)
        county.answer(agency, "rejected", "no-capacity")
        assert county.status(id) == "requested"
        county.work()
    assert sorted(refused) == ["ash", "birch", "cedar"]
    assert county.asked() == []
    assert county.word(id) == "navigator"


def test_hops_are_capped(hub: Hub) -> None:
    county = County(hub, hops=2)
    for agency in ("ash", "birch", "cedar"):
        county.service(agency)
    id = county.refer()
    for _ in range(2):
        county.work()
        county.answer(only(county.asked()), "rejected", "not-eligible")
    county.work()
    assert (county.asked(), county.word(id)) == ([], "navigator")


def test_who_gives_up_after_accepting_is_replaced_and_the_asker_hears_so(county: County) -> None:
    county.service("ash")
    county.service("birch")
    id = county.refer()
    county.work()
    first = only(county.asked())
    county.answer(first, "accepted")
    county.answer(first, "cancelled", "no-capacity")
    task = county.task(id, CLINIC)
    assert task["status"] == "on-hold"
    assert task["statusReason"]["text"]
    county.work()
    second = only(county.asked())
    assert second != first
    county.answer(second, "accepted")
    assert county.status(id) == "in-progress"
    county.answer(second, "completed")
    assert county.status(id) == "completed"


def test_a_refusal_that_is_the_clients_ends_the_search(county: County) -> None:
    county.service("ash")
    county.service("birch")
    id = county.refer()
    county.work()
    county.answer(only(county.asked()), "rejected", "client-declined")
    county.work()
    assert county.asked() == []
    task = county.task(id, CLINIC)
    assert (task["status"], task["statusReason"]["text"]) == ("rejected", "client declined")


def test_the_asker_takes_it_back_from_whoever_has_it(county: County) -> None:
    county.service("ash")
    id = county.refer()
    county.work()
    county.answer("ash", "accepted")
    county.move(id, status="cancelled", statusReason={"text": "Found a flat"})
    child = only(county.inbox("ash", "cancelled"))
    assert child["statusReason"]["text"] == "Found a flat"
    assert county.work() == 0
    assert county.status(id) == "cancelled"


def wish(county: County, id: str) -> None:
    """The asker asks for a cancellation in BSeR's words."""
    county.move(id, businessStatus={"coding": [{"system": SYSTEM, "code": "5.2"}]})


@pytest.mark.parametrize(("answer", "told"), [("cancelled", "cancelled"), ("completed",) * 2])
def test_a_cancellation_that_is_asked_for_is_its_holders_to_confirm(
    county: County, answer: str, told: str
) -> None:
    county.service("ash")
    county.service("birch")
    id = county.refer()
    county.work()
    agency = only(county.asked())
    county.answer(agency, "accepted")
    wish(county, id)
    assert state(only(county.inbox(agency, "accepted"))) == "5.2"
    assert (county.status(id), state(county.task(id))) == ("accepted", "5.2")
    county.answer(agency, answer, "no longer needed")
    county.work()
    assert (county.status(id), county.asked(), county.due(id)) == (told, [], [])


def test_a_cancellation_asked_for_of_nobody_is_one(county: County) -> None:
    id = county.refer()
    county.work()
    wish(county, id)
    assert (county.status(id), county.navigators()) == ("cancelled", [])
    assert only(county.unmet()).outcome == "withdrawn"


def test_a_named_performer_is_asked_directly_as_ever(county: County) -> None:
    county.service("birch")
    id = county.refer(owner="ash")
    county.work()
    assert only(county.inbox("ash"))["id"] == id
    county.answer("ash", "rejected", "no-capacity")
    county.work()
    assert (county.status(id), county.asked()) == ("rejected", [])


def test_with_a_fallback_the_named_one_is_asked_first_and_then_others(county: County) -> None:
    county.service("birch")
    id = county.refer(owner="ash", falls_back=True)
    county.work()
    assert county.asked() == ["ash"]
    county.answer("ash", "rejected", "no-capacity")
    county.work()
    assert county.asked() == ["birch"]
    assert county.status(id) == "requested"


def test_an_agency_may_let_others_be_asked_of_all_that_it_sends(
    county: County, tmp_path: Path
) -> None:
    said = "agency: clinic\nname: The Clinic\nfalls-back: true\n"
    (tmp_path / "agency.yaml").write_text(said, encoding="utf-8")
    county.pipeline.add_agency("clinic", tmp_path)
    county.service("birch")
    id = county.refer(owner="ash")
    county.work()
    assert only(county.inbox("ash"))["partOf"] == [{"reference": f"Task/{id}"}]
    county.answer("ash", "rejected", "not-eligible")
    county.work()
    assert county.asked() == ["birch"]


def test_the_asker_may_give_it_to_somebody_after_all(county: County) -> None:
    county.service("ash")
    id = county.refer()
    county.work()
    county.move(id, owner={"reference": "Organization/elm"})
    assert county.inbox("ash") == []
    assert only(county.inbox("elm"))["id"] == id
    assert county.due(id)[0].step == "remind"


def test_one_request_is_split_over_several(county: County) -> None:
    county.service("ash", category=HOME)
    county.service("birch", category=FOOD)
    id = county.refer(HOME, FOOD)
    county.work()
    assert county.asked() == ["ash", "birch"]
    child = only(county.inbox("birch"))
    focus = child["focus"]["reference"].removeprefix("ServiceRequest/")
    request = only(county.search(_of("birch"), "ServiceRequest", [("_id", focus)]))
    assert [each["coding"][0]["code"] for each in request["category"]] == [FOOD]
    county.answer("birch", "accepted")
    assert (county.status(id), county.word(id)) == ("accepted", "partly")
    county.answer("birch", "completed")
    assert county.status(id) == "in-progress"
    county.answer("ash", "accepted")
    county.answer("ash", "completed")
    assert county.status(id) == "completed"


def test_a_part_that_nobody_can_do_doesnt_undo_the_other(county: County) -> None:
    county.service("birch", category=FOOD)
    id = county.refer(HOME, FOOD)
    county.work()
    county.answer("birch", "accepted")
    county.answer("birch", "completed")
    navigators = only(county.navigators())
    county.move(navigators["id"], _hub(), status="accepted")
    county.move(
        navigators["id"], _hub(), status="failed", statusReason={"text": "No bed in the county"}
    )
    assert county.status(id) == "completed"
    assert [each.outcome for each in county.unmet()] == ["unmet"]


def test_a_change_of_the_request_reaches_whoever_has_it(county: County) -> None:
    county.service("ash")
    id = county.refer()
    county.work()
    parent = county.task(id)["focus"]["reference"].removeprefix("ServiceRequest/")
    request = only(county.search(CLINIC, "ServiceRequest", [("_id", parent)]))
    county.put(CLINIC, request | {"patientInstruction": "Bring the letter"})
    focus = only(county.inbox("ash"))["focus"]["reference"].removeprefix("ServiceRequest/")
    child = only(county.search(_of("ash"), "ServiceRequest", [("_id", focus)]))
    assert child["patientInstruction"] == "Bring the letter"


def test_a_merge_leads_the_children_to_the_heir(county: County) -> None:
    county.service("ash")
    id = county.refer()
    county.work()
    old = county.task(id)["for"]["reference"]
    heir = county.create(CLINIC, {"resourceType": "Patient"})
    link = [{"other": {"reference": heir}, "type": "replaced-by"}]
    county.put(
        CLINIC,
        {"resourceType": "Patient", "id": old.partition("/")[2], "active": False, "link": link},
    )
    child = only(county.inbox("ash"))
    assert child["for"] == county.task(id)["for"] == {"reference": heir}
    county.pipeline.read(_of("ash"), "Patient", heir.partition("/")[2])


def test_a_change_of_the_request_doesnt_give_more_time(county: County) -> None:
    id = county.refer(owner="ash")
    before = county.due(id)
    parent = county.task(id)["focus"]["reference"].removeprefix("ServiceRequest/")
    request = only(county.search(CLINIC, "ServiceRequest", [("_id", parent)]))
    county.put(CLINIC, request | {"patientInstruction": "Bring the letter"})
    assert county.due(id) == before != []


class TestTimers:
    def test_one_that_cant_be_done_is_in_nobodys_way_and_tried_again(
        self, county: County, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ids = [county.refer() for _ in range(2)]
        county.service("ash")
        seek = flow.seek

        def fails_once(*args: Any) -> None:
            if args[3].task == ids[0]:
                monkeypatch.setattr(flow, "seek", seek)
                raise ValueError("a fault of ours")
            seek(*args)

        monkeypatch.setattr(flow, "seek", fails_once)
        county.work()
        assert only(county.inbox("ash"))["partOf"] == [{"reference": f"Task/{ids[1]}"}]
        assert only(county.due(ids[0])).due > county.now
        county.later(timedelta(minutes=2))
        assert len(county.inbox("ash")) == 2

    def test_who_doesnt_answer_is_reminded_then_passed_by(self, county: County) -> None:
        county.service("ash")
        county.service("birch")
        id = county.refer(priority="urgent")
        county.work()
        first = only(county.asked())
        county.later(timedelta(hours=4, minutes=1))
        assert "note" in only(county.inbox(first))
        county.later(timedelta(hours=2))
        late = only(county.inbox(first, "cancelled"))
        assert late["statusReason"]["coding"][0]["code"] == "expired"
        assert county.asked() == [{"ash": "birch", "birch": "ash"}[first]]
        assert county.status(id) == "requested"

    def test_whoever_accepted_in_time_is_left_alone(self, county: County) -> None:
        county.service("ash")
        id = county.refer(priority="urgent")
        county.work()
        county.answer("ash", "accepted")
        county.later(10 * DAYS)
        assert county.status(id) == "accepted"
        assert "note" not in only(county.inbox("ash", "accepted"))

    def test_a_direct_referral_that_nobody_answers_goes_to_a_navigator(
        self, county: County
    ) -> None:
        id = county.refer(owner="ash", priority="urgent")
        county.later(timedelta(hours=7))
        assert only(county.inbox("ash"))["id"] == id, "it is still theirs to take"
        assert only(county.navigators())["partOf"] == [{"reference": f"Task/{id}"}]

    def test_what_a_crash_left_undone_is_found_by_the_reconciler(self, county: County) -> None:
        county.refer()
        assert KEY in county.pipeline.behind()
        asyncio.run(county.pipeline.drain(KEY))
        assert KEY not in county.pipeline.behind()

    def test_of_who_is_no_member_no_answer_is_expected(self, county: County) -> None:
        outside = county.create(CLINIC, {"resourceType": "Organization", "name": "Elsewhere"})
        id = county.refer(owner=outside.removeprefix("Organization/"))
        assert county.due(id) == []

    def test_two_processes_that_find_one_timer_due_do_it_once(self, county: County) -> None:
        id = county.refer(owner="ash", priority="urgent")
        (due,) = county.due(id)
        county.now = due.due
        for _ in range(2):
            county.timers._do(due)
        assert len(county.task(id)["note"]) == 1
        assert county.due(id)[0].step == "recall"

    def test_a_clock_that_is_set_back_only_waits(self, county: County) -> None:
        county.service("ash")
        county.refer(priority="urgent")
        county.work()
        now = county.now
        county.now = now - 2 * DAYS
        assert county.timers.run() == 0
        county.now = now + 2 * DAYS
        county.work()
        assert "note" in only(county.inbox("ash"))

    def test_a_restart_forgets_nothing(self, county: County) -> None:
        county.service("ash")
        county.refer(priority="urgent")
        county.restart()
        county.work()
        county.restart()
        county.later(timedelta(hours=7))
        assert county.inbox("ash") == []

    def test_a_pass_that_is_run_again_does_nothing_more(self, county: County) -> None:
        county.service("ash")
        id = county.refer()
        county.work()
        before = county.task(id)["meta"]["versionId"]
        assert county.work() == 0
        assert county.task(id)["meta"]["versionId"] == before


class TestNavigator:
    def test_what_nobody_takes_has_a_navigator_and_stands_in_the_ledger(
        self, county: County
    ) -> None:
        id = county.refer(zip="52601-1234")
        county.work()
        task = only(county.navigators())
        assert task["owner"] == {"reference": "Organization/hub"}
        entry = only(county.unmet())
        assert (entry.task, entry.category, entry.area, entry.asked) == (id, HOME, "52601", 0)
        assert (county.status(id), county.word(id)) == ("requested", "navigator")

    def test_of_private_needs_the_ledger_tells_no_area(self, county: County) -> None:
        county.refer("intimate-partner-violence")
        county.work()
        assert only(county.unmet()).area == ""

    def test_a_navigators_agency_sees_the_person_and_names_who_is_asked(self, hub: Hub) -> None:
        county = County(hub, navigator="helpline")
        id = county.refer()
        county.work()
        task = only(county.inbox("helpline"))
        patient = task["for"]["reference"].removeprefix("Patient/")
        county.pipeline.read(_of("helpline"), "Patient", patient)
        county.move(task["id"], _of("helpline"), status="accepted")
        to = {"reference": "Organization/elm"}
        output = [{"type": {"text": "agency"}, "valueReference": to}]
        county.move(task["id"], _of("helpline"), status="completed", output=output)
        assert county.asked() == ["elm"]
        county.answer("elm", "accepted")
        assert county.status(id) == "accepted"
        assert only(county.unmet()).outcome == "met"

    def test_nobody_who_was_asked_is_asked_again_by_a_navigator_either(
        self, county: County
    ) -> None:
        county.service("ash")
        county.refer()
        county.work()
        county.answer("ash", "rejected", "no-capacity")
        county.work()
        task = only(county.navigators())
        county.move(task["id"], _hub(), status="accepted")
        output = [{"type": {"text": "agency"}, "valueReference": {"reference": "Organization/ash"}}]
        with pytest.raises(GatewayError):
            county.move(task["id"], _hub(), status="completed", output=output)

    def test_nobodys_wish_sends_a_name_to_a_victim_service_provider(
        self, county: County, tmp_path: Path
    ) -> None:
        said = "agency: safe\nname: Safe Harbor\nvictim-service-provider: true\n"
        (tmp_path / "agency.yaml").write_text(said, encoding="utf-8")
        county.pipeline.add_agency("safe", tmp_path)
        named = county.create(CLINIC, {"resourceType": "Patient", "name": [{"family": "Ash"}]})
        id = county.refer(owner="safe", falls_back=True, patient=named)
        county.work()
        assert county.inbox("safe") == []
        task = only(county.navigators())
        county.move(task["id"], _hub(), status="accepted")
        to = {"reference": "Organization/safe"}
        output = [{"type": {"text": "agency"}, "valueReference": to}]
        with pytest.raises(CloseError):
            county.move(task["id"], _hub(), status="completed", output=output)
        county.put(CLINIC, {"resourceType": "Patient", "id": named.partition("/")[2]})
        county.move(task["id"], _hub(), status="completed", output=output)
        assert only(county.inbox("safe"))["partOf"] == [{"reference": f"Task/{id}"}]

    def test_a_navigators_no_ends_the_referral_with_its_reason(self, county: County) -> None:
        id = county.refer()
        county.work()
        task = only(county.navigators())
        county.move(
            task["id"], _hub(), status="rejected", statusReason={"text": "Moved out of the state"}
        )
        told = county.task(id, CLINIC)
        assert (told["status"], told["statusReason"]["text"]) == (
            "rejected",
            "Moved out of the state",
        )
        assert only(county.unmet()).outcome == "unmet"

    def test_help_from_elsewhere_completes_the_referral(self, county: County) -> None:
        id = county.refer()
        county.work()
        task = only(county.navigators())
        for status in ("accepted", "completed"):
            county.move(task["id"], _hub(), status=status)
        assert county.status(id) == "completed"
        assert only(county.unmet()).outcome == "met"


class TestWaitlist:
    def test_a_full_county_puts_one_on_the_list_and_a_place_that_opens_wakes_it(
        self, county: County
    ) -> None:
        county.service("ash")
        county.service("birch", room="waitlist")
        id = county.refer()
        county.work()
        county.answer("ash", "rejected", "no-capacity")
        county.work()
        assert (county.asked(), county.word(id)) == ([], "waiting")
        waiting = only(county.search(_of("birch"), "List", []))
        assert len(waiting["entry"]) == 1
        county.service("birch", room="capacity")
        county.work()
        assert county.asked() == ["birch"]
        assert "entry" not in only(county.search(_of("birch"), "List", []))
        county.answer("birch", "accepted")
        assert county.status(id) == "accepted"

    def test_first_come_is_first_served_one_at_a_time(self, county: County) -> None:
        county.service("birch", room="waitlist")
        ids = [county.refer() for _ in range(3)]
        county.work()
        county.service("birch", room="capacity")
        county.work()
        assert only(county.inbox("birch"))["partOf"] == [{"reference": f"Task/{ids[0]}"}]
        county.answer("birch", "accepted")
        county.work()
        assert only(county.inbox("birch"))["partOf"] == [{"reference": f"Task/{ids[1]}"}]
        county.answer("birch", "rejected", "no-capacity")
        county.work()
        assert county.inbox("birch") == []
        assert county.word(ids[2]) == "waiting"

    def test_while_one_waits_others_are_looked_for(self, county: County) -> None:
        county.service("birch", room="waitlist")
        id = county.refer()
        county.work()
        county.service("cedar")
        county.later(4 * DAYS)
        assert county.asked() == ["cedar"]
        assert county.word(id) == "asked"

    def test_who_takes_it_back_leaves_the_list(self, county: County) -> None:
        county.service("birch", room="waitlist")
        id = county.refer()
        county.work()
        county.move(id, status="cancelled")
        assert "entry" not in only(county.search(_of("birch"), "List", []))
        assert county.due(id) == []


def _of(agency: str) -> Context:
    return Context(agency, "test")


def _hub() -> Context:
    return ADMIN


def test_what_the_hub_makes_keeps_to_sdohs_profile_of_a_referrals_task(county: County) -> None:
    profile = shipped().get(SDOH + "StructureDefinition/SDOHCC-TaskForReferralManagement")
    assert profile is not None

    def keeps(task: Any) -> bool:
        found = deviations(task, profile, shipped())
        return not [each for each in found if each.severity == "error"]

    county.service("ash")
    id = county.refer()
    county.work()
    assert keeps(only(county.inbox("ash")))
    seen = [county.task(id, CLINIC)]
    for status, why in (("accepted", ""), ("on-hold", "one moment"), ("cancelled", "no bed")):
        county.answer("ash", status, why)
        seen.append(county.task(id, CLINIC))
    county.work()
    seen.append(county.task(id, CLINIC))
    assert [each["status"] for each in seen] == [
        "requested",
        "accepted",
        "on-hold",
        "on-hold",
        "on-hold",
    ]
    assert all(map(keeps, seen))
    assert not keeps({**seen[0], "statusReason": {}})
