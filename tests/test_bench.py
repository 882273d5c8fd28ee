"""The bench: coverage by the command line, and over every public message."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway import bench
from gateway.__main__ import cli
from gateway.bench import trying
from gateway.bench.differences import differences
from gateway.bench.guesses import Column, date_order, guess
from gateway.errors import GatewayError, NotFound, ParseError, SettingError
from gateway.parse.er7 import parse
from gateway.settings import shipped
from gateway.translate import Library, translate
from gateway.translate.coverage import Recorded
from tests.corpora import messages, needs_corpora
from tests.shipped import library as shipped_library

SAMPLES = shipped("mappings") / "agencies" / "cedar-general"


@pytest.fixture
def library() -> Library:
    return shipped_library()


def test_a_file_holds_any_number_of_messages() -> None:
    one, two = b"MSH|^~\\&|A\rPID|1\r", b"MSH|^~\\&|B\nPID|2\n"
    assert bench.messages_of(one) == [b"MSH|^~\\&|A\rPID|1"]
    assert bench.messages_of(one + two) == [b"MSH|^~\\&|A\rPID|1", b"MSH|^~\\&|B\nPID|2"]
    framed = b"\x0b" + one + b"\x1c\r\x0b" + two + b"\x1c\r"
    assert len(bench.messages_of(framed)) == 2
    enveloped = b"FHS|^~\\&\rBHS|^~\\&\r" + one + b"BTS|1\rFTS|1\r"
    assert bench.messages_of(enveloped) == [b"MSH|^~\\&|A\rPID|1"]
    assert bench.messages_of(b"a,b,c\n") == []


def test_an_agency_is_one_that_is_loaded(library: Library) -> None:
    assert bench.agency(library, "").id == "sample"
    assert bench.agency(library, "cedar-general").name == "Cedar General Hospital"
    with pytest.raises(SettingError):
        bench.agency(library, "nobody")


def test_what_cannot_be_parsed_is_counted(library: Library) -> None:
    tally = bench.coverage(library, bench.agency(library, ""), [b"MSH|^~\\&|A\rPID|1"])
    assert tally.messages == 1
    assert [place for place, _ in tally.refused] == ["MSH-9"]


def test_the_command_prints_for_people() -> None:
    files = [str(SAMPLES / "admit.hl7"), "--agency", "cedar-general"]
    result = CliRunner().invoke(cli, ["map", "coverage", *files], env={"COLUMNS": "140"})
    assert result.exit_code == 0, result.output
    assert "1 messages:" in result.output
    assert re.search(r"PID\W+1\W+1\W", result.output)
    assert "Novak" not in result.output


def test_the_command_prints_for_programs(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    for name in ("admit", "result"):
        path = tmp_path / "below" / f"{name}.hl7"
        path.write_bytes((SAMPLES / f"{name}.hl7").read_bytes() + b"\rZZZ|a^b\r")
    result = CliRunner().invoke(cli, ["map", "coverage", "--folder", str(tmp_path), "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["messages"] == 2
    assert told["segments"]["ZZZ"] == {"there": 2, "read": 0}
    assert told["leaves"]["ZZZ-1.2"] == {"there": 2, "read": 0}
    assert told["leaves"]["PID-3"]["read"] > 0


def test_the_command_wants_files() -> None:
    assert CliRunner().invoke(cli, ["map", "coverage"]).exit_code == 2


@needs_corpora
@pytest.mark.corpora
def test_no_segment_is_dropped_silently(library: Library) -> None:
    """Of every public message each segment is mapped, or counted as one that no rule reads."""
    agency = bench.agency(library, "cedar-general")
    whole = [sample.raw for sample in messages()]
    tally = bench.coverage(library, agency, whole)
    assert tally.messages == len(whole) > 700
    there: Counter[str] = Counter()
    for raw in whole:
        try:
            record = parse(raw)
        except ParseError:
            continue
        there.update(segment.name for segment in record.segments)
        lines = re.findall(rb"(?:\A|[\r\n])([A-Z][A-Z0-9]{2})" + re.escape(raw[3:4]), raw)
        sent = Counter(name.decode() for name in lines)
        assert not sent - Counter(segment.name for segment in record.segments), raw[:60]
    assert {name: held.there for name, held in tally.segments.items()} == there
    print(f"\n{sum(h.read for h in tally.leaves.values())} of", end=" ")
    print(f"{sum(h.there for h in tally.leaves.values())} values read")
    for name, held in sorted(tally.segments.items()):
        values = [h for n, h in tally.leaves.items() if n.startswith(f"{name}-")]
        read, all_ = sum(h.read for h in values), sum(h.there for h in values)
        print(f"{name}  {held.read:5} of {held.there:5} segments  {read:6} of {all_:6} values")
    assert not [name for name, held in tally.segments.items() if held.read > held.there]


@needs_corpora
@pytest.mark.corpora
def test_counting_changes_nothing(library: Library) -> None:
    agency = bench.agency(library, "cedar-general")
    for sample in messages():
        try:
            record = parse(sample.raw)
        except ParseError:
            continue
        outcomes = []
        for one in (record, Recorded(record, set())):
            try:
                made = translate(library, agency, one)
            except GatewayError as error:
                outcomes.append(error.issues)
            else:
                outcomes.append((made.entries, made.warnings))
        assert outcomes[0] == outcomes[1], sample


def run(*arguments: str, mappings: Path | None = None) -> Any:
    env = {"COLUMNS": "160"} | ({"GATEWAY_MAPPINGS": str(mappings)} if mappings else {})
    return CliRunner().invoke(cli, ["map", *arguments], env=env)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """An agency's folder with a sample, before the shipped mappings."""
    home = tmp_path / "maps" / "agencies" / "mine"
    home.mkdir(parents=True)
    (home / "agency.yaml").write_text("agency: mine\nname: Mine\n", encoding="utf-8")
    (home / "x.hl7").write_bytes((SAMPLES / "admit.hl7").read_bytes())
    return tmp_path / "maps"


