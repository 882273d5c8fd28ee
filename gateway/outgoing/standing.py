"""A subscription's status as it changes by itself: its row and its Subscription, in one unit.

R4 Subscription.status: requested until its endpoint answered a handshake, active, off at its end,
error once its endpoint failed for too long. Whatever changes it, what waits for it is kept.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from gateway.deliver.subscription import CHANNELS
from gateway.errors import GatewayError
from gateway.fhir import gates, json
from gateway.model import Context, Subscriber
from gateway.store import Transaction
from gateway.store.attempts import reason


def begin(tx: Transaction, told: Subscriber) -> None:
    """Its endpoint answered the handshake: it is active, unless it was changed meanwhile."""
    standing = tx.standing(told.id)
    if standing is not None and replace(standing.subscriber, error="") == replace(told, error=""):
        _become(tx, told, "active")


def begin_again(tx: Transaction, told: Subscriber) -> None:
    """Its keeper wants it tried again: from the handshake on where it follows a topic."""
    greeted = bool(told.topic) and CHANNELS[told.channel].greets
    _become(tx, told, "requested" if greeted else "active")


def end(tx: Transaction, told: Subscriber) -> None:
    """Its end has come."""
    _become(tx, told, "off")


def give_up(tx: Transaction, told: Subscriber, error: GatewayError) -> None:
    """Its endpoint failed for too long, or won't ever do."""
    _become(tx, told, "error", reason(error))


def _become(
    tx: Transaction,
    told: Subscriber,
    status: Literal["requested", "active", "off", "error"],
    why: str = "",
) -> None:
    tx.mark(told.id, status, why)
    stored = tx.current("Subscription", told.id)
    if stored is None:
        return
    resource = {**json.loads(stored.body), "status": status}
    resource.pop("error", None)
    if why:
        resource["error"] = why
    owner = Context(stored.owner, "gateway")
    tx.put(owner, gates.check(resource, models=False), interaction="update")
