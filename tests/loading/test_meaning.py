"""Rows are translated in other processes, and here when one is gone."""

from __future__ import annotations

import os
import signal
import threading
from decimal import Decimal
from pathlib import Path

import pytest

from gateway.errors import Lack
from gateway.loading.meaning import (
    Meaning,
    Meanings,
    Question,
    _asked,
    _heard,
    _packed,
    _unpacked,
)
from gateway.record import Given
from gateway.rows import lying, read
from gateway.settings import Settings, shipped
from gateway.translate import Rows
from tests.messages.test_understanding import rests, until
from tests.shipped import library

SAMPLE = shipped("mappings") / "hmis" / "samples" / "fy2026"
HARBOR = library().agencies["harbor-shelter"]


@pytest.fixture(scope="module")
def questions() -> list[Question]:
    made = read(library(), HARBOR, "hmis", list(lying(SAMPLE)))
    return [(each.plan.name, each.given) for each in made if each.plan and each.given]


def meanings(processes: int) -> Meanings:
    source = (HARBOR.id, "", 0, library().map_version(HARBOR.id))
    return Meanings(Rows(library(), HARBOR, "hmis"), source, Settings().folders, processes)


def made(found: list[Meaning]) -> list[list[str]]:
    return [[ready.reference for ready in each.entries] for each in found]


def test_another_process_says_what_this_one_would(questions: list[Question]) -> None:
    beside = meanings(2)
    try:
        found = [beside(questions[n : n + 5]) for n in range(0, len(questions), 5)]
        together = [one for each in found for one in each.result(60)]
    finally:
        beside.close()
    assert together == meanings(0)(questions).result()
    assert any(made(together))


def test_codes_that_lack_come_over_too() -> None:
    found = [Meaning(lacks=(Lack("sex", "Q7", "", "guests.csv:2:Sex"),), stage="translate")]
    assert _unpacked(_packed(found)) == found


def test_a_question_arrives_as_it_was_asked(questions: list[Question]) -> None:
    assert any(given.found for _, given in questions)
    json = Given("one.json", 1, value={"amount": Decimal("1.50")}, pointer="")
    for some in (questions, [("Order", json)]):
        assert list(_heard(_asked(some))) == some


def test_one_that_dies_in_the_middle_of_an_answer_holds_no_load_up(
    questions: list[Question],
) -> None:
    beside = meanings(1)
    (child,) = beside._children
    go_on = threading.Event()
    try:
        assert child._heard.wait(60)
        first = beside(questions)
        # It runs on the thread that reads: the pipe fills, until an answer stands in it by half.
        first.add_done_callback(lambda _: go_on.wait(60))
        asked = [first, *(beside(questions) for _ in range(60))]
        until(lambda: rests(child.pid))
        os.kill(child.pid, signal.SIGKILL)
        go_on.set()
        expected = made(first.result(60))
        assert all(made(each.result(60)) == expected for each in asked)
    finally:
        beside.close()
    assert not Path(f"/proc/{child.pid}").exists()
