from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gateway.errors import Denied, InvalidSearch, NotFound
from gateway.model import Context, Grant
from gateway.store import Hub
from tests.store.samples import (
    ADMIN,
    CLINIC,
    PANTRY,
    STRANGER,
    create,
    ids,
    patient,
    search,
    task,
    update,
)

HOUR = timedelta(hours=1)


def give(hub: Hub, grant: Grant) -> None:
    hub.write(lambda unit: unit.grant(grant))


def sees(hub: Hub, context: Context, type_: str, id_: str) -> bool:
    """Whether every way of reading finds it; that they agree is asserted."""
    with hub.read() as reader:
        found = []
        for read in (
            lambda: reader.read(context, type_, id_),
            lambda: reader.vread(context, type_, id_, 1),
            lambda: reader.history(context, type_, id_),
        ):
            try:
                read()
            except NotFound:
                found.append(False)
            else:
                found.append(True)
        found.append(reader.visible(context, f"{type_}/{id_}"))
    page = search(hub, context, type_, ("_id", id_))
    found += [ids(page) == [id_], page.total == 1]
    counted = search(hub, context, type_, ("_id", id_), ("_count", "0"))
    found.append(counted.total == 1)
    assert len(set(found)) == 1, found
    return found[0]


def test_an_agency_sees_nothing_of_another_s(hub: Hub) -> None:
    create(hub, CLINIC, patient("p", identifier=[{"system": "urn:s", "value": "1"}]))
    assert sees(hub, CLINIC, "Patient", "p")
    assert not sees(hub, PANTRY, "Patient", "p")
    for pairs in (
        (),
        (("identifier", "urn:s|1"),),
        (("name", "nun"),),
        (("_lastUpdated", "gt2020"),),
    ):
        page = search(hub, PANTRY, "Patient", *pairs)
        assert (page.entries, page.total) == ((), 0)
        assert ids(search(hub, CLINIC, "Patient", *pairs)) == ["p"]


def test_what_is_not_seen_is_not_found_by_writers_either(hub: Hub) -> None:
    create(hub, CLINIC, patient("p"))
    with pytest.raises(NotFound):
        update(hub, PANTRY, patient("p", active=True))
    with pytest.raises(NotFound):
        update(hub, PANTRY, patient("p", active=True), if_match=7)
    with pytest.raises(NotFound):
        hub.write(lambda unit: unit.delete(PANTRY, "Patient", "p"))


def test_a_live_grant_shows_the_resource_to_its_agency_alone(hub: Hub) -> None:
    create(hub, CLINIC, task("t"))
    give(hub, Grant("Task/t", "food-bank", "Task/t", datetime.now(UTC) + HOUR))
    assert sees(hub, PANTRY, "Task", "t")
    assert not sees(hub, STRANGER, "Task", "t")


def test_a_grant_to_everybody_shows_it_to_every_member(hub: Hub) -> None:
    create(hub, CLINIC, patient("p"))
    give(hub, Grant("Patient/p", "*", "directory"))
    assert sees(hub, PANTRY, "Patient", "p")
    assert sees(hub, STRANGER, "Patient", "p")


def test_an_expired_grant_shows_nothing(hub: Hub) -> None:
    create(hub, CLINIC, task("t"))
    give(hub, Grant("Task/t", "food-bank", "Task/t", datetime.now(UTC) - HOUR, "ru"))
    assert not sees(hub, PANTRY, "Task", "t")
    with pytest.raises(NotFound):
        update(hub, PANTRY, task("t", "accepted"))


def test_revoking_a_reason_ends_its_grants_and_no_other(hub: Hub) -> None:
    create(hub, CLINIC, task("t"))
    create(hub, CLINIC, patient("p"))
    for resource in ("Task/t", "Patient/p"):
        give(hub, Grant(resource, "food-bank", "Task/t"))
    give(hub, Grant("Patient/p", "food-bank", "Consent/c"))
    assert hub.write(lambda unit: unit.revoke("Task/t")) == 2
    assert not sees(hub, PANTRY, "Task", "t")
    assert sees(hub, PANTRY, "Patient", "p")
    assert hub.write(lambda unit: unit.revoke("Consent/c")) == 1
    assert not sees(hub, PANTRY, "Patient", "p")


