"""Parameters whose rows others hold: a row stands once, and each finds by it as if it were its."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from gateway.model import Context
from gateway.store import Hub
from gateway.store.search.index import param_key
from gateway.store.tables import string, token
from tests.store.found import found, put

CLINIC = Context("clinic", "test")
ANA: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "ana",
    "telecom": [{"system": "phone", "value": "555-0100"}, {"system": "fax", "value": "555-0199"}],
    "address": [{"line": ["1 Elm St"], "city": "Burlington", "state": "IA", "use": "home"}],
}
BO: dict[str, Any] = {"resourceType": "Patient", "id": "bo", "address": [{"city": "Ames"}]}


def condition(id: str, subject: str) -> dict[str, Any]:
    return {"resourceType": "Condition", "id": id, "subject": {"reference": subject}}


@pytest.fixture
def filled(hub: Hub) -> Hub:
    group = {"resourceType": "Group", "id": "all", "type": "person", "actual": True}
    about = condition("one", "Patient/ana"), condition("two", "Group/all")
    put(hub, CLINIC, ANA, BO, group, *about)
    return hub


@pytest.mark.parametrize(
    ("asked", "ids"),
    [
        ("Patient?telecom=555-0100", ["ana"]),
        ("Patient?phone=555-0100", ["ana"]),
        ("Patient?telecom=555-0199", ["ana"]),
        ("Patient?phone=555-0199", []),
        ("Patient?telecom:missing=true", ["bo"]),
        ("Patient?address=burl", ["ana"]),
        ("Patient?address-city=burl", ["ana"]),
        ("Patient?address=1 elm", ["ana"]),
        ("Patient?address-city=1 elm", []),
        ("Patient?address:contains=ame", ["bo"]),
        ("Patient?address:missing=true", []),
        ("Patient?_sort=-address", ["ana", "bo"]),
        ("Condition?subject=Patient/ana", ["one"]),
        ("Condition?patient=ana", ["one"]),
        ("Condition?subject=Group/all", ["two"]),
        ("Condition?subject:missing=false", ["one", "two"]),
        ("Condition?patient:missing=true", ["two"]),
        ("Condition?subject:Patient.address-city=burl", ["one"]),
        ("Patient?_has:Condition:subject:_id=one", ["ana"]),
    ],
)
def test_each_finds_what_it_would_with_rows_of_its_own(
    filled: Hub, asked: str, ids: list[str]
) -> None:
    answer = found(filled, CLINIC, asked)
    assert (answer if "_sort" in asked else sorted(answer)) == ids


def filed(hub: Hub, table: sa.Table, value: str) -> list[int]:
    column = table.c.code if table is token else table.c.value
    with hub._engine.reads.connect() as connection:
        rows = connection.execute(sa.select(table.c.param).where(column == value))
        return [row[0] for row in rows]


def test_a_row_stands_once_and_moves_with_what_is_said(filled: Hub) -> None:
    assert filed(filled, token, "555-0100") == [param_key("Patient", "phone")]
    assert filed(filled, token, "555-0199") == [param_key("Patient", "telecom")]
    assert filed(filled, string, "burlington") == [param_key("Patient", "address-city")]
    put(filled, CLINIC, {**ANA, "telecom": [{"system": "fax", "value": "555-0100"}]})
    assert filed(filled, token, "555-0100") == [param_key("Patient", "telecom")]
    assert found(filled, CLINIC, "Patient?phone=555-0100") == []
    assert found(filled, CLINIC, "Patient?telecom=555-0100") == ["ana"]
