"""What goes out, as the keeper sees and mends it: set aside, replayed, resumed, and explained."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from gateway.api import build_api
from gateway.model import Context
from gateway.pipeline import Pipeline
from gateway.receive.arrival import as_message, take_in
from gateway.settings import Settings
from gateway.store import Hub
from tests.api.calls import Caller, issue
from tests.deliver.sinks import Answer, Request, http, status
from tests.shipped import library

CLINIC = Context("clinic", "test")
PANTRY = Context("pantry", "test")


@pytest.fixture
def pipeline(hub: Hub) -> Pipeline:
    settings = Settings(
        endpoint_networks=("127.0.0.0/8",), retry_first=0.001, retry_limit=0.001, retry_refused=1e-6
    )
    pipeline = Pipeline(hub, library(), settings, as_message)
    for agency in ("clinic", "pantry"):
        pipeline.add_agency(agency, None)
    return pipeline


@pytest.fixture
def calls(pipeline: Pipeline, runner: asyncio.Runner) -> Callable[..., Caller]:
    app = build_api(pipeline, Settings(), take_in=take_in, ready=lambda: True)

    def call_as(agency: str = "") -> Caller:
        return Caller(app, runner, pipeline.members.add_key(agency, admin=not agency))

    return call_as


def put(pipeline: Pipeline, context: Context, resource: dict[str, Any]) -> None:
    raw = json.dumps(resource).encode()
    pipeline.update(context, resource["resourceType"], resource["id"], raw).result()


def basic(name: str, text: str = "x") -> dict[str, Any]:
    coding = {"system": "urn:x", "code": text}
    return {"resourceType": "Basic", "id": name, "code": {"coding": [coding]}}


def subscribe(
    pipeline: Pipeline, endpoint: str, id: str = "s", context: Context = CLINIC, **more: Any
) -> None:
    channel = {"type": "rest-hook", "endpoint": endpoint, "payload": "application/fhir+json"}
    about = {"status": "active", "reason": "test", "criteria": "Basic?", **more}
    put(pipeline, context, {"resourceType": "Subscription", "id": id, "channel": channel, **about})


async def drain(pipeline: Pipeline, answer: Answer, *ids: str) -> list[Request]:
    """What a sink gets while subscribers are drained to it; each is put to it first."""
    async with http(answer) as (address, got):
        for id in ids:
            subscribe(pipeline, address, id)
            for _ in range(5):
                await pipeline.drain(id)
                await asyncio.sleep(0.003)
        await pipeline.close()
        return got


@pytest.fixture
def aside(pipeline: Pipeline, runner: asyncio.Runner) -> None:
    """Two deliveries that were refused for good."""
    subscribe(pipeline, "http://127.0.0.1:9")
    put(pipeline, CLINIC, basic("one"))
    put(pipeline, CLINIC, basic("two"))
    runner.run(drain(pipeline, status("422 No"), "s"))


def test_what_was_set_aside_is_in_view_with_its_reason(
    aside: None, calls: Callable[..., Caller]
) -> None:
    admin = calls()
    told = admin.get("/admin/deliveries?state=aside").json()["deliveries"]
    assert [each["resource"] for each in told] == ["Basic/two", "Basic/one"]
    one = admin.get(f"/admin/deliveries/{told[1]['id']}").json()
    assert one["number"] == 1
    assert [each["outcome"] for each in one["history"]] == ["aside", "failed"]
    assert one["history"][0]["reason"] == "the endpoint answered 422"
    (stands,) = [
        each for each in admin.get("/admin/subscribers").json()["subscribers"] if each["id"] == "s"
    ]
    assert (stands["status"], stands["pending"], stands["aside"]) == ("active", 0, 2)


def test_a_list_goes_on_where_the_page_before_ended(
    aside: None, calls: Callable[..., Caller], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.outgoing.dispatch.PAGE", 1)
    admin = calls()
    first = admin.get("/admin/deliveries?subscriber=s").json()
    second = admin.get(f"/admin/deliveries?subscriber=s&before={first['before']}").json()
    third = admin.get(f"/admin/deliveries?subscriber=s&before={second['before']}").json()
    found = [each["deliveries"] for each in (first, second, third)]
    assert [[each["resource"] for each in page] for page in found] == [
        ["Basic/two"],
        ["Basic/one"],
        [],
    ]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 2),
        ("subscriber=s", 2),
        ("subscriber=other", 0),
        ("agency=clinic", 2),
        ("agency=pantry", 0),
        ("state=pending", 0),
        ("state=delivered", 0),
        ("resource=Basic/one", 1),
    ],
)
def test_deliveries_are_found_by_what_they_are(
    aside: None, calls: Callable[..., Caller], query: str, count: int
) -> None:
    assert len(calls().get(f"/admin/deliveries?{query}").json()["deliveries"]) == count


@pytest.mark.parametrize("query", ["state=lost", "before=1", "colour=red", "resource=Basic"])
def test_what_no_list_has_is_refused(calls: Callable[..., Caller], query: str) -> None:
    assert calls().get(f"/admin/deliveries?{query}").status_code == 400


def test_a_replay_is_sent_and_on_record(
    aside: None,
    calls: Callable[..., Caller],
    hub: Hub,
    pipeline: Pipeline,
    runner: asyncio.Runner,
) -> None:
    admin = calls()
    first = admin.get("/admin/deliveries?resource=Basic/one").json()["deliveries"][0]
    assert admin.post(f"/admin/deliveries/{first['id']}/replay", {}).status_code == 200
    assert admin.post(f"/admin/deliveries/{first['id']}/replay", {}).status_code == 409
    got = runner.run(drain(pipeline, status("200 OK"), "s"))
    assert [each.target for each in got] == ["/Basic/one"]
    assert got[0].headers["webhook-id"] == first["id"]
    one = admin.get(f"/admin/deliveries/{first['id']}").json()
    assert one["state"] == "delivered"
    assert one["history"][0]["outcome"] == "replayed"
    with hub.read() as reader:
        lines = [each for each in reader.audited() if each.action == "replay"]
    assert [each.target for each in lines] == [first["id"]]


def test_all_that_was_set_aside_is_replayed_in_order(
    aside: None, calls: Callable[..., Caller], pipeline: Pipeline, runner: asyncio.Runner
) -> None:
    admin = calls()
    assert admin.post("/admin/subscribers/s/replay", {}).json()["replayed"] == 2
    got = runner.run(drain(pipeline, status("200 OK"), "s"))
    assert [each.target for each in got] == ["/Basic/one", "/Basic/two"]


def test_a_subscriber_in_error_is_resumed(
    calls: Callable[..., Caller], pipeline: Pipeline, runner: asyncio.Runner
) -> None:
    admin = calls()
    subscribe(pipeline, "http://127.0.0.1:9")
    put(pipeline, CLINIC, basic("one"))
    assert admin.post("/admin/subscribers/s/resume", {}).status_code == 409
    runner.run(drain(pipeline, status("410 Gone"), "s"))
    told = json.loads(pipeline.read(CLINIC, "Subscription", "s").body)
    assert told["status"] == "error"
    assert admin.post("/admin/subscribers/s/resume", {}).status_code == 200
    told = json.loads(pipeline.read(CLINIC, "Subscription", "s").body)
    assert told["status"] == "active"
    assert "error" not in told
    assert admin.post("/admin/subscribers/nobody/resume", {}).status_code == 404


def because(admin: Caller, query: str) -> list[tuple[str, bool, str]]:
    told = admin.get(f"/admin/trace?{query}").json()["trace"]
    return [(each["subscriber"], each["fired"], each["because"]) for each in told]


def test_the_trace_tells_why_it_fired_and_why_not(
    calls: Callable[..., Caller], pipeline: Pipeline, runner: asyncio.Runner
) -> None:
    admin = calls()
    subscribe(pipeline, "http://127.0.0.1:9", "a-match")
    subscribe(pipeline, "http://127.0.0.1:9", "b-other", criteria="Basic?code=urn:x|y&created=2020")
    subscribe(pipeline, "http://127.0.0.1:9", "c-foreign", PANTRY)
    subscribe(pipeline, "http://127.0.0.1:9", "d-off", status="off")
    subscribe(pipeline, "http://127.0.0.1:9", "e-type", criteria="Task?")
    put(pipeline, CLINIC, basic("one"))
    assert because(admin, "resource=Basic/one")[0] == ("a-match", False, "not read yet")

    async def story() -> None:
        async with http(status("503 Later")) as (address, _):
            subscribe(pipeline, address, "a-match")
            for id in ("a-match", "b-other", "c-foreign", "d-off"):
                await pipeline.drain(id)
            await pipeline.close()

    runner.run(story())
    assert because(admin, "resource=Basic/one") == [
        ("a-match", True, "it is tried again: the endpoint answered 503"),
        ("b-other", False, "not met: code, created"),
        ("c-foreign", False, "its agency had no right to this version, and has none"),
        ("d-off", False, "its status is off"),
    ]
    assert because(admin, "resource=Basic/one&subscriber=e-type") == [
        ("e-type", False, "it follows Task")
    ]
    runner.run(drain(pipeline, status("200 OK"), "a-match"))
    assert because(admin, "resource=Basic/one&subscriber=a-match") == [
        ("a-match", True, "the receiver took it")
    ]
    pipeline.delete(CLINIC, "Basic", "one").result()
    runner.run(drain(pipeline, status("200 OK"), "a-match"))
    assert because(admin, "resource=Basic/one&subscriber=a-match&version=2") == [
        ("a-match", False, "without a topic a deletion isn't told")
    ]


def test_the_trace_of_what_is_not_there_is_not_found(calls: Callable[..., Caller]) -> None:
    assert calls().get("/admin/trace?resource=Basic/none").status_code == 404
    assert calls().get("/admin/trace").status_code == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/admin/deliveries"),
        ("GET", "/admin/deliveries/x"),
        ("POST", "/admin/deliveries/x/replay"),
        ("GET", "/admin/subscribers"),
        ("POST", "/admin/subscribers/s/replay"),
        ("POST", "/admin/subscribers/s/resume"),
        ("GET", "/admin/trace?resource=Basic/one"),
    ],
)
def test_it_is_the_keepers_alone(calls: Callable[..., Caller], method: str, path: str) -> None:
    refused = calls("clinic")(method, path)
    assert refused.status_code == 403
    assert issue(refused)["code"] == "forbidden"
