"""The websocket that notifications go out on (R4 Backport 1.1).

A client says who it is by its first text, ``bind-with-token`` and a token; further tokens bind
further subscriptions. It needs say no more: what it says otherwise closes the socket, and so does
the end of a key by which it was bound.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

import structlog
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from gateway import logs
from gateway.api.endpoint import Api, Policed, address
from gateway.deliver.websocket import Socket
from gateway.errors import GatewayError, Throttled, Unavailable
from gateway.protect.policy import Policy

PATH: Final = "/websocket"
WORDS: Final = "bind-with-token"
PATIENCE: Final = 10.0
"""Seconds in which a socket must say what it is to be bound to."""

AGAIN: Final = 10.0
"""Seconds between two looks whether its keys still stand."""

_REFUSED: Final = 1008  # RFC 6455, 7.4.1: policy violation
_LATER: Final = 1013  # IANA's list of close codes: try again later

log = structlog.get_logger()


class SocketDoor(Policed):
    """An ASGI endpoint. Anybody may knock; a token lets in."""

    policy = Policy.PUBLIC

    def __init__(self, api: Api) -> None:
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One socket, from its opening to its end."""
        opened = WebSocket(scope, receive, send)
        try:
            self._api.strangers.enter(address(scope), "open")
        except Throttled as error:
            logs.refusal(log, "refused", error, route="websocket", status=error.status, agency="")
            await opened.close(_LATER)  # before it is accepted: 403
            return
        await opened.accept()
        socket = Socket(asyncio.get_running_loop(), opened.send_text)
        try:
            said = await asyncio.wait_for(_text(opened), PATIENCE)
            keys: set[str] = set()
            while said is not None:
                keys.add(await self._bind(opened, socket, said))
                said = await self._next(opened, keys)
        except (GatewayError, TimeoutError):
            log.info("websocket.refused")
            await opened.close(_REFUSED)
        except (OSError, RuntimeError, WebSocketDisconnect):  # closed while a handshake was sent
            log.debug("websocket.lost")
        finally:
            self._api.pipeline.bindings.unbind(socket)

    async def _next(self, opened: WebSocket, keys: set[str]) -> str | None:
        """What the client says next. Raises Unauthenticated where a key was revoked meanwhile."""
        said = asyncio.ensure_future(_text(opened))
        loop, check = asyncio.get_running_loop(), self._api.pipeline.bindings.check
        try:
            while not (await asyncio.wait({said}, timeout=AGAIN))[0]:
                with suppress(Unavailable):  # who can't be asked about isn't revoked
                    await loop.run_in_executor(self._api.threads, check, keys)
            return said.result()
        finally:
            said.cancel()

    async def _bind(self, opened: WebSocket, socket: Socket, text: str) -> str:
        """Take one token; the id of its key. Raises Unauthenticated."""
        words, _, rest = text.strip().partition(" ")
        token = rest.strip() if words.rstrip(":") == WORDS else ""
        bindings, threads = self._api.pipeline.bindings, self._api.threads
        loop = asyncio.get_running_loop()
        key, said = await loop.run_in_executor(threads, bindings.greetings, token)
        for each in said.values():
            await opened.send_text(each)
        await loop.run_in_executor(threads, bindings.bind, tuple(said), socket)
        return key


async def _text(opened: WebSocket) -> str | None:
    """What the client says next ("" for bytes); None where it is gone."""
    message = await opened.receive()
    if message["type"] == "websocket.disconnect":
        return None
    return message.get("text") or ""
