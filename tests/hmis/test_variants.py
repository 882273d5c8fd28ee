"""Exports as software writes them: other quotes, line ends, columns, dates, names and versions."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Callable
from datetime import date
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from gateway.hmis import capacity
from gateway.hmis.layout import is_of
from gateway.pipeline import Pipeline
from gateway.rows import Came, lying, read
from tests.bench.hmis_export import TEXT, generate
from tests.hmis.exports import HARBOR, SAMPLES, export, fates, found, load, resources, rows
from tests.shipped import library

YEAR = "2026"
DAY = re.compile(rb'(?<=,)"?(\d{4}-\d\d-\d\d)"?(?=,|\n)')
MOMENT = re.compile(rb"(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)")

Made = dict[str, list[Any]]


@cache
def plain() -> dict[str, bytes]:
    """An export as the specification has it."""
    with TemporaryDirectory() as folder:
        generate(Path(folder), 2, YEAR, seed=5)
        return {path.name: path.read_bytes() for path in sorted(Path(folder).glob("*.csv"))}


def made(found: list[Came]) -> Made:
    """What an export becomes, by reference."""
    total: Made = {}
    for row in read(library(), library().agencies["harbor-shelter"], "hmis", found):
        assert (row.issue, row.warnings) == (None, ())
        for entry in row.entries:
            total.setdefault(entry.reference, []).append(entry.resource)
    return total


@cache
def wanted() -> Made:
    with TemporaryDirectory() as folder:
        return made(put(Path(folder), plain()))


def put(folder: Path, files: dict[str, bytes]) -> list[Came]:
    folder.mkdir(exist_ok=True)
    for name, raw in files.items():
        (folder / name).write_bytes(raw)
    return list(lying(folder))


Cells = list[list[str]]


def table(raw: bytes, change: Callable[[int, list[str]], list[str]], quoting: int) -> bytes:
    """A file with other cells in each line, the header's being line 0."""
    out = io.StringIO()
    lines = csv.reader(io.StringIO(raw.decode(), newline=""))
    changed = [change(number, cells) for number, cells in enumerate(lines)]
    csv.writer(out, quoting=quoting, lineterminator="\n").writerows(changed)  # type: ignore[arg-type]
    return out.getvalue().encode()


def all_quoted(raw: bytes) -> bytes:
    turned = table(raw, lambda number, cells: cells[::-1], csv.QUOTE_ALL)
    return b"\xef\xbb\xbf" + turned.replace(b"\n", b"\r\n")


def with_columns_of_its_own(raw: bytes) -> bytes:
    """Nothing in quotes that needn't be, capitals, columns more, and no last line end."""

    def change(number: int, cells: list[str]) -> list[str]:
        if number == 0:
            return ["ROWNUM", *(f" {cell.upper()} " for cell in cells), "VendorField"]
        return [str(number), *cells, "a, b"]

    return table(raw, change, csv.QUOTE_MINIMAL).rstrip(b"\n")


def with_times_and_blanks(raw: bytes) -> bytes:
    """Days with a midnight, and cells as wide as their columns."""
    timed = DAY.sub(rb"\1 00:00:00.000", raw)
    padded = table(timed, lambda n, cells: [c + "  " if n and c else c for c in cells], 0)
    return padded + b"\n\n"


def by_a_spreadsheet(raw: bytes) -> bytes:
    turned = MOMENT.sub(rb"\2/\3/\1 \4:\5:\6", raw)
    return re.sub(rb"(\d{4})-(\d\d)-(\d\d)", rb"\2/\3/\1", turned)


def to_the_letter_of_iso(raw: bytes) -> bytes:
    return MOMENT.sub(rb"\1-\2-\3T\4:\5:\6", raw).replace(b"\n", b"\r\n")