def test_check_names_every_mistake_with_its_line(mine: Path) -> None:
    for name, text in (
        ("hl7v2/segments/PID.yaml", "map: PID\nto: Patient\nextends: true\nsex: {from: PID-8}\n"),
        ("hl7v2/datatypes/CX.yaml", "map: CX\nto: Identifier\nvalue: {from: CX.1\n"),
        ("agencies/mine/agency.yaml", "agency: mine\nname: Mine\ncolour: red\n"),
    ):
        (mine / name).parent.mkdir(parents=True, exist_ok=True)
        (mine / name).write_text(text, encoding="utf-8")
    result = run("check", "--json", mappings=mine)
    assert result.exit_code == 1
    found = {(one["file"], one["line"]) for one in json.loads(result.stdout)["problems"]}
    assert ("hl7v2/datatypes/CX.yaml", 4) in found
    assert ("agencies/mine/agency.yaml", 3) in found
    (mine / "hl7v2/datatypes/CX.yaml").unlink()
    result = run("check", mappings=mine)
    assert re.search(r"segments/PID.yaml\W+4\W+Patient has no element 'sex'", result.output)


def tried(library: Library, home: Path, *, values: bool = False) -> dict[str, Any]:
    """The one sample of an agency's folder, tried."""
    found = list(bench.trials(bench.with_folders(library, [home]), bench.samples([home])))
    (one,) = trying.as_json(found, values=values)["samples"]
    return dict(one)


def test_a_sample_is_tried_blessed_and_differs_by_path(library: Library, mine: Path) -> None:
    home = mine / "agencies" / "mine"
    assert tried(library, home)["broken"] == "nothing says what is expected of it"
    list(bench.bless(bench.with_folders(library, [home]), bench.samples([home])))
    assert tried(library, home)["passed"]
    sample = home / "x.hl7"
    sample.write_bytes(sample.read_bytes().replace(b"Novak", b"Nowak"))
    result = run("test", str(mine), "--json", mappings=mine)
    assert result.exit_code == 1
    (one,) = json.loads(result.stdout)["samples"]
    assert "Patient.name[0].family" in {each["path"] for each in one["differences"]}
    assert "Nowak" not in result.stdout
    assert "Nowak" in run("test", str(mine), "--values", mappings=mine).stdout


