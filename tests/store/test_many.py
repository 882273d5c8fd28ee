"""What is new and ready is written as any other write would write it."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.fhir.json import loads
from gateway.model import ValidResource
from gateway.store import Hub, Transaction, packed, prepare
from gateway.store.search.index import TABLES
from gateway.store.session import microseconds
from gateway.store.tables import resource, version
from tests.store.samples import CLINIC, create, ids, patient, search, task

SAID = datetime(2025, 9, 30, 17, 5, tzinfo=UTC)


def created(hub: Hub, *found: ValidResource) -> list[bool]:
    ready = [packed(prepare(each)) for each in found]
    said = microseconds(SAID)
    return hub.write(lambda tx: [tx.create(CLINIC, each, said) for each in ready])


def rows(hub: Hub, id_: str) -> dict[str, list[Any]]:
    """All that the tables say of a resource, without its key, its id and the time."""
    told: dict[str, list[Any]] = {}
    with hub.read() as reader:
        named = sa.select(resource).where(resource.c.id == id_)
        ((key, type_, _, number, _, *rest),) = reader.link.select(named, {})
        told["resource"] = [(type_, number, *rest)]
        for table in TABLES:
            of = [c for c in table.columns if c.name != "resource"]
            found = reader.link.select(sa.select(*of).where(table.c.resource == key), {})
            told[table.name] = sorted((tuple(each) for each in found), key=repr)
        log = sa.select(version.c.type, version.c.version, version.c.interaction)
        told["version"] = [
            tuple(each) for each in reader.link.select(log.where(version.c.resource == key), {})
        ]
    return told


@pytest.mark.parametrize("of", [patient, task])
def test_it_is_there_as_any_write_would_have_it(hub: Hub, of: Any) -> None:
    assert created(hub, of("new")) == [True]
    one = of("other")
    hub.write(lambda tx: tx.put(CLINIC, one, interaction="create", said=SAID))
    assert rows(hub, "new") == rows(hub, "other")


def test_its_body_has_its_id_its_version_and_its_time(hub: Hub) -> None:
    created(hub, patient("new", active=True))
    with hub.read() as reader:
        found = reader.read(CLINIC, "Patient", "new")
        events = reader.events_after(0, ["Patient"])
    body = loads(found.body)
    assert list(body)[:3] == ["resourceType", "id", "meta"]
    assert (body["id"], body["meta"]["versionId"], body["active"]) == ("new", "1", True)
    assert (found.owner, found.version, len(events)) == (CLINIC.agency, 1, 1)
    assert ids(search(hub, CLINIC, "Patient", ("active", "true"))) == ["new"]


def test_what_is_there_or_was_is_left_as_it_is(hub: Hub) -> None:
    create(hub, CLINIC, patient("there"))
    create(hub, CLINIC, patient("gone"))
    hub.write(lambda tx: tx.delete(CLINIC, "Patient", "gone"))
    before = rows(hub, "there"), rows(hub, "gone")
    told = created(hub, patient("there", active=True), patient("gone"), patient("new"))
    assert told == [False, False, True]
    assert (rows(hub, "there"), rows(hub, "gone")) == before


def test_the_same_transaction_knows_it_and_may_change_it(hub: Hub) -> None:
    ready = packed(prepare(patient("new")))

    def unit(tx: Transaction) -> tuple[bool, bool, str | None]:
        first = tx.create(CLINIC, ready, None), tx.create(CLINIC, ready, None)
        tx.put(CLINIC, patient("new", active=True), interaction="update")
        return *first, tx.owner("Patient/new")

    assert hub.write(unit) == (True, False, CLINIC.agency)
    with hub.read() as reader:
        assert reader.read(CLINIC, "Patient", "new").version == 2


def test_a_savepoint_takes_it_back(hub: Hub) -> None:
    def unit(tx: Transaction) -> None:
        with suppress(ValueError), tx.savepoint():
            tx.create(CLINIC, packed(prepare(patient("new"))), None)
            raise ValueError
        assert tx.owner("Patient/new") is None

    hub.write(unit)
    assert created(hub, patient("new")) == [True]
