"""No reference is left to what is deleted at the same moment (SQLite has one writer)."""

from __future__ import annotations

from threading import Event
from typing import Any

import pytest

from gateway.errors import Conflict
from gateway.model import ValidResource
from gateway.store import Hub, Transaction, open_hub
from tests.store.found import put
from tests.store.samples import CLINIC, patient

SEEN_BY = ValidResource(
    {
        "resourceType": "Observation",
        "id": "o",
        "status": "final",
        "code": {"text": "weight"},
        "subject": {"reference": "Patient/p"},
    }
)


def refer(transaction: Transaction) -> None:
    transaction.hold(["Patient/p"])
    assert transaction.missing(CLINIC, ["Patient/p"]) == []
    transaction.put(CLINIC, SEEN_BY, interaction="create")


def remove(transaction: Transaction) -> None:
    transaction.delete(CLINIC, "Patient", "p")
    if transaction.referrers("Patient/p"):
        raise Conflict("others refer to it")


@pytest.fixture
def shared(postgres_url: str) -> Any:
    hub = open_hub(postgres_url)
    put(hub, CLINIC, patient("p"))
    yield hub
    hub.close()


def test_a_deletion_waits_for_who_refers_and_is_refused(shared: Hub) -> None:
    held, go_on, looked = Event(), Event(), Event()

    def slowly(transaction: Transaction) -> None:
        refer(transaction)
        held.set()
        assert go_on.wait(10)

    def late(transaction: Transaction) -> None:
        assert transaction.version("Patient/p") == 1  # its snapshot is older than the reference
        looked.set()
        remove(transaction)

    referring = shared.submit(slowly)
    assert held.wait(10)
    removing = shared.submit(late)
    assert looked.wait(10)
    go_on.set()
    referring.result(10)
    with pytest.raises(Conflict):
        removing.result(10)


def test_who_refers_to_what_was_just_deleted_looks_again(shared: Hub) -> None:
    looked, go_on = Event(), Event()
    tries = []

    def slowly(transaction: Transaction) -> None:
        tries.append(transaction.version("Patient/p"))
        looked.set()
        assert go_on.wait(10)
        refer(transaction)

    referring = shared.submit(slowly)
    assert looked.wait(10)
    shared.write(remove)
    go_on.set()
    with pytest.raises(AssertionError):
        referring.result(10)
    assert tries == [1, None]


def test_a_transaction_sees_what_it_let_go_itself(hub: Hub) -> None:
    put(hub, CLINIC, patient("p"), SEEN_BY)

    def both(transaction: Transaction) -> list[str]:
        transaction.delete(CLINIC, "Observation", "o")
        transaction.delete(CLINIC, "Patient", "p")
        return list(transaction.referrers("Patient/p"))

    assert hub.write(both) == []
