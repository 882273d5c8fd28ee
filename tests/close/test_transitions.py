"""The whole transition table, both sides, claims, elements and reasons."""

from __future__ import annotations

from itertools import product
from typing import Any, ClassVar

import pytest

from gateway.close.transitions import MOVES, WRITERS, check_move, labelled, stored_form
from gateway.errors import CloseError, Denied, GatewayError, InvalidResource
from gateway.fhir import codes

CLINIC, PANTRY, OTHER = "Organization/clinic", "Organization/pantry", "Organization/other"
STATUSES = sorted(WRITERS)

# referral-protocol.md, section 3, written out again by hand, as the page has it
PAGE = {
    "draft": "requested",
    "requested": "accepted rejected cancelled",
    "accepted": "in-progress on-hold cancelled completed failed",
    "in-progress": "on-hold completed failed cancelled",
    "on-hold": "in-progress completed failed cancelled",
    "rejected": "",
    "completed": "",
    "failed": "",
    "cancelled": "",
    "entered-in-error": "",
}
REQUESTERS = {"draft", "requested", "entered-in-error", "cancelled"}
OWNERS = {"accepted", "rejected", "in-progress", "on-hold", "failed", "completed", "cancelled"}


def task(status: str, **more: Any) -> dict[str, Any]:
    made = {
        "resourceType": "Task",
        "id": "t1",
        "status": status,
        "intent": "order",
        "focus": {"reference": "ServiceRequest/s1"},
        "for": {"reference": "Patient/p1"},
        "requester": {"reference": CLINIC},
        "owner": {"reference": PANTRY},
        "statusReason": {"text": "as agreed"},
    } | more
    return {name: value for name, value in made.items() if value is not None}


def legal(before: str, after: str) -> bool:
    if after == "entered-in-error":
        return before != after
    return after in PAGE[before].split()


def refusal(*arguments: Any, **named: Any) -> GatewayError | None:
    try:
        check_move(*arguments, **named)
    except GatewayError as error:
        return error
    return None


@pytest.mark.parametrize(("before", "after"), list(product(STATUSES, STATUSES)))
@pytest.mark.parametrize(
    ("mover", "writes"), [(CLINIC, REQUESTERS), (PANTRY, OWNERS), (OTHER, set())]
)
def test_every_cell_of_the_table_on_every_side(
    before: str, after: str, mover: str, writes: set[str]
) -> None:
    error = refusal(task(before), task(after), mover)
    if mover != OTHER and before == after:
        assert error is None
    elif after not in writes:
        assert isinstance(error, Denied)
        assert (error.status, error.place) == (403, "Task.status")
    elif not legal(before, after):
        assert isinstance(error, CloseError)
        assert (error.status, error.place) == (409, "Task.status")
    else:
        assert error is None


def test_the_table_holds_every_status_and_no_other() -> None:
    assert set(MOVES) == set(WRITERS) == set(PAGE)
    assert {"ready", "received"}.isdisjoint(MOVES)


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("mover", [CLINIC, PANTRY, OTHER])
def test_a_new_task_is_its_requesters_draft_or_request(status: str, mover: str) -> None:
    error = refusal(None, task(status), mover)
    if mover == CLINIC and status in ("draft", "requested"):
        assert error is None
    else:
        assert error is not None
        assert error.place == "Task.status"
        assert error.status == (409 if isinstance(error, CloseError) else 403)


@pytest.mark.parametrize("status", ["ready", "bogus", None])
def test_a_status_that_no_referral_has_is_no_move(status: str | None) -> None:
    error = refusal(task("requested"), task(str(status)), PANTRY)
    assert isinstance(error, CloseError)
    assert error.place == "Task.status"


def test_an_illegal_move_is_told_where_the_referral_stands_and_may_go() -> None:
    told = {
        "requested": "the referral is requested: the caller may make it accepted or cancelled or "
        "rejected",
        "completed": "the referral is completed: the caller may make it nothing else",
    }
    for status, text in told.items():
        assert str(refusal(task(status), task("in-progress"), PANTRY)) == text


def test_the_requester_may_be_an_agency_whose_person_asked() -> None:
    person = {"reference": "PractitionerRole/r1"}
    before, after = task("requested", requester=person), task("cancelled", requester=person)
    assert refusal(before, after, CLINIC, asker=CLINIC) is None
    assert isinstance(refusal(before, after, CLINIC), Denied)


