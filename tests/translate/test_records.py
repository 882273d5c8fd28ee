"""Maps over rows and JSON: paths, lookups, what other rows make, and what isn't accepted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import MapError, Refused, TranslateError
from gateway.model import Agency
from gateway.record import Found, Given
from gateway.translate import Lookup, RecordPlan, Rows, load
from gateway.translate.columns import picker
from tests import feeds
from tests.translate.maps import write

AGENCY = Agency("harbor", "Harbor", timezone="America/Chicago")


def rows_of(folder: Path, feed: str = "shelter") -> Rows:
    return Rows(load([folder]), AGENCY, feed)


def plan_of(rows: Rows, file: str) -> RecordPlan:
    plan = rows.feed.of(file)[0].plan
    assert plan is not None
    return plan


def translated(
    rows: Rows, file: str, row: dict[str, str], found: dict[str, list[dict[str, str]]] | None = None
) -> Any:
    """What a row becomes; ``found`` is what its lookups find."""
    plan = plan_of(rows, file)

    def joins(lookup: Lookup, wanted: Sequence[str]) -> list[Found]:
        told = (found or {}).get(lookup.name, [])
        return [
            Found(f"{lookup.into}.csv", n, tuple(one.get(name, "") for name in lookup.columns))
            for n, one in enumerate(told, 2)
        ]

    given = Given(
        file, 2, picker(plan.columns, list(row), rows.feed.layout.empty)(list(row.values()))
    )
    found_, _ = rows.found(plan, given, joins)
    return rows.translate(plan, found_)


def test_cells_are_found_by_name_whatever_their_row_lacks() -> None:
    pick = picker(("DOB", "None such", "name"), ("Name", "DOB"), frozenset({"NULL"}))
    assert pick([" Ada ", "2001"]) == ("2001", "", "Ada")
    assert pick(["Ada"]) == ("", "", "Ada")
    assert pick(["NULL", "2001", "more"]) == ("2001", "", "")
    assert picker(("DOB",), ("Name", "DOB"))(["Ada", "2001"]) == ("2001",)
    assert picker((), ("Name",))(["Ada"]) == ()


def test_a_row_becomes_what_its_map_says(tmp_path: Path) -> None:
    rows = rows_of(feeds.maps(tmp_path))
    made = translated(rows, "clients.csv", feeds.client("7", dob="2/29/04", Sex="F"))
    (entry,) = made.entries
    assert entry.resource == {
        "resourceType": "Patient",
        "id": entry.resource["id"],
        "identifier": [
            {
                "system": "https://care-gateway.example/fhir/agency/harbor/shelter/clients",
                "value": "7",
            }
        ],
        "name": [{"family": "L7", "given": ["Ada"]}],
        "birthDate": "2004-02-29",
        "gender": "female",
    }


def test_what_is_empty_goes(tmp_path: Path) -> None:
    rows = rows_of(feeds.maps(tmp_path))
    made = translated(rows, "clients.csv", {"Id": "7", "Last": " ", "First": "NULL"})
    assert made.entries[0].removes == {"name", "birthDate", "gender"}


def test_column_names_are_found_whatever_their_case_and_blanks(tmp_path: Path) -> None:
    rows = rows_of(feeds.maps(tmp_path))
    made = translated(rows, "clients.csv", {"ID ": "7", "date  of Birth": "1/2/2003"})
    assert made.entries[0].resource["birthDate"] == "2003-01-02"


def test_lookups_are_read_by_name_gone_over_and_referred_to(tmp_path: Path) -> None:
    rows = rows_of(feeds.maps(tmp_path))
    found = {"client": [{"Last": "Lovelace"}], "others": [{"Visit": "v1"}, {"Visit": "v2"}]}
    made = translated(rows, "visits.csv", feeds.visit("v1", "7"), found)
    (entry,) = made.entries
    client = translated(rows, "clients.csv", feeds.client("7")).entries[0].reference
    assert entry.resource["subject"] == {"reference": client, "display": "Lovelace"}
    assert [one["value"] for one in entry.resource["identifier"]] == ["v1 of v1", "v2 of v1"]
    assert made.refers == ((client, "visits.csv:2:Client"),)


def test_a_condition_over_found_rows_asks_them_all(tmp_path: Path) -> None:
    text = feeds.CLIENT.replace("barred exists and not open exists", "open.Kind = bad")
    rows = rows_of(write(feeds.maps(tmp_path), {"shelter/records/client.yaml": text}))
    with pytest.raises(Refused) as raised:
        translated(
            rows, "clients.csv", feeds.client("7"), {"open": [{"Kind": "good"}, {"Kind": "bad"}]}
        )
    assert not raised.value.keeps
    assert raised.value.place == "clients.csv:2"


def test_a_place_names_file_line_and_column(tmp_path: Path) -> None:
    rows = rows_of(feeds.maps(tmp_path))
    with pytest.raises(TranslateError) as raised:
        translated(rows, "clients.csv", feeds.client("7", Sex="x"))
    assert raised.value.place == "clients.csv:2:Sex"
    with pytest.raises(TranslateError) as raised:
        translated(rows, "clients.csv", feeds.client(""))
    assert raised.value.place == "clients.csv:2:Id"


def test_an_agency_says_what_differs_of_a_built_in_feed(tmp_path: Path) -> None:
    write(
        feeds.maps(tmp_path),
        {
            "agencies/harbor/agency.yaml": """\
                agency: harbor
                name: Harbor
                feeds: [{kind: csv, feed: shelter, dates: D/M/Y, empty: [none]}]
                """,
            "agencies/harbor/shelter/records/client.yaml": """\
                map: client
                extends: true
                resources: {veteran: drop}
                """,
        },
    )
    rows = rows_of(tmp_path)
    row = feeds.client("7", dob="4/3/2001", Veteran="1", First="none")
    (entry,) = translated(rows, "clients.csv", row).entries
    assert entry.resource["birthDate"] == "2001-03-04"
    assert "given" not in entry.resource["name"][0]


JSON = """\
map: referral
id: id
updated: meta.at
deleted: status = deleted
resources:
  patient:
    to: Patient
    key: {value: {from: client.id}, system: {own: clients}}
    set:
      name: {from: client.name, family: {from: last}, given: {each: first}}
      telecom:
        each: "client.phones[?kind=='mobile']"
        system: {const: phone}
        value: {from: number}
        rank: {from: ^level}
      multipleBirthInteger: {from: client.births}
      active: {from: client.active}
