"""Rows into the hub: once, the newest, whole; and those that can't go in, set aside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway.errors import NotFound, ParseError
from gateway.loading import Loading
from gateway.loading.tally import Tally
from gateway.model import Context
from gateway.pipeline import Pipeline
from gateway.store import Hub, Transaction
from gateway.store.tables import resource
from tests import feeds
from tests.feeds import CLIENTS, VISITS, client, table, visit
from tests.loading.conftest import HARBOR, Find, Put

PANTRY = Context("pantry", "test")
TWICE = "two rows of one id: the newer counts, else the later"


def counts(tally: Tally, file: str) -> dict[str, int]:
    """What became of a file's rows, without what is 0."""
    return {fate: count for fate, count in tally.files[file].items() if count}


def first() -> dict[str, bytes]:
    """Two clients, one with two visits."""
    return {
        "visits.csv": table(VISITS, visit("v1", "1"), visit("v2", "1")),
        "clients.csv": table(
            CLIENTS, client("1", dob="1/2/1990", Veteran="1"), client("2", Changed="2024-01-01")
        ),
    }


def test_rows_go_in_whatever_the_order_of_their_files(put: Put, find: Find) -> None:
    tally = put(first())
    assert tally.is_whole
    assert list(tally.files) == ["clients.csv", "visits.csv"]
    assert counts(tally, "clients.csv") == {"rows": 2, "new": 2}
    assert len(find("Patient")) == 2
    assert len(find("Observation")) == 1
    stays = find("Encounter")
    assert {one["subject"]["display"] for one in stays} == {"L1"}
    assert sorted(len(one["identifier"]) for one in stays) == [2, 2]


def test_the_same_again_changes_nothing(put: Put, find: Find) -> None:
    put(first())
    before = sorted(json.dumps(one, default=str) for one in find("Patient") + find("Encounter"))
    tally = put(first())
    assert counts(tally, "clients.csv") == {"rows": 2, "unchanged": 2}
    assert counts(tally, "visits.csv") == {"rows": 2, "unchanged": 2}
    assert tally.resources == {}
    after = sorted(json.dumps(one, default=str) for one in find("Patient") + find("Encounter"))
    assert after == before


def test_a_column_that_is_ignored_is_no_change(put: Put) -> None:
    columns = (*CLIENTS, "Export")
    put({"clients.csv": table(columns, client("1", Export="1"))})
    tally = put({"clients.csv": table(columns, client("1", Export="2"))})
    assert counts(tally, "clients.csv") == {"rows": 1, "unchanged": 1}


def test_what_a_row_no_longer_says_goes(put: Put, find: Find) -> None:
    put(first())
    tally = put({"clients.csv": table(CLIENTS, client("1"))})
    assert counts(tally, "clients.csv") == {"rows": 1, "changed": 1}
    assert tally.resources["Observation"]["deleted"] == 1
    assert find("Observation") == []
    assert not any("birthDate" in one for one in find("Patient"))


def test_an_older_row_never_overwrites_a_newer(put: Put, find: Find) -> None:
    put({"clients.csv": table(CLIENTS, client("1", Last="New", Changed="2024-03-02 10:00:00"))})
    old = client("1", Last="Old", Changed="3/2/24 9:59 AM")
    tally = put({"clients.csv": table(CLIENTS, old)})
    assert counts(tally, "clients.csv") == {"rows": 1, "older": 1}
    assert find("Patient")[0]["name"] == [{"family": "New", "given": ["Ada"]}]
    tally = put({"clients.csv": table(CLIENTS, client("1", Last="Odd", Changed="n/a"))})
    assert counts(tally, "clients.csv") == {"rows": 1, "changed": 1}


def test_of_a_row_that_comes_twice_the_later_counts(put: Put, find: Find) -> None:
    rows = [client("1", Last="One"), client("1", Last="Two"), client("1", Last="Three")]
    tally = put({"clients.csv": table(CLIENTS, *rows)})
    assert counts(tally, "clients.csv") == {"rows": 3, "new": 1, "changed": 2}
    assert [one["name"][0]["family"] for one in find("Patient")] == ["Three"]


