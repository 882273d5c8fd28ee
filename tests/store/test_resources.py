from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from decimal import Decimal

import pytest

from gateway.errors import Conflict, Gone, NotFound, PreconditionFailed
from gateway.fhir.json import loads
from gateway.model import ValidResource
from gateway.store import Hub, Transaction
from tests.store.samples import CLINIC, create, ids, patient, search, task, update


def test_what_was_written_is_read_with_its_version_and_time(hub: Hub) -> None:
    written = create(hub, CLINIC, patient(active=True))
    with hub.read() as reader:
        found = reader.read(CLINIC, "Patient", written.id)
    assert (found.version, found.owner, written.change) == (1, "cedar-general", "create")
    body = loads(found.body)
    assert body["meta"]["versionId"] == "1"
    assert body["meta"]["lastUpdated"][:23] == found.updated.isoformat()[:23]
    assert list(body)[:3] == ["resourceType", "id", "meta"]
    assert body["active"] is True


def test_a_number_keeps_its_digits(hub: Hub) -> None:
    weight = ValidResource(
        {
            "resourceType": "Observation",
            "id": "w",
            "status": "final",
            "code": {"text": "weight"},
            "valueQuantity": {"value": Decimal("72.50")},
        }
    )
    assert b'"value":72.50' in create(hub, CLINIC, weight).body


def test_meta_of_the_sender_is_kept_and_the_hub_s_own_is_set(hub: Hub) -> None:
    meta = {"versionId": "99", "tag": [{"code": "x"}], "lastUpdated": "2001-01-01T00:00:00Z"}
    body = loads(create(hub, CLINIC, patient(meta=meta)).body)
    assert body["meta"]["versionId"] == "1"
    assert body["meta"]["tag"] == [{"code": "x"}]
    assert not body["meta"]["lastUpdated"].startswith("2001")


def test_an_unchanged_body_makes_no_version_and_no_event(hub: Hub) -> None:
    first = create(hub, CLINIC, patient("p"))
    again = update(hub, CLINIC, patient("p", meta={"versionId": "1"}))
    assert again.unchanged
    assert (again.version, again.body) == (1, first.body)
    with hub.read() as reader:
        assert len(reader.events_after(0, ["Patient"])) == 1


def test_an_update_makes_the_next_version_at_a_later_time(hub: Hub) -> None:
    first = create(hub, CLINIC, patient("p"))
    second = update(hub, CLINIC, patient("p", active=True))
    third = update(hub, CLINIC, patient("p", active=False), if_match=2)
    assert [second.version, third.version] == [2, 3]
    assert first.updated < second.updated < third.updated


def test_an_update_of_what_is_not_there_makes_it(hub: Hub) -> None:
    assert update(hub, CLINIC, patient("p")).change == "create"


def test_a_create_of_a_taken_id_is_a_conflict(hub: Hub) -> None:
    create(hub, CLINIC, patient("p"))
    with pytest.raises(Conflict):
        create(hub, CLINIC, patient("p", active=True))


def test_if_match_of_another_version_is_refused(hub: Hub) -> None:
    create(hub, CLINIC, patient("p"))
    with pytest.raises(PreconditionFailed):
        update(hub, CLINIC, patient("p", active=True), if_match=2)
    with pytest.raises(NotFound):
        update(hub, CLINIC, patient("q"), if_match=1)


def test_of_32_parallel_updates_with_if_match_one_goes_through(hub: Hub) -> None:
    create(hub, CLINIC, task("t"))
    start = threading.Barrier(32)

    def attempt(number: int) -> int | None:
        start.wait()
        try:
            change = task("t", "accepted", description=f"by {number}")
            return update(hub, CLINIC, change, if_match=1).version
        except PreconditionFailed:
            return None

    with ThreadPoolExecutor(32) as pool:
        versions = list(pool.map(attempt, range(32)))
    assert sorted(v for v in versions if v) == [2]
    with hub.read() as reader:
        assert reader.history(CLINIC, "Task", "t").total == 2


def test_parallel_first_writes_of_one_id_become_versions_of_one_resource(hub: Hub) -> None:
    with ThreadPoolExecutor(8) as pool:
        written = list(
            pool.map(lambda n: update(hub, CLINIC, task("t", description=f"{n}")), range(8))
        )
    assert sorted(one.version for one in written) == list(range(1, 9))


