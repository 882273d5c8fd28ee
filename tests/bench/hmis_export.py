"""Makes HMIS CSV exports of any size: all files of a year, the same for the same seed.

``python -m tests.bench.hmis_export OUT --clients 100000 --year 2026 --seed 1`` writes the folder
OUT: 100,000 clients are about 3.7 million rows, in the proportions of published exports (12
services and 13 disabilities a client). Nobody in it is real: names are drawn from lists, social
security numbers begin with 9, which no real one does.
"""

from __future__ import annotations

import argparse
import csv
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

COLUMNS: Final = Path(__file__).resolve().parents[2] / "mappings" / "hmis" / "columns.csv"
VERSIONS: Final = {"2024": "2024 v1.3", "2026": "2026 v1.0"}
FIRST: Final = date(2023, 10, 1)
DAYS: Final = 720
EXPORT_ID: Final = "7001"
PROJECTS: Final = (  # id, organization, name, type, beds
    ("P1", "O1", "Harbor Shelter - ES", 0, 60),
    ("P2", "O1", "Harbor Nights", 1, 24),
    ("P3", "O2", "Family Haven - RRH", 13, 0),
    ("P4", "O2", "Family Haven - PSH", 3, 40),
    ("P5", "O3", "Cedar Street Outreach", 4, 0),
    ("P6", "O3", "Cedar Coordinated Entry", 14, 0),
    ("P7", "O3", "Cedar Prevention", 12, 0),
)
ORGANIZATIONS: Final = (("O1", "Harbor Shelter"), ("O2", "Family Haven"), ("O3", "Cedar County"))
GIVEN: Final = ("Ada", "Bo", "Cleo", "Dov", "Ela", "Finn", "Gia", "Hal", "Ivy", "Jon", "Kai", "Lea")
FAMILY: Final = ("Alder", "Birch", "Cedar", "Dogwood", "Elm", "Fir", "Gorse", "Holly", "Ivory")
TEXT: Final = frozenset(
    {
        "FirstName", "MiddleName", "LastName", "NameSuffix", "SSN", "UserFirstName", "UserLastName",
        "UserPhone", "UserEmail", "OrganizationName", "OrganizationCommonName", "ProjectName",
        "ProjectCommonName", "CoCCode", "EnrollmentCoC", "Geocode", "Address1", "City", "State",
        "Zip", "ZIP", "GrantID", "LocationCrisisOrPHHousing", "VerifiedBy", "AssessmentLocation",
        "AssessmentQuestion", "AssessmentAnswer", "AssessmentResultType", "AssessmentResult",
        "SourceID", "SourceName", "SoftwareName", "SoftwareVersion", "CSVVersion",
        "ImplementationID",
    }
)  # fmt: skip
"""Columns that are written in quotes, as are all ids."""

Row = dict[str, object]


@dataclass(slots=True)
class Export:
    """One export in the making; ``counts`` are its rows by file."""

    folder: Path
    year: str
    draw: random.Random
    layout: dict[str, list[str]]
    counts: dict[str, int] = field(default_factory=dict)