def test_rows_of_one_id_are_told_of_and_the_same_file_again_changes_nothing(
    put: Put, find: Find
) -> None:
    rows = [client("1", Last=name) for name in ("Ada", "Bo", "Cy")]
    some = {"clients.csv": table(CLIENTS, *rows, client("2"), client("1", Last="Di"))}
    first = put(some)
    before = {one["id"]: one["meta"]["versionId"] for one in find("Patient")}
    again = put(some)
    assert counts(again, "clients.csv") == {"rows": 5, "unchanged": 2, "older": 3}
    assert again.resources == {}
    assert {one["id"]: one["meta"]["versionId"] for one in find("Patient")} == before
    assert {one["name"][0]["family"] for one in find("Patient")} == {"Di", "L2"}
    for tally in (first, again):
        assert dict(tally.warnings) == {("clients.csv", TWICE): 3}


def test_of_rows_of_one_id_the_newest_counts_wherever_it_stands(put: Put, find: Find) -> None:
    put({"clients.csv": table(CLIENTS, client("1", Last="Ada", Changed="2024-03-01"))})
    rows = (
        client("1", Last="Bo", Changed="2024-03-01"),
        client("1", Last="Cy", Changed="2024-01-01"),
    )
    put({"clients.csv": table(CLIENTS, *rows)})
    assert [one["name"][0]["family"] for one in find("Patient")] == ["Bo"]


def test_a_deleted_row_takes_what_it_made_with_it(put: Put, find: Find) -> None:
    put(first())
    gone = {
        "clients.csv": table(CLIENTS, client("1", Gone="1"), client("2")),
        "visits.csv": table(VISITS, visit("v1", "1", Gone="1"), visit("v2", "1", Gone="1")),
    }
    tally = put(gone)
    assert counts(tally, "clients.csv") == {"rows": 2, "deleted": 1, "unchanged": 1}
    assert [one["identifier"][0]["value"] for one in find("Patient")] == ["2"]
    assert find("Encounter") == []
    assert counts(put(gone), "visits.csv") == {"rows": 2, "unchanged": 2}


def test_what_others_need_stays_and_says_that_it_isnt_active(put: Put, find: Find) -> None:
    put(first())
    put({"clients.csv": table(CLIENTS, client("1", Gone="1"))})
    patients = {one["identifier"][0]["value"]: one for one in find("Patient")}
    assert patients["1"]["active"] is False


def test_a_delta_finds_what_was_kept_and_makes_others_again(put: Put, find: Find) -> None:
    put(first())
    tally = put({"visits.csv": table(VISITS, visit("v3", "1"))})
    assert counts(tally, "visits.csv") == {"rows": 3, "new": 1, "changed": 2}
    assert sorted(len(one["identifier"]) for one in find("Encounter")) == [3, 3, 3]
    put({"visits.csv": table(VISITS, visit("v2", "1", Gone="1"))})
    assert sorted(len(one["identifier"]) for one in find("Encounter")) == [2, 2]


def test_a_bad_row_is_set_aside_and_the_rest_goes_in(put: Put, find: Find) -> None:
    rows = table(CLIENTS, client("1"), client("2", Sex="x"), client(""), client("3"))
    tally = put({"clients.csv": rows + b"4,short\r\n"})
    assert counts(tally, "clients.csv") == {"rows": 5, "new": 2, "aside": 3}
    told = [(one.row, one.column, one.reason) for one in tally.asides]
    assert told == [
        (3, "Sex", "a code that the table 'sex' lacks"),
        (4, "Id", "nothing says which row this is"),
        (6, "", "2 cells, where the header has 9"),
    ]
    assert len(find("Patient")) == 2


def test_a_row_that_refers_to_what_isnt_here_is_set_aside_until_it_is(
    put: Put, find: Find, loading: Loading
) -> None:
    tally = put({"visits.csv": table(VISITS, visit("v1", "1"))})
    assert [one.reason for one in tally.asides] == ["refers to a Patient that isn't here"]
    put({"clients.csv": table(CLIENTS, client("1"))})
    (again,) = loading.again(HARBOR, loading.asides.open(HARBOR))
    assert again.is_whole
    assert len(find("Encounter")) == 1
    assert loading.asides.open(HARBOR) == []


