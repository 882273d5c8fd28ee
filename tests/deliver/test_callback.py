"""The JSON callback: a plain object, posted and signed like a rest-hook."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

from standardwebhooks import Webhook

from gateway.deliver import Doors, callback
from gateway.deliver.endpoint import Guard
from gateway.model import Delivery, Event, Stored
from tests.deliver.sinks import AT, SECRET, Request, http, status, subscriber

BASE = "https://gateway.example/fhir"
BODY = b'{"resourceType":"Task","id":"t","status":"requested","x":72.50}'
EVENT = Event(9, "Task", "t", 2, "update", "clinic", AT)
STORED = Stored("Task", "t", 2, datetime.now(UTC), "clinic", BODY)


def send(*, whole: bool) -> Request:
    async def run() -> Request:
        doors = Doors(Guard(["127.0.0.0/8"]))
        async with http(status("200 OK")) as (address, got):
            to = subscriber(f"{address}/in?key=7", channel="callback", headers=("X-A: b",))
            notice = callback.notice(Delivery("d", "s1", 3, EVENT), STORED, BASE, whole=whole)
            await doors.send(to, notice, secret=SECRET)
            await doors.close()
            return got[0]

    return asyncio.run(run())


def test_it_tells_what_happened_and_where_to_read_it_and_is_signed() -> None:
    request = send(whole=False)
    assert (request.method, request.target) == ("POST", "/in?key=7")
    assert request.headers["content-type"] == "application/json"
    assert request.headers["x-a"] == "b"
    assert json.loads(request.body) == {
        "id": "d",
        "number": 3,
        "at": "2024-05-07T00:00:00.000Z",
        "change": "update",
        "resource": "Task/t",
        "version": 2,
        "url": "https://gateway.example/fhir/Task/t",
    }
    assert Webhook(SECRET).verify(request.body, request.headers)


def test_where_its_payload_asks_the_resource_comes_along_to_the_digit() -> None:
    request = send(whole=True)
    assert json.loads(request.body)["content"]["status"] == "requested"
    assert b"72.50" in request.body
