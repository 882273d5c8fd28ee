"""An R4 Subscription becomes a subscriber, or is refused with the place of what is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.deliver.endpoint import Guard
from gateway.deliver.subscription import subscriber
from gateway.errors import InvalidResource
from gateway.model import Subscriber

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


@pytest.mark.parametrize("type", ["websocket", "email", "sms", "message", None])
def test_another_channel_is_refused(type: str | None) -> None:
    assert place(subscription(type=type)) == "Subscription.channel.type"


def test_an_end_that_nothing_would_bring_about_is_refused() -> None:
    assert place({**subscription(), "end": "2030-01-01T00:00:00Z"}) == "Subscription.end"


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
