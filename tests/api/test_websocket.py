"""Notifications over a websocket, through a whole gateway: uvicorn, drains, real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.api import websocket
from gateway.app import Gateway
from gateway.fhir.notification import CONTENT
from gateway.settings import Settings

TOPIC = "http://hl7.org/fhir/us/sdoh-clinicalcare/SubscriptionTopic/Task"
PATIENCE = 15.0

Json = dict[str, Any]


class Client:
    """An agency's FHIR client."""

    def __init__(self, session: aiohttp.ClientSession, base: str, key: str) -> None:
        self._session = session
        self._base = base
        self._headers = {"authorization": f"Bearer {key}", "content-type": "application/fhir+json"}

    async def call(self, method: str, path: str, body: Json | None = None, good: int = 0) -> Json:
        sent = json.dumps(body) if body is not None else None
        asked = self._session.request(
            method, f"{self._base}/{path}", data=sent, headers=self._headers
        )
        async with asked as response:
            got: Json = await response.json(content_type=None)
            assert response.status == good or (not good and response.ok), got
            return got

    async def token(self, id: str) -> tuple[str, str]:
        got = await self.call("GET", f"Subscription/{id}/$get-ws-binding-token")
        said = {each["name"]: each for each in got["parameter"]}
        assert said["subscription"]["valueString"] == id
        return said["token"]["valueString"], said["websocket-url"]["valueUrl"]


def subscription() -> Json:
    payload = {"extension": [{"url": CONTENT, "valueCode": "id-only"}]}
    return {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "to hear of referrals",
        "criteria": TOPIC,
        "channel": {"type": "websocket", "payload": "application/fhir+json", "_payload": payload},
    }


def task() -> Json:
    return {
        "resourceType": "Task",
        "status": "draft",
        "intent": "order",
        "requester": {"reference": "Organization/clinic"},
    }


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[Gateway, aiohttp.ClientSession, Client]]:
    settings = Settings(
        data_dir=folder, port=0, mllp_port=0, translators=0, body_timeout=0.5, header_timeout=0.5
    )
    gateway = await Gateway.start(settings)
    try:
        gateway.pipeline.add_agency("clinic", None)
        key = gateway.pipeline.members.add_key("clinic")
        async with aiohttp.ClientSession() as session:
            base = f"http://127.0.0.1:{gateway.port}/fhir"
            yield gateway, session, Client(session, base, key)
    finally:
        await gateway.stop()


def play(
    folder: Path,
    scene: Callable[[Gateway, aiohttp.ClientSession, Client], Coroutine[Any, Any, None]],
) -> None:
    async def run() -> None:
        async with running(folder) as (gateway, session, client):
            await scene(gateway, session, client)

    asyncio.run(run())


async def said(socket: aiohttp.ClientWebSocketResponse) -> tuple[str, list[str]]:
    """The kind of the next notification, and its event numbers."""
    bundle = json.loads(await socket.receive_str(timeout=PATIENCE))
    parameters = bundle["entry"][0]["resource"]["parameter"]
    kind = next(each["valueCode"] for each in parameters if each["name"] == "type")
    numbers = [
        each["part"][0]["valueString"]
        for each in parameters
        if each["name"] == "notification-event"
    ]
    return kind, numbers


def test_what_waits_and_what_happens_comes_over_a_bound_socket(tmp_path: Path) -> None:
    async def scene(gateway: Gateway, session: aiohttp.ClientSession, client: Client) -> None:
        made = await client.call("POST", "Subscription", subscription())
        assert made["status"] == "active"
        await client.call("POST", "Task", task())
        token, url = await client.token(made["id"])
        assert url == f"ws://127.0.0.1:{gateway.port}/websocket"
        async with session.ws_connect(url) as socket:
            await socket.send_str(f"bind-with-token {token}")
            assert await said(socket) == ("handshake", [])
            assert await said(socket) == ("event-notification", ["1"])
            await asyncio.sleep(0.7)  # longer than a request's body may take
            await client.call("POST", "Task", task())
            assert await said(socket) == ("event-notification", ["2"])
        await client.call("POST", "Task", task())
        async with session.ws_connect(url) as socket:
            await socket.send_str(f"bind-with-token: {token}")
            assert await said(socket) == ("handshake", [])
            assert await said(socket) == ("event-notification", ["3"])

    play(tmp_path, scene)


def test_who_has_no_good_token_is_shut_out(tmp_path: Path) -> None:
    async def scene(gateway: Gateway, session: aiohttp.ClientSession, client: Client) -> None:
        made = await client.call("POST", "Subscription", subscription())
        token, url = await client.token(made["id"])
        for text in ("bind-with-token", f"bind-with-token {token[:-4]}AAAA", token, "x" * 100):
            async with session.ws_connect(url) as socket:
                await socket.send_str(text)
                message = await socket.receive(timeout=PATIENCE)
                assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1008)
        async with session.ws_connect(url) as socket:
            await socket.send_bytes(token.encode())
            assert (await socket.receive(timeout=PATIENCE)).data == 1008
        plain = await client.call("POST", "Subscription", hook())
        await client.call("GET", f"Subscription/{plain['id']}/$get-ws-binding-token", good=400)
        gateway.pipeline.add_agency("other", None)
        key = gateway.pipeline.members.add_key("other")
        other = Client(session, f"http://127.0.0.1:{gateway.port}/fhir", key)
        await other.call("GET", f"Subscription/{made['id']}/$get-ws-binding-token", good=404)

    play(tmp_path, scene)


def test_a_revoked_key_s_tokens_and_sockets_are_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "AGAIN", 0.05)

    async def scene(gateway: Gateway, session: aiohttp.ClientSession, client: Client) -> None:
        made = await client.call("POST", "Subscription", subscription())
        token, url = await client.token(made["id"])
        async with session.ws_connect(url) as socket:
            await socket.send_str(f"bind-with-token {token}")
            assert await said(socket) == ("handshake", [])
            await asyncio.sleep(0.2)
            assert not socket.closed
            members = gateway.pipeline.members
            members.revoke_key(members.listed_keys()[0].key.id)
            message = await socket.receive(timeout=PATIENCE)
            assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1008)
        async with session.ws_connect(url) as socket:
            await socket.send_str(f"bind-with-token {token}")
            assert (await socket.receive(timeout=PATIENCE)).data == 1008
        await client.call("GET", "Task", good=401)

    play(tmp_path, scene)


def hook() -> Json:
    channel = {"type": "rest-hook", "endpoint": "https://clinic.example/hook"}
    return {**subscription(), "criteria": "Task?status=draft", "channel": channel}
