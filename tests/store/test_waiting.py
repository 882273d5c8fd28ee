"""Rows that wait: what is rolled back takes its own with it, and no others (``store.link``)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from gateway.errors import StoreError
from gateway.model import Grant
from gateway.store import Hub, Transaction, open_hub
from tests.store.groups import held, outcome
from tests.store.samples import CLINIC, PANTRY, create, ids, patient, search, task

Unit = Callable[[Transaction], Any]


def together(hub: Hub, *units: Unit) -> list[str]:
    """Run the units in this order, on SQLite in one group; what became of each."""
    if not hub._engine.grouped:
        return [outcome(hub.submit(unit)) for unit in units]
    with held(hub):
        futures = [hub.submit(unit) for unit in units]
    return [outcome(future) for future in futures]


def put(id: str, family: str = "Novak") -> Unit:
    return lambda unit: unit.put(
        CLINIC, patient(id, name=[{"family": family}]), interaction="update"
    )


def granted(id: str, reason: str = "Task/t") -> Unit:
    def unit(transaction: Transaction) -> None:
        put(id)(transaction)
        transaction.grant(Grant(f"Patient/{id}", PANTRY.agency, reason))

    return unit


def then_fails(unit: Unit) -> Unit:
    def failing(transaction: Transaction) -> None:
        unit(transaction)
        raise ValueError("mine")

    return failing


def then_reads(unit: Unit) -> Unit:
    """The read makes all that waits be written, the other units' rows too."""

    def reading(transaction: Transaction) -> None:
        unit(transaction)
        transaction.read(CLINIC, "Patient", "before")

    return reading


def family(hub: Hub, name: str) -> list[str]:
    return ids(search(hub, CLINIC, "Patient", ("family", name), ("_sort", "_id")))


def test_a_rolled_back_unit_leaves_no_rows_and_no_grants(hub: Hub) -> None:
    create(hub, CLINIC, patient("before"))
    done = together(hub, granted("a"), then_fails(granted("b")), granted("c"))
    assert done == ["done", "ValueError", "done"]
    assert family(hub, "Novak") == ["a", "c"]
    assert ids(search(hub, PANTRY, "Patient", ("_sort", "_id"))) == ["a", "c"]
    with hub.read() as reader:
        assert [event.id for event in reader.events_after(0, ["Patient"])] == ["before", "a", "c"]


def test_what_a_rolled_back_unit_wrote_of_others_is_written_again(hub: Hub) -> None:
    create(hub, CLINIC, patient("before"))
    done = together(hub, granted("a"), then_fails(then_reads(granted("b"))), put("c"))
    assert done == ["done", "ValueError", "done"]
    assert family(hub, "Novak") == ["a", "c"]
    assert ids(search(hub, PANTRY, "Patient")) == ["a"]


def test_a_rolled_back_savepoint_keeps_what_waited_before_it(hub: Hub) -> None:
    create(hub, CLINIC, patient("before"))

    def unit(transaction: Transaction) -> None:
        put("a")(transaction)
        with suppress(ValueError), transaction.savepoint():
            then_fails(then_reads(put("b")))(transaction)
        put("c")(transaction)
        assert transaction.content("Patient/b") is None

    assert together(hub, unit) == ["done"]
    assert family(hub, "Novak") == ["a", "c"]


def test_keys_stay_unique_when_units_that_took_some_are_rolled_back(hub: Hub) -> None:
    create(hub, CLINIC, patient("before"))
    units = [then_fails(put(f"x{n}")) if n % 2 else put(f"p{n}") for n in range(12)]
    together(hub, *units)
    together(hub, *(put(f"q{n}") for n in range(3)))
    kept = {f"p{n}" for n in range(0, 12, 2)} | {"q0", "q1", "q2"}
    assert set(family(hub, "Novak")) == kept
    with hub.read() as reader:
        assert all(reader.read(CLINIC, "Patient", id).id == id for id in kept)


def test_a_resource_changed_by_several_units_of_a_group_is_found_as_the_last_left_it(
    hub: Hub,
) -> None:
    create(hub, CLINIC, patient("p", name=[{"family": "Novak"}]))
    together(hub, put("p", "Horak"), put("p", "Novak"), put("p", "Horak"), put("p", "Svoboda"))
    assert [family(hub, name) for name in ("Novak", "Horak", "Svoboda")] == [[], [], ["p"]]
    with hub.read() as reader:
        assert [each.version for each in reader.history(CLINIC, "Patient", "p").entries] == [
            5,
            4,
            3,
            2,
            1,
        ]


def unwritable(unit: Transaction) -> None:
    """A row that no database can hold; it fails when it is written."""
    unit.audit(CLINIC, "half \ud800 a pair", "Patient/p")


def test_rows_that_the_database_refuses_fail_their_own_unit_alone(hub: Hub) -> None:
    assert together(hub, put("a"), unwritable, put("c")) == ["done", "StoreError", "done"]
    assert family(hub, "Novak") == ["a", "c"]


def test_rows_that_the_database_refuses_fail_their_own_savepoint(hub: Hub) -> None:
    """What can't be stored is told where it can be kept as a failed message."""
    refused: list[str] = []

    def unit(transaction: Transaction) -> None:
        try:
            with transaction.savepoint():
                unwritable(transaction)
        except StoreError:
            refused.append("inside")
        put("kept")(transaction)

    assert together(hub, put("a"), unit) == ["done", "done"]
    assert refused == ["inside"]
    assert family(hub, "Novak") == ["a", "kept"]


def test_a_grant_given_again_stands_once_and_a_revoked_one_lives_again(hub: Hub) -> None:
    create(hub, CLINIC, task("t"))
    again = [granted("a"), granted("a"), lambda unit: unit.revoke("Task/t"), granted("a")]
    together(hub, *again[:2])
    assert hub.write(lambda unit: unit.revoke("Task/t")) == 1
    assert ids(search(hub, PANTRY, "Patient")) == []
    together(hub, *again)
    assert ids(search(hub, PANTRY, "Patient")) == ["a"]


def test_what_was_fetched_is_known_without_another_query(hub: Hub) -> None:
    for n in range(40):
        create(hub, CLINIC, patient(f"p{n}"))

    def unit(transaction: Transaction) -> list[bool]:
        wanted = [f"Patient/p{n}" for n in range(45)]
        transaction.fetch(wanted)
        assert set(transaction.link.known) == set(wanted)
        return [transaction.content(each) is not None for each in wanted]

    assert hub.write(unit) == [True] * 40 + [False] * 5


def test_the_hub_counts_its_keys_on_from_what_the_file_holds(database_url: str) -> None:
    for name in ("a", "b"):
        hub = open_hub(database_url)
        create(hub, CLINIC, patient(name))
        hub.close()
    hub = open_hub(database_url)
    assert ids(search(hub, CLINIC, "Patient", ("_sort", "_id"))) == ["a", "b"]
    hub.close()
