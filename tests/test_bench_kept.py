"""The bench over a hub: rows that loads brought lead back to their cells; edited maps are tried."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.errors import NotFound
from gateway.members import KEEPER
from gateway.model import Context
from gateway.pipeline import Pipeline
from gateway.receive.arrival import as_message
from gateway.rows import lying
from gateway.settings import Settings, shipped
from gateway.store import open_hub
from gateway.translate import identity, load

AGENCIES = shipped("mappings") / "agencies"
PANTRY = Context("eastside-pantry", "test")


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("hub"))
    hub = open_hub(settings.database)
    made = Pipeline(hub, load(settings.folders), settings, as_message)
    for id in (PANTRY.agency, "cedar-general"):
        made.members.add(id, None)
    yield made
    hub.close()


@pytest.fixture(scope="module")
def guest(pipeline: Pipeline) -> str:
    """The id of somebody whom a spreadsheet tells of."""
    sheet = AGENCIES / PANTRY.agency / "visits" / "samples" / "week-10.csv"
    loading = pipeline.loading
    loading(PANTRY, "visits", list(lying(sheet)), channel="test", spool=loading.spool())
    system = "https://care-gateway.example/fhir/agency/eastside-pantry/visits/card"
    return identity(PANTRY.agency, "Patient", system, "E-18")


def test_a_stored_row_leads_back_to_its_cell(pipeline: Pipeline, guest: str) -> None:
    load_id, found = pipeline.bench.explain(PANTRY, f"Patient/{guest}.birthDate")
    (one,) = found
    assert one.told.value == "1990-11-30"
    assert one.told.read == ("week-10.csv:3:Date of birth",)
    assert one.told.rules[0].startswith("agencies/eastside-pantry/visits/records/visit.yaml:")
    assert load_id
    assert pipeline.bench.explain(KEEPER, f"Patient/{guest}.name")[1]


def test_nobody_else_is_told(pipeline: Pipeline, guest: str) -> None:
    with pytest.raises(NotFound):
        pipeline.bench.explain(Context("cedar-general", "test"), f"Patient/{guest}.birthDate")
    with pytest.raises(NotFound):
        pipeline.bench.explain(PANTRY, f"Patient/{guest}.photo")


def test_edited_maps_are_tried_on_what_is_stored(pipeline: Pipeline, tmp_path: Path) -> None:
    raw = (AGENCIES / "cedar-general" / "admit.hl7").read_bytes().replace(b"\n", b"\r")
    message, word = as_message("cedar-general", "test", raw)
    assert pipeline.accept(message, word).result(30).acknowledgement == "AA"
    found = pipeline.bench.compare(KEEPER, "cedar-general", 5)
    assert (found.messages, found.changed) == (1, [])

    edited = tmp_path / "maps"
    shutil.copytree(shipped("mappings") / "hl7v2", edited / "hl7v2")
    shutil.copytree(AGENCIES / "cedar-general", edited / "agencies" / "cedar-general")
    pid = edited / "hl7v2" / "segments" / "PID.yaml"
    pid.write_text(
        pid.read_text("utf-8").replace("birthDate: {from: PID-7}", "active: {const: true}")
    )
    found = pipeline.bench.compare(KEEPER, "cedar-general", 5, [edited])
    (changed,) = found.changed
    assert {one.path for one in changed.differences} >= {"Patient.birthDate", "Patient.active"}


def test_edited_maps_are_tried_on_rows_too(pipeline: Pipeline, guest: str, tmp_path: Path) -> None:
    found = pipeline.bench.compare(PANTRY, PANTRY.agency, 5)
    assert found.messages == 4
    assert found.changed == []
    home = tmp_path / "maps" / "agencies" / PANTRY.agency
    shutil.copytree(AGENCIES / PANTRY.agency, home)
    map_ = home / "visits" / "records" / "visit.yaml"
    text = map_.read_text("utf-8").replace("{from: People}, unit", "{from: ZIP}, unit")
    map_.write_text(text, encoding="utf-8")
    folders = [tmp_path / "maps", *Settings().folders]
    found = pipeline.bench.compare(PANTRY, PANTRY.agency, 2, folders)
    assert found.messages == 2
    assert [one.message for one in found.changed] == ["visits/visit:4", "visits/visit:6"]
    paths = {one.path for each in found.changed for one in each.differences}
    assert paths == {"Observation.valueQuantity.value"}
