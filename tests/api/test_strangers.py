"""Who hasn't said who they are is bounded by the address that they call from."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from gateway.api import build_api
from gateway.api.endpoint import address
from gateway.app import _http
from gateway.pipeline import Pipeline
from gateway.receive.arrival import take_in
from gateway.settings import Settings
from tests.api.calls import issue

Ask = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("hub")
    return Settings(data_dir=folder, stranger_rate=1e-9, stranger_burst=3)


@pytest.fixture
def app(pipeline: Pipeline, settings: Settings) -> Any:
    return build_api(pipeline, settings, take_in=take_in, ready=lambda: True)


@pytest.fixture
def ask(app: Any) -> Iterator[Ask]:
    """A GET from an address, with a key or without."""
    with asyncio.Runner() as runner:

        def get(
            path: str, host: str = "192.0.2.1", key: str = "", method: str = "GET"
        ) -> httpx.Response:
            async def one() -> httpx.Response:
                transport = httpx.ASGITransport(app, client=(host, 1))
                headers = {"authorization": f"Bearer {key}"} if key else {}
                async with httpx.AsyncClient(
                    transport=transport, base_url="http://gateway"
                ) as client:
                    return await client.request(method, path, headers=headers)

            return runner.run(one())

        yield get


def test_open_pages_are_had_at_a_pace_and_others_have_theirs(ask: Ask) -> None:
    assert [ask("/docs").status_code for _ in range(3)] == [200] * 3
    refused = ask("/fhir/metadata")
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert issue(refused)["code"] == "throttled"
    assert ask("/docs", "192.0.2.2").status_code == 200


def test_a_balancer_that_asks_how_it_goes_isnt_shut_out_by_others(ask: Ask) -> None:
    for _ in range(5):
        ask("/docs")
    assert [ask("/livez").status_code for _ in range(3)] == [200] * 3
    assert ask("/readyz").status_code == 429


def test_keys_that_are_none_are_tried_at_a_pace_and_who_was_in_stays_in(
    ask: Ask, pipeline: Pipeline
) -> None:
    pipeline.members.add("shelter", None, "shelter")
    old, new = (pipeline.members.add_key("shelter") for _ in range(2))
    assert ask("/fhir/Patient", key=old).status_code == 200
    tried = [ask("/fhir/Patient", key=key).status_code for key in ("", "cg_no", "cg_nope")]
    assert tried == [401] * 3
    assert [ask("/fhir/Patient", key=key).status_code for key in ("", "cg_none")] == [429] * 2
    assert [ask("/fhir/Patient", key=old).status_code for _ in range(5)] == [200] * 5
    assert ask("/fhir/Patient", key=new).status_code == 429
    assert ask("/fhir/Patient", "192.0.2.2", new).status_code == 200


def test_a_webhook_counts_where_it_is_wrongly_signed(ask: Ask) -> None:
    answers = [ask("/hooks/nobody/feed", method="POST").status_code for _ in range(4)]
    assert answers == [401, 401, 401, 429]


def test_sockets_are_opened_at_a_pace(app: Any) -> None:
    async def opened() -> list[str]:
        """What the gateway says to a socket that is lost at once."""
        said: list[str] = []
        heard = iter(({"type": "websocket.connect"}, {"type": "websocket.disconnect"}))

        async def receive() -> Any:
            return next(heard)

        async def send(message: Any) -> None:
            said.append(message["type"])

        scope = {
            "type": "websocket", "path": "/websocket", "raw_path": b"/websocket", "headers": [],
            "query_string": b"", "client": ("192.0.2.1", 1), "subprotocols": [],
        }  # fmt: skip
        await app(scope, receive, send)
        return said

    assert [asyncio.run(opened()) for _ in range(3)] == [["websocket.accept"]] * 3
    assert asyncio.run(opened()) == ["websocket.close"]


@pytest.mark.parametrize(("peer", "seen"), [("10.1.2.3", "192.0.2.7"), ("192.0.2.9", "192.0.2.9")])
def test_who_calls_is_what_a_trusted_balancer_says(peer: str, seen: str) -> None:
    found: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.append(address(scope))

    config = _http(app, Settings.model_validate({"proxies": "10.0.0.0/8"}))  # type: ignore[arg-type]
    config.load()
    headers = [(b"x-forwarded-for", b"203.0.113.5, 192.0.2.7")]
    scope = {"type": "http", "client": (peer, 1), "headers": headers, "scheme": "http"}
    asyncio.run(config.loaded_app(scope, None, None))
    assert found == [seen]