def test_a_deleted_resource_is_gone_from_reads_and_searches_but_not_from_history(hub: Hub) -> None:
    create(hub, CLINIC, task("t"))
    deleted = hub.write(lambda unit: unit.delete(CLINIC, "Task", "t"))
    assert (deleted.version, deleted.deleted, deleted.change) == (2, True, "delete")
    again = hub.write(lambda unit: unit.delete(CLINIC, "Task", "t"))
    assert again.unchanged
    with hub.read() as reader:
        with pytest.raises(Gone):
            reader.read(CLINIC, "Task", "t")
        with pytest.raises(Gone):
            reader.vread(CLINIC, "Task", "t", 2)
        assert reader.vread(CLINIC, "Task", "t", 1).version == 1
        assert [e.deleted for e in reader.history(CLINIC, "Task", "t").entries] == [True, False]
        assert reader.missing(CLINIC, ["Task/t"]) == ["Task/t"]
    assert search(hub, CLINIC, "Task").total == 0
    assert search(hub, CLINIC, "Task", ("status", "requested")).total == 0
    assert update(hub, CLINIC, task("t")).version == 3
    assert ids(search(hub, CLINIC, "Task", ("status", "requested"))) == ["t"]


def test_history_comes_newest_first_in_pages(hub: Hub) -> None:
    for number in range(5):
        update(hub, CLINIC, task("t", description=str(number)))
    seen: list[int] = []
    cursor = None
    while True:
        with hub.read() as reader:
            page = reader.history(CLINIC, "Task", "t", count=2, cursor=cursor)
        assert page.total == 5
        seen += [entry.version for entry in page.entries]
        cursor = page.next
        if cursor is None:
            break
    assert seen == [5, 4, 3, 2, 1]


def test_an_update_changes_what_search_finds_it_by(hub: Hub) -> None:
    create(hub, CLINIC, task("t", description="a"))
    update(hub, CLINIC, task("t", "accepted"))
    assert ids(search(hub, CLINIC, "Task", ("status", "requested"))) == []
    assert ids(search(hub, CLINIC, "Task", ("status", "accepted"))) == ["t"]
    assert ids(search(hub, CLINIC, "Task", ("owner", "Organization/food-bank"))) == ["t"]


def test_a_savepoint_undoes_what_was_done_inside_it_alone(hub: Hub) -> None:
    def unit(transaction: Transaction) -> None:
        transaction.put(CLINIC, patient("before"), interaction="create")
        with suppress(ValueError), transaction.savepoint():
            transaction.put(CLINIC, patient("inside"), interaction="create")
            raise ValueError("inside")
        assert transaction.current("Patient", "inside") is None
        transaction.put(CLINIC, patient("after"), interaction="create")

    hub.write(unit)
    assert ids(search(hub, CLINIC, "Patient", ("_sort", "_id"))) == ["after", "before"]


def test_what_a_savepoint_undid_is_not_named_among_what_was_written(hub: Hub) -> None:
    def unit(transaction: Transaction) -> object:
        transaction.named = []
        for id in "abc":
            with suppress(ValueError), transaction.savepoint():
                transaction.put(CLINIC, patient(id), interaction="create")
                if id == "b":
                    raise ValueError("mine")
        transaction.delete(CLINIC, "Patient", "a")
        return transaction.named

    assert hub.write(unit) == [("Patient", "a", 1), ("Patient", "c", 1), ("Patient", "a", 2)]


def test_a_transaction_reads_its_own_writes(hub: Hub) -> None:
    def unit(transaction: Transaction) -> int:
        transaction.put(CLINIC, patient("p"), interaction="create")
        assert transaction.read(CLINIC, "Patient", "p").version == 1
        assert not transaction.missing(CLINIC, ["Patient/p", "urn:uuid:x", "#contained"])
        transaction.put(CLINIC, patient("p", active=True), interaction="update")
        current = transaction.current("Patient", "p")
        assert current
        return current.version

    assert hub.write(unit) == 2


def test_a_snapshot_does_not_see_what_is_written_after_it_began(hub: Hub) -> None:
    create(hub, CLINIC, patient("p"))
    with hub.read() as reader:
        assert reader.read(CLINIC, "Patient", "p").version == 1
        update(hub, CLINIC, patient("p", active=True))
        assert reader.read(CLINIC, "Patient", "p").version == 1
    with hub.read() as reader:
        assert reader.read(CLINIC, "Patient", "p").version == 2
