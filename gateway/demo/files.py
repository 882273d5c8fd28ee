"""Agencies that speak no protocol: legal aid posts its own JSON, a pantry and a shelter send files.

St Brigid's case system posts a signed webhook and hears of the end by a JSON callback. Eastside
Pantry sends its spreadsheet, mends the row that is set aside and sends it back. Harbor Shelter's
HMIS software leaves an export every night.
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
import socket
import zipfile
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx
import uvicorn
from standardwebhooks import Webhook

from gateway.demo.connection import Connection
from gateway.demo.fhir_client import FhirClient, RefusedError
from gateway.demo.inbox import Inbox, expecting
from gateway.demo.partner import HUB, Door
from gateway.demo.people import Person
from gateway.demo.story import Story

CHANNEL: Final = (
    "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-channel-type"
)

Json = dict[str, Any]
Ask = Callable[[], Awaitable[MutableMapping[str, Any]]]
Say = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Files(Connection):
    """One agency that sends files to the gateway at ``root`` with its ``key``."""

    def __init__(self, id: str, name: str, root: str, key: str, story: Story) -> None:
        super().__init__(
            httpx.AsyncClient(
                base_url=root,
                headers={"Authorization": f"Bearer {key}"},
                timeout=60,
                trust_env=False,
            )
        )
        self.id, self.name = id, name
        self._story = story

    async def load(self, feed: str, name: str, body: bytes) -> Json:
        """Send a file; the summary, which is told in a line."""
        answer = await self._http.post(f"/intake/csv/{feed}?file={name}", content=body)
        told = _checked(answer)
        self._story.tell(self.name, HUB, f"sends {name}: {_gist(told)}")
        return told

    async def aside(self, told: Json) -> tuple[str, list[dict[str, str]]]:
        """The file of rows that were set aside, as a spreadsheet shows it: its name, its rows."""
        file = next(each for each in told["files"] if each.get("mend"))
        answer = await self._http.get(file["mend"])
        if answer.is_error:
            raise RefusedError(answer.status_code, "the rows that were set aside")
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        why = ", ".join(f"row {row['#row']}: {row['#reason']}" for row in rows)
        self._story.tell(HUB, self.name, f"sets aside {why}")
        return file["file"], rows


def written(rows: list[dict[str, str]]) -> bytes:
    """Rows as a CSV file."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def zipped(folder: Path) -> bytes:
    """A folder's files as an archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, path.name)
    return out.getvalue()


class Casework:
    """A case system that posts signed webhooks and takes JSON callbacks."""

    def __init__(
        self, id: str, name: str, root: str, secret: str, fhir: FhirClient, story: Story
    ) -> None:
        self.id, self.name = id, name
        self._hook = f"{root}/hooks/{id}/referrals"
        self._webhook = Webhook(secret)
        self._fhir = fhir
        self._story = story
        self._heard: Inbox[Json] = Inbox()
        self._socket = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(self._answer, log_config=None, lifespan="off", interface="asgi3")
        self._door = Door(config)
        self._serving: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Open the door, and say where outcomes are to be posted."""
        self._serving = asyncio.create_task(self._door.serve(sockets=[self._socket]))
        async with expecting(f"the door of {self.name}"):
            while not self._door.started:
                await asyncio.sleep(0.005)
        url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/outcomes"
        coding = {"system": CHANNEL, "code": "callback"}
        await self._fhir.create(
            {
                "resourceType": "Subscription",
                "status": "requested",
                "reason": f"{self.name} hears how its referrals end",
                "criteria": f"Task?requester=Organization/{self.id}&status=completed",
                "channel": {
                    "type": "rest-hook",
                    "_type": {"extension": [{"url": CHANNEL, "valueCoding": coding}]},
                    "endpoint": url,
                    "payload": "application/json",
                },
            }
        )
        self._story.tell(self.name, HUB, "asks for JSON callbacks when its referrals are completed")

    async def close(self) -> None:
        """Shut the door."""
        self._door.should_exit = True
        if self._serving is not None:
            await self._serving

    async def refer(self, number: str, person: Person, need: str, to: str) -> None:
        """Post a referral of its own making, signed by Standard Webhooks."""
        at = datetime.now(UTC)
        born = f"{person.birth[:4]}-{person.birth[4:6]}-{person.birth[6:]}"
        body = json.dumps(
            {
                "type": "referral.created",
                "timestamp": at.isoformat(timespec="seconds"),
                "data": {
                    "id": number,
                    "title": "Emergency food parcel",
                    "consent": True,
                    "client": {
                        "id": f"SB{person.mrn}",
                        "name": {"first": person.given, "last": person.family},
                        "born": born,
                        "phone": person.phone,
                    },
                    "needs": [{"code": need}],
                    "to": {"name": to},
                },
            }
        )
        id = f"msg_{uuid4().hex}"
        signed = {
            "webhook-id": id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": self._webhook.sign(id, at, body),
            "content-type": "application/json",
        }
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            told = _checked(await client.post(self._hook, content=body, headers=signed))
        self._story.tell(self.name, HUB, f"posts {number} for {person.name} to {to}: {_gist(told)}")

    async def hear(self, number: str) -> Json:
        """Wait for the callback about a referral's end; the Task as it stands then."""
        async with expecting(f"the JSON callback about {number} at {self.name}"):
            while True:
                told = await self._heard.take("a callback", lambda each: "resource" in each)
                task = await self._fhir.read(told["resource"])
                request = await self._fhir.read(task["focus"]["reference"])
                if number in (each.get("value") for each in request.get("identifier", [])):
                    self._story.tell(HUB, self.name, f"JSON callback: {number} is {task['status']}")
                    return task

    async def _answer(self, scope: MutableMapping[str, Any], ask: Ask, say: Say) -> None:
        """ASGI: keep what is posted, answer 204."""
        body, more = b"", True
        while more:
            part = await ask()
            body, more = body + part.get("body", b""), bool(part.get("more_body"))
        if scope["method"] == "POST":
            await self._heard.put(json.loads(body or b"{}"))
        await say({"type": "http.response.start", "status": 204, "headers": []})
        await say({"type": "http.response.body", "body": b""})


def _checked(answer: httpx.Response) -> Json:
    body: Json = answer.json()
    if answer.is_error and "files" not in body:
        raise RefusedError(answer.status_code, str(body.get("issue", body)))
    return body


def _gist(told: Json) -> str:
    """``4 rows in, 1 set aside, 9 resources written``."""
    rows = sum(file["rows"] - file["aside"] for file in told["files"])
    aside = sum(file["aside"] for file in told["files"])
    changes = told["resources"].values()
    written_ = sum(one["created"] + one["updated"] + one["deleted"] for one in changes)
    return f"{rows} rows in, {aside} set aside, {written_} resources written"