def by_a_database(raw: bytes) -> bytes:
    """NULL where there is nothing, tabs between, UTF-16, and a date that no row was deleted on."""
    names = raw.decode().splitlines()[0].replace('"', "").split(",")
    deleted = names.index("DateDeleted") if "DateDeleted" in names else -1

    def change(number: int, cells: list[str]) -> list[str]:
        said = [cell or "NULL" for cell in cells]
        if number and deleted >= 0 and not cells[deleted]:
            said[deleted] = "0000-00-00 00:00:00"
        return said

    return table(raw, change, csv.QUOTE_MINIMAL).decode().replace(",", "\t").encode("utf-16")


def by_months_in_letters(raw: bytes) -> bytes:
    """Days as 08-MAY-67."""

    def word(match: re.Match[bytes]) -> bytes:
        day = date.fromisoformat(match[1].decode())
        return match[0].replace(match[1], day.strftime("%d-%b-%Y").upper().encode())

    return DAY.sub(word, raw)


def with_codes_as_decimals(raw: bytes) -> bytes:
    """Codes as 1.0, as pandas writes a column of numbers that has gaps; NaN in the gaps."""
    names = raw.decode().splitlines()[0].replace('"', "").split(",")
    texts = [name in TEXT or name.endswith("ID") or "Date" in name for name in names]

    def change(number: int, cells: list[str]) -> list[str]:
        if not number:
            return cells
        return [
            cell if is_text else (f"{cell}.0" if cell.isdecimal() else cell or "NaN")
            for cell, is_text in zip(cells, texts, strict=True)
        ]

    return table(raw, change, csv.QUOTE_MINIMAL)


WRITTEN = (
    all_quoted,
    by_a_database,
    by_months_in_letters,
    with_codes_as_decimals,
    with_columns_of_its_own,
    with_times_and_blanks,
    by_a_spreadsheet,
    to_the_letter_of_iso,
)


@pytest.mark.parametrize("write", WRITTEN, ids=lambda write: write.__name__)
def test_it_becomes_the_same_however_it_is_written(
    tmp_path: Path, write: Callable[[bytes], bytes]
) -> None:
    files = {name: write(raw) for name, raw in plain().items()}
    assert files["Client.csv"] != plain()["Client.csv"]
    assert made(put(tmp_path / "in", files)) == wanted()


@pytest.mark.parametrize(
    ("inside", "case"), [("HMIS Export 2026/", str.lower), ("CSV\\", str.upper)]
)
def test_an_archive_may_have_folders_other_names_and_other_files(
    tmp_path: Path, inside: str, case: Callable[[str], str]
) -> None:
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, raw in plain().items():
            member = zipfile.ZipInfo()
            member.filename = inside + case(name)
            archive.writestr(member, raw)
        archive.writestr("__MACOSX/._Client.csv", b"\0\5")
        archive.writestr(f"{inside.rstrip('/')} READ ME.pdf", b"%PDF")
    result = made([Came("export.zip", path)])
    assert result.keys() == wanted().keys()
    assert {key: len(each) for key, each in result.items()} == {
        key: len(each) for key, each in wanted().items()
    }


