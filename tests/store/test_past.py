"""Histories of a type and of all, what stands in a deletion's way, and turns; on both engines."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from gateway.errors import Denied, InvalidSearch, NotFound
from gateway.fhir.search import parse_query
from gateway.model import Grant
from gateway.store import Hub, Transaction
from gateway.store.session import microseconds
from tests.store.samples import ADMIN, CLINIC, PANTRY, create, patient, task, update


def told(hub: Hub, context: Any = CLINIC, *of: str, **bounds: Any) -> list[str]:
    """What the history lists, page after page of two."""
    found, cursor = [], None
    while True:
        with hub.read() as reader:
            page = reader.history(context, *of, count=2, cursor=cursor, **bounds)
        found += [f"{each.reference}/{each.version}" for each in page.entries]
        cursor = page.next
        if cursor is None:
            return found


def filled(hub: Hub) -> list[Any]:
    first = create(hub, CLINIC, patient("p"))
    second = create(hub, CLINIC, task("t"))
    third = update(hub, CLINIC, patient("p", active=True))
    create(hub, PANTRY, patient("theirs"))
    fourth = hub.write(lambda unit: unit.delete(CLINIC, "Task", "t"))
    return [first, second, third, fourth]


def test_a_history_has_every_version_newest_first(hub: Hub) -> None:
    filled(hub)
    assert told(hub) == ["Task/t/2", "Patient/p/2", "Task/t/1", "Patient/p/1"]
    assert told(hub, CLINIC, "Patient") == ["Patient/p/2", "Patient/p/1"]
    assert told(hub, CLINIC, "Task", "t") == ["Task/t/2", "Task/t/1"]
    assert told(hub, PANTRY) == ["Patient/theirs/1"]
    assert len(told(hub, ADMIN)) == 5
    assert told(hub, CLINIC, "Basic") == []
    with pytest.raises(NotFound):
        told(hub, CLINIC, "Patient", "theirs")


def test_a_history_is_bounded_by_time(hub: Hub) -> None:
    first, second, third, fourth = (microseconds(each.updated) for each in filled(hub))
    assert told(hub, since=third) == ["Task/t/2", "Patient/p/2"]
    assert told(hub, CLINIC, "Patient", "p", since=fourth) == []
    assert told(hub, at=(first, first + 1)) == ["Patient/p/1"]
    assert told(hub, at=(second, third)) == ["Task/t/1", "Patient/p/1"]
    assert told(hub, at=(fourth, fourth + 10**9)) == ["Task/t/2", "Patient/p/2"]
    assert told(hub, at=(0, first)) == []


def test_a_grant_shows_a_history_from_when_it_was_given(hub: Hub) -> None:
    filled(hub)
    hub.write(lambda unit: unit.grant(Grant("Patient/p", "food-bank", "Task/t")))
    update(hub, CLINIC, patient("p", active=False))
    assert told(hub, PANTRY, "Patient") == ["Patient/p/3", "Patient/theirs/1", "Patient/p/2"]


def test_a_page_is_good_for_its_asker_and_its_question_alone(hub: Hub) -> None:
    filled(hub)
    with hub.read() as reader:
        mark = reader.history(CLINIC, count=1).next
        assert mark is not None
        assert reader.history(CLINIC, count=1, cursor=mark).entries[0].reference == "Patient/p"
        for context, of, count in (
            (PANTRY, (), 1),
            (CLINIC, ("Patient",), 1),
            (CLINIC, (), 2),
        ):
            with pytest.raises(InvalidSearch):
                reader.history(context, *of, count=count, cursor=mark)
        with pytest.raises(InvalidSearch):
            reader.history(CLINIC, count=1, cursor="x" + mark)


def test_what_refers_to_a_resource_is_found_but_for_records_of_it(hub: Hub) -> None:
    create(hub, CLINIC, patient("p"))
    create(hub, CLINIC, task("t", **{"for": {"reference": "Patient/p"}}))
    create(hub, PANTRY, task("u", focus={"reference": "Patient/p/_history/1"}))
    record: Any = {
        "resourceType": "Provenance",
        "id": "r",
        "target": [{"reference": "Patient/p"}],
        "recorded": "2026-03-02T00:00:00Z",
        "agent": [{"who": {"display": "x"}}],
    }
    create(hub, CLINIC, record)
    assert hub.write(lambda unit: list(unit.referrers("Patient/p"))) == ["Task/t", "Task/u"]
    assert hub.write(lambda unit: list(unit.referrers("Task/t"))) == []


def test_who_may_change_a_resource_is_asked_beforehand(hub: Hub) -> None:
    create(hub, CLINIC, task("t"))
    grant = Grant("Task/t", "food-bank", "Task/t")

    def ask(unit: Transaction) -> None:
        unit.check_right(PANTRY, "Task/t")

    with pytest.raises(NotFound):
        hub.write(ask)
    hub.write(lambda unit: unit.grant(grant))
    with pytest.raises(Denied):
        hub.write(ask)
    hub.write(lambda unit: unit.grant(Grant("Task/t", "food-bank", "Task/t", rights="ru")))
    hub.write(ask)


def test_of_two_that_found_nothing_the_second_looks_again(hub: Hub) -> None:
    """Both have looked before either writes, as far as the engine lets them."""
    met, looks = threading.Barrier(2), []

    def make(unit: Transaction) -> str:
        there = unit.search(CLINIC, parse_query("Patient", [("active", "true")])).entries
        looks.append(there)
        if there:
            return "found"
        if len(looks) <= 2 and not unit.link.engine.grouped:
            met.wait(10)
        unit.take_turn("Patient active=true")
        unit.put(CLINIC, patient(active=True), interaction="create")
        return "made"

    done = [hub.submit(make) for _ in range(2)]
    assert sorted(each.result() for each in done) == ["found", "made"]
