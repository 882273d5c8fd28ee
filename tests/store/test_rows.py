from __future__ import annotations

import uuid

import pytest

from gateway.errors import NotFound
from gateway.model import Context
from gateway.store import Aside, Header, Hub, Load, NewRow
from tests.store.samples import ADMIN, CLINIC, PANTRY

HEADER = Header(0, "Client.csv", '"PersonalID",Name', "utf-8", b"\xef\xbb\xbf", ",", "\r\n")


def sheet(hub: Hub) -> tuple[int, int]:
    """The keys of a file and its header."""

    def unit(tx: object) -> tuple[int, int]:
        key = tx.sheet_of(CLINIC.agency, "hmis", "Client")  # type: ignore[attr-defined]
        return key, tx.header_of(key, HEADER)  # type: ignore[attr-defined]

    return hub.write(unit)


def new(head: int, id: str, *, digest: bytes = b"d", raw: bytes = b"raw", by: str = "") -> NewRow:
    named = (("HouseholdID", by),) if by else ()
    return NewRow(id, head, 2, digest, 7, False, ("Patient/a", "Group/b"), raw, named)


def test_a_header_is_kept_once_and_another_beside_it(hub: Hub) -> None:
    key, head = sheet(hub)
    assert sheet(hub) == (key, head)
    other = hub.write(
        lambda tx: tx.header_of(key, Header(0, "c.csv", "A;B", "utf-8", b"", ";", "\n"))
    )
    with hub.read() as reader:
        first, second = reader.headers(key)
    assert (first.key, second.key) == (head, other)
    assert (first.raw, first.mark, first.newline) == (HEADER.raw, HEADER.mark, "\r\n")


def test_a_row_is_kept_by_its_id_and_found_in_the_order_of_its_first_coming(hub: Hub) -> None:
    key, head = sheet(hub)
    hub.write(lambda tx: tx.keep_rows(key, [new(head, f"p{n}") for n in range(70)]))
    hub.write(lambda tx: tx.keep_rows(key, [new(head, "p3", digest=b"e", raw=b"later")]))
    with hub.read() as reader:
        heads = reader.row_heads(key, ["p3", "p69", "nobody"])
        rows = list(reader.rows(CLINIC, "hmis", "Client"))
        assert list(reader.rows(PANTRY, "hmis", "Client")) == []
    assert {id: head.digest for id, head in heads.items()} == {"p3": b"e", "p69": b"d"}
    assert heads["p3"].made == ("Patient/a", "Group/b")
    assert [row.id for row in rows] == [f"p{n}" for n in range(70)]
    assert rows[3].raw == b"later"


def test_rows_of_two_files_by_turns_come_file_by_file_however_many_there_are(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.store.rows.SORTED", 20)
    monkeypatch.setattr("gateway.store.rows.READ", 8)
    key, head = sheet(hub)
    other = hub.write(lambda tx: tx.sheet_of(CLINIC.agency, "hmis", "Exit"))
    ids = [f"p{n * 7 % 60}" for n in range(60)]  # not in the order of their names
    for start in range(0, 60, 6):
        some = [new(head, each) for each in ids[start : start + 6]]
        hub.write(lambda tx, some=some: tx.keep_rows(key, some))
        hub.write(lambda tx, some=some: tx.keep_rows(other, some[:2]))
    with hub.read() as reader:
        assert [one.id for one in reader.rows(CLINIC, "hmis", "Client")] == ids
        exits = [one.id for one in reader.rows(CLINIC, "hmis", "Exit")]
    assert exits == [each for n, each in enumerate(ids) if n % 6 < 2]


def test_a_row_is_found_by_a_column_that_others_name_it_by(hub: Hub) -> None:
    key, head = sheet(hub)
    rows = [new(head, "1", by="h"), new(head, "2", by="h"), new(head, "3", by="x")]
    hub.write(lambda tx: tx.keep_rows(key, rows))
    with hub.read() as reader:
        assert {row.id for row in reader.rows_by(key, "HouseholdID", ["h"])} == {"1", "2"}
        assert reader.rows_by(key, "HouseholdID", ["nobody"]) == []


def aside(head: int, row: str = "p1", load: str = "L") -> Aside:
    return Aside(
        str(uuid.uuid4()), CLINIC.agency, "hmis", "Client", load, row, head, 3, "translate",
        "Client.csv:3:DOB", "why", b"raw", 1, "open",
    )  # fmt: skip


def test_a_row_that_was_set_aside_is_its_agencys_until_it_goes_in(hub: Hub) -> None:
    key, head = sheet(hub)
    one, other = aside(head), aside(head, "p2")
    for each in (one, other):
        hub.write(lambda tx, each=each: tx.set_row_aside(key, each))
    with hub.read() as reader:
        assert [each for _, each in reader.row_asides(CLINIC, load="L")] == [one, other]
        assert [each for _, each in reader.row_asides(ADMIN)] == [one, other]
        assert reader.row_asides(PANTRY) == []
        with pytest.raises(NotFound):
            reader.row_aside(PANTRY, one.id)
    hub.write(lambda tx: tx.rows_mended(key, ["p1"]))
    with hub.read() as reader:
        assert reader.row_aside(CLINIC, one.id).state == "mended"
        assert [each for _, each in reader.row_asides(CLINIC)] == [other]
        assert reader.has_row_asides(key)


def test_a_row_set_aside_again_takes_the_place_of_the_first(hub: Hub) -> None:
    key, head = sheet(hub)
    one, again = aside(head), aside(head, load="M")
    hub.write(lambda tx: tx.set_row_aside(key, one))
    hub.write(lambda tx: tx.set_row_aside(key, again))
    with hub.read() as reader:
        assert [each.id for _, each in reader.row_asides(CLINIC)] == [again.id]
        assert reader.row_aside(CLINIC, one.id).state == "dropped"


def test_a_load_is_its_agencys(hub: Hub) -> None:
    found = Load("l1", CLINIC.agency, "hmis", "http", 5, b"")
    hub.write(lambda tx: tx.begin_load(found))
    hub.write(lambda tx: tx.end_load("l1", b"{}"))
    with hub.read() as reader:
        assert reader.one_load(CLINIC, "l1").summary == b"{}"
        with pytest.raises(NotFound):
            reader.one_load(PANTRY, "l1")
        with pytest.raises(NotFound):
            reader.one_load(Context("nobody", "x"), "l1")


def test_what_a_row_says_is_in_no_text_of_it(hub: Hub) -> None:
    _, head = sheet(hub)
    assert "SECRET" not in repr(new(head, "x", raw=b"SECRET", by="SECRET"))
    assert "SECRET" not in repr(aside(head, row="SECRET"))