def mended(loading: Loading, tally: Tally, file: str, old: bytes, new: bytes) -> bytes:
    """The set-aside rows of a file, with a text in another's place."""
    told = loading.told(HARBOR, tally.load)
    _, pieces = loading.aside_file(HARBOR, told, file)
    raw = b"".join(pieces)
    assert old in raw
    return raw.replace(old, new)


def test_a_mended_file_goes_in_and_closes_what_was_set_aside(
    put: Put, find: Find, loading: Loading
) -> None:
    rows = table(CLIENTS, client("1", Sex="x", SSN="078051120"), client("", First="Bob"))
    tally = put({"clients.csv": rows})
    raw = mended(loading, tally, "clients.csv", b",x,", b",M,").replace(b"\r\n,Bob", b"\r\n9,Bob")
    assert b"078051120" not in raw
    assert b"***" in raw
    again = put({"clients.csv": raw})
    assert counts(again, "clients.csv") == {"rows": 2, "new": 2}
    assert {one.get("gender") for one in find("Patient")} == {"male", None}
    assert loading.asides.open(HARBOR) == []


def test_a_mended_row_keeps_what_was_masked_and_nothing_that_was_added(
    put: Put, loading: Loading, hub: Hub
) -> None:
    tally = put({"clients.csv": table(CLIENTS, client("1", Sex="x", SSN="078051120"))})
    put({"clients.csv": mended(loading, tally, "clients.csv", b",x,", b",M,")})
    with hub.read() as reader:
        (row,) = reader.rows(HARBOR, "shelter", "client")
        header = reader.headers(reader.sheet("harbor", "shelter", "client") or 0)[-1]
    assert row.raw == b"1,Ada,L1,,M,,078051120,,"
    assert header.raw == ",".join(CLIENTS)


def test_a_good_row_of_the_same_id_closes_what_was_set_aside(put: Put, loading: Loading) -> None:
    put({"clients.csv": table(CLIENTS, client("1", Sex="x"))})
    assert len(loading.asides.open(HARBOR)) == 1
    assert loading.asides.open(PANTRY) == []
    put({"clients.csv": table(CLIENTS, client("1", Sex="M"))})
    assert loading.asides.open(HARBOR) == []


def test_a_row_that_may_not_be_kept_is_kept_nowhere(
    put: Put, loading: Loading, find: Find, tmp_path: Path
) -> None:
    secret = visit("v1", "1", Kind="secret")
    tally = put(
        {
            "clients.csv": table(CLIENTS, client("1", First="Hidden"), client("2")),
            "visits.csv": table(VISITS, secret, visit("v2", "2")),
        }
    )
    assert sorted((one.file, one.row, one.reason) for one in tally.asides) == [
        ("clients.csv", 2, "may not be shared"),
        ("visits.csv", 2, "secret visits stay out"),
    ]
    assert [one["identifier"][0]["value"] for one in find("Patient")] == ["2"]
    assert all(each.raw == b"" for each in loading.asides.open(HARBOR))
    with pytest.raises(NotFound):
        loading.aside_file(HARBOR, loading.told(HARBOR, tally.load), "clients.csv")
    data = tmp_path / "data"
    assert not any(b"Hidden" in file.read_bytes() for file in data.rglob("*") if file.is_file())
    assert not list((data / "loads").iterdir())


def test_a_load_that_its_feed_refuses_changes_nothing(put: Put, find: Find) -> None:
    tally = put(first() | {"About.csv": b"Name,Version\nX,2\n"})
    assert tally.refused == "the version isn't 1 (About.csv:2:Version)"
    assert not tally.took
    assert find("Patient") == []
    assert put(first() | {"About.csv": b"Name,Version\nX,1\n"}).is_whole


