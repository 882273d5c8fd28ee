"""The light page over HTTP: what it shows, what it does, and what it gives away to nobody."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import structlog

from gateway.api import build_api
from gateway.fhir import codes
from gateway.fhir.gates import check
from gateway.model import Context
from gateway.pipeline import Pipeline
from gateway.receive.arrival import take_in
from gateway.settings import Settings
from gateway.store import Hub
from tests.deliver.sinks import smtp
from tests.light import CANARY, CLINIC, HARBOR, PHONE, PSEUDONYM, Mails, make, opened, read, refer


class Page(HTMLParser):
    """The page's visible text, its forms and their hidden fields."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__()
        self.text, self.forms, self.tags = "", {}, []  # type: ignore[var-annotated]
        self._form: dict[str, str] = {}
        self.feed(response.text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        about = dict(attrs)
        self.tags.append((tag, about))
        if tag == "form":
            self._form = {}
        if tag == "input" and about.get("type") == "hidden":
            self._form[about["name"]] = about["value"]
            if about["name"] == "move":
                self.forms[about["value"]] = self._form

    def handle_data(self, data: str) -> None:
        self.text += data


class Visitor:
    """A phone's browser."""

    def __init__(self, pipeline: Pipeline, settings: Settings) -> None:
        app = build_api(pipeline, settings, take_in=take_in, ready=lambda: True)
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="https://gateway.example"
        )

    async def get(self, path: str) -> httpx.Response:
        return await self._client.get(path)

    async def post(self, path: str, fields: dict[str, str], **headers: str) -> httpx.Response:
        return await self._client.post(path, data=fields, headers=headers)

    async def fill(self, path: str, move: str, **fields: str) -> str:
        """Fill in the form of a move, and follow where it leads: the new page's path."""
        page = Page(await self.get(path))
        answer = await self.post(path, {**page.forms[move], **fields})
        assert answer.status_code == 303, answer.text
        return str(
            httpx.URL(f"https://gateway.example{path}").join(answer.headers["location"]).path
        )


Story = Callable[[Pipeline, Mails, Visitor], Awaitable[None]]


def play(hub: Hub, folder: Path, story: Story, *, confidential: bool = False) -> None:
    async def run() -> None:
        async with smtp() as (port, box):
            pipeline = opened(hub, folder, port, confidential=confidential)
            await story(pipeline, Mails(pipeline, box), Visitor(pipeline, Settings()))
            await pipeline.close()

    asyncio.run(run())


def test_the_mailed_link_leads_from_the_referral_to_the_served_person(
    hub: Hub, tmp_path: Path
) -> None:
    async def story(pipeline: Pipeline, mails: Mails, visitor: Visitor) -> None:
        task = refer(pipeline)
        first = await mails.newest()
        page = Page(await visitor.get(first))
        for shown in ("A bed for the night", CANARY, PHONE, "1988-04-01", "Riverside Clinic"):
            assert shown in page.text
        assert set(page.forms) == {"accept", "decline"}
        second = await visitor.fill(first, "accept")
        assert read(pipeline, task)["status"] == "accepted"
        assert set(Page(await visitor.get(second)).forms) == {"serve"}
        mailed = await mails.newest()
        third = await visitor.fill(mailed, "serve", date="2026-03-03", text="Two nights")
        done = read(pipeline, task)
        assert done["status"] == "completed"
        (output,) = done["output"]
        assert output["type"]["coding"][0]["code"] == "resulting-activity"
        procedure = read(pipeline, output["valueReference"]["reference"])
        assert procedure["performedDateTime"] == "2026-03-03"
        assert procedure["code"] == {"text": "A bed for the night"}
        assert procedure["note"] == [{"text": "Two nights"}]
        assert procedure["subject"] == done["for"]
        last = Page(await visitor.get(third))
        assert not last.forms
        assert "served" in last.text
        await pipeline.drain("mail:harbor")
        assert len(mails.box.mails) == 2, "what they did last they needn't be told"

    play(hub, tmp_path, story)


def test_the_page_says_why_in_the_words_of_the_diagnoses_that_came_with_it(
    hub: Hub, tmp_path: Path
) -> None:
    async def story(pipeline: Pipeline, mails: Mails, visitor: Visitor) -> None:
        who = make(pipeline, {"resourceType": "Patient"})
        need = {"resourceType": "Condition", "subject": {"reference": who}}
        named = make(pipeline, {**need, "code": {"text": "No way to get to dialysis"}})
        make(pipeline, {**need, "code": {"text": "Something else"}})
        refer(pipeline, reasonReference=[{"reference": named}], reasonCode=[{"text": "No car"}])
        text = Page(await visitor.get(await mails.newest())).text
        assert "No car, No way to get to dialysis" in text
        assert "Something else" not in text

    play(hub, tmp_path, story)