def test_it_goes_out_as_it_came_with_columns_order_and_version_of_its_own(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    files = {
        name: all_quoted(with_columns_of_its_own(raw).replace(b"2026 v1.0", b"FY2026"))
        for name, raw in plain().items()
    }
    put(tmp_path / "in", files | {"CustomForms.csv": b"a,b\r\n1,2\r\n"})
    tally = load(pipeline, tmp_path / "in")
    assert tally.is_whole
    assert tally.ignored == ["CustomForms.csv"]
    out, report = export(pipeline, tmp_path, YEAR)
    for name, raw in files.items():
        assert out[name] == raw, name
    assert all(each.as_came == each.rows for each in report.files.values())


def test_beds_are_reckoned_however_it_is_written(pipeline: Pipeline, tmp_path: Path) -> None:
    files = {path.name: path.read_bytes() for path in (SAMPLES / "fy2026").glob("*.csv")}
    put(
        tmp_path / "in",
        {name: with_columns_of_its_own(with_times_and_blanks(raw)) for name, raw in files.items()},
    )
    load(pipeline, tmp_path / "in")
    system = "https://care-gateway.example/fhir/agency/harbor-shelter/hmis/ProjectID"
    (service,) = found(pipeline, HARBOR, "HealthcareService", identifier=f"{system}|P1")
    (detail,) = [each for each in service["extension"] if each["url"].endswith("/capacity-detail")]
    said = {each["url"]: each for each in detail["extension"]}
    assert (said["total"]["valueInteger"], said["free"]["valueInteger"]) == (36, 34)


def test_columns_of_one_year_may_stand_under_the_other_s_version(tmp_path: Path) -> None:
    generate(tmp_path / "in", 2, "2024", seed=5)
    files = {path.name: path.read_bytes() for path in (tmp_path / "in").glob("*.csv")}
    before = made(put(tmp_path / "plain", files))
    changed = made(
        put(
            tmp_path / "newer",
            files | {"Export.csv": files["Export.csv"].replace(b"2024 v1.3", b"FY2026")},
        )
    )
    differ = [key for key in before if changed[key] != before[key]]
    assert changed.keys() == before.keys()
    assert [key.partition("/")[0] for key in differ] == ["Provenance"]


def test_files_without_rows_and_files_that_are_missing_are_no_fault(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    files = {name: raw.splitlines(keepends=True)[0] for name, raw in plain().items()}
    del files["YouthEducationStatus.csv"]
    put(tmp_path / "in", files | {"Export.csv": plain()["Export.csv"], "Event.csv": b""})
    tally = load(pipeline, tmp_path / "in")
    assert fates(tally) == {"rows": 1, "new": 1}
    assert tally.faults == {"Event.csv": ("Event.csv", "the file has no header")}
    assert tally.took


def test_a_load_of_nothing_but_strange_files_is_no_success(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    put(tmp_path / "in", {"People.csv": b"a,b\n1,2\n"})
    tally = load(pipeline, tmp_path / "in")
    assert tally.ignored == ["People.csv"]
    assert not tally.took


VERSIONS = {
    "2026 v1.0": "26", "FY2026": "26", "2026": "26", "FY26": "26", "HMIS CSV 2026 v1.4": "26",
    "fy 2024": "24", "2024 v1.7": "24", "2024v1": "24", "V2024.1": "24",
    "": "", "2022 v1.3": "", "2025": "", "20260": "", "1.26": "", "FY2028": "", "6.12": "",
}  # fmt: skip


def test_every_word_for_a_year_is_known_and_no_other(pipeline: Pipeline, tmp_path: Path) -> None:
    for version, year in VERSIONS.items():
        raw = plain()["Export.csv"].replace(b'"2026 v1.0"', f'"{version}"'.encode())
        tally = load(pipeline, put(tmp_path / "in", {"Export.csv": raw})[0].path)
        assert bool(tally.refused) is not bool(year), version
        assert [is_of(version, each) for each in ("2024", "2026")] == [year == "24", year == "26"]


@pytest.mark.parametrize(
    ("said", "bars"), [("1.0", True), ("Y", True), ("0.0", False), ("", False)]
)
def test_who_may_be_a_victim_service_provider_is_taken_for_one(
    pipeline: Pipeline, tmp_path: Path, said: str, *, bars: bool
) -> None:
    folder = sample(tmp_path, vsp=said)
    assert (load(pipeline, folder).set_aside > 3) is bars
    assert ("4" in people(pipeline)) is not bars


def test_who_is_barred_later_leaves(pipeline: Pipeline, tmp_path: Path) -> None:
    load(pipeline, sample(tmp_path, vsp="0"))
    assert "4" in people(pipeline)
    before = fates(load(pipeline, SAMPLES / "fy2026"))
    assert before["aside"] == 7
    assert people(pipeline) == {"1", "2", "3", "6"}
    files, _ = export(pipeline, tmp_path, YEAR)
    assert {row["PersonalID"] for row in rows(files["Client.csv"])} == {"1", "2", "3", "6"}
    assert b"Tobekept" not in b"".join(files.values())
    again = load(pipeline, SAMPLES / "fy2026")
    assert (fates(again)["aside"], resources(again)) == (7, {})
    load(pipeline, sample(tmp_path, vsp="0"))
    assert "4" in people(pipeline)


def sample(folder: Path, *, vsp: str) -> Path:
    """The sample, with another word on the victim service provider."""
    files = {path.name: path.read_bytes() for path in (SAMPLES / "fy2026").glob("*.csv")}

    def change(number: int, cells: list[str]) -> list[str]:
        at = columns.index("VictimServiceProvider")
        return [*cells[:at], vsp, *cells[at + 1 :]] if number and cells[at] == "1" else cells

    columns = files["Organization.csv"].decode().splitlines()[0].replace('"', "").split(",")
    files["Organization.csv"] = table(files["Organization.csv"], change, csv.QUOTE_MINIMAL)
    put(folder / f"vsp{vsp}", files)
    return folder / f"vsp{vsp}"


def people(pipeline: Pipeline) -> set[str]:
    """The PersonalIDs that the shelter has in the hub."""
    patients = [each for each in found(pipeline, HARBOR, "Patient") if each.get("active")]
    return {each["identifier"][0]["value"] for each in patients}


def test_a_row_that_refers_to_what_isnt_here_says_where_and_that_it_is_to_be_sent_again(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    names = ("Enrollment.csv", "Project.csv", "Organization.csv")
    put(tmp_path / "delta", {name: (SAMPLES / "fy2026" / name).read_bytes() for name in names})
    tally = load(pipeline, tmp_path / "delta")
    first = tally.asides[0]
    assert (first.file, first.row, first.column) == ("Enrollment.csv", 2, "PersonalID")
    assert first.reason == (
        "refers to a Patient that isn't here to say whether the row may be kept: "
        "send it again, with that or after it"
    )
    told = tally.summary()
    assert told["aside"][0]["kept"] is False
    (file,) = [each for each in told["files"] if each["file"] == "Enrollment.csv"]
    assert (file["aside"], file["mendable"]) == (len(tally.asides), 0)
    assert load(pipeline, SAMPLES / "fy2026").files["Enrollment.csv"]["new"] == 4
    again = load(pipeline, tmp_path / "delta")
    assert again.files["Enrollment.csv"]["unchanged"] == 4


@pytest.mark.parametrize("missing", ["Project.csv", "Organization.csv"])
def test_a_stay_of_which_nobody_can_say_whose_it_is_stays_out(
    pipeline: Pipeline, tmp_path: Path, missing: str
) -> None:
    files = {path.name: path.read_bytes() for path in (SAMPLES / "fy2026").glob("*.csv")}
    put(tmp_path / "in", {name: raw for name, raw in files.items() if name != missing})
    tally = load(pipeline, tmp_path / "in")
    assert tally.files["Enrollment.csv"]["new"] == 0
    assert people(pipeline) == set()
    reasons = {each.reason for each in tally.asides if each.file == "Enrollment.csv"}
    assert any("isn't here to say whether it is a victim service provider" in x for x in reasons)
    assert load(pipeline, SAMPLES / "fy2026").files["Enrollment.csv"]["new"] == 4
    assert people(pipeline) == {"1", "2", "3", "6"}


def test_a_day_is_a_day_whatever_time_stands_beside_it() -> None:
    for said in ("2025-09-30", "2025-09-30 00:00:00", "9/30/2025 0:00", "09/30/25"):
        assert capacity._day({"ExitDate": said}, "ExitDate") == "2025-09-30"
