"""Edited maps are put in force while messages come in; a broken one never is."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.api import build_api
from gateway.members import Members
from gateway.messages.meaning import Understood
from gateway.messages.understanding import Understanding
from gateway.model import Message
from gateway.pipeline import Pipeline
from gateway.receive.arrival import as_message, take_in
from gateway.reloading import Maps
from gateway.settings import Settings, shipped
from gateway.store import open_hub
from gateway.translate import load
from tests.agencies import small_maps
from tests.api.calls import Caller
from tests.messages.test_understanding import until

RAW = (
    b"MSH|^~\\&|EHR|CEDARGEN|HUB|COUNTY|20240301101500-0600||ADT^A01^ADT_A01|C1|P|2.5.1\r"
    b"PID|1||77^^^CEDARGEN^MR||Everyman^Adam||19610615|M\r"
)
MAP = """map: ADT_A01
events: [ADT^A01]
resources:
  patient:
    to: Patient
    key: {from: PID-3.1}
    set: {language: {const: LANGUAGE}}
"""


def message(agency: str = "small") -> Message:
    return Message("m", agency, "mllp", "hl7v2", "c", RAW, datetime(2026, 3, 1, tzinfo=UTC))


class Bed:
    """Maps of one message in a folder, a member, and processes that understand by them."""

    def __init__(self, folder: Path, processes: int) -> None:
        self.folder = folder
        self.write("en")
        (folder / "agencies" / "small").mkdir(parents=True)
        self.describe("Small")
        self.hub = open_hub(f"sqlite:///{folder / 'hub.sqlite'}")
        self.members = Members(self.hub, load([folder]))
        self.members.add("small", None)
        self.understanding = Understanding(self.members, (folder,), processes)
        self.understanding.start()
        if processes:
            until(lambda: self.understanding._child("small") is not None)
        self.told: list[str] = []
        self.maps = Maps(
            self.members, self.understanding, (folder,), 0, lambda: self.told.append("changed")
        )

    def write(self, language: str, text: str = MAP) -> None:
        file = self.folder / "hl7v2" / "messages" / "ADT_A01.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.replace("LANGUAGE", language), encoding="utf-8")

    def describe(self, name: str) -> None:
        described = self.folder / "agencies" / "small" / "agency.yaml"
        described.write_text(f"agency: small\nname: {name}\n", encoding="utf-8")

    def said(self) -> tuple[str, str]:
        """(the language that a message's patient gets, the map and its version)."""
        outcome = self.understanding(message()).result(60)
        assert isinstance(outcome, Understood)
        (entry,) = outcome.entries
        return entry.resource["language"], outcome.translation.map

    def close(self) -> None:
        self.maps.stop()
        self.understanding.stop()
        self.hub.close()


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    made = Bed(tmp_path, 0)
    yield made
    made.close()


def test_an_edited_map_is_put_in_force_with_its_version(bed: Bed) -> None:
    language, version = bed.said()
    assert language == "en"
    bed.write("es")
    assert bed.said() == ("en", version)
    state = bed.maps.look()
    assert state.error is None
    assert bed.told == ["changed"]
    again, renewed = bed.said()
    assert again == "es"
    assert renewed != version
    assert bed.maps.look() is state


def test_a_broken_map_never_replaces_a_good_one(bed: Bed) -> None:
    before = bed.said()
    bed.write("en", MAP.replace("language:", "tongue:"))
    state = bed.maps.look()
    assert state.error is not None
    assert state.error.place == "hl7v2/messages/ADT_A01.yaml:7"
    assert bed.said() == before
    assert bed.maps.look().error is state.error
    bed.write("fr")
    assert bed.maps.look().error is None
    assert bed.said()[0] == "fr"


def test_an_edited_agency_is_entered_anew(bed: Bed) -> None:
    bed.describe("Small and Friendly")
    bed.maps.look()
    agency = bed.members.get("small")
    assert agency is not None
    assert agency.name == "Small and Friendly"
    with bed.hub.read() as reader:
        assert [row.name for row in reader.agencies()] == ["Small and Friendly"]


def test_nobody_waits_or_is_lost_while_maps_change(tmp_path: Path) -> None:
    """An agency's messages come back in their order, each by the old map or the new one.

    Processes that have loaded other maps than those that were checked aren't put to work.
    """
    bed = Bed(tmp_path, 1)
    done, order, asked = threading.Event(), [], []

    def send() -> None:
        while not done.is_set():
            number = len(asked)
            future = bed.understanding(message())
            future.add_done_callback(lambda _, number=number: order.append(number))
            asked.append(future)
            future.exception(30) if number % 50 == 0 else None

    sender = threading.Thread(target=send)
    sender.start()
    try:
        assert not bed.understanding.renew("others", lambda: pytest.fail("put in force"))
        bed.write("es")
        bed.maps.look()
        until(lambda: bed.said()[0] == "es")
    finally:
        done.set()
        sender.join()
    made = [future.result(60) for future in asked]
    bed.close()
    assert all(isinstance(one, Understood) for one in made)
    languages = [one.entries[0].resource["language"] for one in made]  # type: ignore[union-attr]
    assert languages == sorted(languages, key=["en", "es"].index)
    assert order == sorted(order)


def test_what_the_old_maps_were_asked_is_answered_first(tmp_path: Path) -> None:
    bed = Bed(tmp_path, 1)
    understanding = bed.understanding
    old, order, last = understanding._children[0], [], 400

    def ask(number: int) -> None:
        understanding(message()).add_done_callback(lambda _: order.append(number))

    def ask_the_new() -> None:
        while understanding._children[0] is old:
            time.sleep(0)
        ask(last)

    watcher = threading.Thread(target=ask_the_new)
    watcher.start()

    def ask_the_old() -> None:
        for number in range(last):
            ask(number)

    renewed = understanding.renew(bed.members.fingerprint, ask_the_old)
    watcher.join()
    until(lambda: len(order) == last + 1)
    bed.close()
    assert renewed
    assert order == list(range(last + 1))


def test_the_shipped_maps_are_watched_with_the_folders_of_members(tmp_path: Path) -> None:
    bed = Bed(tmp_path / "maps", 0)
    own = tmp_path / "own"
    shutil.copytree(bed.folder / "agencies" / "small", own)
    (own / "agency.yaml").write_text("agency: own\nname: Own\n", encoding="utf-8")
    bed.members.add("own", own)
    bed.maps.look()
    assert bed.told == []  # a new member's folder is no edit
    (own / "agency.yaml").write_text("agency: own\nname: Its Own\n", encoding="utf-8")
    bed.maps.look()
    assert bed.told == ["changed"]
    agency = bed.members.get("own")
    assert agency is not None
    assert agency.name == "Its Own"
    bed.close()


def test_the_shipped_mappings_have_a_fingerprint_of_every_byte(tmp_path: Path) -> None:
    folder = tmp_path / "mappings"
    folder.mkdir()
    shutil.copytree(shipped("mappings") / "agencies" / "northside", folder / "agencies/northside")
    (folder / "agencies/northside/agency.yaml").write_text("agency: northside\nname: A\n")
    one = load([folder]).fingerprint
    (folder / "agencies/northside/agency.yaml").write_text("agency: northside\nname: B\n")
    assert load([folder]).fingerprint != one


def test_a_broken_map_is_told_over_http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process is ready all the same: the maps before them serve."""
    folder, small = tmp_path / "maps", small_maps(tmp_path / "small")
    (folder / "agencies" / "small").mkdir(parents=True)
    described = folder / "agencies" / "small" / "agency.yaml"
    described.write_text("agency: small\nname: Small\n", encoding="utf-8")
    monkeypatch.setattr("gateway.settings.shipped", lambda name: small)
    settings = Settings(data_dir=tmp_path, mappings=(folder,))
    hub = open_hub(settings.database)
    pipeline = Pipeline(hub, load(settings.folders), settings, as_message)
    app = build_api(pipeline, settings, take_in=take_in, ready=lambda: True)
    secret = pipeline.members.add_key("", admin=True)
    with asyncio.Runner() as runner:
        nobody, admin = Caller(app, runner, None), Caller(app, runner, secret)
        assert nobody.get("/readyz").json() == {"status": "up"}
        described.write_text("agency: small\nname: Small\ncolour: red\n", encoding="utf-8")
        told = admin("POST", "/admin/maps/reload").json()
        assert told["error"]["place"] == "agencies/small/agency.yaml:3"
        assert admin.get("/maps").json() == told
        ready = nobody.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "up")
        assert "broken" in ready.json()["maps"]
        assert "agency.yaml" not in ready.text
        (problem,) = admin.get("/admin/maps/check").json()["problems"]
        assert (problem["file"], problem["line"]) == ("agencies/small/agency.yaml", 3)
        described.write_text("agency: small\nname: Small\n", encoding="utf-8")
        assert admin("POST", "/admin/maps/reload").json()["error"] is None
        assert nobody.get("/readyz").json() == {"status": "up"}
    hub.close()
