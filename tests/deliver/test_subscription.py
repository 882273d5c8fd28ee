"""An R4 Subscription becomes a subscriber, or is refused with the place of what is wrong."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.deliver.endpoint import Guard
from gateway.deliver.subscription import subscriber
from gateway.errors import InvalidResource
from gateway.fhir.topics import load
from gateway.model import Subscriber
from gateway.settings import shipped
from tests.corpora import CORPORA, needs_corpora

GUARD = Guard()


def subscription(**channel: Any) -> dict[str, Any]:
    return {
        "resourceType": "Subscription",
        "id": "s1",
        "status": "requested",
        "reason": "to hear of referrals",
        "criteria": "Task?owner=Organization/food-bank&status=requested",
        "channel": {
            "type": "rest-hook",
            "endpoint": "https://food-bank.example.org/fhir",
            "payload": "application/fhir+json",
            **channel,
        },
    }


def place(resource: dict[str, Any], guard: Guard = GUARD) -> str | None:
    with pytest.raises(InvalidResource) as caught:
        subscriber(resource, "food-bank", guard)
    return caught.value.place


def test_a_subscription_becomes_a_subscriber_of_its_agency() -> None:
    header = ["X-Tenant: 7", "Authorization: Bearer abc"]
    made = subscriber(subscription(header=header), "food-bank", GUARD)
    assert made == Subscriber(
        id="s1",
        agency="food-bank",
        channel="rest-hook",
        endpoint="https://food-bank.example.org/fhir",
        criteria="Task?owner=Organization/food-bank&status=requested",
        payload="application/fhir+json",
        headers=("X-Tenant: 7", "Authorization: Bearer abc"),
    )


@pytest.mark.parametrize(
    ("said", "kept"),
    [("requested", "active"), ("active", "active"), ("off", "off"), ("error", "error")],
)
def test_the_status_is_the_servers_answer(said: str, kept: str) -> None:
    made = subscriber({**subscription(), "status": said}, "food-bank", GUARD)
    assert made.status == kept


@pytest.mark.parametrize("payload", [None, "", "application/fhir+json", "application/json"])
def test_a_payload_is_json_or_none(payload: str | None) -> None:
    assert subscriber(subscription(payload=payload), "a", GUARD).payload == (payload or "")


@pytest.mark.parametrize("payload", ["application/fhir+xml", "text/plain"])
def test_another_payload_is_refused(payload: str) -> None:
    assert place(subscription(payload=payload)) == "Subscription.channel.payload"


@pytest.mark.parametrize("type", ["sms", "message", None])
def test_another_channel_is_refused(type: str | None) -> None:
    assert place(subscription(type=type)) == "Subscription.channel.type"


def test_an_end_is_kept_to_the_moment() -> None:
    ends = {**subscription(), "end": "2030-01-01T02:00:00.1234567+02:00"}
    made = subscriber(ends, "food-bank", GUARD)
    assert made.until == datetime(2030, 1, 1, 0, 0, 0, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    "criteria", ["Task?bogus=1", "?status=requested", "", "Task?status:sounds-like=x"]
)
def test_criteria_that_are_no_search_are_refused(criteria: str) -> None:
    assert place({**subscription(), "criteria": criteria}) == "Subscription.criteria"


@pytest.mark.parametrize(
    "endpoint",
    ["http://127.0.0.1/", "http://[::1]/", "http://2130706433/", "ftp://example.org/", "", None],
)
def test_an_endpoint_that_may_not_be_called_is_refused(endpoint: str | None) -> None:
    assert place(subscription(endpoint=endpoint)) == "Subscription.channel.endpoint"


def test_the_demo_allows_loopback() -> None:
    made = subscriber(subscription(endpoint="http://127.0.0.1:9000/"), "a", Guard(["127.0.0.0/8"]))
    assert made.endpoint == "http://127.0.0.1:9000/"


@pytest.mark.parametrize(
    "line",
    [
        "X-A: b\r\nX-C: d",
        "X-A: b\nX-C: d",
        "X-A: b\rX-C: d",
        "X-A: b\x00",
        "X-A: b\x7f",
        "X-A: b\u2028c",
        "X-A: Jos\u00e9",
        "X A: b",
        "X-A\t: b",
        " X-A: b",
        ": b",
        "no colon",
        "",
        "X-\u00c4: b",
        "Host: internal",
        "host: internal",
        "HOST: internal",
        "Content-Length: 0",
        "Content-Type: text/html",
        "Transfer-Encoding: chunked",
        "Connection: close",
        "Upgrade: websocket",
        "Expect: 100-continue",
        "Cookie: session=1",
        "TE: trailers",
        "Webhook-Signature: v1,forged",
        "webhook-id: forged",
        "Proxy-Authorization: Basic x",
        "X-Forwarded-For: 127.0.0.1",
        "X-A: " + "b" * 5000,
    ],
)
def test_a_header_that_would_poison_a_delivery_is_refused_when_written(line: str) -> None:
    found = place(subscription(header=["X-Fine: yes", line]))
    assert found == "Subscription.channel.header[1]"


def test_headers_are_counted() -> None:
    lines = [f"X-{number}: x" for number in range(17)]
    assert place(subscription(header=lines)) == "Subscription.channel.header[16]"


def test_credentials_are_not_sent_in_clear() -> None:
    header = ["Authorization: Bearer abc"]
    found = place(subscription(endpoint="http://food-bank.example.org/", header=header))
    assert found == "Subscription.channel.header[0]"


def test_an_email_goes_to_one_address_and_carries_no_resource() -> None:
    mailed = {"type": "email", "endpoint": "mailto:intake@harbor.example"}
    told = subscriber({**subscription(), "channel": mailed}, "a", GUARD)
    assert (told.channel, told.endpoint) == ("email", "mailto:intake@harbor.example")
    whole = {**mailed, "payload": "application/fhir+json"}
    assert place({**subscription(), "channel": whole}) == "Subscription.channel.payload"
    nowhere = {**mailed, "endpoint": "https://harbor.example"}
    assert place({**subscription(), "channel": nowhere}) == "Subscription.channel.endpoint"


def test_a_json_callback_is_named_by_the_extension_beyond_r4s_channels() -> None:
    url = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-channel-type"
    named = {"extension": [{"url": url, "valueCoding": {"code": "callback"}}]}
    made = subscription(payload="application/json")
    told = subscriber({**made, "channel": {**made["channel"], "_type": named}}, "a", GUARD)
    assert (told.channel, told.payload) == ("callback", "application/json")
    named["extension"][0]["valueCoding"] = {"code": "pigeon"}
    other = {**made, "channel": {**made["channel"], "_type": named}}
    assert place(other) == "Subscription.channel.type"


# --- topics (R4 Backport 1.1) --------------------------------------------------------------------

TOPICS = load([shipped("mappings")])
TASKS = "http://hl7.org/fhir/us/sdoh-clinicalcare/SubscriptionTopic/Task"
PROFILES = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-"


def follows(
    *filters: str, content: Any = "id-only", criteria: str = TASKS, **channel: Any
) -> dict[str, Any]:
    says = {"extension": [{"url": f"{PROFILES}payload-content", "valueCode": content}]}
    out = {**subscription(**{"_payload": says, **channel}), "criteria": criteria}
    asked = [{"url": f"{PROFILES}filter-criteria", "valueString": each} for each in filters]
    return out | ({"_criteria": {"extension": asked}} if asked else {})


def terms(**said: Any) -> list[dict[str, Any]]:
    types = {"max-count": "valuePositiveInt"}
    return [
        {"url": f"{PROFILES}{name.replace('_', '-')}", types.get(key, "valueUnsignedInt"): value}
        for name, value in said.items()
        for key in (name.replace("_", "-"),)
    ]


def test_a_topics_filters_become_one_search_of_its_type() -> None:
    asked = follows(
        "Task?owner=Organization/food-bank",
        "status=requested,accepted",
        extension=terms(heartbeat_period=60, timeout=5, max_count=20),
    )
    made = subscriber(asked, "food-bank", GUARD, TOPICS)
    assert made.criteria == "Task?owner=Organization%2Ffood-bank&status=requested%2Caccepted"
    assert (made.topic, made.content, made.status) == (TASKS, "id-only", "requested")
    assert (made.heartbeat, made.timeout, made.most) == (60, 5, 20)


def test_no_subscription_makes_an_attempt_or_a_notification_endless() -> None:
    asked = follows(extension=terms(timeout=86400, max_count=100_000))
    made = subscriber(asked, "food-bank", GUARD, TOPICS)
    assert (made.timeout, made.most) == (30, 100)


@pytest.mark.parametrize(
    ("asked", "where"),
    [
        (follows(criteria=f"{TASKS}s"), "Subscription.criteria"),
        (follows("focus=ServiceRequest/1"), "Subscription.criteria"),
        (follows("owner"), "Subscription.criteria"),
        (follows(content="everything"), "Subscription.channel.payload.extension[0].value"),
        (follows(payload=None), "Subscription.channel.payload"),
        (follows(_payload=None), "Subscription.channel.payload"),
        (follows(criteria="Task?status=draft"), "Subscription.channel.payload.extension"),
        (
            {**subscription(), "_criteria": follows("status=draft")["_criteria"]},
            "Subscription.criteria.extension",
        ),
        (subscription(extension=terms(heartbeat_period=60)), "Subscription.channel.extension"),
        (follows(type="websocket"), "Subscription.channel.endpoint"),
        (
            {**follows(type="websocket", endpoint=None), "criteria": "Task?status=draft"},
            "Subscription.criteria",
        ),
        (follows(extension=[{"url": f"{PROFILES}timeout"}]), "Subscription.channel.extension"),
    ],
)
def test_a_topics_subscription_that_could_never_be_told_is_refused(
    asked: dict[str, Any], where: str
) -> None:
    with pytest.raises(InvalidResource) as caught:
        subscriber(asked, "food-bank", GUARD, TOPICS)
    assert caught.value.place == where


def test_a_websocket_is_active_without_an_endpoint_to_greet() -> None:
    made = subscriber(follows(type="websocket", endpoint=None), "food-bank", GUARD, TOPICS)
    assert (made.channel, made.endpoint, made.status) == ("websocket", "", "active")


@needs_corpora
@pytest.mark.corpora
def test_the_published_subscriptions_are_understood_but_for_what_is_theirs_alone() -> None:
    folder = CORPORA / "inferno-subscriptions"
    published = json.loads(
        (folder / "spec/fixtures/subscription_resource_example.json").read_bytes()
    )
    assert place({**published, "criteria": "Task?status=draft"}) == "Subscription.channel.type"
    published["channel"].pop("_type")  # a channel of their own: zulip
    published["channel"]["endpoint"] = "https://client.example/hook"
    assert place(published) == "Subscription.criteria"  # a topic of their own
    published |= {"criteria": TASKS, "_criteria": follows("Task.status=draft")["_criteria"]}
    made = subscriber(published, "food-bank", GUARD, TOPICS)
    assert (made.heartbeat, made.timeout, made.most) == (86400, 30, 20)
    assert made.until == datetime(2020, 12, 31, 12, tzinfo=UTC)
