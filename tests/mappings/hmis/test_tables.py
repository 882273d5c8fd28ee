"""The HMIS tables and columns are HUD's, word for word, and the maps read all that they claim."""

from __future__ import annotations

import csv
import re
from functools import cache
from pathlib import Path

import pytest

from gateway.model import Agency
from gateway.translate import File
from tests.mappings.hmis.build import HMIS, REFERENCE, files
from tests.shipped import library

COMMON = {"DateCreated", "UserID", "ExportID"}
"""Columns that no rule reads anywhere: they stay in the kept row alone."""

RAW_ALONE = {
    "Export": {
        "SourceType", "SourceID", "SourceContactFirst", "SourceContactLast", "SourceContactPhone",
        "SourceContactExtension", "SourceContactEmail", "ExportPeriodType", "ExportDirective",
        "HashStatus", "ImplementationID",
    },
    "Project": {"ContinuumProject", "ResidentialAffiliation", "HOPWAMedAssistedLivingFac",
                "PITCount"},
    "Inventory": {
        "CoCCode", "CHVetBedInventory", "YouthVetBedInventory", "VetBedInventory",
        "CHYouthBedInventory", "YouthBedInventory", "CHBedInventory", "OtherBedInventory",
    },
    "Event": {"ReferralCaseManageAfter"},
    "AssessmentQuestions": {"AssessmentQuestionGroup", "AssessmentQuestionOrder"},
}  # fmt: skip
"""What else has no home in FHIR, by file: it goes out again, and is told nowhere else."""

BY_OTHERS = {
    ("Enrollment", "PreferredLanguage"), ("Enrollment", "PreferredLanguageDifferent"),
    ("Enrollment", "TranslationNeeded"),
}  # fmt: skip
"""Columns that the maps of other files read by a lookup."""


@pytest.mark.skipif(not REFERENCE.is_dir(), reason=f"no reference at {REFERENCE}")
def test_the_tables_are_what_the_reference_says() -> None:
    for path, text in files(REFERENCE):
        assert path.read_text(encoding="utf-8") == text, path.name


@cache
def feed() -> dict[str, File]:
    """The files of the feed, by name."""
    shelf = library().shelf(Agency("sample", "Sample"))
    return {each.name: each for each in shelf.feeds["hmis"].files}


@cache
def columns() -> dict[str, set[str]]:
    """The columns of both years, by file."""
    found: dict[str, set[str]] = {}
    with (HMIS / "columns.csv").open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            found.setdefault(row["file"], set()).add(row["column"])
    return found


@pytest.mark.parametrize("name", sorted(columns()))
def test_a_map_reads_every_column_that_has_a_home_and_no_other(name: str) -> None:
    plan = feed()[name].plan
    assert plan is not None
    known = {column.lower(): column for column in columns()[name]}
    read = {known[column.lower()] for column in plan.columns if column.lower() in known}
    assert {column for column in plan.columns if column.lower() not in known} == set()
    others = {column for file, column in BY_OTHERS if file == name}
    assert columns()[name] - read - others - COMMON == RAW_ALONE.get(name, set())


def test_every_file_of_the_specification_is_in_the_feed() -> None:
    assert feed().keys() == columns().keys()


def test_no_answer_is_a_code() -> None:
    for path in sorted((HMIS / "tables").glob("*.csv")):
        for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines()):
            text = row.get("display", "")
            if re.match(r"Client (doesn't know|prefers not)|Data not collected", text):
                assert not row["target"], f"{path.name}: {row['code']}"


def test_names_of_samples_are_nobody_s() -> None:
    numbers = re.compile(rb"(?<!\d)[0-8]\d{8}(?!\d)")
    for path in sorted(Path(HMIS / "samples").rglob("Client.csv")):
        assert not numbers.search(path.read_bytes()), path
