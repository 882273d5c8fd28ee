"""What a clinic that only speaks HL7 v2 hears of its referrals and questions, over real sockets."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gateway.exchange.searching import Search
from gateway.fhir import gates
from gateway.model import CLOSING, Context, Translation
from gateway.parse.er7 import parse
from gateway.pipeline import Pipeline
from gateway.receive.arrival import accept_from, as_message, window
from gateway.receive.framing import Deframer, frame
from gateway.receive.mllp import listen
from gateway.settings import Settings, shipped
from gateway.store import Hub, Transaction
from gateway.translate import translate
from tests.close.strictly import strict
from tests.deliver.sinks import mllp
from tests.shipped import library

AGENCIES = shipped("mappings") / "agencies"
CLINICS = ("cedar-general", "northside", "riverside")
BANK = Context("food-bank", "test")
CLINIC = Context("cedar-general", "test")
EXPIRED = {"coding": [{"code": "expired"}], "text": "Nobody answered in time"}


def sample(name: str, *changes: tuple[str, str]) -> bytes:
    """A sample beside the maps as it goes over the wire, with texts replaced."""
    text = (AGENCIES / f"{name}.hl7").read_bytes().decode().replace("\n", "\r")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text.encode()


FOOD, QUERY, CANCEL = (f"cedar-general/{n}" for n in ("food-referral", "status-query", "cancel"))
ORDER, WITHDRAWAL = "riverside/food-referral", "riverside/withdrawal"
MODIFY = (("REF^I12", "REF^I13"), ("CG000101", "CG000113"), ("R^Routine", "S^Stat"))


@dataclass(frozen=True)
class County:
    """The gateway with an MLLP port, and the clinics' own listeners."""

    pipeline: Pipeline
    port: int
    heard: list[bytes]

    async def ask(self, *raws: bytes) -> list[bytes]:
        """What is answered on the connection by which these came."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"".join(map(frame, raws)))
        writer.write_eof()
        answers = Deframer(10**6).feed(await reader.read())
        writer.close()
        return answers

    async def told(self, agency: str) -> list[bytes]:
        """What the agency's listener got since it was last asked."""
        for suffix in ("", ":asks"):
            await self.pipeline.drain(f"{CLOSING}{agency}{suffix}")
        got, self.heard[:] = list(self.heard), []
        return got

    def task(self, context: Context) -> Any:
        (found,) = self.pipeline.search(context, Search("Task", [])).page.entries
        return json.loads(found.body)

    def move(self, **changes: Any) -> None:
        """The food bank moves the one Task."""
        task = {**self.task(BANK), **changes}
        self.pipeline.update(BANK, "Task", task["id"], json.dumps(task).encode(), None).result()


def run(hub: Hub, folder: Path, story: Callable[[County], Awaitable[None]]) -> None:
    async def play() -> None:
        async with county(hub, folder) as made:
            await story(made)

    asyncio.run(play())


@asynccontextmanager
async def county(hub: Hub, folder: Path) -> AsyncIterator[County]:
    settings = Settings(endpoint_networks=("127.0.0.0/8",))
    pipeline = Pipeline(hub, library(), settings, as_message)
    async with mllp(_aa) as (address, heard):
        pipeline.add_agency("food-bank", None)
        for id in CLINICS:
            pipeline.add_agency(id, _listening_at(address, id, folder))
        listener = await listen(
            "127.0.0.1", 0, accept=accept_from(pipeline, settings), window=window(pipeline)
        )
        try:
            yield County(pipeline, listener.port, heard)
        finally:
            await listener.close(5)
            await pipeline.close()


def _listening_at(address: str, id: str, folder: Path) -> Path:
    shutil.copytree(AGENCIES / id, folder / id)
    file = folder / id / "agency.yaml"
    file.write_text(re.sub(r"mllp://[\d.:]+", address, file.read_text()))
    return folder / id


def _aa(raw: bytes) -> bytes:
    control_id = raw.split(b"\r")[0].split(b"|")[9]
    return frame(b"MSH|^~\\&|||||||ACK|1|P|2.5.1\rMSA|AA|" + control_id + b"\r")


def translated(raw: bytes) -> Translation:
    return translate(library(), library().agencies["cedar-general"], parse(raw))


def text(raw: bytes, place: str) -> str:
    """What stands at a place of an answer: ``MSH-9`` as sent, ``MSH-9.2`` a component."""
    name, number, *parts = re.split(r"[-.]", place)
    line = next((each for each in raw.decode().split("\r") if each.startswith(name)), name)
    fields: list[str] = [*line.split("|"), *[""] * 40]
    whole = fields[int(number) - (name == "MSH")]
    return [*whole.split("^"), *[""] * 9][int(parts[0]) - 1] if parts else whole


