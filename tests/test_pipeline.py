"""The use cases over a real hub, on both engines, with the samples that ship beside the maps."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import (
    CloseError,
    Denied,
    GatewayError,
    InvalidResource,
    NotFound,
    PreconditionFailed,
)
from gateway.exchange.looking import Wanted
from gateway.exchange.searching import Search
from gateway.members import KEEPER
from gateway.model import Context, Receipt, Stored
from gateway.pipeline import Pipeline
from gateway.receive.arrival import as_message
from gateway.settings import Settings, shipped
from gateway.store import Hub
from tests.shipped import library

CLINIC = Context("cedar-general", "test")
BANK = Context("food-bank", "test")
HAVEN = Context("family-haven", "test")
SAMPLES = shipped("mappings") / "agencies" / "cedar-general"


@pytest.fixture
def pipeline(hub: Hub) -> Iterator[Pipeline]:
    settings = Settings(endpoint_networks=("127.0.0.0/8",))
    pipeline = Pipeline(hub, library(), settings, as_message)
    for agency in ("cedar-general", "food-bank", "family-haven"):
        pipeline.add_agency(agency, None)
    yield pipeline
    asyncio.run(pipeline.close())


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def send(pipeline: Pipeline, raw: bytes, agency: str = "cedar-general") -> Receipt:
    return pipeline.accept(*as_message(agency, "mllp", raw)).result()


def found(pipeline: Pipeline, context: Context, type: str, **query: str) -> list[Any]:
    pairs = [*query.items(), ("_count", "100")]
    return [
        json.loads(each.body) for each in pipeline.search(context, Search(type, pairs)).page.entries
    ]


def the_task(pipeline: Pipeline, context: Context = CLINIC) -> Any:
    (task,) = found(pipeline, context, "Task")
    return task


def move(pipeline: Pipeline, context: Context, task: Any, **changes: Any) -> Stored:
    raw = json.dumps({**task, **changes}).encode()
    done = pipeline.update(context, "Task", task["id"], raw).result()
    assert done.stored is not None
    return done.stored


def make(pipeline: Pipeline, context: Context, resource: dict[str, Any]) -> Stored:
    raw = json.dumps(resource).encode()
    done = pipeline.create(context, resource["resourceType"], raw).result()
    assert done.stored is not None
    return done.stored


def needs_of(pipeline: Pipeline, task: Any) -> set[str]:
    """What a performer needs of a referral, worked out from the resources alone."""
    request = json.loads(pipeline.read(CLINIC, *parts(task["focus"])).body)
    named = [request["subject"], request["requester"], *request["performer"]]
    named += request.get("reasonReference", []) + request.get("supportingInfo", [])
    needed = {each["reference"] for each in (task["focus"], *named)} | {f"Task/{task['id']}"}
    for reference in [each for each in needed if each.startswith("PractitionerRole/")]:
        role = json.loads(pipeline.read(CLINIC, *reference.split("/")).body)
        needed |= {role[name]["reference"] for name in ("practitioner", "organization")}
    return needed - {"Organization/food-bank"}


def parts(reference: dict[str, str]) -> list[str]:
    return reference["reference"].split("/")


def sees(pipeline: Pipeline, context: Context, reference: str) -> bool:
    """Whether any way of reading shows it; all ways must agree."""
    type, id = reference.split("/")
    now = pipeline.read(CLINIC, type, id).version
    tried: list[Callable[[], object]] = [
        lambda: pipeline.read(context, type, id),
        lambda: pipeline.vread(context, type, id, now),
        lambda: pipeline.history(context, type, id),
        lambda: together(pipeline, Wanted(context, type, id)),
        lambda: together(pipeline, Wanted(context, type, id, now)),
    ]
    answers = {id in {each["id"] for each in found(pipeline, context, type)}}
    for reading in tried:
        try:
            reading()
        except NotFound:
            answers.add(False)
        else:
            answers.add(True)
    assert len(answers) == 1, reference
    return answers.pop()


def together(pipeline: Pipeline, wanted: Wanted) -> Stored:
    """As the API reads it."""
    (answer,) = pipeline.looking.each([wanted])
    if isinstance(answer, Exception):
        raise answer
    return answer


def versions(pipeline: Pipeline) -> int:
    """How many versions the hub holds."""
    with pipeline._hub.read() as reader:
        return len(reader.events_after(0, ["Task", "Patient", "ServiceRequest"], 10_000))


def test_a_referral_is_on_disk_whole_when_it_is_acknowledged(pipeline: Pipeline) -> None:
    receipt = send(pipeline, sample("food-referral.hl7"))
    assert receipt.acknowledgement == "AA"
    task = the_task(pipeline)
    assert task["status"] == "requested"
    assert task["owner"] == {"reference": "Organization/food-bank"}
    assert task["requester"] == {"reference": "Organization/cedar-general"}
    (source,) = found(pipeline, CLINIC, "Provenance", target=f"Task/{task['id']}")
    assert source["entity"][0]["what"]["identifier"]["value"] == receipt.message
    targets = {each["reference"].partition("/")[0] for each in source["target"]}
    assert {"Patient", "ServiceRequest", "Task", "Condition", "Practitioner"} <= targets


def test_the_performer_sees_what_the_referral_needs_and_nothing_else(pipeline: Pipeline) -> None:
    for name in ("admit.hl7", "result.hl7", "food-referral.hl7"):
        assert send(pipeline, sample(name)).acknowledgement == "AA"
    needed = needs_of(pipeline, the_task(pipeline))
    everything = {
        each["reference"]
        for source in found(pipeline, CLINIC, "Provenance")
        for each in source["target"]
    }
    assert len(needed) > 5
    assert len(everything - needed) > 5
    for reference in sorted(everything):
        assert sees(pipeline, BANK, reference) == (reference in needed), reference
        assert not sees(pipeline, HAVEN, reference)
    assert not found(pipeline, BANK, "Provenance")


def test_the_performer_sees_the_least_of_the_patient_and_can_not_guess_the_rest(
    pipeline: Pipeline,
) -> None:
    send(pipeline, sample("food-referral.hl7"))
    ssn = "http://hl7.org/fhir/sid/us-ssn|"
    (whole,) = found(pipeline, CLINIC, "Patient", identifier=ssn)
    (part,) = found(pipeline, BANK, "Patient")
    assert part["name"] == whole["name"]
    assert "maritalStatus" in whole
    assert "maritalStatus" not in part
    assert not any(each["system"] + "|" == ssn for each in part["identifier"])
    assert pipeline.search(BANK, Search("Patient", [("identifier", ssn)])).page.total == 0
    for raw in (
        pipeline.read(BANK, "Patient", part["id"]).body,
        pipeline.vread(BANK, "Patient", part["id"], 1).body,
        pipeline.history(BANK, "Patient", part["id"]).entries[0].body,
    ):
        assert json.loads(raw) == part


def test_the_same_message_twice_gets_the_same_answer_and_makes_nothing_new(
    pipeline: Pipeline,
) -> None:
    first = send(pipeline, sample("food-referral.hl7"))
    before = versions(pipeline)
    again = send(pipeline, sample("food-referral.hl7"))
    assert (again.answer, again.message) == (first.answer, first.message)
    assert again.repeated
    assert versions(pipeline) == before


def test_a_message_that_fails_is_kept_whole_and_leaves_nothing_behind(pipeline: Pipeline) -> None:
    raw = re.sub(rb"\rPID\|1\|\|[^|]*\|", b"\rPID|1|||", sample("food-referral.hl7"))
    receipt = send(pipeline, raw)
    assert receipt.acknowledgement == "AE"
    assert b"\rERR||PID^1^3|101^" in receipt.answer
    for type in ("Patient", "Task", "ServiceRequest"):
        assert not found(pipeline, CLINIC, type)
    (kept,) = pipeline.failed_messages(CLINIC)
    assert kept.message.raw == raw
    assert (kept.stage, kept.place) == ("translate", "PID-3")
    assert not pipeline.failed_messages(BANK)


def test_what_failed_gets_the_same_answer_until_its_map_is_mended(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    raw = sample("food-referral.hl7")
    agency = "clinic-without-maps"
    (tmp_path / "agency.yaml").write_text(f"agency: {agency}\nname: A clinic\n")
    (tmp_path / "messages").mkdir()
    broken = tmp_path / "messages" / "REF_I12.yaml"
    broken.write_text(
        "map: REF_I12\nevents: [REF^I12]\nresources:\n"
        "  patient: {to: Patient, key: {from: ZZZ-1}, set: {active: {const: true}}}\n"
    )
    pipeline.add_agency(agency, tmp_path)
    first, again = (send(pipeline, raw, agency) for _ in range(2))
    assert (first.acknowledgement, first.issues[0].place) == ("AE", "ZZZ-1")
    assert again.answer == first.answer
    broken.unlink()
    pipeline.add_agency(agency, tmp_path)
    mended = send(pipeline, raw, agency)
    assert (mended.acknowledgement, mended.message) == ("AA", first.message)
    assert not pipeline.failed_messages(Context(agency, "test"))


def test_a_sender_whom_nobody_declares_is_refused_and_kept_for_the_keeper(
    pipeline: Pipeline,
) -> None:
    assert send(pipeline, sample("admit.hl7"), agency="").acknowledgement == "AR"
    (kept,) = pipeline.failed_messages(KEEPER)
    assert (kept.stage, kept.place) == ("receive", "MSH-4")
    assert not pipeline.failed_messages(CLINIC)


def test_a_resend_with_another_body_does_not_turn_the_task_back(pipeline: Pipeline) -> None:
    raw = sample("food-referral.hl7")
    send(pipeline, raw)
    move(pipeline, BANK, the_task(pipeline, BANK), status="accepted")
    late = raw.replace(b"||REF^I12", b"| |REF^I12")
    assert late != raw
    assert send(pipeline, late).acknowledgement == "AA"
    assert the_task(pipeline)["status"] == "accepted"


def test_a_change_of_an_older_version_is_told_so_before_it_is_judged(pipeline: Pipeline) -> None:
    send(pipeline, sample("food-referral.hl7"))
    task = the_task(pipeline, BANK)
    move(pipeline, BANK, task, status="accepted")
    raw = json.dumps({**task, "priority": "stat"}).encode()
    with pytest.raises(PreconditionFailed):
        pipeline.update(BANK, "Task", task["id"], raw, 1).result()


def test_only_legal_moves_by_the_rightful_side_pass(pipeline: Pipeline) -> None:
    send(pipeline, sample("food-referral.hl7"))
    task = the_task(pipeline)
    refused: list[tuple[Context, dict[str, Any], type[GatewayError]]] = [
        (CLINIC, {"status": "accepted"}, Denied),
        (BANK, {"status": "completed"}, CloseError),
        (BANK, {"priority": "stat"}, Denied),
        (BANK, {"status": "rejected"}, InvalidResource),
        (HAVEN, {"status": "accepted"}, NotFound),
    ]
    for context, changes, error in refused:
        with pytest.raises(error):
            move(pipeline, context, task, **changes)
    assert move(pipeline, BANK, task, status="accepted").version == 2


def test_a_cancellation_by_the_clinic_reaches_the_task_and_its_request(pipeline: Pipeline) -> None:
    send(pipeline, sample("food-referral.hl7"))
    move(pipeline, BANK, the_task(pipeline), status="accepted")
    assert send(pipeline, sample("cancel.hl7")).acknowledgement == "AA"
    assert the_task(pipeline, BANK)["status"] == "cancelled"
    request = pipeline.read(CLINIC, *parts(the_task(pipeline)["focus"]))
    assert json.loads(request.body)["status"] == "revoked"


def test_an_outcome_is_seen_by_the_requester_and_ends_the_request(pipeline: Pipeline) -> None:
    send(pipeline, sample("food-referral.hl7"))
    task = the_task(pipeline, BANK)
    procedure = {
        "resourceType": "Procedure",
        "status": "completed",
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "710925007"}]},
        "subject": task["for"],
    }
    made = make(pipeline, BANK, procedure)
    with pytest.raises(NotFound):
        pipeline.read(CLINIC, "Procedure", made.id)
    move(pipeline, BANK, task, status="accepted")
    output = [
        {"type": {"text": "resulting-activity"}, "valueReference": {"reference": made.reference}}
    ]
    move(pipeline, BANK, task, status="completed", output=output)
    assert pipeline.read(CLINIC, "Procedure", made.id).body == made.body
    request = pipeline.read(CLINIC, *parts(task["focus"]))
    assert json.loads(request.body)["status"] == "completed"


def test_a_reference_to_what_is_anothers_is_as_one_to_nothing(pipeline: Pipeline) -> None:
    send(pipeline, sample("admit.hl7"))
    (patient,) = found(pipeline, CLINIC, "Patient")
    for id in (patient["id"], "no-such-patient"):
        raw = json.dumps(
            {
                "resourceType": "Observation",
                "status": "final",
                "code": {"text": "x"},
                "subject": {"reference": f"Patient/{id}"},
            }
        ).encode()
        with pytest.raises(InvalidResource) as caught:
            pipeline.create(HAVEN, "Observation", raw).result()
        assert caught.value.place == "Observation.subject"
        assert id not in str(caught.value.issues)


def test_a_task_grants_nothing_that_its_requester_does_not_own(pipeline: Pipeline) -> None:
    send(pipeline, sample("food-referral.hl7"))
    task = the_task(pipeline, BANK)
    stolen = {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "requester": {"reference": "Organization/food-bank"},
        "owner": {"reference": "Organization/family-haven"},
        "focus": task["focus"],
        "for": task["for"],
    }
    made = make(pipeline, BANK, stolen)
    assert pipeline.read(HAVEN, "Task", made.id)
    for type in ("ServiceRequest", "Patient"):
        assert not found(pipeline, HAVEN, type)


def test_a_transaction_is_all_or_nothing_and_resolves_its_own_names(pipeline: Pipeline) -> None:
    def entry(name: str, resource: dict[str, Any]) -> dict[str, Any]:
        request = {"method": "POST", "url": resource["resourceType"]}
        return {"fullUrl": f"urn:uuid:{name}", "resource": resource, "request": request}

    patient = entry("p", {"resourceType": "Patient", "name": [{"family": "Everyman"}]})
    ask = {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "subject": {"reference": "urn:uuid:p"},
    }
    whole = {"resourceType": "Bundle", "type": "transaction", "entry": [entry("s", ask), patient]}
    done = pipeline.bundle(HAVEN, json.dumps(whole).encode()).result().entries
    assert [each.status for each in done] == [201, 201]
    asking, asked = (each.stored for each in done)
    assert asking is not None
    assert asked is not None
    assert json.loads(asking.body)["subject"]["reference"] == asked.reference

    bad = entry("t", {**ask, "subject": {"reference": "Patient/nobody"}})
    whole["entry"] = [patient, bad]
    with pytest.raises(InvalidResource) as caught:
        pipeline.bundle(HAVEN, json.dumps(whole).encode()).result()
    assert caught.value.place == "Bundle.entry[1].resource.subject"
    assert len(found(pipeline, HAVEN, "Patient")) == 1