def test_a_file_that_cant_be_read_leaves_the_others(put: Put, find: Find) -> None:
    tally = put({"clients.csv": table(CLIENTS, client("1")), "visits.csv": b"Visit;Client\n1;1\n"})
    assert tally.faults == {}
    tally = put({"clients.csv": table(CLIENTS, client("2")), "visits.csv": b"Nothing\n1\n"})
    place, reason = tally.faults["visits.csv"]
    assert place == "visits.csv:1:Visit"
    assert "delimiter" in reason
    assert len(find("Patient")) == 2


def test_files_that_no_map_reads_are_kept_or_told_of(put: Put, hub: Hub) -> None:
    tally = put({"Notes.csv": b"a,b\n1,2\n", "readme.txt": b"x"})
    assert tally.ignored == ["readme.txt"]
    assert counts(tally, "Notes.csv") == {"rows": 1, "new": 1}
    with hub.read() as reader:
        assert [row.raw for row in reader.rows(HARBOR, "shelter", "Notes")] == [b"1,2"]


def test_no_feed_of_that_name_is_told(put: Put) -> None:
    with pytest.raises(NotFound, match="no such feed"):
        put(first(), feed="nobody")


def test_two_files_of_one_name_are_refused_before_anything_goes_in(
    loading: Loading, tmp_path: Path
) -> None:
    from gateway.rows import Came

    (tmp_path / "x").write_bytes(table(CLIENTS, client("1")))
    came = [Came("clients.csv", tmp_path / "x"), Came("Clients.csv", tmp_path / "x")]
    with pytest.raises(ParseError, match="two files"):
        loading(HARBOR, "shelter", came, channel="test", spool=loading.spool())


def test_no_value_of_a_row_is_in_a_summary(put: Put) -> None:
    bad = client("SECRET", First="SECRET", Last="SECRET", Sex="SECRET", SSN="SECRET")
    tally = put({"clients.csv": table(CLIENTS, bad)})
    assert tally.set_aside == 1
    assert b"SECRET" not in tally.as_json()


def test_where_it_came_from_is_on_record(put: Put, find: Find) -> None:
    tally = put({"clients.csv": table(CLIENTS, client("1"), client("2"))})
    (source,) = find("Provenance")
    assert len(source["target"]) == 2
    assert source["entity"][0]["what"]["identifier"]["value"] == tally.load
    assert source["activity"]["text"] == "shelter/client"


def test_a_row_that_the_hub_refuses_takes_nobody_with_it(
    put: Put, find: Find, hub: Hub, pipeline: Pipeline
) -> None:
    put({"clients.csv": table(CLIENTS, client("5"))})
    hub.write(_given_away)
    tally = put({"clients.csv": table(CLIENTS, *(client(str(n), Sex="F") for n in range(150)))})
    assert counts(tally, "clients.csv") == {"rows": 150, "new": 149, "aside": 1}
    assert [one.row for one in tally.asides] == [7]


def _given_away(tx: Transaction) -> None:
    """What Harbor has is another's from now on: its rows can't change it."""
    tx.link.select(sa.update(resource).values(owner="pantry").returning(resource.c.key), {})


@pytest.mark.parametrize(
    ("persons", "reason"),
    [
        (
            ", persons: [client]",
            "a victim service provider's clients may not enter a shared database",
        ),
        ("", "a victim service provider's client goes under a pseudonym alone"),
    ],
    ids=["its maps say so", "they don't"],
)
def test_of_a_confidential_agency_no_person_goes_in(
    put: Put, pipeline: Pipeline, tmp_path: Path, persons: str, reason: str
) -> None:
    folder = feeds.put(tmp_path / "haven", {})
    text = "agency: haven\nname: Haven\nvictim-service-provider: true\n"
    text += f"feeds: [{{kind: csv, feed: shelter{persons}}}]\n"
    (folder / "agency.yaml").write_text(text, encoding="utf-8")
    pipeline.members.add("haven", folder)
    haven = Context("haven", "test")
    tally = put({"clients.csv": table(CLIENTS, client("1"))}, context=haven)
    assert [one.reason for one in tally.asides] == [reason]
    assert all(each.raw == b"" for each in pipeline.loading.asides.open(haven))