def versions(pipeline: Pipeline) -> int:
    """How many versions the hub holds of what a referral is made of."""
    types = ["Task", "Patient", "ServiceRequest", "Provenance", "CommunicationRequest"]
    with pipeline._hub.read() as reader:
        return len(reader.events_after(0, types, 1000))


# --- REF^I15 --------------------------------------------------------------------------------------


def test_a_status_query_is_answered_where_it_was_asked_and_writes_nothing(
    hub: Hub, tmp_path: Path
) -> None:
    async def story(county: County) -> None:
        await county.ask(sample(FOOD))
        for status, standing in (("", "P"), ("accepted", "A"), ("completed", "A")):
            if status:
                county.move(status=status)
            before = versions(county.pipeline)
            (answer,) = await county.ask(sample(QUERY, ("CG000115", f"Q{status}")))
            assert text(answer, "MSH-9") == "RRI^I15^RRI_I12"
            assert (text(answer, "MSA-1"), text(answer, "MSA-2")) == ("AA", f"Q{status}")
            assert text(answer, "RF1-1.1") == standing
            assert text(answer, "RF1-6") == "R-20261116-7^CEDARGEN-REF"
            assert (text(answer, "MSH-4"), text(answer, "MSH-6")) == ("CEDARCOUNTY", "CEDARGEN")
            strict(answer)
            assert versions(county.pipeline) == before
        heard = [text(each, "MSH-9.2") for each in await county.told("cedar-general")]
        assert heard == ["I12", "R01"], "the profile tells the moves, and no query's answer"

    run(hub, tmp_path, story)


def test_a_query_right_behind_its_referral_finds_it(hub: Hub, tmp_path: Path) -> None:
    async def story(county: County) -> None:
        answers = await county.ask(sample(FOOD), sample(QUERY), sample(CANCEL))
        assert [text(each, "MSA-1") for each in answers] == ["AA"] * 3
        assert [text(each, "RF1-1.1") for each in answers] == ["", "P", ""]

    run(hub, tmp_path, story)


@pytest.mark.parametrize(
    ("mode", "heard"),
    [
        ("|||AL|AL", [("CA", "ACK"), ("AA", "RRI")]),
        ("|||AL|NE", [("CA", "ACK")]),
        ("|||NE|AL", [("AA", "RRI")]),
        ("|||AL|ER", [("CA", "ACK")]),
    ],
)
def test_in_enhanced_mode_the_status_is_the_applications_answer(
    hub: Hub, tmp_path: Path, mode: str, heard: list[tuple[str, str]]
) -> None:
    async def story(county: County) -> None:
        await county.ask(sample(FOOD))
        answers = await county.ask(sample(QUERY, ("|2.5.1", f"|2.5.1{mode}")))
        assert [(text(each, "MSA-1"), text(each, "MSH-9.1")) for each in answers] == heard

    run(hub, tmp_path, story)


def test_a_query_for_an_unknown_referral_is_refused_and_anothers_is_unknown(
    hub: Hub, tmp_path: Path
) -> None:
    async def story(county: County) -> None:
        (unknown,) = await county.ask(sample(QUERY))
        await county.ask(sample(FOOD))
        spied = sample(QUERY, ("CEDARGEN|GATEWAY", "NORTHSIDE|GATEWAY"))
        (anothers,) = await county.ask(spied)
        for answer in (unknown, anothers):
            assert (text(answer, "MSH-9.1"), text(answer, "MSA-1")) == ("ACK", "AE")
            assert text(answer, "ERR-2") == "RF1^1^6"
            assert text(answer, "ERR-3.1") == "204"
        assert text(unknown, "ERR-8") == text(anothers, "ERR-8")
        (known,) = await county.ask(sample(QUERY))
        assert text(known, "MSH-9.1") == "RRI", "what failed is tried again"

    run(hub, tmp_path, story)


