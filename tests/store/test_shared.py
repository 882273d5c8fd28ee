"""PostgreSQL's way of committing: what waits goes into one transaction, and rows by columns."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.errors import StoreError
from gateway.model import Grant
from gateway.store import Hub, Transaction
from gateway.store.resources import VERSION
from gateway.store.search import index
from tests.store.groups import Work, Writer, outcome
from tests.store.samples import CLINIC, create, patient


@pytest.fixture
def database_url(postgres_url: str) -> str:
    """One engine: the other has its own way."""
    return postgres_url


@pytest.fixture
def writer(hub: Hub, postgres_url: str) -> Iterator[Writer]:
    writer = Writer(postgres_url)
    yield writer
    writer.close()


def put(id: str, **more: Any) -> Work:
    return lambda tx: tx.put(CLINIC, patient(id, **more), interaction="create")


def there(hub: Hub, *ids: str) -> list[bool]:
    with hub.read() as reader:
        return [reader.visible(CLINIC, f"Patient/{id}") for id in ids]


def test_units_that_wait_share_a_transaction(writer: Writer) -> None:
    links = [each.result() for each in writer.together(*[lambda tx: tx.link] * 5)]
    assert len(set(map(id, links))) == 1


def test_an_error_before_anything_is_written_undoes_that_unit_alone_without_a_second_run(
    writer: Writer, hub: Hub
) -> None:
    runs: list[str] = []

    def broken(tx: Transaction) -> None:
        runs.append("broken")
        put("b")(tx)
        raise ValueError("mine")

    done = writer.together(put("a"), broken, put("c"))
    assert [outcome(each) for each in done] == ["done", "ValueError", "done"]
    assert there(hub, "a", "b", "c") == [True, False, True]
    assert runs == ["broken"]


def test_an_error_after_something_was_written_has_each_unit_run_alone(
    writer: Writer, hub: Hub
) -> None:
    def broken(tx: Transaction) -> None:
        tx.add_key("k", "hash", "a")
        raise ValueError("mine")

    done = writer.together(put("a"), broken, put("c"))
    assert [outcome(each) for each in done] == ["done", "ValueError", "done"]
    assert there(hub, "a", "c") == [True, True]
    with hub.read() as reader:
        assert reader.key("hash") is None


def test_rows_that_the_database_refuses_fail_their_own_unit(writer: Writer, hub: Hub) -> None:
    def orphan(tx: Transaction) -> None:
        tx.link.later(VERSION, [(-1, "Patient", 1, "create", 0, b"{}")])

    done = writer.together(put("a"), orphan, put("c"))
    assert [outcome(each) for each in done] == ["done", StoreError.__name__, "done"]
    assert there(hub, "a", "c") == [True, True]


def test_what_a_savepoint_undoes_is_undone_in_a_group_and_what_was_before_it_stays(
    writer: Writer, hub: Hub
) -> None:
    def unit(tx: Transaction) -> str:
        put("kept")(tx)
        with contextlib.suppress(ValueError), tx.savepoint():
            put("undone")(tx)
            tx.add_key("k", "hash", "a")
            raise ValueError("mine")
        put("after")(tx)
        return "done"

    done = writer.together(put("a"), unit, put("c"))
    assert [each.exception() for each in done] == [None] * 3
    assert there(hub, "a", "kept", "undone", "after", "c") == [True, True, False, True, True]
    with hub.read() as reader:
        assert reader.key("hash") is None


def test_any_text_goes_through_an_array_as_it_is(hub: Hub) -> None:
    texts = ['"', "\\", "{}", ",", "NULL", "null", " a ", "Łódź\n", '\\"', "'", "%s"]
    numbers = [{"system": "urn:x", "value": text} for text in texts]
    create(hub, CLINIC, patient("p", identifier=numbers))

    def codes(tx: Transaction) -> set[str]:
        head = tx._head("Patient/p")
        assert head is not None
        return {row[1] for row in tx.link.all(index.OWN[0], {"key": head.key})}

    assert hub.write(codes) >= set(texts)


def test_two_grants_of_one_right_in_a_unit_are_given_one_after_the_other(hub: Hub) -> None:
    create(hub, CLINIC, patient("p"))

    def unit(tx: Transaction) -> list[str]:
        for rights in ("r", "ru"):
            tx.grant(Grant("Patient/p", "food-bank", "Task/t", rights=rights))
        return [each.rights for each in tx.granted("Patient/p")]

    assert hub.write(unit) == ["ru"]