def test_an_agency_that_refers_to_itself_stands_on_both_sides() -> None:
    own = {"reference": PANTRY}
    for before, after in (("draft", "requested"), ("requested", "accepted")):
        assert refusal(task(before, requester=own), task(after, requester=own), PANTRY) is None


class TestClaim:
    def test_an_open_referral_is_claimed_by_owner_and_accepted_together(self) -> None:
        claimed = task("accepted", owner={"reference": OTHER})
        assert refusal(task("requested", owner=None), claimed, OTHER) is None

    @pytest.mark.parametrize(
        "proposed",
        [
            task("accepted", owner=None),
            task("accepted", owner={"reference": PANTRY}),
            task("requested", owner={"reference": OTHER}),
            task("rejected", owner={"reference": OTHER}),
            task("completed", owner={"reference": OTHER}),
        ],
    )
    def test_half_a_claim_is_none(self, proposed: dict[str, Any]) -> None:
        assert isinstance(refusal(task("requested", owner=None), proposed, OTHER), Denied)

    def test_an_owned_or_drafted_referral_is_not_to_be_claimed(self) -> None:
        claimed = task("accepted", owner={"reference": OTHER})
        assert isinstance(refusal(task("requested"), claimed, OTHER), Denied)
        assert isinstance(refusal(task("draft", owner=None), claimed, OTHER), Denied)

    def test_a_caller_who_may_not_claim_does_not(self) -> None:
        claimed = task("accepted", owner={"reference": OTHER})
        error = refusal(task("requested", owner=None), claimed, OTHER, may_claim=False)
        assert isinstance(error, Denied)

    def test_a_claim_changes_nothing_else(self) -> None:
        claimed = task("accepted", owner={"reference": OTHER}, **{"for": {"reference": "P/2"}})
        error = refusal(task("requested", owner=None), claimed, OTHER)
        assert isinstance(error, Denied)
        assert error.place == "Task.for"


class TestElements:
    OWN: ClassVar[dict[str, Any]] = {
        "statusReason": {"text": "there is room"},
        "businessStatus": {"text": "called"},
        "output": [{"type": {"text": "done"}, "valueReference": {"reference": "Procedure/1"}}],
        "note": [{"text": "came on Tuesday"}],
        "lastModified": "2024-05-01T10:00:00Z",
        "executionPeriod": {"start": "2024-05-01"},
    }
    THEIRS: ClassVar[dict[str, Any]] = {
        "owner": {"reference": OTHER},
        "requester": {"reference": PANTRY},
        "focus": {"reference": "ServiceRequest/s2"},
        "for": {"reference": "Patient/p2"},
        "intent": "plan",
        "priority": "stat",
        "description": "something else",
        "input": [],
        "extension": [{"url": "https://elsewhere.example", "valueString": "x"}],
        "basedOn": [{"reference": "ServiceRequest/s9"}],
        "restriction": {"period": {"end": "2024-05-01"}},
    }

    @pytest.mark.parametrize("element", sorted(OWN))
    def test_the_owner_changes_its_own(self, element: str) -> None:
        proposed = task("in-progress") | {element: self.OWN[element]}
        assert refusal(task("in-progress"), proposed, PANTRY) is None

    @pytest.mark.parametrize("element", sorted(THEIRS))
    def test_the_owner_changes_nothing_else(self, element: str) -> None:
        proposed = task("completed") | {element: self.THEIRS[element]}
        error = refusal(task("in-progress"), proposed, PANTRY)
        assert isinstance(error, Denied)
        assert (error.status, error.place) == (403, f"Task.{element}")

    @pytest.mark.parametrize("element", ["for", "focus", "requester", "intent"])
    def test_the_owner_takes_nothing_away(self, element: str) -> None:
        proposed = task("accepted")
        del proposed[element]
        error = refusal(task("requested"), proposed, PANTRY)
        assert isinstance(error, Denied)

    def test_meta_is_the_servers_and_no_ones_change(self) -> None:
        proposed = task("accepted", meta={"versionId": "7"})
        assert refusal(task("requested"), proposed, PANTRY) is None

    @pytest.mark.parametrize("element", ["priority", "description", "input", "note"])
    def test_the_requester_amends_what_it_asks(self, element: str) -> None:
        changed = {**self.THEIRS, **self.OWN}[element]
        assert refusal(task("requested"), task("requested") | {element: changed}, CLINIC) is None

    @pytest.mark.parametrize("element", ["output", "executionPeriod", "requester", "focus", "for"])
    def test_the_requester_keeps_off_the_answer_and_what_is_settled(self, element: str) -> None:
        changed = {**self.THEIRS, **self.OWN}[element]
        error = refusal(task("accepted"), task("accepted") | {element: changed}, CLINIC)
        assert isinstance(error, Denied)
        assert error.place == f"Task.{element}"

    def test_the_requester_redirects_only_what_nobody_accepted(self) -> None:
        other = {"owner": {"reference": OTHER}}
        assert refusal(task("requested"), task("requested") | other, CLINIC) is None
        assert isinstance(refusal(task("accepted"), task("accepted") | other, CLINIC), Denied)

    def test_nobody_writes_that_the_loop_was_delivered(self) -> None:
        forged = {"extension": [{"url": codes.LOOP_DELIVERED}]}
        for mover in (CLINIC, PANTRY):
            error = refusal(task("accepted"), task("accepted") | forged, mover)
            assert isinstance(error, Denied)
            assert error.place == "Task.extension"