def test_what_another_put_where_a_referral_would_be_is_not_the_senders(
    hub: Hub, tmp_path: Path
) -> None:
    async def story(county: County) -> None:
        names = [each.reference for each in translated(sample(QUERY)).entries]
        patient = {"resourceType": "Patient", "id": names[0].split("/")[1]}
        subject = {"reference": names[0]}
        request = {"status": "active", "intent": "order", "subject": subject}
        task = {"status": "requested", "intent": "order", "focus": {"reference": names[1]}}
        task["requester"] = {"reference": "Organization/food-bank"}
        for resource in (patient, request, task):
            type_, id_ = names[(patient, request, task).index(resource)].split("/")
            # Straight into the hub: by the API nobody gets such an id (``admission/naming.py``).
            made = gates.check({**resource, "resourceType": type_, "id": id_})
            hub.write(partial(Transaction.put, context=BANK, resource=made, interaction="update"))
        for answer in await county.ask(sample(QUERY), sample(CANCEL)):
            assert (text(answer, "MSA-1"), text(answer, "ERR-3.1")) == ("AE", "204")
            assert text(answer, "ERR-2") == "RF1^1^6"

    run(hub, tmp_path, story)


def test_the_same_query_gets_the_same_answer(hub: Hub, tmp_path: Path) -> None:
    async def story(county: County) -> None:
        await county.ask(sample(FOOD))
        first = await county.ask(sample(QUERY))
        county.move(status="accepted")
        assert await county.ask(sample(QUERY)) == first
        assert text((await county.ask(sample(QUERY, ("CG000115", "Q2"))))[0], "RF1-1.1") == "A"

    run(hub, tmp_path, story)


@pytest.mark.parametrize(("number", "code", "kind"), [("2", "AA", "RRI"), ("7", "AE", "ACK")])
def test_a_status_tells_the_number_that_is_expected_and_one_out_of_turn_gets_none(
    hub: Hub, tmp_path: Path, number: str, code: str, kind: str
) -> None:
    def numbered(name: str, number: str) -> bytes:
        return sample(name, ("|P|2.5.1", f"|P|2.5.1|{number}"))

    async def story(county: County) -> None:
        start = numbered(QUERY, "0").split(b"\r")[0].replace(b"CG000115", b"S1") + b"\r"
        await county.ask(start)
        (one,) = await county.ask(numbered(FOOD, "1"))
        assert (text(one, "MSA-1"), text(one, "MSA-4")) == ("AA", "1")
        (answer,) = await county.ask(numbered(QUERY, number))
        assert (text(answer, "MSH-9.1"), text(answer, "MSA-1")) == (kind, code)
        assert text(answer, "MSA-4") == "2"

    run(hub, tmp_path, story)


def test_a_query_for_what_no_message_has_a_word_for_is_an_error(hub: Hub, tmp_path: Path) -> None:
    async def story(county: County) -> None:
        await county.ask(sample(FOOD))
        clinic = Context("cedar-general", "test")
        task = {**county.task(clinic), "status": "entered-in-error"}
        raw = json.dumps(task).encode()
        county.pipeline.update(clinic, "Task", task["id"], raw, None).result()
        (answer,) = await county.ask(sample(QUERY))
        assert (text(answer, "MSH-9.1"), text(answer, "MSA-1")) == ("ACK", "AE")

    run(hub, tmp_path, story)


def test_in_a_batch_a_query_is_answered_by_its_status(hub: Hub, tmp_path: Path) -> None:
    async def story(county: County) -> None:
        await county.ask(sample(FOOD))
        (answer,) = await county.ask(b"BHS|^~\\&|EHR|CEDARGEN\r" + sample(QUERY) + b"BTS|1\r")
        assert answer.startswith(b"BHS")
        assert text(answer, "MSH-9.1") == "RRI"
        assert text(answer, "RF1-1.1") == "P"

    run(hub, tmp_path, story)


# --- REF^I13, REF^I14 -----------------------------------------------------------------------------


def test_a_modification_is_answered_once_by_the_closing_profile(hub: Hub, tmp_path: Path) -> None:
    async def story(county: County) -> None:
        await county.ask(sample(FOOD))
        county.move(status="accepted")
        assert len(await county.told("cedar-general")) == 1
        (accepted,) = await county.ask(sample(FOOD, *MODIFY))
        assert (text(accepted, "MSH-9.1"), text(accepted, "MSA-1")) == ("ACK", "AA")
        assert county.task(BANK)["priority"] == "stat"
        (reply,) = await county.told("cedar-general")
        assert text(reply, "MSH-9") == "RRI^I13^RRI_I12"
        assert (text(reply, "MSA-2"), text(reply, "RF1-1.1")) == ("CG000113", "A")
        strict(reply)
        clinic = Context("cedar-general", "test")
        (asked,) = county.pipeline.search(clinic, Search("CommunicationRequest", [])).page.entries
        assert json.loads(asked.body)["status"] == "completed"
        assert not county.pipeline.search(BANK, Search("CommunicationRequest", [])).page.entries
        noted = json.dumps(county.task(clinic)["extension"])
        assert text(reply, "MSH-10") in noted
        assert not await county.told("cedar-general")

    run(hub, tmp_path, story)


