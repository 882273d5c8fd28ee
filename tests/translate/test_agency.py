from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import MapError
from gateway.model import Agency, Allowance, Sender
from gateway.translate import is_agency_id, load
from tests.translate.maps import library, patient_map, run, write

START = "agency: odd\nname: Odd\n"

WRONG = [
    ("another id", "agency: even\nname: X\n", 1, "folder of 'odd'"),
    ("no name", "agency: odd\n", 1, "'name' is missing"),
    ("an unknown key", START + "phone: 1\n", 3, "no key 'phone'"),
    ("an unknown feed", START + "feeds: [{kind: fax}]\n", 3, "kinds of feeds"),
    ("a feed without a name", START + "feeds: [{kind: csv}]\n", 3, "'feed' is missing"),
    ("two feeds of a kind", START + "feeds: [{kind: hl7v2}, {kind: hl7v2}]\n", 3, "one feed"),
    ("no timezone", START + "feeds: [{kind: hl7v2, timezone: Mars/X}]\n", 3, "no timezone"),
    ("no charset", START + "feeds: [{kind: hl7v2, charset: x-y}]\n", 3, "no charset"),
    ("an empty sender", START + "feeds: [{kind: hl7v2, sending: {}}]\n", 3, "a sender has"),
    ("an unknown outcome", START + "closes-loops-by: {outcome: fax}\n", 3, "oru or osu or rri"),
    ("no listener", START + "closes-loops-by: {to: 'http://x'}\n", 3, "mllp://host:port"),
    ("no such mode", START + "closes-loops-by: {acknowledgement: loud}\n", 3, "original or commit"),
    ("rri as text", START + "closes-loops-by: {rri: sometimes}\n", 3, "true or false"),
    ("an unknown limit", START + "limits: {size: 3}\n", 3, "no key 'size'"),
    ("a limit in words", START + "limits: {rate: many}\n", 3, "'rate' is a number"),
    ("half a burst", START + "limits: {burst: 1.5}\n", 3, "'burst' is a number"),
    ("half an identifier", START + "identifiers: [{value: x}]\n", 3, "'system' is missing"),
]


@pytest.mark.parametrize(
    ("text", "line", "says"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG]
)
def test_a_wrong_agency_is_an_error_at_its_line(
    tmp_path: Path, text: str, line: int, says: str
) -> None:
    with pytest.raises(MapError, match=says) as raised:
        load([write(tmp_path, {"agencies/odd/agency.yaml": text})])
    assert raised.value.place == f"agencies/odd/agency.yaml:{line}"


def test_an_agency_with_nothing_but_a_name_has_no_zone_and_no_closing(tmp_path: Path) -> None:
    loaded = load([write(tmp_path, {"agencies/odd/agency.yaml": START})])
    assert loaded.agencies["odd"] == Agency("odd", "Odd", timezone="")


@pytest.mark.parametrize(("said", "hidden"), [("true", True), ("false", False)])
def test_a_victim_service_provider_says_so(tmp_path: Path, said: str, hidden: bool) -> None:
    text = START + f"victim-service-provider: {said}\n"
    loaded = load([write(tmp_path, {"agencies/odd/agency.yaml": text})])
    assert loaded.agencies["odd"].confidential is hidden


def test_one_sender_needs_no_list(tmp_path: Path) -> None:
    text = START + "feeds: [{kind: hl7v2, sending: {facility: F}}]\n"
    loaded = load([write(tmp_path, {"agencies/odd/agency.yaml": text})])
    assert loaded.agencies["odd"].senders == (Sender(facility="F"),)


def test_the_first_folder_that_knows_an_agency_or_a_map_counts(tmp_path: Path) -> None:
    mine = {
        "agencies/odd/agency.yaml": "agency: odd\nname: Mine\n",
        "hl7v2/messages/ADT_A01.yaml": patient_map("language: {const: mine}"),
    }
    theirs = {
        "agencies/odd/agency.yaml": "agency: odd\nname: Theirs\n",
        "agencies/even/agency.yaml": "agency: even\nname: Even\n",
        "hl7v2/messages/ADT_A01.yaml": patient_map("language: {const: theirs}"),
    }
    loaded = load([write(tmp_path / "mine", mine), write(tmp_path / "theirs", theirs)])
    assert {one.name for one in loaded.agencies.values()} == {"Mine", "Even"}
    assert run(loaded, "PID|1||7").entries[0].resource["language"] == "mine"