class TestReasons:
    @pytest.mark.parametrize("reason", [None, {"coding": [{"code": "no-room"}]}, {"text": " "}])
    @pytest.mark.parametrize(
        ("before", "after"), [("requested", "rejected"), ("accepted", "failed")]
    )
    def test_a_refusal_and_a_failure_say_why(self, before: str, after: str, reason: Any) -> None:
        error = refusal(task(before, statusReason=None), task(after, statusReason=reason), PANTRY)
        assert isinstance(error, InvalidResource)
        assert error.place == "Task.statusReason.text"

    @pytest.mark.parametrize("after", ["cancelled", "on-hold"])
    def test_elsewhere_a_reason_is_welcome_but_whole(self, after: str) -> None:
        before = task("accepted", statusReason=None)
        assert refusal(before, task(after, statusReason=None), PANTRY) is None
        error = refusal(before, task(after, statusReason={"coding": []}), PANTRY)
        assert isinstance(error, InvalidResource)


class TestStoredForm:
    @pytest.mark.parametrize("status", ["received", "ready"])
    def test_what_sdoh_cc_lacks_is_requested_and_remembered(self, status: str) -> None:
        kept = stored_form(task(status))
        assert kept["status"] == "requested"
        assert kept["businessStatus"]["coding"] == [{"system": codes.TASK_STATUS, "code": status}]
        assert refusal(task("requested"), kept, PANTRY) is None

    def test_a_business_status_of_their_own_is_left(self) -> None:
        own = {"text": "in the inbox"}
        assert stored_form(task("received", businessStatus=own))["businessStatus"] == own

    def test_any_other_task_is_the_same_object(self) -> None:
        made = task("accepted")
        assert stored_form(made) is made

    def test_received_after_acceptance_would_be_a_step_back(self) -> None:
        error = refusal(task("accepted"), stored_form(task("received")), PANTRY)
        assert isinstance(error, GatewayError)


SECRET = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "V"}
OPEN = {**SECRET, "code": "N"}


@pytest.mark.parametrize(
    "meta", [None, {"profile": ["urn:p"]}, {"security": [{**SECRET, "display": "very"}]}]
)
def test_the_requesters_labels_stand_whoever_sends_the_task_back(meta: Any) -> None:
    was = task("requested", meta={"versionId": "3", "security": [SECRET]})
    made = labelled(was, task("accepted", meta=meta), PANTRY)
    assert made["meta"] == {**(meta or {}), "security": [SECRET]}


@pytest.mark.parametrize("security", [[OPEN], [SECRET, OPEN]])
@pytest.mark.parametrize("meta", [None, {"security": [SECRET]}])
def test_nobody_else_labels_a_referral(meta: Any, security: list[Any]) -> None:
    proposed = task("accepted", meta={"security": security})
    with pytest.raises(Denied) as refused:
        labelled(task("requested", meta=meta), proposed, PANTRY)
    assert refused.value.place == "Task.meta.security"


@pytest.mark.parametrize("meta", [None, {"security": [OPEN]}])
def test_the_requester_labels_it_as_it_will(meta: Any) -> None:
    proposed = task("requested", meta=meta)
    assert labelled(task("requested", meta={"security": [SECRET]}), proposed, CLINIC) == proposed
    assert labelled(None, proposed, CLINIC) == proposed
