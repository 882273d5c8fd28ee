"""What was read once isn't read again, and nobody can tell: agencies and places stay apart."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.model import Agency, Translation
from gateway.parse.er7 import parse
from gateway.settings import shipped as shipped_folder
from gateway.translate import Library, translate
from gateway.translate.recent import FORGOTTEN, REMEMBERED, Recent
from tests import shipped
from tests.translate.maps import HEADER, library, message, run

CX = {
    "hl7v2/datatypes/CX.yaml": """\
        map: CX
        to: Identifier
        value: {from: CX.1}
        system: {from: CX.4, fn: authority}
        period: {start: {from: CX.7}}
        """
}
RULES = "identifier: [{each: PID-3, as: CX}, {from: PID-18, as: CX}]"


@pytest.fixture
def loaded(tmp_path: Path) -> Library:
    """Two agencies over one map of identifiers."""
    return library(tmp_path, RULES, CX).with_agency("one").with_agency("two")


def made(loaded: Library, agency: Agency, *segments: str, header: str = HEADER) -> Translation:
    return translate(loaded, agency, parse(message(*segments, header=header)))


def identifiers(translation: Translation) -> list[dict[str, object]]:
    found: list[dict[str, object]] = translation.entries[0].resource["identifier"]
    return found


def test_an_agency_gets_no_other_ones_systems(loaded: Library) -> None:
    one, two = (
        identifiers(made(loaded, loaded.agencies[name], "PID|1||77^^^HERE"))
        for name in (
            "one",
            "two",
        )
    )
    assert one != two
    assert identifiers(made(loaded, loaded.agencies["one"], "PID|1||77^^^HERE")) == one


def test_an_agency_declared_anew_gets_its_new_systems(loaded: Library) -> None:
    made(loaded, loaded.agencies["one"], "PID|1||77^^^HERE")
    anew = Agency("one", "One", authorities={"HERE": "urn:oid:1.2.3"})
    assert identifiers(made(loaded, anew, "PID|1||77^^^HERE"))[0]["system"] == "urn:oid:1.2.3"


def test_an_agency_under_another_name_shares_what_was_made_for_it(loaded: Library) -> None:
    known = loaded.agencies["one"]
    shelf = loaded.shelf(known)
    assert shelf.serves(replace(known, name="Renamed"))
    assert not shelf.serves(replace(known, timezone="America/Chicago"))
    assert not shelf.serves(replace(known, authorities={"HERE": "urn:oid:1.2.3"}))


def test_a_finding_is_made_anew_at_each_place_and_in_each_message(loaded: Library) -> None:
    agency = loaded.agencies["one"]
    segment = "PID|1||77^^^HERE~77^^^HERE|||||||||||||||77^^^HERE"
    places = ["PID-3.4", "PID-3[2].4", "PID-18.4"]
    for _ in range(2):
        assert [issue.place for issue in made(loaded, agency, segment).warnings] == places


def test_a_null_is_noticed_each_time(loaded: Library) -> None:
    agency = loaded.agencies["one"]
    rules = 'PID|1||77~""||'
    first, second = (made(loaded, agency, rules).entries[0] for _ in range(2))
    assert first == second


def test_an_escape_that_nobody_knows_is_reported_in_each_message(loaded: Library) -> None:
    agency = loaded.agencies["one"]
    for _ in range(2):
        record = parse(message("PID|1||7\\Q\\7"))
        translate(loaded, agency, record)
        assert [issue.place for issue in record.warnings] == ["PID-3"]


def test_times_go_by_the_message_s_own_offset(loaded: Library) -> None:
    agency = loaded.agencies["one"]
    segment = "PID|1||77^^^&1.2.3&ISO^^^20240101101500"
    starts = [
        identifiers(made(loaded, agency, segment, header=HEADER.replace("01101500", sent)))[0]
        for sent in ("01101500-0600", "01101500+0100")
    ]
    assert [one["period"] for one in starts] == [
        {"start": "2024-01-01T10:15:00-06:00"},
        {"start": "2024-01-01T10:15:00+01:00"},
    ]


def test_delimiters_of_another_message_divide_otherwise(loaded: Library) -> None:
    agency = loaded.agencies["one"]
    plain = identifiers(made(loaded, agency, "PID|1||7!7"))
    other = identifiers(made(loaded, agency, "PID|1||7!7", header=HEADER.replace("^", "!")))
    assert (plain[0]["value"], other[0]["value"]) == ("7!7", "7")


def test_the_memory_is_bounded(loaded: Library) -> None:
    agency = loaded.agencies["one"]
    for start in range(0, REMEMBERED + 200, 200):
        many = "~".join(f"{number}^^^&1.2.3&ISO" for number in range(start, start + 200))
        made(loaded, agency, f"PID|1||{many}")
    assert 0 < len(loaded.shelf(agency).memory) <= REMEMBERED


def test_a_resource_that_leads_to_no_other_is_remembered_by_all_that_it_reads(
    tmp_path: Path,
) -> None:
    rules = """
        name: {each: PID-5, text: {from: .1}}
        gender: {if: PID-24 = Y, const: male}
        language: [{if: PID-24 = N, from: PID-15}, {const: en}]
    """
    loaded = library(tmp_path, rules).with_agency("clinic")
    agency = loaded.agencies["clinic"]
    told = {}
    for person, flag in (("Ann", "Y"), ("Ann", "N"), ("Bob", "Y")):
        text = f"PID|1||7||{person}" + "|" * 10 + "de" + "|" * 9 + flag
        first, again = (run(loaded, text, agency=agency).entries[0].resource for _ in range(2))
        assert first == again
        assert first is not again
        told[person, flag] = (first["name"][0]["text"], first.get("gender"), first["language"])
    assert told == {
        ("Ann", "Y"): ("Ann", "male", "en"),
        ("Ann", "N"): ("Ann", None, "de"),
        ("Bob", "Y"): ("Bob", "male", "en"),
    }


def test_the_same_resource_under_another_key_keeps_its_own_id(tmp_path: Path) -> None:
    loaded = library(tmp_path, "name: {text: {from: PID-5}}").with_agency("clinic")
    agency = loaded.agencies["clinic"]
    ids = {
        run(loaded, f"PID|1||{n}||Ann", agency=agency).entries[0].resource["id"] for n in (7, 8, 7)
    }
    assert len(ids) == 2


MAPPINGS = shipped_folder("mappings")
REFERRAL = (MAPPINGS / "agencies/cedar-general/food-referral.hl7").read_text()


def referrals() -> list[str]:
    """A referral, and others that differ in a text, a null, a finding, a segment, what is empty."""
    return [
        REFERRAL,
        REFERRAL.replace("700123", "700124"),
        REFERRAL.replace("2106-3^White^CDCREC", '""'),
        REFERRAL.replace("2106-3^White^CDCREC", "XX^Unheard of^CDCREC"),
        REFERRAL.replace("|19870322|", "|1987-never|"),
        REFERRAL.replace("|D^Divorced^HL70002|", "||"),
        REFERRAL.replace("PRD|RT", "PRD|PP"),
        "\r".join(line for line in REFERRAL.split("\r") if not line.startswith(("NK1", "DG1"))),
        REFERRAL.replace("Peanut", "Pea\\T\\nut"),
    ]


def test_what_is_remembered_is_what_would_be_made_word_for_word_and_in_order() -> None:
    def told(loaded: Library, text: str) -> object:
        made = translate(loaded, loaded.agencies["cedar-general"], parse(text.encode()))
        return [json.dumps(each.resource, default=str) for each in made.entries], made

    known = shipped.library()
    folder = MAPPINGS / "agencies/cedar-general"
    for text in (*referrals(), *referrals()):
        assert told(known, text) == told(known.with_agency("cedar-general", folder), text)


def test_the_same_message_of_another_patient_brings_little_that_is_new() -> None:
    loaded = shipped.library()
    loaded = loaded.with_agency("cedar-general", MAPPINGS / "agencies/cedar-general")
    agency = loaded.agencies["cedar-general"]
    memory = loaded.shelf(agency).memory
    translate(loaded, agency, parse(REFERRAL.encode()))
    first = len(memory)
    translate(loaded, agency, parse(REFERRAL.replace("700123", "700124").encode()))
    assert 0 < len(memory) - first < first / 10


def test_what_is_asked_for_stays_and_the_rest_goes() -> None:
    memory = Recent()
    memory.keep("often", 1)
    memory.keep("once", 2)
    for number in range(2 * REMEMBERED):
        memory.keep(number, number)
        assert memory["often"] == 1
    assert memory["once"] is FORGOTTEN
    assert memory[2 * REMEMBERED - 1] == 2 * REMEMBERED - 1
