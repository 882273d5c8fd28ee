"""What a map made is handed out again for the next message: nobody on the way may change it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.messages.meaning import Understood, meant
from gateway.model import Message
from gateway.pipeline import Pipeline
from gateway.receive.arrival import as_message
from gateway.settings import Settings, shipped
from gateway.store import open_hub
from gateway.translate import load

SAMPLES = sorted((shipped("mappings") / "agencies").glob("*/*.hl7"))
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    hub = open_hub(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    pipeline = Pipeline(hub, load(Settings().folders), Settings(), as_message)
    for folder in (shipped("mappings") / "agencies").iterdir():
        pipeline.add_agency(folder.name, None)
    yield pipeline
    pipeline.stop()
    hub.close()


def test_a_journey_changes_nothing_that_the_maps_remember(pipeline: Pipeline) -> None:
    untouched, used = load(Settings().folders), pipeline.members.library
    directory = pipeline.members.directory
    for sample in SAMPLES:
        agency, raw = sample.parent.name, sample.read_bytes()
        before = meant(untouched, untouched.agencies[agency], message(agency, raw), directory)
        pipeline.accept(*as_message(agency, "mllp", raw)).result(30)
        after = meant(used, used.agencies[agency], message(agency, raw), directory)
        if isinstance(before, Understood):
            assert isinstance(after, Understood)
            assert after.entries == before.entries, sample.name


def message(agency: str, raw: bytes) -> Message:
    return Message("m", agency, "mllp", "hl7v2", "c", raw, NOW)
