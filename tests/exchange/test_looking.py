"""Reads that are made in one snapshot, on both engines."""

from __future__ import annotations

import pytest

from gateway.errors import Denied, NotFound
from gateway.exchange.looking import Wanted
from gateway.model import Context, Stored
from gateway.pipeline import Pipeline
from gateway.store import Hub
from tests.exchanges import BANK, CLINIC, create, opened, parts, patient


@pytest.fixture
def pipeline(hub: Hub) -> Pipeline:
    return opened(hub)


def test_each_of_many_reads_gets_its_own_answer(pipeline: Pipeline) -> None:
    kind, id = parts(create(pipeline, patient()))
    blind = Context(CLINIC.agency, "blind", frozenset({"system/Task.r"}))
    asked = [
        Wanted(BANK, kind, id),
        Wanted(CLINIC, kind, id),
        Wanted(blind, kind, id),
        Wanted(CLINIC, kind, "nobody"),
        Wanted(CLINIC, kind, id, 1),
        Wanted(CLINIC, kind, id, 2),
    ]
    others, whole, denied, none, first, second = pipeline.looking.each(asked)
    assert isinstance(whole, Stored)
    assert whole == first == pipeline.read(CLINIC, kind, id)
    assert isinstance(denied, Denied)
    assert [type(each) for each in (others, none, second)] == [NotFound] * 3
