"""rest-hook deliveries over real sockets: what is sent, and what comes of every bad answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import aiohttp
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from gateway.deliver import Doors, rest_hook
from gateway.deliver.endpoint import Guard
from gateway.deliver.failure import Failure
from tests.deliver.sinks import (
    SECRET,
    Answer,
    Request,
    Writer,
    http,
    notice,
    status,
    subscriber,
)

LOCAL = Guard(["127.0.0.0/8"])
JSON = "application/fhir+json"
BODY = '{"resourceType":"Task","id":"t-1","note":[{"text":"Jos\u00e9 72.50"}]}'.encode()


def send(
    answer: Answer,
    *,
    payload: bytes | None = BODY,
    path: str = "",
    headers: tuple[str, ...] = (),
    guard: Guard = LOCAL,
    times: int = 1,
) -> list[Request]:
    """What a sink got; raises what sending raised."""

    async def run() -> list[Request]:
        doors = Doors(guard)
        try:
            async with http(answer) as (address, got):
                mime = JSON if payload is not None else ""
                to = subscriber(address + path, payload=mime, headers=headers)
                for number in range(1, times + 1):
                    await doors.send(to, notice(number, payload, task=True), secret=SECRET)
                return got
        finally:
            await doors.close()

    return asyncio.run(run())


def failure(answer: Answer, **named: object) -> Failure:
    with pytest.raises(Failure) as caught:
        send(answer, **named)  # type: ignore[arg-type]
    assert caught.value.place == "Subscription.channel.endpoint"
    return caught.value


@pytest.mark.parametrize("path", ["/fhir", "/fhir/"])
def test_with_a_payload_the_resource_is_updated_at_the_endpoint(path: str) -> None:
    (request,) = send(status("200 OK"), path=path)
    assert (request.method, request.target) == ("PUT", "/fhir/Task/t-1")
    assert request.headers["content-type"] == JSON
    assert request.body == BODY


def test_the_endpoints_query_is_kept() -> None:
    (request,) = send(status("204 No Content"), path="/in?tenant=7")
    assert request.target == "/in/Task/t-1?tenant=7"


def test_without_a_payload_an_empty_post_says_that_something_changed() -> None:
    (request,) = send(status("200 OK"), payload=None, path="/hook")
    assert (request.method, request.target, request.body) == ("POST", "/hook", b"")
    assert "content-type" not in request.headers
    assert request.headers["content-length"] == "0"


@pytest.mark.parametrize("payload", [BODY, None])
def test_it_is_signed_by_standard_webhooks(payload: bytes | None) -> None:
    (request,) = send(status("200 OK"), payload=payload)
    assert request.headers["webhook-id"] == "msg_1"
    Webhook(SECRET).verify(request.body, request.headers, json_parse=False)
    other = Webhook("whsec_" + "A" * 32)
    with pytest.raises(WebhookVerificationError):
        other.verify(request.body, request.headers, json_parse=False)
    forged = {**request.headers, "webhook-id": "msg_2"}
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(request.body, forged, json_parse=False)


def test_the_subscribers_headers_are_sent_and_each_header_once() -> None:
    (request,) = send(status("200 OK"), headers=("X-Tenant: county 7", "Authorization:Bearer x"))
    assert request.headers["x-tenant"] == "county 7"
    assert request.headers["authorization"] == "Bearer x"
    assert len(request.names) == len(set(request.names))
    assert "cookie" not in request.headers


def test_connections_are_used_again_and_cookies_are_not() -> None:
    got = send(status("200 OK", "Set-Cookie: a=b; Path=/"), times=5)
    assert [request.headers["webhook-id"] for request in got] == [f"msg_{n}" for n in range(1, 6)]
    assert len({request.peer for request in got}) == 1
    assert all("cookie" not in request.headers for request in got)


@pytest.mark.parametrize("line", ["200 OK", "201 Created", "202 Accepted", "204 No Content"])
def test_any_success_is_one(line: str) -> None:
    assert len(send(status(line))) == 1


@pytest.mark.parametrize(
    "line", ["400 Bad", "401 No", "404 No", "409 No", "422 No", "500 Oops", "502 Bad", "503 Busy"]
)
def test_any_refusal_is_tried_again(line: str) -> None:
    failed = failure(status(line))
    assert not failed.permanent
    assert failed.retry_after is None
    assert line[:3] in str(failed)


def test_gone_is_gone() -> None:
    assert failure(status("410 Gone")).permanent


@pytest.mark.parametrize("line", ["301 Moved", "302 Found", "303 See", "307 Temp", "308 Perm"])
def test_a_redirect_is_not_followed(line: str) -> None:
    seen: list[Request] = []

    async def answer(request: Request, writer: Writer) -> None:
        seen.append(request)
        await status(line, "Location: /elsewhere")(request, writer)

    assert not failure(answer).permanent
    assert len(seen) == 1


@pytest.mark.parametrize("line", ["429 Too Many", "503 Busy"])
def test_retry_after_is_handed_on(line: str) -> None:
    assert failure(status(line, "Retry-After: 120")).retry_after == 120
    date = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    after = failure(status(line, f"Retry-After: {date}")).retry_after
    assert after is not None
    assert 3000 < after <= 3600


@pytest.mark.parametrize("value", ["soon", "-5", "1.5", "", "Thu, 01 Jan 1970 00:00:00 GMT"])
def test_a_retry_after_that_says_nothing_is_none(value: str) -> None:
    assert failure(status("503 Busy", f"Retry-After: {value}")).retry_after is None


def test_nobody_listening_is_a_failure_that_names_no_address() -> None:
    async def run() -> None:
        doors = Doors(LOCAL)
        try:
            async with http(status("200 OK")) as (address, _):
                pass
            await doors.send(subscriber(address), notice(), secret=SECRET)
        finally:
            await doors.close()

    with pytest.raises(Failure, match="reached") as caught:
        asyncio.run(run())
    assert "127.0.0.1" not in str(caught.value)
    assert caught.value.__suppress_context__


async def hang_up(request: Request, writer: Writer) -> None:
    writer.transport.abort()


async def babble(request: Request, writer: Writer) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
    await writer.drain()
    writer.close()


async def cut_short(request: Request, writer: Writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
    await writer.drain()
    writer.close()


@pytest.mark.parametrize("answer", [hang_up, babble, cut_short])
def test_a_receiver_that_breaks_the_protocol_is_tried_again(answer: Answer) -> None:
    assert not failure(answer).permanent


async def drip(request: Request, writer: Writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nX: ")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


async def drip_body(request: Request, writer: Writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


async def silence(request: Request, writer: Writer) -> None:
    await asyncio.sleep(3600)


@pytest.mark.parametrize("answer", [drip, drip_body, silence])
def test_however_slowly_it_drips_one_attempt_ends(
    answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest_hook, "TOTAL", 0.5)
    assert "in time" in str(failure(answer))


async def flood(request: Request, writer: Writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


def test_a_flood_of_an_answer_is_not_read_to_its_end() -> None:
    assert len(send(flood)) == 1


class TestGuard:
    def test_an_inner_endpoint_is_not_called(self) -> None:
        for url in ("http://127.0.0.1:9/", "http://[::1]:9/", "http://169.254.169.254/latest"):
            assert self.fails(Guard(), url).permanent

    def test_a_name_that_leads_inside_is_refused_on_the_socket_itself(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Rebinding: the name is fine when it is checked and leads to loopback when connected."""
        rebind(monkeypatch, lambda: "127.0.0.1")
        failed = self.fails(Guard(), "http://hooks.example.org:9/")
        assert "may not be called" in str(failed)
        assert not failed.permanent

    @pytest.mark.parametrize("address", ["169.254.169.254", "10.0.0.1", "168.63.129.16"])
    def test_metadata_and_private_addresses_behind_a_name_too(
        self, address: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rebind(monkeypatch, lambda: address)
        failed = self.fails(Guard(["127.0.0.0/8"]), "http://hooks.example.org:9/")
        assert "may not be called" in str(failed)

    def fails(self, guard: Guard, url: str) -> Failure:
        async def run() -> None:
            doors = Doors(guard)
            try:
                await doors.send(subscriber(url), notice(), secret=SECRET)
            finally:
                await doors.close()

        with pytest.raises(Failure) as caught:
            asyncio.run(run())
        return caught.value


def rebind(monkeypatch: pytest.MonkeyPatch, address: Callable[[], str]) -> None:
    """Make aiohttp's resolver, a foreign one, answer that address for every name."""

    async def resolve(self: object, host: str, port: int = 0, family: int = 0) -> list[object]:
        found = {"hostname": host, "host": address(), "port": port, "family": 2}
        return [{**found, "proto": 0, "flags": 0}]

    monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", resolve)


def test_a_hundred_slow_receivers_hold_up_nobody() -> None:
    async def run() -> None:
        doors = Doors(LOCAL)
        waiting: list[Awaitable[None]] = []
        try:
            async with http(silence) as (slow, stuck), http(status("200 OK")) as (quick, got):
                for number in range(100):
                    sent = doors.send(subscriber(slow), notice(number), secret=SECRET)
                    waiting.append(asyncio.ensure_future(sent))
                while len(stuck) < 100:
                    await asyncio.sleep(0.01)
                await doors.send(subscriber(quick), notice(), secret=SECRET)
                assert len(got) == 1
                for task in waiting:
                    task.cancel()  # type: ignore[attr-defined]
                await asyncio.gather(*waiting, return_exceptions=True)
        finally:
            await doors.close()

    asyncio.run(run())


def test_an_unknown_channel_is_a_permanent_failure() -> None:
    async def run() -> None:
        pigeon = subscriber("http://example.org", channel="pigeon")
        await Doors(LOCAL).send(pigeon, notice(), secret=SECRET)

    with pytest.raises(Failure) as caught:
        asyncio.run(run())
    assert caught.value.permanent
