"""Sockets bound to subscriptions: the token that lets, and what happens when one is bound.

R4 Backport 1.1, ``$get-ws-binding-token`` and "bind-with-token". Whoever holds a token is let in
for the subscriptions that it names and its agency still has.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final

from gateway.deliver import websocket
from gateway.deliver.websocket import Binding, Socket, Sockets
from gateway.errors import Gone, InvalidResource, NotFound, Unauthenticated
from gateway.fhir.search import parse_query
from gateway.model import Context
from gateway.outgoing.notifying import Notifying
from gateway.protect import scopes
from gateway.store import Hub, Reader, Transaction
from gateway.store.subscribers import Standing

MOST: Final = 100
"""How many subscriptions a token may be for."""


class Bindings:
    """Gives tokens and binds sockets; ``wake`` has a subscriber seen to."""

    def __init__(
        self, hub: Hub, sockets: Sockets, notifying: Notifying, wake: Callable[[str], None]
    ) -> None:
        self._hub = hub
        self._sockets = sockets
        self._notifying = notifying
        self._wake = wake

    def token(self, context: Context, ids: Sequence[str]) -> tuple[str, Binding]:
        """A token for the caller's websocket subscriptions: these, or all (none named).

        Raises Denied, NotFound, Gone, and InvalidResource for one of another channel.
        """
        scopes.require(context, "Subscription", "r")
        with self._hub.read() as reader:
            found = [
                standing
                for id in (ids or _all(reader, context))
                if (standing := _standing(reader, context, id)) is not None
            ]
        mine = [each.subscriber.id for each in found if each.subscriber.channel == "websocket"]
        if not mine or (ids and len(mine) < len(ids)):
            place = "Subscription.channel.type"
            raise InvalidResource("not a subscription by websocket", place=place)
        made = websocket.binding(context, mine[:MOST], time.time())
        return websocket.token(self._hub.secret, made), made

    def greetings(self, text: str) -> tuple[str, dict[str, str]]:
        """By subscription, the handshake that a token's bearer is sent before it is bound; and
        first the id of the key that the token was asked for by.

        What its agency no longer has is left out. Raises Unauthenticated.
        """
        binding = websocket.read(self._hub.secret, text, time.time())
        if binding is None:
            raise Unauthenticated("a valid binding token is needed")
        said = {}
        self.check([binding.client])
        with self._hub.read() as reader:
            for id in binding.subscriptions:
                standing = _still(reader, binding.context, id)
                if standing is not None:
                    said[id] = self._notifying.body(standing, "handshake").decode()
        return binding.client, said

    def check(self, keys: Iterable[str]) -> None:
        """Raises Unauthenticated where one of these keys was revoked."""
        with self._hub.read() as reader:
            if not all(reader.stands(each) for each in keys):
                raise Unauthenticated("the key of a binding was revoked")

    def bind(self, ids: Iterable[str], socket: Socket) -> None:
        """Send what waits for these subscriptions, and what will come, on a socket."""
        for id in ids:
            self._sockets.bind(id, socket)
            self._hub.write(partial(Transaction.well, subscriber_id=id))
            self._wake(id)

    def unbind(self, socket: Socket) -> None:
        """It was closed."""
        self._sockets.unbind(socket)


def _standing(reader: Reader, context: Context, id: str) -> Standing | None:
    """How one of the caller's own stands. Raises NotFound, Gone."""
    owner = reader.read(context, "Subscription", id).owner
    return reader.standing(id) if owner == context.agency else None


def _still(reader: Reader, context: Context, id: str) -> Standing | None:
    """The same of one that may be gone, or have changed its channel."""
    try:
        found = _standing(reader, context, id)
    except (NotFound, Gone):
        return None
    return found if found is not None and found.subscriber.channel == "websocket" else None


def _all(reader: Reader, context: Context) -> list[str]:
    query = parse_query("Subscription", [("_count", str(MOST)), ("_total", "none")])
    return [each.id for each in reader.search(context, query).entries]
