"""A translation's referral is given to whom it names, and nothing else is touched."""

from __future__ import annotations

import copy
from typing import Any

from gateway.model import Agency, Entry
from gateway.route.directory import Directory
from gateway.route.referral import assign

DIRECTORY = Directory([Agency("food-bank", "County Food Bank"), Agency("clinic", "Clinic")])
BANK = {"reference": "Organization/food-bank"}


def entries(name: str = "COUNTY FOOD BANK", **task: Any) -> tuple[Entry, ...]:
    return (
        Entry({"resourceType": "Patient", "id": "p1"}),
        Entry(
            {
                "resourceType": "Task",
                "id": "t1",
                "status": "requested",
                "focus": {"reference": "ServiceRequest/s1"},
                **task,
            },
            keep=frozenset({"status"}),
        ),
        Entry(
            {
                "resourceType": "ServiceRequest",
                "id": "s1",
                "performer": [{"reference": "Organization/o1"}],
            }
        ),
        Entry({"resourceType": "Organization", "id": "o1", "name": name}),
    )


def test_the_member_named_owns_the_task_and_stands_among_the_performers() -> None:
    made = entries()
    before = copy.deepcopy(made)
    patient, task, request, organization = assign(made, DIRECTORY)
    assert task.resource["owner"] == BANK
    assert task.keep == {"status", "owner"}
    assert request.resource["performer"] == [{"reference": "Organization/o1"}, BANK]
    assert (patient, organization) == (made[0], made[3])
    assert made == before


def test_a_referral_to_nobody_we_know_stays_as_it_is() -> None:
    made = entries("Nobody")
    assert assign(made, DIRECTORY) == made


def test_an_owner_that_the_map_set_stays() -> None:
    made = entries(owner={"reference": "Organization/clinic"})
    assert assign(made, DIRECTORY) == made


def test_a_task_about_something_else_is_none_of_ours() -> None:
    for focus in ({"reference": "Patient/p1"}, {"reference": "ServiceRequest/other"}, {}):
        made = entries(focus=focus)
        assert assign(made, DIRECTORY) == made


def test_a_performer_that_is_the_member_already_is_not_named_twice() -> None:
    made = entries()
    direct = Entry({**made[2].resource, "performer": [BANK]})
    _, task, request, _ = assign((*made[:2], direct, made[3]), DIRECTORY)
    assert task.resource["owner"] == BANK
    assert request.resource["performer"] == [BANK]


def test_a_translation_without_referral_is_untouched() -> None:
    assert assign((), DIRECTORY) == ()
    only = (Entry({"resourceType": "Patient", "id": "p1"}),)
    assert assign(only, DIRECTORY) == only