def test_a_grant_given_again_is_renewed(hub: Hub) -> None:
    create(hub, CLINIC, task("t"))
    give(hub, Grant("Task/t", "food-bank", "Task/t", datetime.now(UTC) - HOUR))
    give(hub, Grant("Task/t", "food-bank", "Task/t"))
    assert sees(hub, PANTRY, "Task", "t")


def test_reading_is_not_writing(hub: Hub) -> None:
    create(hub, CLINIC, task("t"))
    give(hub, Grant("Task/t", "food-bank", "Task/t"))
    with pytest.raises(Denied) as refused:
        update(hub, PANTRY, task("t", "accepted"))
    assert refused.value.status == 403
    give(hub, Grant("Task/t", "food-bank", "Task/t", rights="ru"))
    written = update(hub, PANTRY, task("t", "accepted"))
    assert (written.version, written.owner) == (2, "cedar-general")


def test_an_administrator_reads_everything_and_writes_nothing_of_others(hub: Hub) -> None:
    create(hub, CLINIC, patient("p"))
    assert sees(hub, ADMIN, "Patient", "p")
    with pytest.raises(Denied):
        update(hub, ADMIN, patient("p", active=True))


def test_a_grant_shows_no_version_from_before_it(hub: Hub) -> None:
    for number in range(3):
        update(hub, CLINIC, patient("p", multipleBirthInteger=number))
    give(hub, Grant("Patient/p", "food-bank", "Task/t"))
    update(hub, CLINIC, patient("p", active=True))
    with hub.read() as reader:
        page = reader.history(PANTRY, "Patient", "p")
        assert ([e.version for e in page.entries], page.total) == ([4, 3], 2)
        assert reader.vread(PANTRY, "Patient", "p", 3).version == 3
        with pytest.raises(NotFound):
            reader.vread(PANTRY, "Patient", "p", 2)
        assert reader.history(CLINIC, "Patient", "p").total == 4


def test_a_reference_to_what_is_not_seen_is_missing(hub: Hub) -> None:
    create(hub, CLINIC, patient("p"))
    asked = ["Patient/p", "Patient/nobody", "Patient/p/_history/1", "https://x.example/Patient/p"]
    with hub.read() as reader:
        assert reader.missing(CLINIC, asked) == ["Patient/nobody"]
        assert reader.missing(PANTRY, asked) == [
            "Patient/p",
            "Patient/nobody",
            "Patient/p/_history/1",
        ]


def test_a_grant_of_what_is_not_there_is_refused(hub: Hub) -> None:
    with pytest.raises(NotFound):
        give(hub, Grant("Patient/nobody", "food-bank", "Task/t"))


def test_a_page_s_cursor_serves_only_who_got_it_for_what_they_asked(hub: Hub) -> None:
    for context in (CLINIC, PANTRY):
        for _ in range(3):
            create(hub, context, task())
    first = search(hub, CLINIC, "Task", ("_count", "2"))
    assert first.next
    assert len(search(hub, CLINIC, "Task", ("_count", "2"), cursor=first.next).entries) == 1
    for context, pairs in (
        (PANTRY, [("_count", "2")]),
        (CLINIC, [("_count", "2"), ("status", "requested")]),
    ):
        with pytest.raises(InvalidSearch):
            search(hub, context, "Task", *pairs, cursor=first.next)
    for broken in ("x", first.next[:-4] + "AAAA", "é", "A" * 40):
        with pytest.raises(InvalidSearch):
            search(hub, CLINIC, "Task", ("_count", "2"), cursor=broken)