def test_declining_asks_for_a_reason_and_tells_it(hub: Hub, tmp_path: Path) -> None:
    async def story(pipeline: Pipeline, mails: Mails, visitor: Visitor) -> None:
        task = refer(pipeline)
        link = await mails.newest()
        fields = Page(await visitor.get(link)).forms["decline"]
        for missing in ({}, {"reason": "other"}, {"reason": "bogus"}):
            answer = await visitor.post(link, {**fields, **missing})
            assert answer.status_code == 400
            assert read(pipeline, task)["status"] == "requested"
        await visitor.fill(link, "decline", reason="no-capacity", text="until Friday")
        reason = read(pipeline, task)["statusReason"]
        assert reason["text"] == "We have no room now: until Friday"
        assert reason["coding"][0]["code"] == "no-capacity"

    play(hub, tmp_path, story)


def test_a_link_acts_once_and_then_only_shows(hub: Hub, tmp_path: Path) -> None:
    async def story(pipeline: Pipeline, mails: Mails, visitor: Visitor) -> None:
        task = refer(pipeline)
        link = await mails.newest()
        fields = Page(await visitor.get(link)).forms["accept"]
        answers = await asyncio.gather(*(visitor.post(link, fields) for _ in range(5)))
        assert sorted(each.status_code for each in answers)[:2] == [303, 409]
        assert read(pipeline, task)["meta"]["versionId"] == "2"
        page = Page(await visitor.get(link))
        assert not page.forms
        assert "newest message" in page.text
        served = await visitor.post(link, {"move": "serve", "version": "2", "date": "2026-03-03"})
        assert served.status_code == 409
        assert read(pipeline, task)["status"] == "accepted"

    play(hub, tmp_path, story)


def test_what_failed_leaves_the_link_good(hub: Hub, tmp_path: Path) -> None:
    async def story(pipeline: Pipeline, mails: Mails, visitor: Visitor) -> None:
        task = refer(pipeline)
        link = await mails.newest()
        old = await visitor.post(link, {"move": "accept", "version": "9"})
        assert old.status_code == 412
        await visitor.fill(link, "accept")
        assert read(pipeline, task)["status"] == "accepted"

    play(hub, tmp_path, story)


def test_a_note_of_the_hubs_own_changes_nothing_that_they_saw(hub: Hub, tmp_path: Path) -> None:
    async def story(pipeline: Pipeline, mails: Mails, visitor: Visitor) -> None:
        task = refer(pipeline)
        link = await mails.newest()
        first = Page(await visitor.get(link)).forms["accept"]
        note = {"url": f"{codes.BASE}StructureDefinition/loop-delivered", "valueCode": "rri"}
        noted = check({**read(pipeline, task), "extension": [note]})
        hub.write(lambda tx: tx.put(CLINIC, noted, interaction="update"))
        assert (await visitor.post(link, first)).status_code == 303
        assert read(pipeline, task)["status"] == "accepted"
        newer = {**read(pipeline, task), "description": "Not tonight, tomorrow"}
        pipeline.update(CLINIC, "Task", newer["id"], json.dumps(newer).encode()).result()
        seen = {"move": "serve", "version": "3", "date": "2026-03-03"}
        assert (await visitor.post(await mails.newest(), seen)).status_code == 412

    play(hub, tmp_path, story)


def test_the_state_machines_rules_hold_here_too(hub: Hub, tmp_path: Path) -> None:
    async def story(pipeline: Pipeline, mails: Mails, visitor: Visitor) -> None:
        task = refer(pipeline)
        link = await mails.newest()
        early = {"move": "serve", "version": "1", "date": "2026-03-03"}
        assert (await visitor.post(link, early)).status_code == 409
        for bad in ({"move": "delete"}, {"move": "accept", "version": "x"}):
            assert (await visitor.post(link, bad)).status_code == 400
        assert read(pipeline, task)["status"] == "requested"

    play(hub, tmp_path, story)


def test_who_is_no_longer_asked_sees_nothing(hub: Hub, tmp_path: Path) -> None:
    async def story(pipeline: Pipeline, mails: Mails, visitor: Visitor) -> None:
        pipeline.add_agency("haven", None)
        task = refer(pipeline)
        link = await mails.newest()
        now = {**read(pipeline, task), "owner": {"reference": "Organization/haven"}}
        pipeline.update(CLINIC, "Task", now["id"], json.dumps(now).encode()).result()
        answer = await visitor.get(link)
        assert answer.status_code == 404
        assert "Zephyrine" not in answer.text

    play(hub, tmp_path, story)


