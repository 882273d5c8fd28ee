"""The harmonised BSeR and 360X transitions and SDOH-CC's own, both sides, as one table.

A row of ``HARMONIZED``: who says it, from which state to which, and Task.status before and after.
The table is written out again here by hand; its source is told in ``close/business.py``.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from gateway.close.business import MOVES, SYSTEM, as_sdoh, state
from gateway.close.transitions import check_move
from gateway.close.vocabulary import vocabularies
from gateway.errors import CloseError, Denied, GatewayError
from tests.close.test_transitions import CLINIC, PANTRY
from tests.close.test_transitions import task as plain

TABLE = """
 1 clinic  -     2.0    -           requested
 2 pantry  2.0   3.0    requested   accepted
 3 pantry  2.0   4.0    requested   rejected
 4 clinic  2.0   5.2    requested   requested
 5 pantry  2.0   6.0    requested   cancelled
 6 pantry  3.0   4.0    accepted    rejected
 7 pantry  3.0   5.1.1  accepted    in-progress
 8 pantry  3.0   5.1.4  accepted    in-progress
 9 clinic  3.0   5.2    accepted    accepted
10 pantry  3.0   6.0    accepted    cancelled
11 pantry  3.0   7.0    accepted    completed
12 pantry  5.1.1 5.1.1  in-progress in-progress
13 pantry  5.1.1 5.1.2  in-progress in-progress
14 pantry  5.1.1 5.1.3  in-progress in-progress
15 pantry  5.1.1 5.1.4  in-progress in-progress
16 clinic  5.1.1 5.2    in-progress in-progress
17 pantry  5.1.1 6.0    in-progress cancelled
18 pantry  5.1.1 7.0    in-progress completed
19 pantry  5.1.2 5.1.1  in-progress in-progress
20 clinic  5.1.2 5.2    in-progress in-progress
21 pantry  5.1.2 6.0    in-progress cancelled
22 pantry  5.1.2 7.0    in-progress completed
23 pantry  5.1.3 5.1.1  in-progress in-progress
24 clinic  5.1.3 5.2    in-progress in-progress
25 pantry  5.1.3 6.0    in-progress cancelled
26 pantry  5.1.3 7.0    in-progress completed
27 pantry  5.1.4 5.1.1  in-progress in-progress
28 clinic  5.1.4 5.2    in-progress in-progress
29 pantry  5.1.4 6.0    in-progress cancelled
30 pantry  5.1.4 7.0    in-progress completed
31 pantry  5.2   5.1.1  in-progress in-progress
32 pantry  5.2   5.1.4  in-progress in-progress
33 pantry  5.2   6.0    in-progress cancelled
34 pantry  5.2   7.0    in-progress completed
"""
HARMONIZED = [
    (side, *(each.replace("-", "") if each == "-" else each for each in rest))
    for _, side, *rest in (line.split() for line in TABLE.strip().splitlines())
]
LEGAL = {(row[1], row[2]): row[0] for row in HARMONIZED}
STATES = sorted({row[2] for row in HARMONIZED})


def task(status: str, code: str, **more: Any) -> dict[str, Any]:
    made = plain(status, **more)
    if code:
        made["businessStatus"] = {"coding": [{"system": SYSTEM, "code": code}]}
    return made


def refusal(before: Any, after: dict[str, Any], mover: str) -> GatewayError | None:
    try:
        check_move(before, as_sdoh(before, after), mover)
    except GatewayError as error:
        return error
    return None


def test_there_are_34_of_them_and_the_gateway_knows_no_other() -> None:
    assert len(HARMONIZED) == len(LEGAL) == 34
    sides = {"clinic": "requester", "pantry": "owner"}
    known = {(a, b): side for a, moves in MOVES.items() for b, side in moves.items()}
    assert known == {move: sides[side] for move, side in LEGAL.items()}


@pytest.mark.parametrize("row", HARMONIZED, ids=lambda row: " ".join(row))
def test_each_is_its_own_sides_and_not_the_others(row: tuple[str, ...]) -> None:
    side, before, after, was, becomes = row
    mover, other = (CLINIC, PANTRY) if side == "clinic" else (PANTRY, CLINIC)
    current = task(was, before) if was else None
    proposed = task(becomes, after)
    assert refusal(current, proposed, mover) is None
    if before == after:
        return  # that it is booked anew shows in the output alone, and is no move
    refused = refusal(current, proposed, other)
    assert isinstance(refused, Denied)
    assert refused.place in ("Task.status", "Task.businessStatus")


@pytest.mark.parametrize(("before", "after"), list(product(STATES, STATES)))
def test_what_the_table_lacks_is_no_move(before: str, after: str) -> None:
    if before == after or (before, after) in LEGAL:
        return
    for mover in (CLINIC, PANTRY):
        error = refusal(task("in-progress", before), task("in-progress", after), mover)
        assert isinstance(error, CloseError)
        assert (error.status, error.place) == (409, "Task.businessStatus")


def test_who_declines_after_accepting_has_cancelled_in_sdohs_terms() -> None:
    declined = as_sdoh(task("accepted", "3.0"), task("rejected", "4.0"))
    assert (declined["status"], state(declined)) == ("cancelled", "4.0")
    assert as_sdoh(task("requested", "2.0"), task("rejected", "4.0"))["status"] == "rejected"
    plain = refusal(task("accepted", ""), task("rejected", ""), PANTRY)
    assert isinstance(plain, CloseError), "SDOH-CC itself has no such move"


def test_bser_1_0s_code_for_a_requested_cancellation_is_understood() -> None:
    assert state(task("in-progress", "5.4")) == "5.2"


def test_a_task_without_such_a_code_may_take_up_its_sides_states() -> None:
    assert refusal(task("accepted", ""), task("in-progress", "5.1.2"), PANTRY) is None
    assert isinstance(refusal(task("accepted", ""), task("accepted", "5.1.1"), CLINIC), Denied)


def test_the_concept_maps_agree_with_the_table() -> None:
    to_task = vocabularies()["bser-to-task"]
    to_bser = vocabularies()["task-to-bser"]
    for _, _, after, was, becomes in HARMONIZED:
        (match,) = to_task.translate(after, SYSTEM)
        if was != becomes:
            assert match.code == becomes
    for status in ("requested", "accepted", "rejected", "completed", "cancelled"):
        (there,) = to_bser.translate(status, "http://hl7.org/fhir/task-status")
        (back,) = to_task.translate(there.code, SYSTEM)
        assert back.code == status