def test_a_modification_that_was_mended_is_answered_as_it_reads_now(
    hub: Hub, tmp_path: Path
) -> None:
    async def story(county: County) -> None:
        await county.ask(sample(FOOD))
        for name in ("Okafor", "Okonkwo"):
            await county.ask(sample(FOOD, *MODIFY, ("HL70286|Okafor", f"HL70286|{name}")))
            (reply,) = await county.told("cedar-general")
            assert text(reply, "PRD-2.1") == name

    run(hub, tmp_path, story)


def test_the_first_referral_makes_no_request_for_a_reply(hub: Hub, tmp_path: Path) -> None:
    async def story(county: County) -> None:
        await county.ask(sample(FOOD))
        assert not await county.told("cedar-general")
        clinic = Context("cedar-general", "test")
        assert not county.pipeline.search(clinic, Search("CommunicationRequest", [])).page.entries

    run(hub, tmp_path, story)


def test_a_cancellation_is_answered_by_rri_i14_and_one_of_nothing_is_refused(
    hub: Hub, tmp_path: Path
) -> None:
    async def story(county: County) -> None:
        (refused,) = await county.ask(sample(CANCEL))
        assert (text(refused, "MSA-1"), text(refused, "ERR-2")) == ("AE", "RF1^1^6")
        assert text(refused, "ERR-3.1") == "204"
        (_, cancelled) = await county.ask(sample(FOOD), sample(CANCEL))
        assert text(cancelled, "MSA-1") == "AA"
        (reply,) = await county.told("cedar-general")
        assert (text(reply, "MSH-9.2"), text(reply, "MSA-2")) == ("I14", "CG000105")

    run(hub, tmp_path, story)


# --- IHE 360X -------------------------------------------------------------------------------------


def test_an_osu_of_the_asker_takes_the_referral_back(hub: Hub, tmp_path: Path) -> None:
    async def story(county: County) -> None:
        await county.ask(sample(ORDER))
        county.move(status="accepted")
        (accepted,) = await county.told("riverside")
        assert text(accepted, "ORC-1") == "OK"
        (answer,) = await county.ask(sample(WITHDRAWAL))
        assert text(answer, "MSA-1") == "AA"
        task = county.task(BANK)
        assert task["status"] == "cancelled"
        assert task["statusReason"] == {"text": "Family found help elsewhere"}
        (told,) = await county.told("riverside")
        assert (text(told, "MSH-9.1"), text(told, "MSH-21")) == ("OSU", "360X")
        assert (text(told, "ORC-1"), text(told, "ORC-5")) == ("CR", "CA")
        assert text(told, "ORC-2") == "RV-REF-19^RIVERSIDE-REF"
        strict(told)

    run(hub, tmp_path, story)


def test_an_order_that_cancels_what_nobody_knows_is_refused_at_its_number(
    hub: Hub, tmp_path: Path
) -> None:
    async def story(county: County) -> None:
        (answer,) = await county.ask(sample("riverside/cancel"))
        assert (text(answer, "MSA-1"), text(answer, "ERR-2")) == ("AE", "ORC^1^2")
        assert text(answer, "ERR-3.1") == "204"

    run(hub, tmp_path, story)


@pytest.mark.parametrize("control", ["CA", "DC", "OC"])
def test_each_word_for_it_takes_a_referral_back(hub: Hub, tmp_path: Path, control: str) -> None:
    async def story(county: County) -> None:
        await county.ask(sample(ORDER), sample(WITHDRAWAL, ("ORC|CA", f"ORC|{control}")))
        assert county.task(BANK)["status"] == "cancelled"
        (told,) = await county.told("riverside")
        assert (text(told, "ORC-1"), text(told, "ORC-5")) == ("CR", "CA")

    run(hub, tmp_path, story)