def generate(folder: Path, clients: int, year: str = "2026", seed: int = 1) -> dict[str, int]:
    """Write an export of so many clients to a folder; the number of rows by file."""
    layout: dict[str, list[str]] = {}
    with COLUMNS.open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            if row["year"] == f"FY{year}":
                layout.setdefault(row["file"], []).append(row["column"])
    folder.mkdir(parents=True, exist_ok=True)
    export = Export(folder, year, random.Random(seed), layout)
    files = {
        name: (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") for name in layout
    }
    try:
        writers = {name: _writer(export, name, file.write) for name, file in files.items()}
        for name, made in _directory(year):
            writers[name](made)
        for number in range(1, clients + 1):
            for name, made in _person(export.draw, number, year):
                writers[name](made)
    finally:
        for file in files.values():
            file.close()
    return export.counts


def _writer(export: Export, name: str, write: Callable[[str], object]) -> Callable[[Row], None]:
    columns = export.layout[name]
    quoted = [column in TEXT or column.endswith("ID") for column in columns]
    write(",".join(f'"{column}"' for column in columns) + "\n")
    export.counts[name] = 0

    def row(made: Row) -> None:
        said = {**_STAMPS, **made}
        cells = (said.get(column, "") for column in columns)
        write(
            ",".join(
                f'"{cell}"' if q and cell != "" else str(cell)
                for q, cell in zip(quoted, cells, strict=True)
            )
            + "\n"
        )
        export.counts[name] += 1

    return row


_STAMPS: Final[Row] = {
    "DateCreated": "2025-01-02 08:30:00",
    "DateUpdated": "2025-09-30 17:05:00",
    "UserID": "U1",
    "ExportID": EXPORT_ID,
}


def _directory(year: str) -> Iterator[tuple[str, Row]]:
    """The files that aren't about clients."""
    last = FIRST + timedelta(days=DAYS)
    yield "Export", {
        "ExportID": EXPORT_ID, "SourceType": 1, "SourceID": "XX-501", "SourceName": "Cedar County",
        "ExportDate": f"{last} 02:00:00", "ExportStartDate": FIRST, "ExportEndDate": last,
        "SoftwareName": "Generator", "SoftwareVersion": "1", "CSVVersion": VERSIONS[year],
        "ExportPeriodType": 3, "ExportDirective": 2, "HashStatus": 1, "ImplementationID": "CEDAR",
    }  # fmt: skip
    yield "User", {"UserFirstName": "Sam", "UserLastName": "Rowan", "UserEmail": "sam@example.org"}
    for id_, name in ORGANIZATIONS:
        yield (
            "Organization",
            {
                "OrganizationID": id_,
                "OrganizationName": name,
                "VictimServiceProvider": 0,
            },
        )
    for number, (id_, organization, name, kind, beds) in enumerate(PROJECTS, 1):
        yield "Project", {
            "ProjectID": id_, "OrganizationID": organization, "ProjectName": name,
            "OperatingStartDate": "2015-01-01", "ContinuumProject": 1, "ProjectType": kind,
            "HousingType": 1 if beds else "", "TargetPopulation": 4,
        }  # fmt: skip
        at = {"ProjectID": id_, "CoCCode": "XX-501"}
        yield "ProjectCoC", {
            **at, "ProjectCoCID": f"C{number}", "Geocode": "195588",
            "Address1": f"{number} Pine Ave", "City": "Cedarville", "State": "XX",
            "Zip": "52240", "GeographyType": 1,
        }  # fmt: skip
        yield "HMISParticipation", {
            "HMISParticipationID": f"H{number}", "ProjectID": id_, "HMISParticipationType": 1,
            "HMISParticipationStatusStartDate": "2015-01-01",
        }  # fmt: skip
        yield "CEParticipation", {
            "CEParticipationID": f"E{number}", "ProjectID": id_, "AccessPoint": int(kind == 14),
            "PreventionAssessment": 0, "CrisisAssessment": 0, "HousingAssessment": int(kind == 14),
            "DirectServices": 0, "ReceivesReferrals": int(beds > 0),
            "CEParticipationStatusStartDate": "2015-01-01",
        }  # fmt: skip
        yield "Funder", {"FunderID": f"F{number}", "ProjectID": id_, "Funder": 2, "GrantID": "G-1"}
        if beds:
            yield "Inventory", {
                **at, "InventoryID": f"I{number}", "HouseholdType": 1, "UnitInventory": beds,
                "BedInventory": beds, "OtherBedInventory": beds, "InventoryStartDate": "2015-01-01",
            }  # fmt: skip
    yield "Affiliation", {"AffiliationID": "A1", "ProjectID": "P5", "ResProjectID": "P1"}


def _person(draw: random.Random, number: int, year: str) -> Iterator[tuple[str, Row]]:
    """One client and all that happened."""
    person = str(100_000 + number)
    yield "Client", _client(draw, number, person, year)
    for stay in range(1 + (draw.random() < 0.12)):
        yield from _stay(draw, person, f"{person}{stay}", year)


def _client(draw: random.Random, number: int, person: str, year: str) -> Row:
    quality = draw.choices((1, 2, 8, 9, 99), (92, 4, 1, 1, 2))[0]
    born = date(1950, 1, 1) + timedelta(days=draw.randrange(25_000))
    named = quality in (1, 2)
    sex = draw.randrange(2)
    made: Row = {
        "PersonalID": person, "NameDataQuality": quality,
        "FirstName": draw.choice(GIVEN) if named else "",
        "LastName": f"{draw.choice(FAMILY)}{number % 997}" if quality == 1 else "",
        "SSN": f"9{number:08d}" if quality == 1 else "", "SSNDataQuality": 1 if quality == 1 else 9,
        "DOB": born, "DOBDataQuality": 1, "AmIndAKNative": 0, "Asian": 0,
        "BlackAfAmerican": int(draw.random() < 0.35), "MidEastNAfrican": 0, "NativeHIPacific": 0,
        "White": int(draw.random() < 0.65), "VeteranStatus": int(draw.random() < 0.1),
    }  # fmt: skip
    hispanic = int(draw.random() < 0.1)
    if year == "2026":
        return {**made, "Sex": sex, "HispanicLatinao": hispanic}
    others = ("NonBinary", "CulturallySpecific", "Transgender", "Questioning", "DifferentIdentity")
    gender: Row = {"Woman": 1 - sex, "Man": sex, **dict.fromkeys(others, 0)}
    return {**made, **gender, "HispanicLatinaeo": hispanic}


def _stay(draw: random.Random, person: str, id_: str, year: str) -> Iterator[tuple[str, Row]]:
    project = draw.choice(PROJECTS)
    entry = FIRST + timedelta(days=draw.randrange(DAYS - 60))
    left = entry + timedelta(days=draw.randrange(3, 300))
    is_open = left >= FIRST + timedelta(days=DAYS) or draw.random() < 0.08
    at: Row = {"EnrollmentID": id_, "PersonalID": person}
    enrollment: Row = {
        **at, "ProjectID": project[0], "EntryDate": entry, "HouseholdID": f"h_{id_}",
        "RelationshipToHoH": 1, "EnrollmentCoC": "XX-501",
        "LivingSituation": draw.choice((101, 116, 118, 302, 335, 336, 410, 8)),
        "LengthOfStay": draw.choice((2, 3, 4, 5)), "DisablingCondition": int(draw.random() < 0.4),
        "TimesHomelessPastThreeYears": draw.choice((1, 2, 3, 4)),
        "MonthsHomelessPastThreeYears": draw.randrange(101, 114),
    }  # fmt: skip
    if year == "2024":
        enrollment |= {"TranslationNeeded": 0, "PreferredLanguage": draw.choice((171, 171, 367))}
    yield "Enrollment", enrollment
    if not is_open:
        where = draw.choice((410, 411, 421, 422, 435, 101, 116, 302, 30, 99))
        yield "Exit", {**at, "ExitID": f"x{id_}", "ExitDate": left, "Destination": where}
    stages = [(1, entry), *(() if is_open else ((3, left),))]
    for stage, day in stages:
        yield from _asked(draw, at, id_, stage, day)
    yield from _served(draw, at, id_, entry, project[3])
    if draw.random() < 0.05:
        yield from _coordinated(draw, at, id_, entry)


def _asked(
    draw: random.Random, at: Row, id_: str, stage: int, day: date
) -> Iterator[tuple[str, Row]]:
    """What is asked at entry and exit."""
    said: Row = {**at, "InformationDate": day, "DataCollectionStage": stage}
    has = int(draw.random() < 0.6)
    insurance = ("Medicare", "SCHIP", "VHAServices", "EmployerProvided", "COBRA", "PrivatePay")
    yield "IncomeBenefits", {
        **said, "IncomeBenefitsID": f"{id_}_{stage}", "IncomeFromAnySource": has,
        "TotalMonthlyIncome": draw.randrange(200, 2000) if has else "", "Earned": has,
        "EarnedAmount": draw.randrange(100, 1900) if has else "", "SSI": 0, "SSDI": 0, "TANF": 0,
        "BenefitsFromAnySource": has, "SNAP": has, "WIC": 0, "InsuranceFromAnySource": 1,
        "Medicaid": 1, **dict.fromkeys(insurance, 0),
    }  # fmt: skip
    fled = draw.choice((0, 0, 0, 1, 99))
    yield "HealthAndDV", {
        **said, "HealthAndDVID": f"{id_}_{stage}", "DomesticViolenceSurvivor": fled,
        "WhenOccurred": 4 if fled == 1 else "", "CurrentlyFleeing": 0 if fled == 1 else "",
    }  # fmt: skip
    yield "EmploymentEducation", {
        **said, "EmploymentEducationID": f"{id_}_{stage}", "Employed": has,
        "LastGradeCompleted": draw.choice((4, 5, 7, 10)),
    }  # fmt: skip
    if draw.random() < 0.5:
        yield "YouthEducationStatus", {
            **said, "YouthEducationStatusID": f"{id_}_{stage}",
            "CurrentSchoolAttend": draw.choice((0, 1, 2, 99)),
        }  # fmt: skip
    for kind in (5, 6, 7, 8, 9, 10):
        yield "Disabilities", {
            **said, "DisabilitiesID": f"{id_}_{stage}_{kind}", "DisabilityType": kind,
            "DisabilityResponse": draw.choices((0, 1, 8, 99), (78, 18, 2, 2))[0],
        }  # fmt: skip


def _served(
    draw: random.Random, at: Row, id_: str, entry: date, kind: int
) -> Iterator[tuple[str, Row]]:
    """Bed nights and services; street outreach meets people where they are."""
    for number in range(draw.randrange(5, 21)):
        day = entry + timedelta(days=number)
        night = kind in (0, 1)
        yield "Services", {
            **at, "ServicesID": f"{id_}s{number}", "DateProvided": day,
            "RecordType": 200 if night else 144, "TypeProvided": 200 if night else 2,
        }  # fmt: skip
    if kind == 4:
        for number in range(2):
            yield "CurrentLivingSituation", {
                **at, "CurrentLivingSitID": f"{id_}l{number}", "InformationDate": entry,
                "CurrentLivingSituation": draw.choice((101, 116)), "VerifiedBy": "Cedar County",
            }  # fmt: skip


def _coordinated(draw: random.Random, at: Row, id_: str, day: date) -> Iterator[tuple[str, Row]]:
    result = draw.choice(("", 1, 1, 2, 3))
    yield "Event", {
        **at, "EventID": f"e{id_}", "EventDate": day, "Event": draw.choice((3, 4, 10, 13)),
        "LocationCrisisOrPHHousing": "P1", "ReferralResult": result,
        "ResultDate": day if result else "",
    }  # fmt: skip
    one: Row = {**at, "AssessmentID": f"a{id_}"}
    yield "Assessment", {
        **one, "AssessmentDate": day, "AssessmentLocation": "P6", "AssessmentType": 3,
        "AssessmentLevel": 2, "PrioritizationStatus": 1,
    }  # fmt: skip
    yield "AssessmentQuestions", {
        **one, "AssessmentQuestionID": f"q{id_}", "AssessmentQuestionOrder": 1,
        "AssessmentQuestion": "Nights outside", "AssessmentAnswer": draw.randrange(30),
    }  # fmt: skip
    yield "AssessmentResults", {
        **one, "AssessmentResultID": f"r{id_}", "AssessmentResultType": "Score",
        "AssessmentResult": draw.randrange(20),
    }  # fmt: skip


def main() -> None:
    """Write one."""
    told = argparse.ArgumentParser(description=__doc__)
    told.add_argument("out", type=Path)
    told.add_argument("--clients", type=int, default=1000)
    told.add_argument("--year", choices=sorted(VERSIONS), default="2026")
    told.add_argument("--seed", type=int, default=1)
    asked = told.parse_args()
    began = datetime.now().astimezone()
    counts = generate(asked.out, asked.clients, asked.year, asked.seed)
    took = (datetime.now().astimezone() - began).total_seconds()
    print(f"{sum(counts.values()):,} rows in {len(counts)} files, {took:.1f} s, seed {asked.seed}")


if __name__ == "__main__":
    main()