def test_what_people_write_is_shown_as_text(hub: Hub, tmp_path: Path) -> None:
    async def story(pipeline: Pipeline, mails: Mails, visitor: Visitor) -> None:
        evil = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'{{7*7}}"
        refer(pipeline, code={"text": evil}, note=[{"text": evil}])
        page = Page(await visitor.get(await mails.newest()))
        assert evil in page.text
        assert not {tag for tag, _ in page.tags} & {"script", "img", "b", "link", "iframe"}
        assert not [name for _, about in page.tags for name in about if name.startswith("on")]

    play(hub, tmp_path, story)


def test_it_warns_where_contact_would_put_somebody_in_danger(hub: Hub, tmp_path: Path) -> None:
    async def story(pipeline: Pipeline, mails: Mails, visitor: Visitor) -> None:
        flag = {"coding": [{"code": "contacting-subject-prohibited"}]}
        refer(pipeline, orderDetail=[flag])
        assert "Don't contact" in Page(await visitor.get(await mails.newest())).text

    play(hub, tmp_path, story)


def test_the_token_stays_out_of_the_log_and_every_answer_is_locked_up(
    hub: Hub, tmp_path: Path
) -> None:
    async def story(pipeline: Pipeline, mails: Mails, visitor: Visitor) -> None:
        refer(pipeline)
        link = await mails.newest()
        token = link.rpartition("/")[2]
        fields = Page(await visitor.get(link)).forms["accept"]
        with structlog.testing.capture_logs() as logged:
            answers = [
                await visitor.get(link),
                await visitor.get(link + "x"),
                await visitor.post(link, {"move": "accept", "version": "9"}),
                await visitor.post(link, fields, **{"sec-fetch-site": "cross-site"}),
                await visitor.post(link, fields),
                await visitor.post(link, fields),
            ]
        codes = [each.status_code for each in answers]
        assert codes == [200, 404, 412, 400, 303, 409]
        assert token not in str(logged)
        assert "Zephyrine" not in str(logged)
        for each in answers:
            policy = each.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "script" not in policy
            assert each.headers["cache-control"] == "no-store"
            assert each.headers["referrer-policy"] == "no-referrer"
            assert "set-cookie" not in each.headers
            assert token not in each.text

    play(hub, tmp_path, story)


def test_another_sites_form_is_refused(hub: Hub, tmp_path: Path) -> None:
    async def story(pipeline: Pipeline, mails: Mails, visitor: Visitor) -> None:
        task = refer(pipeline)
        link = await mails.newest()
        fields = Page(await visitor.get(link)).forms["accept"]
        for site in ("cross-site", "same-site"):
            answer = await visitor.post(link, fields, **{"sec-fetch-site": site})
            assert answer.status_code == 400
        assert read(pipeline, task)["status"] == "requested"
        answer = await visitor.post(link, fields, **{"sec-fetch-site": "same-origin"})
        assert answer.status_code == 303

    play(hub, tmp_path, story)


def test_every_look_and_move_is_on_record_in_the_agencys_name(hub: Hub, tmp_path: Path) -> None:
    async def story(pipeline: Pipeline, mails: Mails, visitor: Visitor) -> None:
        task = refer(pipeline)
        await visitor.fill(await mails.newest(), "accept")
        make(pipeline, {"resourceType": "Basic", "code": {"text": "flush"}})
        with hub.read() as reader:
            lines = [each for each in reader.audited() if each.client.startswith("link:")]
        assert {each.agency for each in lines} == {HARBOR.agency}
        assert {("read", task), ("update", task)} <= {(each.action, each.target) for each in lines}
        assert any(re.fullmatch(r"Patient/.*", each.target) for each in lines)

    play(hub, tmp_path, story)


def test_of_a_victim_service_provider_no_procedure_is_kept(hub: Hub, tmp_path: Path) -> None:
    async def story(pipeline: Pipeline, mails: Mails, visitor: Visitor) -> None:
        task = refer(pipeline, PSEUDONYM)
        accepted = await visitor.fill(await mails.newest(), "accept")
        await visitor.fill(accepted, "serve", date="2026-03-03", text="at our place")
        done = read(pipeline, task)
        assert done["status"] == "completed"
        assert "output" not in done
        with hub.read() as reader:
            assert not reader.events_after(0, ["Procedure"])

    play(hub, tmp_path, story, confidential=True)


def test_a_link_reads_nothing_but_its_referral(hub: Hub, tmp_path: Path) -> None:
    async def story(pipeline: Pipeline, mails: Mails, visitor: Visitor) -> None:
        refer(pipeline)
        link = await mails.newest()
        sight = pipeline.light.see(link.rpartition("/")[2])
        context = Context("harbor", "test", frozenset({"system/Task.r"}))
        assert sight.task["id"] == read(pipeline, f"Task/{sight.link.task}", context)["id"]
        answer = await visitor.get(f"/fhir/Task/{sight.link.task}?token={link}")
        assert answer.status_code == 401

    play(hub, tmp_path, story)