@pytest.mark.parametrize(
    ("control", "number", "place", "condition"),
    [
        ("CA", "RV-REF-20", "ORC^1^2", "204"),
        ("SC", "RV-REF-19", "ORC^1^1", "103"),
        ("OK", "RV-REF-19", "ORC^1^1", "103"),
    ],
)
def test_an_osu_that_is_not_the_askers_to_send_is_refused_at_its_place(
    hub: Hub, tmp_path: Path, control: str, number: str, place: str, condition: str
) -> None:
    async def story(county: County) -> None:
        await county.ask(sample(ORDER))
        changes = (("ORC|CA", f"ORC|{control}"), ("RV-REF-19", number))
        (answer,) = await county.ask(sample(WITHDRAWAL, *changes))
        assert (text(answer, "MSA-1"), text(answer, "ERR-2")) == ("AE", place)
        assert text(answer, "ERR-3.1") == condition
        assert county.task(BANK)["status"] == "requested"

    run(hub, tmp_path, story)


# --- expired --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("clinic", "place", "said"),
    [("northside", "RF1-1.1", "E"), ("riverside", "ORC-1", "OC")],
)
def test_a_referral_whose_time_ran_out_is_told_as_expired(
    hub: Hub, tmp_path: Path, clinic: str, place: str, said: str
) -> None:
    async def story(county: County) -> None:
        (answer,) = await county.ask(sample(f"{clinic}/food-referral"))
        assert text(answer, "MSA-1") == "AA"
        county.move(status="cancelled", statusReason=EXPIRED)
        (told,) = await county.told(clinic)
        assert text(told, place) == said
        strict(told)

    run(hub, tmp_path, story)


# --- a referral that the hub places ---------------------------------------------------------------

NOBODY = (
    "County Food Bank^^^^^&2.16.840.1.113883.4.6&ISO^NPI^^^1528060837",
    "Somebody^^^^^^NPI^^^0",
)
NEED = [
    {
        "coding": [
            {
                "system": "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/"
                "SDOHCC-CodeSystemTemporaryCodes",
                "code": "food-insecurity",
            }
        ]
    }
]


def test_a_clinic_that_named_nobody_hears_who_took_it(hub: Hub, tmp_path: Path) -> None:
    async def story(county: County) -> None:
        pantry = {
            "resourceType": "HealthcareService",
            "active": True,
            "providedBy": {"reference": "Organization/food-bank"},
            "category": NEED,
        }
        raw = json.dumps(pantry).encode()
        county.pipeline.create(BANK, "HealthcareService", raw).result()
        (answer,) = await county.ask(sample(FOOD, NOBODY))
        assert text(answer, "MSA-1") == "AA"
        await county.pipeline.drain("referrals")
        assert await county.told("cedar-general") == [], "being asked is no news to the clinic"
        county.move(status="accepted")
        (reply,) = await county.told("cedar-general")
        assert (text(reply, "RF1-1.1"), text(reply, "RF1-6")) == ("A", "R-20261116-7^CEDARGEN-REF")
        assert b"RT^Referred to Provider^HL70286|County Food Bank" in reply
        county.move(status="in-progress")
        county.move(status="completed")
        (outcome,) = await county.told("cedar-general")
        assert text(outcome, "MSH-9.1") == "ORU"
        own = Search("ServiceRequest", [("identifier", "R-20261116-7")])
        (request,) = county.pipeline.search(CLINIC, own).page.entries
        assert json.loads(request.body)["status"] == "completed", "the hub ends it for the clinic"

    run(hub, tmp_path, story)


def test_a_victim_service_provider_that_the_hub_found_is_not_named(
    hub: Hub, tmp_path: Path
) -> None:
    async def story(county: County) -> None:
        folder = tmp_path / "safe"
        folder.mkdir()
        said = "agency: food-bank\nname: Safe Harbor\nvictim-service-provider: true\n"
        (folder / "agency.yaml").write_text(said)
        await county.ask(sample(FOOD, NOBODY))
        await county.pipeline.drain("referrals")
        hub_ = Context("hub", "test", admin=True)
        search = Search("Task", [("code", "navigate")])
        task = json.loads(county.pipeline.search(hub_, search).page.entries[0].body)
        to = {"reference": "Organization/food-bank"}
        output = [{"type": {"text": "agency"}, "valueReference": to}]
        for changes in ({"status": "accepted"}, {"status": "completed", "output": output}):
            task = json.loads(county.pipeline.read(hub_, "Task", task["id"]).body) | changes
            county.pipeline.update(hub_, "Task", task["id"], json.dumps(task).encode()).result()
        county.pipeline.add_agency("food-bank", folder)
        county.move(status="accepted")
        (reply,) = await county.told("cedar-general")
        assert text(reply, "RF1-1.1") == "A"
        assert b"Safe Harbor" not in reply

    run(hub, tmp_path, story)