def test_a_sample_may_be_expected_to_be_refused(library: Library, mine: Path) -> None:
    home = mine / "agencies" / "mine"
    sample = home / "x.hl7"
    sample.write_bytes(re.sub(rb"PID\|1\|\|[^|]+", b"PID|1||", sample.read_bytes()))
    assert not tried(library, home)["passed"]
    errors = home / "x.errors.yaml"
    errors.write_text('- {place: PID-3, condition: "101"}\n', encoding="utf-8")
    assert tried(library, home)["passed"]
    errors.write_text('- {place: PID-5, condition: "101"}\n', encoding="utf-8")
    one = tried(library, home)
    assert [each["place"] for each in one["missing"]] == ["PID-5"]
    assert [each["place"] for each in one["unexpected"]] == ["PID-3"]
    errors.write_text("- {where: PID-5}\n", encoding="utf-8")
    assert "x.errors.yaml:1" in tried(library, home)["broken"]


def test_an_element_leads_back_to_its_bytes(library: Library) -> None:
    file = SAMPLES / "admit.hl7"
    result = run("explain", "Patient.name.family", str(file), "--json")
    assert result.exit_code == 0, result.output
    first, _ = json.loads(result.stdout)["elements"]
    assert first["rules"][-1].startswith("hl7v2/segments/PID.yaml:")
    start, end = first["read"][0]["bytes"]
    assert file.read_bytes()[start:end] == b"Novak"
    assert "Novak" not in result.output
    assert "Novak" in run("explain", "Patient.name", str(file), "--values").output
    agency = library.agencies["cedar-general"]
    assert bench.explained(library, agency, file.read_bytes(), bench.asked("Patient.photo")) == []
    with pytest.raises(NotFound):
        bench.asked("name")


def test_differences_are_told_by_path() -> None:
    one = {"resourceType": "Patient", "id": "a", "active": True, "name": [{"family": "A"}]}
    other = {"resourceType": "Patient", "id": "a", "active": 1, "name": [{"given": ["B"]}]}
    found = {(each.path, each.kind) for each in differences([one], [other])}
    assert found == {
        ("Patient.active", "changed"),
        ("Patient.name[0].family", "missing"),
        ("Patient.name[0].given", "unexpected"),
    }
    assert [each.kind for each in differences([one], [])] == ["missing"]
    assert differences([one], [dict(one)]) == []


def test_an_element_of_rows_and_json_leads_back_to_its_place(library: Library) -> None:
    home = shipped("mappings") / "agencies"
    rows = home / "eastside-pantry" / "visits" / "samples" / "week-10.csv"
    told = json.loads(run("explain", "Patient.birthDate", str(rows), "--json").stdout)
    assert told["elements"][0]["read"] == [{"place": "week-10.csv:2:Date of birth"}]
    sent = home / "st-brigid" / "referrals" / "samples" / "food.json"
    wanted, agency = bench.asked("Condition.code.coding.code"), library.agencies["st-brigid"]
    (one,) = bench.explained_rows(library, agency, "referrals", sent, wanted)
    assert one.told.read == ("food.json:/0/data/needs/0/code",)
    assert one.told.rows == ("agencies/st-brigid/referrals/tables/need.csv:2",)


