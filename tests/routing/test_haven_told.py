"""Every way out of the hub, tried: what a victim service provider sees, what is seen of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.api import build_api
from gateway.api.pages.words import words
from gateway.model import MAILED, Context
from gateway.operations import exporting
from gateway.operations.jobs import PREFIX
from gateway.pipeline import Pipeline
from gateway.protect import links
from gateway.protect.links import Link
from gateway.receive.arrival import as_message, take_in
from gateway.settings import Settings
from gateway.store import open_hub
from tests.api.calls import Caller
from tests.deliver.sinks import http, smtp, status
from tests.routing.haven import CLINIC, HAVEN, KEEPER, NOBODY, PANTRY, change, create, read, refer
from tests.shipped import library

NAME, BORN, STREET = "Zephyrine", "1987-03-22", "19 Hidden Lane"
NAMED = {
    "resourceType": "Patient",
    "name": [{"family": "Quux", "given": [NAME]}],
    "birthDate": BORN,
    "address": [{"line": [STREET], "postalCode": "52240"}],
}
AGENCY = """agency: haven
name: Haven
victim-service-provider: true
hears-by: {email: door@haven.example}
"""
TYPES = ("Patient", "RelatedPerson", "ServiceRequest", "Task", "Condition", "Observation")


class County:
    """A clinic, a pantry and a haven; a referral to the haven under a pseudonym."""

    def __init__(self, folder: Path, runner: asyncio.Runner) -> None:
        (folder / "agency.yaml").write_text(AGENCY)
        settings = Settings(
            data_dir=folder,
            endpoint_networks=("127.0.0.0/8",),
            smtp_security="none",
            public_url="https://hub.example",
        )
        self.folder, self.runner, self.settings = folder, runner, settings
        self.store = open_hub(f"sqlite:///{folder / 'hub.sqlite'}")
        self.pipeline = Pipeline(self.store, library(), settings, as_message)
        for agency in ("clinic", "pantry"):
            self.pipeline.add_agency(agency, None)
        self.pipeline.add_agency("haven", folder)
        self.app = build_api(self.pipeline, settings, take_in=take_in, ready=lambda: True)

    def caller(self, agency: str) -> Caller:
        members = self.pipeline.members
        key = members.add_key("" if agency == "hub" else agency, admin=agency == "hub")
        return Caller(self.app, self.runner, key)

    def referred(self) -> Any:
        """Somebody whose record bore a name until the clinic took it off; the Task."""
        self.named = create(self.pipeline, CLINIC, NAMED)
        who = create(self.pipeline, CLINIC, NAMED)
        type_, _, id_ = who.partition("/")
        raw = json.dumps({**NOBODY, "id": id_}).encode()
        self.pipeline.update(CLINIC, type_, id_, raw).result()
        why = {"subject": {"reference": who}, "code": {"text": "harm at home"}}
        reason = create(self.pipeline, CLINIC, {"resourceType": "Condition", **why})
        secret = {"subject": {"reference": who}, "code": {"text": f"{NAME} told us"}}
        create(self.pipeline, CLINIC, {"resourceType": "Condition", **secret})
        along = {"reasonReference": [{"reference": reason}]}
        self.who, self.reason = who, reason
        self.task = refer(self.pipeline, CLINIC, "haven", who, request=along)
        return read(self.pipeline, CLINIC, self.task)

    def in_file(self, *canaries: str) -> list[str]:
        self.store.close()
        held = b"".join(each.read_bytes() for each in self.folder.rglob("*") if each.is_file())
        return [each for each in canaries if each.encode() in held]


@pytest.fixture
def county(tmp_path: Path) -> Iterator[County]:
    with asyncio.Runner() as runner:
        made = County(tmp_path, runner)
        yield made
        made.store.close()


def asked(county: County, task: Any) -> list[str]:
    """Every read that FHIR has of what is around the referral."""
    patient, request = task["for"]["reference"], task["focus"]["reference"]
    ways = [patient, request, county.task, county.reason, "_history", f"?_type={','.join(TYPES)}"]
    ways += [f"{each}/_history" for each in (patient, request, county.task, *TYPES)]
    ways += [f"{each}/_history/1" for each in (patient, county.reason, county.named)]
    ways += [*TYPES, "Organization", "Location", "HealthcareService", "Provenance", "AuditEvent"]
    ways += [f"{patient}/{each}" for each in ("$everything", "$summary", "Condition", "*", "$meta")]
    ways += [
        "Task?_include=Task:patient&_include=Task:focus&_include=Task:owner&_include=Task:requester",
        "ServiceRequest?_include=*&_revinclude=Task:focus&_revinclude=Provenance:target",
        "Task?_include:iterate=*&_include=Task:focus",
        "Condition?_include=Condition:subject",
        "HealthcareService?_include=HealthcareService:location&_revinclude=*",
        f"{request}/$decisions",
    ]
    return [f"/fhir/{each}" for each in ways]


def told(county: County, agency: str, task: Any) -> str:
    """All that these say to an agency; what is refused is no answer."""
    caller = county.caller(agency)
    answers = [caller.get(each) for each in asked(county, task)]
    assert any(each.status_code == 200 for each in answers)
    assert not [each.url for each in answers if each.status_code >= 500]
    return "".join(each.text for each in answers if each.status_code == 200)


def exported(county: County, context: Context) -> str:
    wanted = exporting.Asked(types=TYPES)
    operations = county.pipeline.operations
    job = operations.export.start(context, wanted, "http://gateway/$export")
    county.runner.run(county.pipeline.drain(PREFIX + job.id))
    done = operations.jobs.get(context, job.id, "export")
    return "".join(operations.jobs.file(done, one.name).read_text() for one in done.files)


def notified(county: County, context: Context, criteria: str) -> str:
    """What a subscriber is told, whole resources and what goes with them."""

    async def told() -> str:
        async with http(status("200 OK")) as (address, got):
            resource = {
                "resourceType": "Subscription",
                "status": "requested",
                "reason": "x",
                "criteria": criteria,
                "channel": {
                    "type": "rest-hook",
                    "endpoint": address,
                    "payload": "application/fhir+json",
                },
            }
            name = create(county.pipeline, context, resource).partition("/")[2]
            change(county.pipeline, CLINIC, county.task, priority="urgent")
            await county.pipeline.drain(name)
            await county.pipeline.close()
            return "".join(each.body.decode() for each in got)

    return county.runner.run(told())


def by_link(county: County, task: Any) -> str:
    """What the light page says to whoever has the link, and the e-mail that brought it."""

    async def mailed() -> str:
        async with smtp() as (port, box):
            there = {"smtp_host": "127.0.0.1", "smtp_port": port, "smtp_from": "g@hub.example"}
            settings = county.settings.model_copy(update=there)
            again = Pipeline(county.store, library(), settings, as_message)
            await again.drain(f"{MAILED}haven")
            await again.close()
            return "".join(raw.decode() for _, _, raw in box.mails)

    mail = county.runner.run(mailed())
    assert "/light/" in mail
    token = links.sign(county.store.secret, Link.make("haven", task["id"], 60))
    return f"{mail} {words(county.pipeline.light.see(token))}"


def test_by_no_way_does_it_see_more_than_a_pseudonym(county: County) -> None:
    task = county.referred()
    seen = told(county, "haven", task) + exported(county, HAVEN)
    heard = notified(county, HAVEN, f"Task?owner={HAVEN.organization}")
    page = by_link(county, task)
    assert "heron" in seen
    assert "harm at home" in seen
    assert county.task.partition("/")[2] in heard
    assert "harm at home" in page
    for canary in (NAME, BORN, STREET, "52240", county.named.partition("/")[2]):
        assert canary not in seen
        assert canary not in heard
        assert canary not in page
    whole = told(county, "clinic", task) + exported(county, CLINIC)
    assert NAME in whole, "the canary would be seen"


def test_nobody_else_sees_that_there_is_a_referral_to_it(county: County) -> None:
    task = county.referred()
    change(county.pipeline, HAVEN, county.task, status="accepted")
    seen = told(county, "pantry", task) + exported(county, PANTRY)
    for reference in (county.who, county.task, county.reason, task["focus"]["reference"]):
        assert reference.partition("/")[2] not in seen
    assert notified(county, PANTRY, f"Task?owner={HAVEN.organization}") == ""


REFERRAL = f"""MSH|^~\\&|EHR|HAVEN|GATEWAY|COUNTY|20260301120000+0000||ADT^A04^ADT_A01|C1|P|2.5.1
EVN|A04|20260301120000+0000
PID|1||7^^^HAVEN^MR||Quux^{NAME}||19870322|F|||{STREET}
"""
PLACE = {"resourceType": "Location", "address": {"line": [STREET]}}
CLIENT = {"resourceType": "Patient", "name": [{"given": [NAME]}]}


@pytest.mark.parametrize("brought", [PLACE, CLIENT], ids=["its place", "a client"])
def test_by_no_way_does_its_place_or_a_client_come_in(county: County, brought: Any) -> None:
    caller = county.caller("haven")
    type_ = brought["resourceType"]
    before = caller.post("/fhir/Patient", NOBODY).json()
    line = json.dumps({**brought, "id": "x1"}).encode()
    patch = [{"op": "add", "path": "/name", "value": [{"given": [NAME]}]}]
    if brought is PLACE:
        patch = [{"op": "add", "path": "/address", "value": [{"line": [STREET]}]}]
    entry = {"resource": brought, "request": {"method": "POST", "url": type_}}
    bundles = [
        {"resourceType": "Bundle", "type": kind, "entry": [entry]}
        for kind in ("batch", "transaction")
    ]
    answers = [
        caller.post(f"/fhir/{type_}", brought),
        caller.put(f"/fhir/{type_}/x1", {**brought, "id": "x1"}),
        caller.post(f"/fhir/{type_}", brought, if_none_exist="_id=none"),
        caller.put(f"/fhir/{type_}?identifier=urn:x|1", brought),
        caller(
            "PATCH",
            f"/fhir/Patient/{before['id']}",
            json=patch,
            headers={"content-type": "application/json-patch+json"},
        ),
        caller.post("/fhir", bundles[1]),
    ]
    assert {each.status_code for each in answers} == {422}, [each.text for each in answers]
    inside = caller.post("/fhir", bundles[0]).json()["entry"][0]["response"]
    assert inside["status"].startswith("422")
    ndjson = {"content-type": "application/fhir+ndjson"}
    assert caller("POST", "/fhir/$import", content=line, headers=ndjson).status_code == 403
    assert county.in_file(NAME, STREET) == []


def test_its_messages_leave_nothing_here(county: County) -> None:
    raw = REFERRAL.replace("\n", "\r").encode()
    caller = county.caller("haven")
    answer = caller(
        "POST", "/intake/hl7v2", content=raw, headers={"content-type": "application/hl7-v2"}
    )
    assert b"MSA|AE|C1" in answer.content
    assert county.caller("hub").get("/admin/messages").json()["messages"]
    assert county.in_file(NAME, STREET) == []


def test_its_answer_leaves_no_record_of_what_was_done(county: County) -> None:
    task = county.referred()
    for move in ("accepted", "in-progress", "completed"):
        change(county.pipeline, HAVEN, county.task, status=move)
    done = read(county.pipeline, CLINIC, county.task)
    assert (done["status"], "output" in done) == ("completed", False)
    for context in (CLINIC, HAVEN, KEEPER):
        seen = exported(county, context)
        assert '"Procedure"' not in seen
        assert task["id"] in seen
