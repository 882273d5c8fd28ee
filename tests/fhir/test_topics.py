"""SubscriptionTopics: what they fire on, and what is refused when they are loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import GatewayError, InvalidSearch, SettingError
from gateway.fhir.gates import check
from gateway.fhir.topic_basic import basic
from gateway.fhir.topics import Topic, load, named, topic
from gateway.settings import shipped
from tests.corpora import CORPORA, needs_corpora

SDOH = "http://hl7.org/fhir/us/sdoh-clinicalcare/SubscriptionTopic/"
ASKED: dict[str, Any] = {"resourceType": "Task", "id": "t", "status": "requested"}
TAKEN = {**ASKED, "status": "accepted"}


def made(**trigger: Any) -> Topic:
    return topic(resource(**trigger))


def resource(**trigger: Any) -> dict[str, Any]:
    return {
        "resourceType": "SubscriptionTopic",
        "url": "http://example.org/SubscriptionTopic/t",
        "status": "active",
        "resourceTrigger": [{"resource": "Task", **trigger}],
        "canFilterBy": [{"filterParameter": "owner"}, {"filterParameter": "status"}],
    }


def answered(**criteria: Any) -> Topic:
    """A topic of Tasks that leave "requested"."""
    asked = {"previous": "status=requested", "current": "status:not=requested", **criteria}
    sides = {"resultForCreate": "test-fails", "resultForDelete": "test-fails"}
    return made(queryCriteria={**sides, **asked})


# --- those that ship -----------------------------------------------------------------------------


def test_the_topics_of_sdoh_clinical_care_ship_with_their_filters() -> None:
    topics = load([shipped("mappings")])
    tasks, requests = topics[f"{SDOH}Task"], topics[f"{SDOH}Servicerequest"]
    assert (tasks.type, requests.type) == ("Task", "ServiceRequest")
    assert set(tasks.filters) == {"_lastUpdated", "code", "owner", "requester", "status"}
    assert set(requests.filters) == {"_id"}
    assert named(topics, f"{SDOH}Task|3.0.0") is tasks
    assert named(topics, f"{SDOH}Patient") is None


def test_a_folder_of_ones_own_goes_before_the_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "topics").mkdir()
    mine = {**resource(), "url": f"{SDOH}Task", "title": "mine"}
    (tmp_path / "topics" / "mine.json").write_text(json.dumps(mine), encoding="utf-8")
    assert load([tmp_path, shipped("mappings")])[f"{SDOH}Task"].title == "mine"


# --- what fires ----------------------------------------------------------------------------------


def test_a_topic_without_criteria_fires_on_the_interactions_that_it_names() -> None:
    every = made(supportedInteraction=["create", "delete"])
    assert every.fires("create", None, ASKED)
    assert not every.fires("update", ASKED, TAKEN)
    assert every.fires("delete", TAKEN, None)


def test_both_criteria_tell_of_what_no_longer_matches() -> None:
    leaving = answered(requireBoth=True)
    assert leaving.fires("update", ASKED, TAKEN)
    assert not leaving.fires("update", ASKED, ASKED)
    assert not leaving.fires("update", TAKEN, TAKEN)
    assert not leaving.fires("create", None, TAKEN)
    assert not leaving.fires("delete", ASKED, None)


def test_without_require_both_either_criterion_is_enough() -> None:
    either = answered()
    assert either.fires("update", TAKEN, TAKEN)
    assert either.fires("update", ASKED, ASKED)
    assert not either.fires("update", TAKEN, ASKED)


def test_what_stands_in_for_a_version_that_is_not_there_is_the_topics_own_word() -> None:
    passes = answered(requireBoth=True, resultForCreate="test-passes")
    assert passes.fires("create", None, TAKEN)
    passes = answered(requireBoth=True, resultForDelete="test-passes")
    assert passes.fires("delete", ASKED, None)


def test_fhirpath_is_asked_over_the_version_before_and_the_new_one() -> None:
    path = "%previous.status = 'requested' and %current.status = 'accepted'"
    told = made(fhirPathCriteria=path)
    assert told.fires("update", ASKED, TAKEN)
    assert not told.fires("update", TAKEN, TAKEN)
    assert not told.fires("create", None, TAKEN)


@needs_corpora
@pytest.mark.corpora
def test_the_published_topic_fires_when_an_encounter_is_finished() -> None:
    file = CORPORA / "subscription-backport/SubscriptionTopic-r4b-encounter-complete.json"
    published = json.loads(file.read_bytes())
    with pytest.raises(SettingError, match="'_in'"):
        topic(published)  # membership of groups is no search here, and so no filter
    published["canFilterBy"].pop(1)
    published.pop("notificationShape")  # names includes that R4's search doesn't have
    complete = topic(published)
    going: dict[str, Any] = {"resourceType": "Encounter", "id": "e", "status": "in-progress"}
    done = {**going, "status": "finished"}
    assert complete.fires("create", None, done)
    assert complete.fires("update", going, done)
    assert not complete.fires("update", done, done)
    assert not complete.fires("create", None, going)
    assert complete.criteria(["Encounter?length=gt5&subject=Patient/1"]).type == "Encounter"


# --- filters -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["owner=Organization/a", "Task?owner=Organization/a", "Task.owner=Organization/a"]
)
def test_a_filter_reads_with_its_type_or_without(text: str) -> None:
    assert made().filtered(text) == [("owner", "Organization/a")]


@pytest.mark.parametrize("text", ["focus=ServiceRequest/1", "owner", "", "Patient?owner=x"])
def test_a_topic_is_narrowed_by_its_own_filters_alone(text: str) -> None:
    with pytest.raises(InvalidSearch):
        made().criteria([text])


def test_only_the_named_modifiers_and_comparators_go_with_a_filter() -> None:
    given = resource()
    given["canFilterBy"] = [
        {"filterParameter": "status", "modifier": ["not"]},
        {"filterParameter": "authored-on", "comparator": ["gt"]},
    ]
    narrow = topic(given)
    narrow.criteria(["status:not=draft", "authored-on=gt2026-01-01"])
    for bad in ("status:missing=true", "authored-on=lt2026-01-01"):
        with pytest.raises(InvalidSearch, match="can be filtered with"):
            narrow.criteria([bad])


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        ({"url": ""}, "url"),
        ({"resourceType": "Basic"}, "url"),
        ({"resourceTrigger": []}, "resourceTrigger"),
        ({"resourceTrigger": [{"resource": "Tusk"}]}, "resourceTrigger.resource"),
        (
            {"resourceTrigger": [{"resource": "Task"}, {"resource": "Patient"}]},
            "resourceTrigger",
        ),
        ({"canFilterBy": [{"filterParameter": "colour"}]}, "canFilterBy.filterParameter"),
        ({"canFilterBy": [{"filterParameter": "_text"}]}, "canFilterBy.filterParameter"),
        ({"notificationShape": [{"include": ["Task:colour"]}]}, "_include"),
    ],
)
def test_a_topic_that_could_never_work_is_refused_when_loaded(
    wrong: dict[str, Any], place: str
) -> None:
    with pytest.raises(GatewayError) as caught:
        topic({**resource(), **wrong})
    assert caught.value.place == place


@pytest.mark.parametrize(
    "trigger",
    [
        {"supportedInteraction": ["read"]},
        {"queryCriteria": {"current": "colour=red", "resultForDelete": "test-fails"}},
        {"queryCriteria": {"current": "patient.name=x", "resultForDelete": "test-fails"}},
        {"queryCriteria": {"current": "status=requested"}},
        {"queryCriteria": {"previous": "status=requested", "resultForCreate": "maybe"}},
        {"fhirPathCriteria": "%current.status = "},
    ],
)
def test_a_trigger_that_nobody_could_judge_is_refused_when_loaded(trigger: dict[str, Any]) -> None:
    with pytest.raises(GatewayError):
        made(**trigger)


def test_a_files_refusal_names_the_file_and_the_element(tmp_path: Path) -> None:
    (tmp_path / "topics").mkdir()
    wrong = {**resource(), "canFilterBy": [{"filterParameter": "colour"}]}
    (tmp_path / "topics" / "wrong.json").write_text(json.dumps(wrong), encoding="utf-8")
    with pytest.raises(SettingError) as caught:
        load([tmp_path])
    assert str(caught.value.place).endswith("topics/wrong.json: canFilterBy.filterParameter")
    (tmp_path / "topics" / "wrong.json").write_text("{", encoding="utf-8")
    with pytest.raises(SettingError):
        load([tmp_path])


# --- as R4 holds it ------------------------------------------------------------------------------


@needs_corpora
@pytest.mark.corpora
def test_a_topic_as_a_basic_has_the_fields_of_the_published_one() -> None:
    folder = CORPORA / "subscription-backport"
    name = "SubscriptionTopic-r4b-encounter-complete.json"
    ours = basic(json.loads((folder / name).read_bytes()))
    theirs = json.loads((folder / "Basic-r4-encounter-complete.json").read_bytes())
    check(ours, type="Basic")
    assert ours["code"] == theirs["code"]
    assert ours["modifierExtension"] == theirs["modifierExtension"]
    known = fields(theirs["extension"])
    # Theirs has a name, a date and a version, and one filter and one include fewer or more.
    assert {each for each in fields(ours["extension"]) if "modifier" not in each} <= known


def fields(extensions: list[dict[str, Any]], above: str = "") -> set[str]:
    """The elements that extensions stand for, by their paths and the types of their values."""
    out = set()
    for each in extensions:
        name = each["url"].rpartition("/")[2].removeprefix("extension-SubscriptionTopic.")
        kind = next((key for key in each if key.startswith("value")), "")
        out |= {f"{above}{name}:{kind}"} | fields(each.get("extension", []), f"{above}{name}.")
    return out