def test_a_draft_from_a_spreadsheet_loads_and_its_test_runs(
    library: Library, tmp_path: Path
) -> None:
    sheet = tmp_path / "June visits.csv"
    sheet.write_text(
        "Guest #,First,Last,DOB,Sex,E-mail,Served on,Program,Shoe size\n"
        "G1,Ana,Reyes,3/14/1980,F,ana@example.org,6/2/2026,Groceries,38\n"
        "G2,Bo,Lind,12/31/1975,M,,6/2/2026,Groceries,44\n"
        "G3,Cy,Ode,1/2/1999,N,,6/30/2026,Meal,41\n",
        encoding="utf-8",
    )
    into = tmp_path / "maps"
    into.mkdir()
    result = run("new", "june-kitchen", "--from", str(sheet), "--json", mappings=into)
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    proposed = {one["column"]: (one["target"], one["unsure"]) for one in told["proposals"]}
    assert proposed["Guest #"] == ("Patient.identifier", "")
    assert proposed["DOB"] == ("Patient.birthDate", "")
    assert proposed["Sex"][1] == "the table 'gender' lacks some codes of the sample"
    assert proposed["Shoe size"] == ("Observation.component", "kept as text, under its own name")
    home = into / "agencies" / "june-kitchen"
    drafted = (home / "june-visits/records/june-visits.yaml").read_text(encoding="utf-8")
    assert 'valueString: {from: "[Shoe size]"}}  # unsure: kept as text' in drafted
    assert tried(library, home)["passed"]
    made = json.loads((home / "june-visits/samples/june-visits.expected.json").read_bytes())
    assert {one["resourceType"] for one in made} == {"Patient", "Encounter", "Observation"}
    assert made[0]["birthDate"] == "1980-03-14"
    assert made[0]["gender"] == "female"
    with pytest.raises(SettingError):
        bench.write(bench.draft(library, "june-kitchen", sheet), home)
    with pytest.raises(SettingError):
        bench.draft(library, "June Kitchen", sheet)


def drafted(library: Library, id: str, sample: Path, into: Path) -> list[Path]:
    """A draft written, and its samples blessed."""
    home = into / "agencies" / id
    bench.write(bench.draft(library, id, sample), home)
    return list(bench.bless(bench.with_folders(library, [home]), bench.samples([home])))


def test_a_draft_from_json_and_one_from_messages_load_too(library: Library, tmp_path: Path) -> None:
    sent = shipped("mappings") / "agencies/st-brigid/referrals/samples/food.json"
    (expected,) = drafted(library, "legal", sent, tmp_path)
    made = json.loads(expected.read_bytes())
    assert made[0]["name"] == [{"family": "Delgado", "given": ["Rosa"]}]
    drafted(library, "ward", SAMPLES / "admit.hl7", tmp_path)
    described = (tmp_path / "agencies/ward/agency.yaml").read_text(encoding="utf-8")
    assert '{application: "ADT", facility: "CEDARGEN"}' in described
    assert (tmp_path / "agencies/ward/admit.expected.json").is_file()
    (tmp_path / "x.pdf").write_bytes(b"%PDF")
    with pytest.raises(SettingError):
        bench.draft(library, "pdf", tmp_path / "x.pdf")


@pytest.mark.parametrize(
    ("name", "texts", "element"),
    [
        ("Client ID", ("1", "2"), "person.key"),
        ("DateOfBirth", ("1980-01-01", "1990-02-02"), "person.birthDate"),
        ("Cell phone", ("555-0100", "(555) 010-0200"), "person.telecom.phone"),
        ("contact", ("a@example.org", "b@example.org"), "person.telecom.email"),
        ("Zip", ("50613", "50614"), "person.address.postalCode"),
        ("Visit date", ("3/2/2026", "3/4/2026"), "record.date"),
        ("Organization name", ("A", "B"), "organization.name"),
        ("Colour", ("red", "blue"), ""),
        ("D.O.B.", ("1980-01-01", "1990-02-02"), "person.birthDate"),
        ("Client First", ("Ana", "Bo"), "person.name.given"),
        ("PatientDOB", ("19800101", "14-MAR-75"), "person.birthDate"),
        ("Núm. de cliente", ("C-1", "C-2"), "person.key"),
        ("Teléfono", ("555-0100", "555-0101"), "person.telecom.phone"),
        ("Emergency Phone", ("555-0100", "555-0101"), "contact.phone"),
        ("Check-Out", ("2026-02-01", ""), "record.end"),
        ("Service Date", ("46082", "46083"), "record.date"),
        ("Race", ("2106-3", "2054-5"), ""),
        ("Case Manager", ("T. Ruiz", "K. Lee"), ""),
        ("ProviderNPI", ("1234567893", "1234567893"), ""),
    ],
)
def test_a_column_is_guessed_by_its_name_and_its_values(
    name: str, texts: tuple[str, ...], element: str
) -> None:
    found, left = guess([Column(name, name, texts)])
    told = [f"{one.owner}.{one.element}" for one in found]
    assert told == ([element] if element else [])
    assert len(left) == (not element)