"""


def json_feed(folder: Path, text: str = JSON, entry: str = "{map: referral}") -> Path:
    return write(
        folder,
        {
            "referrals/feed.yaml": f"feed: referrals\nkind: json\nfiles: [{entry}]\n",
            "referrals/records/referral.yaml": text,
        },
    )


RECORD = {
    "id": 5,
    "level": 3,
    "client": {
        "id": "c1",
        "name": {"last": "Lovelace", "first": ["Ada", "King"]},
        "phones": [{"kind": "home", "number": "1"}, {"kind": "mobile", "number": "2"}],
        "births": 2,
        "active": True,
    },
}


def test_a_json_record_is_read_by_jmespath(tmp_path: Path) -> None:
    rows = rows_of(json_feed(tmp_path), "referrals")
    plan = plan_of(rows, "x.json")
    (entry,) = rows.translate(plan, Given("x.json", 1, value=RECORD, pointer="/0")).entries
    assert {key: value for key, value in entry.resource.items() if key != "id"} == {
        "resourceType": "Patient",
        "name": [{"family": "Lovelace", "given": ["Ada", "King"]}],
        "telecom": [{"system": "phone", "value": "2", "rank": 3}],
        "multipleBirthInteger": 2,
        "active": True,
    }


def test_a_json_place_is_a_pointer(tmp_path: Path) -> None:
    rows = rows_of(json_feed(tmp_path), "referrals")
    plan = plan_of(rows, "x.json")
    record = RECORD | {"client": {**RECORD["client"], "births": "many"}}  # type: ignore[dict-item]
    made = rows.translate(plan, Given("x.json", 1, value=record, pointer="/data/4"))
    assert [one.place for one in made.warnings] == ["x.json:/data/4/client/births"]


def test_an_object_where_a_text_belongs_gives_nothing(tmp_path: Path) -> None:
    text = JSON.replace("{from: last}", "{from: first}")
    rows = rows_of(json_feed(tmp_path, text), "referrals")
    record = {"id": "1", "client": {"id": "c", "name": {"first": {"x": 1}}}}
    made = rows.translate(plan_of(rows, "x"), Given("x", 1, value=record, pointer="/0"))
    assert "name" not in made.entries[0].resource


WRONG = [
    ("an unknown lookup", "{from: nobody.Last}", "no lookup"),
    ("a column with blanks", "{from: Date of birth}", "[brackets]"),
    ("out of the row", "{from: ^Last}", "climbs out"),
    ("a cell without one", "{from: .}", "no"),
]


@pytest.mark.parametrize(
    ("rule", "says"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG]
)
def test_a_wrong_path_is_an_error_at_its_line(tmp_path: Path, rule: str, says: str) -> None:
    text = feeds.CLIENT.replace('{from: "[Date of birth]"}', rule)
    with pytest.raises(MapError) as raised:
        load([write(feeds.maps(tmp_path), {"shelter/records/client.yaml": text})])
    assert says in str(raised.value)
    assert raised.value.place == "shelter/records/client.yaml:17"


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("records/visit.yaml", "made-by: client", "made-by: about", "makes no Patient"),
        ("records/visit.yaml", "made-by: client", "made-by: nobody", "no map 'nobody'"),
        ("records/visit.yaml", "{in: client, by: {Id: Client}}", "{in: x, by: Client}", "no file"),
        ("records/visit.yaml", "again: others", "again: nobody", "no lookup 'nobody'"),
        ("records/client.yaml", "id: Id\n", "id: Id\ncolumns: [Id]\n", "no column"),
        ("feed.yaml", "map: client", "map: nobody", "no record map 'nobody'"),
        ("feed.yaml", "dates: M/D/Y", "dates: Y", "'dates' is"),
        ("feed.yaml", "kind: csv", "kind: csv\nsigned: {by: standard-webhooks}", "serves JSON"),
        ("feed.yaml", "feed: shelter", "feed: other", "folder of 'shelter'"),
    ],
)
def test_what_a_feed_cant_mean_is_an_error_at_load(
    tmp_path: Path, file: str, old: str, new: str, says: str
) -> None:
    text = feeds.FILES[f"shelter/{file}"]
    assert old in text
    with pytest.raises(MapError, match=says):
        load([write(feeds.maps(tmp_path), {f"shelter/{file}": text.replace(old, new)})])


def test_a_wrong_query_is_an_error_at_load(tmp_path: Path) -> None:
    with pytest.raises(MapError, match="is not JMESPath"):
        load([json_feed(tmp_path, JSON.replace("client.births", "client..births"))])
    with pytest.raises(MapError, match="climbs out"):
        load([json_feed(tmp_path, JSON.replace("^level", "^^level"))])


@pytest.mark.parametrize(
    ("dates", "written", "read"),
    [
        ("M/D/Y", "3/4/2024", "2024-03-04"),
        ("D/M/Y", "3.4.2024", "2024-04-03"),
        ("M/D/Y", "12-31-61", "1961-12-31"),
        ("M/D/Y", "3/4/24 2:05 PM", "2024-03-04"),
        ("M/D/Y", "2024-03-04", "2024-03-04"),
        ("M/D/Y", "13/1/2024", None),
    ],
)
def test_dates_are_read_as_the_feed_says(
    tmp_path: Path, dates: str, written: str, read: str | None
) -> None:
    text = feeds.FEED.replace("dates: M/D/Y", f"dates: {dates}")
    rows = rows_of(write(feeds.maps(tmp_path), {"shelter/feed.yaml": text}))
    made = translated(rows, "clients.csv", feeds.client("7", dob=written))
    assert made.entries[0].resource.get("birthDate") == read
    assert bool(made.warnings) == (read is None)
