"""What is to be done for a subscriber: the log is read on for it, and what is due is looked up.

Many subscribers are seen to at a time, in a thread; one that can't be read for is told so alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from gateway.errors import GatewayError, Internal, Unavailable
from gateway.model import Delivery, Event, Stored, Subscriber
from gateway.outgoing.following import Following
from gateway.outgoing.notifying import groups
from gateway.store import Hub
from gateway.store.hub import Ask
from gateway.store.outbox import BATCH
from gateway.store.subscribers import Standing

DUE: Final = 200
"""How many deliveries of a subscriber are taken up at a time."""

MOST: Final = 32
"""How many subscribers are seen to at a time."""


@dataclass(frozen=True, slots=True)
class Look:
    """How a subscriber stands (None: it is gone), and what is due to it, in order.

    ``more``: there may be more, unread or undue, once this is sent.
    """

    standing: Standing | None
    due: Sequence[Sequence[Delivery]] = ()
    more: bool = False


class Reading:
    """Looks. ``ready`` says whether a subscriber is one to read for now."""

    def __init__(self, hub: Hub, following: Following, ready: Callable[[Subscriber], bool]) -> None:
        self._hub = hub
        self._following = following
        self._ready = ready

    def __call__(self, asked: Sequence[tuple[str, int | None]]) -> list[Look | Exception]:
        """One look each, for an id and its lease's fence."""
        with self._hub.read() as reader:
            standings = {id: reader.standing(id) for id, _ in asked}
        asks = {
            id: Ask(standing, fence)
            for id, fence in asked
            if (standing := standings[id]) is not None and self._ready(standing.subscriber)
        }
        read = self._hub.advance(asks.values(), self._judge)
        now = datetime.now(UTC)
        with self._hub.read() as reader:
            due = {id: reader.due(id, now, DUE) for id in asks}
            # It may have been changed while it was read for.
            standings |= {id: reader.standing(id) for id, some in due.items() if some}
        return [_look(standings[id], read.get(id, 0), due.get(id, ())) for id, _ in asked]

    def _judge(self, told: Subscriber, event: Event, stored: Stored) -> bool | GatewayError:
        """Whether it concerns the subscriber, or why nobody can say."""
        try:
            return self._following.concerns(told, event, stored)
        except Unavailable:
            raise
        except GatewayError as error:
            return error
        except Exception as error:  # noqa: BLE001 - recorded by its kind: it is set aside
            return Internal(error)


def _look(
    standing: Standing | None, read: int | GatewayError, due: Sequence[Delivery]
) -> Look | Exception:
    if isinstance(read, GatewayError):
        return read
    if standing is None:
        return Look(None)
    return Look(standing, groups(standing.subscriber, due), read == BATCH or len(due) == DUE)