def test_a_sheet_with_a_title_two_phones_and_an_end_is_drafted_whole(
    library: Library, tmp_path: Path
) -> None:
    sheet = tmp_path / "beds.csv"
    sheet.write_text(
        "Shelter beds,,,,,,,\n,,,,,,,\n"
        "Guest ID,Guest Name,Home Phone,Cell Phone,Emergency Contact,Check-In,Check-Out,Bed\n"
        'G1,"Reyes, Ana",555-0100,555-0101,Jo Reyes,14-MAR-26,,A1\n'
        "G2,Bo Lind,555-0102,555-0103,,15-MAR-26,16-MAR-26,A2\n",
        encoding="utf-8",
    )
    (expected,) = drafted(library, "beds", sheet, tmp_path / "maps")
    ana, stay, answers, _, ended, _ = json.loads(expected.read_bytes())
    assert [each["use"] for each in ana["telecom"]] == ["home", "mobile"]
    assert ana["contact"] == [{"name": {"text": "Jo Reyes"}}]
    assert (stay["status"], stay["period"]) == ("in-progress", {"start": "2026-03-14"})
    assert ended["period"] == {"start": "2026-03-15", "end": "2026-03-16"}
    assert answers["component"] == [{"code": {"text": "Bed"}, "valueString": "A1"}]


def test_a_draft_finds_the_records_within_a_json_body(library: Library, tmp_path: Path) -> None:
    body = tmp_path / "cases.json"
    clients = [
        {"client_id": f"K{n}", "dob": "1985-04-05", "phones": [{"number": "555-0191"}] * n}
        for n in (1, 2)
    ]
    body.write_text(json.dumps({"exported": "2026-03-01", "clients": clients}), encoding="utf-8")
    (expected,) = drafted(library, "legal", body, tmp_path / "maps")
    made = json.loads(expected.read_bytes())
    assert [len(one["telecom"]) for one in made if one["resourceType"] == "Patient"] == [1, 2]


def test_the_order_of_dates_is_seen_where_a_day_is_over_twelve() -> None:
    assert date_order([Column("d", "d", ("3/14/2026", "1/2/2026"))]) == ("M/D/Y", True)
    assert date_order([Column("d", "d", ("14/3/2026",))]) == ("D/M/Y", True)
    assert date_order([Column("d", "d", ("1/2/2026",))]) == ("M/D/Y", False)
    assert date_order([Column("d", "d", ("2026-01-02",))]) == ("", True)
    assert date_order([Column("d", "d", ("14-MAR-26",))]) == ("M/D/Y", True)


def test_columns_and_values_that_no_rule_reads_are_counted(library: Library) -> None:
    home = shipped("mappings") / "agencies"
    sent = home / "st-brigid" / "referrals" / "samples" / "food.json"
    told = bench.columns(library, library.agencies["st-brigid"], "referrals", sent)
    (held,) = told.files.values()
    assert {name for name, one in held.items() if not one.read} == {"/type"}
    assert held["/data/needs/*/code"].there == held["/data/needs/*/code"].read == 2
    assert held["/data/consent"].read == 1
    rows = home / "eastside-pantry" / "visits" / "samples" / "week-10.csv"
    told = bench.columns(library, library.agencies["eastside-pantry"], "visits", rows)
    assert {one.there - one.read for one in told.files["week-10.csv"].values()} == {0}
    sheet = "hsds", shipped("mappings") / "hsds" / "samples" / "cedar"
    told = bench.columns(library, bench.agency(library, ""), *sheet)
    assert told.files["organizations.csv"]["description"].read == 0
    assert told.files["phones.csv"]["number"].read == 3


def test_the_command_counts_the_columns_of_a_sample() -> None:
    sheet = shipped("mappings") / "hsds" / "samples" / "cedar" / "organizations.csv"
    result = run("coverage", str(sheet), "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)["files"]["organizations.csv"]
    assert told["description"] == {"there": 1, "read": 0}
    assert told["name"] == {"there": 3, "read": 3}
