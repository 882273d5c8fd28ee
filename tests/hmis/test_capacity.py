"""Beds that are free: of a shelter that counts stays, and of one that counts nights."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from pathlib import Path

import pytest

from gateway.hmis import stays
from gateway.model import Grant
from gateway.pipeline import Pipeline
from gateway.store import ready
from tests.hmis.exports import HARBOR, HAVEN, found, load, written

OWN = "https://care-gateway.example/fhir/agency/harbor-shelter/hmis/"
NIGHTS, STAYS = "P1", "P2"
"""A night-by-night shelter of 20 beds, and one of 10 to which one comes to stay."""

Row = dict[str, str]
_turns = count()


def send(pipeline: Pipeline, folder: Path, **files: Iterable[Row]) -> None:
    """Load files of these rows, exported on the first of October."""
    place = folder / str(next(_turns))
    export = {"ExportID": "1", "ExportDate": "2025-10-01", "CSVVersion": "2026 v1.0"}
    for name, told in {"Export": [export], **files}.items():
        rows = [{"DateUpdated": "2025-10-01 01:00:00", **row} for row in told]
        written(place, name, list(dict.fromkeys(key for row in rows for key in row)), *rows)
    tally = load(pipeline, place)
    assert tally.is_whole, tally.asides


def free(pipeline: Pipeline, project: str) -> int:
    """How many beds its service says are free."""
    (service,) = found(
        pipeline, HARBOR, "HealthcareService", identifier=f"{OWN}ProjectID|{project}"
    )
    (detail,) = [e for e in service["extension"] if e["url"].endswith("/capacity-detail")]
    (said,) = [each["valueInteger"] for each in detail["extension"] if each["url"] == "free"]
    return int(said)


def stay(number: int, project: str, entry: str = "2025-09-01", **more: str) -> Row:
    return {
        "EnrollmentID": f"e{number}", "PersonalID": f"c{number}", "ProjectID": project,
        "EntryDate": entry, "HouseholdID": f"h{number}", "RelationshipToHoH": "1", **more,
    }  # fmt: skip


def left(number: int, day: str, **more: str) -> Row:
    whose = {"EnrollmentID": f"e{number}", "PersonalID": f"c{number}"}
    return {"ExitID": f"x{number}", **whose, "ExitDate": day, "Destination": "410", **more}


def night(number: int, day: str, kind: str = "200", **more: str) -> Row:
    whose = {"EnrollmentID": f"e{number}", "PersonalID": f"c{number}"}
    return {
        "ServicesID": f"s{number}{day}",
        **whose,
        "DateProvided": day,
        "RecordType": kind,
    } | more


@pytest.fixture
def shelter(pipeline: Pipeline, tmp_path: Path) -> Pipeline:
    """A pipeline that knows both, with eight persons enrolled in each and one who has left."""
    beds = [(NIGHTS, "1", "20"), (STAYS, "0", "10")]
    numbers = [(n, p[0]) for at, p in enumerate(beds) for n in range(at * 10, at * 10 + 9)]
    organization = {"OrganizationID": "O1", "OrganizationName": "H", "VictimServiceProvider": "0"}
    send(
        pipeline, tmp_path,
        Organization=[organization],
        Project=[
            {"ProjectID": id_, "OrganizationID": "O1", "ProjectName": id_, "ProjectType": type_}
            for id_, type_, _ in beds
        ],
        Inventory=[
            {"InventoryID": id_, "ProjectID": id_, "BedInventory": n, "InventoryStartDate": "2020"}
            for id_, _, n in beds
        ],
        Client=[{"PersonalID": f"c{n}"} for n, _ in numbers],
        Enrollment=[stay(n, project) for n, project in numbers],
        Exit=[left(8, "2025-09-30"), left(18, "2025-10-01")],
        Services=[
            *(night(n, "2025-09-29") for n in range(9)),
            *(night(n, "2025-09-30") for n in (1, 2, 8)),
        ],
    )  # fmt: skip
    return pipeline


def test_who_left_by_the_export_s_day_has_no_bed_and_nights_are_the_latest_alone(
    shelter: Pipeline,
) -> None:
    assert free(shelter, STAYS) == 10 - 8
    assert free(shelter, NIGHTS) == 20 - 2  # the third of that night has left


def test_a_delta_counts_from_what_was_kept(shelter: Pipeline, tmp_path: Path) -> None:
    met = {**stay(4, NIGHTS), "CurrentLivingSitID": "l1", "InformationDate": "2025-10-01"}
    nights = [night(3, "2025-09-30"), night(4, "2025-09-30", "12")]
    send(shelter, tmp_path, Services=nights, CurrentLivingSituation=[met])
    assert free(shelter, NIGHTS) == 20 - 3
    send(shelter, tmp_path, Services=[night(5, "2025-10-01")])
    assert free(shelter, NIGHTS) == 20 - 1
    send(shelter, tmp_path, Exit=[left(5, "2025-10-01"), left(11, "2025-10-01")])
    assert (free(shelter, NIGHTS), free(shelter, STAYS)) == (20 - 3, 10 - 7)


def test_what_is_deleted_is_not_counted(shelter: Pipeline, tmp_path: Path) -> None:
    gone = {"DateUpdated": "2025-10-01 02:00:00", "DateDeleted": "2025-10-01 02:00:00"}
    send(shelter, tmp_path, Services=[night(n, "2025-09-30", **gone) for n in (1, 2, 8)])
    assert free(shelter, NIGHTS) == 20 - 8  # of the night before
    send(shelter, tmp_path, Enrollment=[stay(12, STAYS, **gone)], Exit=[left(18, "", **gone)])
    assert free(shelter, STAYS) == 10 - 8
    send(shelter, tmp_path, Services=[night(n, "2025-09-29", **gone) for n in range(9)])
    assert free(shelter, NIGHTS) == 20


def test_an_older_export_changes_nothing(shelter: Pipeline, tmp_path: Path) -> None:
    old = {"DateUpdated": "2025-09-01 01:00:00"}
    send(
        shelter,
        tmp_path,
        Exit=[left(8, "2025-12-01", **old)],
        Services=[night(1, "2025-09-30", "12", **old)],
    )
    assert (free(shelter, NIGHTS), free(shelter, STAYS)) == (20 - 2, 10 - 8)


def test_who_comes_or_goes_after_the_export_s_day_is_not_yet_in_or_still_there(
    shelter: Pipeline, tmp_path: Path
) -> None:
    send(
        shelter,
        tmp_path,
        Enrollment=[stay(0, STAYS, "2025-10-02")],
        Exit=[left(18, "2025-10-02", DateUpdated="2025-10-02")],
    )
    assert free(shelter, STAYS) == 10 - 9


def test_many_stays_are_asked_about_some_at_a_time(
    shelter: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stays, "TOGETHER", 3)
    send(shelter, tmp_path, Services=[night(n, "2025-10-01") for n in range(8)])
    assert free(shelter, NIGHTS) == 20 - 8
    send(shelter, tmp_path, Services=[night(n, f"2025-10-0{n}") for n in range(2, 8)])
    assert free(shelter, NIGHTS) == 20 - 1


def test_what_another_agency_says_of_a_stay_is_no_night_of_the_shelter_s(
    shelter: Pipeline, tmp_path: Path
) -> None:
    (mine, *_) = found(shelter, HARBOR, "Encounter", date="2025-09-30")
    theirs = {**mine, "id": "theirs", "period": {"start": "2025-10-01", "end": "2025-10-01"}}
    theirs.pop("meta")
    shelter._hub.write(lambda tx: tx.create(HAVEN, ready(theirs), None))
    grant = Grant("Encounter/theirs", HARBOR.agency, "Task/because")
    shelter._hub.write(lambda tx: tx.grant(grant))
    assert found(shelter, HARBOR, "Encounter", date="2025-10-01")
    send(shelter, tmp_path, Services=[night(3, "2025-09-30")])
    assert free(shelter, NIGHTS) == 20 - 3
