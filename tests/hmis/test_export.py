"""HMIS CSV in, and out again: nothing is lost on the way, and what the hub knows is told."""

from __future__ import annotations

import json
import shutil
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import SettingError
from gateway.hmis.report import as_json
from gateway.pipeline import Pipeline
from tests.bench.hmis_export import generate
from tests.corpora import CORPORA, needs_corpora
from tests.hmis.exports import (
    HARBOR,
    HAVEN,
    SAMPLES,
    export,
    fates,
    found,
    load,
    make,
    move,
    resources,
    rows,
    written,
)

PUBLISHED = CORPORA / "hmis-coc-demo" / "FY2024-demo-sample500"
OWN = "https://care-gateway.example/fhir/agency/harbor-shelter/hmis/"


@pytest.mark.corpora
@needs_corpora
def test_the_published_set_comes_in_whole_changes_nothing_twice_and_goes_out_as_it_came(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    first = load(pipeline, PUBLISHED)
    assert fates(first) == {"rows": 6354, "new": 6354}
    assert not first.asides
    assert not first.warnings
    made = resources(first)
    assert made["Patient"] == {"created": 500}
    assert made["EpisodeOfCare"] == {"created": 567}
    assert made["Task"] == made["ServiceRequest"] == {"created": 18}
    again = load(pipeline, PUBLISHED)
    assert fates(again) == {"rows": 6354, "unchanged": 6354}
    assert not resources(again)
    files, report = export(pipeline, tmp_path, "2024")
    for path in sorted(PUBLISHED.glob("*.csv")):
        assert files[path.name] == path.read_bytes(), path.name
    assert all(each.as_came == each.rows for each in report.files.values())


@pytest.mark.parametrize("year", ["2024", "2026"])
def test_a_generated_export_goes_out_byte_for_byte(
    pipeline: Pipeline, tmp_path: Path, year: str
) -> None:
    generate(tmp_path / "in", 12, year, seed=7)
    assert load(pipeline, tmp_path / "in").is_whole
    files, _ = export(pipeline, tmp_path, year)
    for path in sorted((tmp_path / "in").glob("*.csv")):
        assert files[path.name] == path.read_bytes(), path.name


@pytest.mark.parametrize(
    ("charset", "newline"), [("utf-8-sig", "\r\n"), ("windows-1252", "\n"), ("utf-16", "\r\n")]
)
def test_a_file_goes_out_in_the_bytes_of_its_software(
    pipeline: Pipeline, tmp_path: Path, charset: str, newline: str
) -> None:
    generate(tmp_path / "in", 3, "2026", seed=5)
    for path in (tmp_path / "in").glob("*.csv"):
        text = path.read_text(encoding="utf-8").replace("Cedar", "Cèdre")
        path.write_bytes(text.replace("\n", newline).encode(charset))
    assert load(pipeline, tmp_path / "in").is_whole
    files, _ = export(pipeline, tmp_path, "2026")
    for path in sorted((tmp_path / "in").glob("*.csv")):
        assert files[path.name] == path.read_bytes(), path.name


def test_another_year_s_export_keeps_every_cell_that_the_year_has(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    generate(tmp_path / "in", 8, "2024", seed=3)
    load(pipeline, tmp_path / "in")
    files, report = export(pipeline, tmp_path, "2026")
    assert report.files["Client"].turned == 8
    assert report.files["Client"].blank == ("Sex",)
    assert {"Woman", "DifferentIdentityText"} < set(report.files["Client"].dropped)
    assert rows(files["Export.csv"])[0]["CSVVersion"] == "2026 v1.0"
    came = rows((tmp_path / "in" / "Client.csv").read_bytes())
    for before, now in zip(came, rows(files["Client.csv"]), strict=True):
        assert now["HispanicLatinao"] == before["HispanicLatinaeo"]
        assert now["Sex"] == ""
        kept = before.keys() & now.keys()
        assert len(kept) == 36
        assert {name: now[name] for name in kept} == {name: before[name] for name in kept}


def test_a_referral_that_a_member_closed_goes_out_with_its_result(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    folder = to_family_haven(tmp_path)
    load(pipeline, folder)
    (task,) = found(pipeline, HAVEN, "Task")
    assert task["identifier"] == [{"system": f"{OWN}EventID", "value": "v2"}]
    task = move(pipeline, HAVEN, task, status="accepted")
    move(pipeline, HAVEN, task, status="completed", lastModified="2025-04-05")
    files, report = export(pipeline, tmp_path, "2026")
    before = {row["EventID"]: row for row in rows((folder / "Event.csv").read_bytes())}
    now = {row["EventID"]: row for row in rows(files["Event.csv"])}
    assert now.keys() == before.keys() - {"v5"}
    changed = {name for name in now["v2"] if now["v2"][name] != before["v2"][name]}
    assert changed == {"ReferralResult", "ResultDate", "DateUpdated"}
    assert (now["v2"]["ReferralResult"], now["v2"]["ResultDate"]) == ("1", "2025-04-05")
    assert {id_: row for id_, row in now.items() if id_ != "v2"} == {
        id_: row for id_, row in before.items() if id_ not in ("v2", "v5")
    }
    assert (report.files["Event"].told, report.files["Event"].as_came) == (1, 3)


def test_a_referral_of_the_hub_goes_out_as_a_new_event(pipeline: Pipeline, tmp_path: Path) -> None:
    load(pipeline, SAMPLES / "fy2026")
    (patient,) = found(pipeline, HARBOR, "Patient", identifier=f"{OWN}PersonalID|1")
    make(pipeline, HARBOR, referral(pipeline, patient, "food-insecurity"))
    task = make(pipeline, HARBOR, referral(pipeline, patient, "homelessness"))
    move(pipeline, HAVEN, task, status="rejected", statusReason={"text": "No bed tonight"})
    files, report = export(pipeline, tmp_path, "2026")
    new = [row for row in rows(files["Event.csv"]) if not row["EventID"].startswith("v")]
    assert report.files["Event"].made == len(new) == 1
    assert report.left_out == {"coordinated entry has no such event": 1}
    row = new[0]
    assert row["PersonalID"] == "1"
    assert row["EnrollmentID"] == "11"
    assert row["Event"] == "10"
    assert row["EventDate"] == "2025-02-20"
    assert row["ReferralResult"] == "3"
    assert row["EventID"] == "cg" + task["id"].replace("-", "")[:30]
    assert row["ExportID"] == "9001"
    assert as_json(report)["files"]["Event"]["made"] == 1
    columns = list(row)
    came = written(tmp_path / "back", "Event", columns, {**row, "ReferralResult": ""})
    tally = load(pipeline, came)
    assert tally.is_whole
    assert not resources(tally)
    files, report = export(pipeline, tmp_path, "2026")
    (back,) = [each for each in rows(files["Event.csv"]) if each["EventID"] == row["EventID"]]
    assert back == row
    assert (report.files["Event"].told, report.files["Event"].made) == (1, 0)


def referral(pipeline: Pipeline, patient: Any, category: str) -> dict[str, Any]:
    """A Task for Family Haven, and its ServiceRequest in the hub."""
    codes = "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes"
    request = make(
        pipeline,
        HARBOR,
        {
            "resourceType": "ServiceRequest",
            "status": "active",
            "intent": "order",
            "category": [{"coding": [{"system": codes, "code": category}]}],
            "subject": {"reference": f"Patient/{patient['id']}"},
            "requester": {"reference": "Organization/harbor-shelter"},
        },
    )
    return {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "focus": {"reference": f"ServiceRequest/{request['id']}"},
        "for": {"reference": f"Patient/{patient['id']}"},
        "authoredOn": "2025-02-20",
        "requester": {"reference": "Organization/harbor-shelter"},
        "owner": {"reference": "Organization/family-haven"},
    }


def test_a_renewed_export_id_is_everywhere_the_newest(pipeline: Pipeline, tmp_path: Path) -> None:
    load(pipeline, SAMPLES / "fy2026")
    line = (SAMPLES / "fy2026" / "Export.csv").read_text().replace("9001", "9002")
    newer = line.replace("2025-10-01", "2025-10-02")
    (tmp_path / "Export.csv").write_text(newer)
    load(pipeline, tmp_path / "Export.csv")
    files, report = export(pipeline, tmp_path, "2026")
    assert [row["ExportID"] for row in rows(files["Export.csv"])] == ["9002"]
    assert {row["ExportID"] for row in rows(files["Client.csv"])} == {"9002"}
    assert report.files["Client"].renewed == report.files["Client"].rows > 0


def test_a_victim_service_provider_s_clients_are_nowhere_in_the_hub(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    tally = load(pipeline, SAMPLES / "fy2026")
    assert tally.set_aside == 7
    assert all("shared" in each.reason for each in tally.asides)
    files, _ = export(pipeline, tmp_path, "2026")
    assert {row["PersonalID"] for row in rows(files["Client.csv"])} == {"1", "2", "3", "6"}
    with pipeline._hub.read() as reader:
        kept = reader.row_asides(HARBOR)
    assert all(each.raw == b"" for _, each in kept)
    for path in (tmp_path / "data").rglob("*"):
        assert path.is_dir() or b"Tobekept" not in path.read_bytes()


def test_a_later_row_about_one_whose_enrollment_was_refused_is_kept_nowhere_either(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    load(pipeline, SAMPLES / "fy2026")
    columns = ["ExitID", "EnrollmentID", "PersonalID", "ExitDate", "OtherDestination"]
    columns += ["Destination", "DateUpdated"]
    said = {"ExitID": "x99", "EnrollmentID": "nobody-s", "PersonalID": "5"}
    said |= {"ExitDate": "2025-09-01", "OtherDestination": "Hidingplace", "Destination": "17"}
    (aside,) = load(pipeline, written(tmp_path / "a", "Exit", columns, said)).asides
    assert "may be kept" in aside.reason
    with pipeline._hub.read() as reader:
        assert all(each.raw == b"" for _, each in reader.row_asides(HARBOR))
    for path in (tmp_path / "data").rglob("*"):
        assert path.is_dir() or b"Hidingplace" not in path.read_bytes()


def test_no_answer_shows_a_social_security_number(pipeline: Pipeline) -> None:
    load(pipeline, SAMPLES / "fy2026")
    told = json.dumps(found(pipeline, HARBOR, "Patient"))
    assert "900001234" not in told
    assert "xxx-xx-1234" in told


def test_a_delta_ends_a_stay_and_an_older_row_changes_nothing(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    load(pipeline, SAMPLES / "fy2026")
    columns = ["ExitID", "EnrollmentID", "PersonalID", "ExitDate", "Destination", "DateUpdated"]
    columns += ["DateDeleted"]
    said = {"ExitID": "x17", "EnrollmentID": "17", "PersonalID": "6", "ExitDate": "2025-09-01"}
    said |= {"Destination": "410", "DateUpdated": "2025-10-02 08:00:00"}
    stays = {"identifier": f"{OWN}EnrollmentID|17"}
    load(pipeline, written(tmp_path / "a", "Exit", columns, said))
    (stay,) = found(pipeline, HARBOR, "EpisodeOfCare", **stays)
    assert (stay["status"], stay["period"]["end"]) == ("finished", "2025-09-01")
    older = {**said, "ExitDate": "2025-08-01", "DateUpdated": "2025-10-01 08:00:00"}
    assert fates(load(pipeline, written(tmp_path / "b", "Exit", columns, older)))["older"] == 1
    gone = {**said, "DateUpdated": "2025-10-03 08:00:00", "DateDeleted": "2025-10-03 08:00:00"}
    load(pipeline, written(tmp_path / "c", "Exit", columns, gone))
    (stay,) = found(pipeline, HARBOR, "EpisodeOfCare", **stays)
    assert stay["status"] == "active"
    assert "end" not in stay["period"]


EVENT = ["EventID", "EnrollmentID", "PersonalID", "EventDate", "Event"]
EVENT += ["LocationCrisisOrPHHousing", "ReferralResult", "ResultDate", "DateUpdated"]


def event(id_: str, result: str, updated: str = "2025-10-02 08:00:00") -> dict[str, str]:
    """A row of Event.csv, as a delta brings it."""
    said = {"EventID": id_, "EnrollmentID": "11", "PersonalID": "1", "EventDate": "2025-02-10"}
    at = {"Event": "10", "LocationCrisisOrPHHousing": "P1", "DateUpdated": updated}
    return {**said, **at, "ReferralResult": result}


def test_hmis_may_correct_what_it_recorded(pipeline: Pipeline, tmp_path: Path) -> None:
    load(pipeline, SAMPLES / "fy2026")
    delta = written(tmp_path / "delta", "Event", EVENT, event("v1", "3"))
    assert load(pipeline, delta).is_whole
    (task,) = found(pipeline, HARBOR, "Task", identifier=f"{OWN}EventID|v1")
    assert task["status"] == "rejected"
    assert task["statusReason"] == {"text": "Unsuccessful referral: provider rejected"}


def test_a_referral_that_a_member_has_is_the_member_s_to_end(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    load(pipeline, to_family_haven(tmp_path))
    (task,) = found(pipeline, HAVEN, "Task")
    move(pipeline, HAVEN, task, status="accepted")
    again = written(tmp_path / "a", "Event", EVENT, event("v2", ""))
    assert load(pipeline, again).is_whole
    (task,) = found(pipeline, HAVEN, "Task")
    assert task["status"] == "accepted"
    ended = written(tmp_path / "b", "Event", EVENT, event("v2", "1", "2025-10-03 08:00:00"))
    assert load(pipeline, ended).set_aside == 1
    (task,) = found(pipeline, HAVEN, "Task")
    assert task["status"] == "accepted"


def to_family_haven(tmp_path: Path) -> Path:
    """The sample, its shelter by the name of a member."""
    folder = shutil.copytree(SAMPLES / "fy2026", tmp_path / "in")
    path = folder / "Organization.csv"
    path.write_text(path.read_text().replace("O1,Harbor Shelter", "O1,Family Haven"))
    return folder


def test_beds_less_open_stays_stand_at_the_service(pipeline: Pipeline) -> None:
    for _ in range(2):  # the second time it is no news
        load(pipeline, SAMPLES / "fy2026")
    (service,) = found(pipeline, HARBOR, "HealthcareService", identifier=f"{OWN}ProjectID|P1")
    assert service["meta"]["versionId"] == "2"
    (detail,) = [e for e in service["extension"] if e["url"].endswith("/capacity-detail")]
    said = {each["url"]: each for each in detail["extension"]}
    assert said["total"]["valueInteger"] == 36
    assert said["free"]["valueInteger"] == 34  # 12 and 17 are still there
    at = datetime.fromisoformat(said["at"]["valueInstant"])
    assert at == datetime(2025, 10, 1, 7, tzinfo=UTC)  # 2 o'clock in Chicago


def test_an_export_is_its_owner_s_file_alone_and_on_record(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    load(pipeline, SAMPLES / "fy2026")
    export(pipeline, tmp_path, "2026")
    assert stat.S_IMODE((tmp_path / "out-2026.zip").stat().st_mode) == 0o600
    with pipeline._hub.read() as reader:
        assert "export" in {line.action for line in reader.audited(count=10_000)}


def test_who_sent_nothing_has_nothing_to_export(pipeline: Pipeline, tmp_path: Path) -> None:
    for agency in ("family-haven", "nobody"):
        with pytest.raises(SettingError):
            pipeline.exports.hmis(agency, "2026", tmp_path / "out.zip")
    assert not list(tmp_path.glob("*.zip*"))