def test_an_agency_is_registered_with_or_without_a_folder(tmp_path: Path) -> None:
    loaded = library(tmp_path, "language: {const: en}")
    folder = write(tmp_path / "elsewhere", {"agency.yaml": START})
    more = loaded.with_agency("odd", folder).with_agency("plain")
    assert set(more.agencies) == {"odd", "plain"}
    assert more.agencies["plain"].name == "plain"
    assert set(loaded.agencies) == set()
    with pytest.raises(MapError, match="needs this file"):
        loaded.with_agency("none", tmp_path)


def test_an_agencys_own_map_changes_what_it_says_and_for_it_alone(tmp_path: Path) -> None:
    files = {
        "hl7v2/messages/ADT_A01.yaml": "map: ADT_A01\nevents: [ADT^A01]\nresources:\n"
        "  patient: {to: Patient, key: {from: PID-3}, use: PID}\n",
        "hl7v2/segments/PID.yaml": "map: PID\nto: Patient\nbirthDate: {from: PID-7}\n"
        "language: {from: PID-15}\ngender: {from: PID-8}\n",
        "agencies/odd/agency.yaml": START,
        "agencies/odd/segments/PID.yaml": "map: PID\nextends: true\nlanguage: drop\n"
        "gender: {const: unknown}\n",
    }
    loaded = load([write(tmp_path, files)])
    pid = "PID|1||7||||2000|female|||||||en"
    names = ("birthDate", "language", "gender")
    standard = run(loaded, pid).entries[0].resource
    odd = run(loaded, pid, agency=loaded.agencies["odd"])
    assert [standard.get(name) for name in names] == ["2000", "en", "female"]
    assert [odd.entries[0].resource.get(name) for name in names] == ["2000", None, "unknown"]
    assert odd.map != run(loaded, pid).map


def test_dropping_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    files = {
        "hl7v2/messages/ADT_A01.yaml": patient_map("language: {const: en}"),
        "hl7v2/datatypes/CX.yaml": "map: CX\nto: Identifier\nvalue: {from: CX.1}\n",
        "agencies/odd/agency.yaml": START,
        "agencies/odd/datatypes/CX.yaml": "map: CX\nextends: true\nsystem: drop\n",
    }
    with pytest.raises(MapError, match="no 'system' to drop") as raised:
        load([write(tmp_path, files)])
    assert raised.value.place == "agencies/odd/datatypes/CX.yaml:3"


def test_a_message_map_is_extended_resource_by_resource(tmp_path: Path) -> None:
    files = {
        "hl7v2/messages/ADT_A01.yaml": patient_map("language: {const: en}"),
        "agencies/odd/agency.yaml": START,
        "agencies/odd/messages/ADT_A01.yaml": "map: ADT_A01\nextends: true\nresources:\n"
        "  org: {to: Organization, key: {from: MSH-4}, set: {name: {from: MSH-4}}}\n",
    }
    loaded = load([write(tmp_path, files)])
    made = run(loaded, "PID|1||7", agency=loaded.agencies["odd"]).entries
    assert [one.resource["resourceType"] for one in made] == ["Patient", "Organization"]


def test_the_version_changes_with_any_map(tmp_path: Path) -> None:
    one = library(tmp_path, "language: {const: en}").version
    two = library(tmp_path, "language: {const: es}").version
    assert one != two
    assert library(tmp_path, "language: {const: en}").version == one


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("cedar-general", True),
        ("a", True),
        ("hub", False),
        ("A", False),
        ("-a", False),
        ("", False),
    ],
)
def test_an_id_is_small_letters_digits_and_hyphens(text: str, *, fits: bool) -> None:
    assert is_agency_id(text) is fits


def test_limits_of_its_own_go_before_the_usual_ones(tmp_path: Path) -> None:
    text = START + "limits: {rate: 2.5, in-hand: 0}\n"
    loaded = load([write(tmp_path, {"agencies/odd/agency.yaml": text})])
    allowance = loaded.agencies["odd"].allowance
    assert allowance == Allowance(2.5, None, 0)
    assert allowance.over(Allowance(1, 7, 8)) == Allowance(2.5, 7, 0)
