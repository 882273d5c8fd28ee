"""rest-hook: an R4 Subscription's notification over HTTP (FHIR R4, Subscription, 2.46.7).

With ``channel.payload`` the endpoint is the base of a FHIR interface and the notification an
update of the resource there (PUT [endpoint]/[type]/[id]); without, a POST with no body says only
that something changed. Every request is signed after Standard Webhooks (webhook-id, -timestamp,
-signature); its id is the delivery's and the same over all attempts.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache, lru_cache
from typing import Final

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport
from standardwebhooks import Webhook

from gateway import traces
from gateway.deliver.endpoint import PLACE, Blocked, Endpoint, Guard
from gateway.deliver.failure import Failure
from gateway.deliver.notice import Notice
from gateway.model import Subscriber

CONNECT: Final = 10.0
TOTAL: Final = 30.0
"""Seconds: to connect, and for the whole of one attempt, however slowly the receiver drips."""

HOPS: Final = "care-gateway-hops"
"""Says how many hubs an update came through: the receiver may be one, and tell the first again."""

REFUSALS: Final = frozenset({400, 406, 409, 411, 413, 414, 415, 422, 431})
"""What is about this one notification; every other failure is about the receiver."""

_READ: Final = 64 * 1024  # of an answer's body, so that its connection can be used again
_SCHEMES: Final = ("http", "https")
_KNOWN: Final = 4096  # endpoints whose words needn't be looked through again
_TIMEOUT: Final = {"connect": CONNECT}  # the whole has TOTAL


class RestHook:
    """One transport for all rest-hook subscribers; made and used on one event loop.

    httpx's client around it would look for cookies, redirects and credentials that there are none
    of, at twice the price of the request.
    """

    def __init__(self, guard: Guard) -> None:
        self._transport = _transport(guard)
        self._endpoint = lru_cache(_KNOWN)(lambda url: guard.endpoint(url, _SCHEMES))

    async def send(self, subscriber: Subscriber, notice: Notice, secret: str) -> None:
        """Notify once, by PUT of the resource that the notice is of, else by POST.

        Returns on 2xx. Raises Failure: permanent on 410 and for an endpoint that may not be
        called, with ``retry_after`` where a 429 or 503 says so. A redirect is a failure.
        """
        request = _request(self._endpoint(subscriber.endpoint), subscriber, notice, secret)
        try:
            async with asyncio.timeout(min(subscriber.timeout or TOTAL, TOTAL)):
                response = await self._transport.handle_async_request(request)
                await _finish(response)
        except (httpx.HTTPError, aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Failure(_why(error), place=PLACE) from None
        if not response.is_success:
            raise _failure(response)

    async def close(self) -> None:
        """Close the connections that are kept for the next delivery."""
        await self._transport.aclose()


def _request(
    endpoint: Endpoint, subscriber: Subscriber, notice: Notice, secret: str
) -> httpx.Request:
    headers = [_header(line) for line in subscriber.headers]
    headers += signature(secret, notice.id, notice.body or b"", datetime.now(UTC)).items()
    if notice.media_type:
        headers.append(("content-type", notice.media_type))
    if traceparent := traces.traceparent():
        headers.append((traces.HEADER, traceparent))
    if notice.hops:
        headers.append((HOPS, str(notice.hops)))
    method, url = "POST", endpoint.url
    if notice.resource:
        method, url = "PUT", _resource_url(endpoint.url, notice.resource)
    return httpx.Request(
        method, _parsed(url), headers=headers, content=notice.body, extensions={"timeout": _TIMEOUT}
    )


@lru_cache(_KNOWN)
def _parsed(url: str) -> httpx.URL:
    """Many are told of one resource, or one of many at the same place."""
    return httpx.URL(url)


def signature(secret: str, delivery: str, body: bytes, at: datetime) -> Mapping[str, str]:
    """The three headers of Standard Webhooks; ``secret`` is ``whsec_…`` or bare base64."""
    signed = Webhook(secret).sign(delivery, at.astimezone(UTC), body.decode())
    return {
        "webhook-id": delivery,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signed,
    }


@cache
def trusted() -> ssl.SSLContext:
    """Whom https trusts, for all of a process: reading it takes as long as fifty deliveries."""
    return httpx.create_ssl_context(trust_env=False)


def _transport(guard: Guard) -> AiohttpTransport:
    """Without redirects, cookies or proxies; the guard sees every socket before it connects."""
    context = trusted()

    def guarded(info: aiohttp.AddrInfoType) -> socket.socket:
        guard.check(str(info[4][0]))
        made = socket.socket(info[0], info[1], info[2])
        made.setblocking(False)
        return made

    def session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            ssl=context, limit=0, ttl_dns_cache=10, socket_factory=guarded
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"user-agent": "care-gateway", "accept": "*/*"},
            skip_auto_headers=("Content-Type",),
            trust_env=False,
        )

    return AiohttpTransport(verify=context, client=session, trust_env=False)


async def _finish(response: httpx.Response) -> None:
    """Read an answer's short body away; a long one costs its connection."""
    read = 0
    try:
        async for chunk in response.aiter_raw():
            read += len(chunk)
            if read > _READ:
                break
    finally:
        await response.aclose()


def _resource_url(base: str, path: str) -> str:
    """An endpoint may have a query, which stays at the end."""
    place, mark, query = base.partition("?")
    return f"{place.rstrip('/')}/{path}{mark}{query}"


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip(), value.strip()


def _failure(response: httpx.Response) -> Failure:
    return Failure(
        f"the endpoint answered {response.status_code}",
        place=PLACE,
        retry_after=_seconds(response.headers.get("retry-after", "")),
        permanent=response.status_code == httpx.codes.GONE,
        refused=response.status_code in REFUSALS,
    )


def _seconds(text: str) -> float | None:
    """Retry-After: seconds or an HTTP date. None where it is neither, or past."""
    try:
        wait = (
            float(text) if text.isdigit() else parsedate_to_datetime(text).timestamp() - time.time()
        )
    except ValueError:
        return None
    return wait if wait > 0 else None


def _why(error: BaseException) -> str:
    """The kind of a failure, without the receiver's words."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, Blocked):
            return "this address may not be called"
        seen = seen.__cause__ or seen.__context__
    # httpx-aiohttp says ConnectTimeout of every connection that fails.
    if isinstance(error, TimeoutError | httpx.ReadTimeout):
        return "the endpoint didn't answer in time"
    return f"the endpoint can't be reached ({type(error).__name__})"
