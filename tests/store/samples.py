"""Resources and callers that the store's tests share."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from gateway.errors import GatewayError
from gateway.fhir.search import parse_query
from gateway.model import Context, Event, Stored, ValidResource
from gateway.store import Hub, Page, Written
from gateway.store.hub import Ask
from gateway.store.outbox import BATCH

CLINIC = Context("cedar-general", "listener")
PANTRY = Context("food-bank", "key")
STRANGER = Context("shelter", "key")
ADMIN = Context("hub", "key", admin=True)


def patient(id: str = "", **more: Any) -> ValidResource:
    """A Patient, valid by its shape."""
    name = [{"family": "Núñez", "given": ["Ana"]}]
    return ValidResource(
        {"resourceType": "Patient", "id": id or str(uuid.uuid4()), "name": name, **more}
    )


def task(id: str = "", status: str = "requested", **more: Any) -> ValidResource:
    """A Task from the clinic to the food bank."""
    return ValidResource(
        {
            "resourceType": "Task",
            "id": id or str(uuid.uuid4()),
            "status": status,
            "intent": "order",
            "requester": {"reference": "Organization/cedar-general"},
            "owner": {"reference": "Organization/food-bank"},
            **more,
        }
    )


def create(hub: Hub, context: Context, resource: ValidResource) -> Written:
    """Store something new."""
    return hub.write(lambda unit: unit.put(context, resource, interaction="create"))


def update(
    hub: Hub, context: Context, resource: ValidResource, if_match: int | None = None
) -> Written:
    """Store a new version."""
    return hub.write(
        lambda unit: unit.put(context, resource, interaction="update", if_match=if_match)
    )


def search(
    hub: Hub, context: Context, type_: str, *pairs: tuple[str, str], cursor: str | None = None
) -> Page:
    """A search as it is asked for over HTTP."""
    more = [("_cursor", cursor)] if cursor else []
    with hub.read() as reader:
        return reader.search(context, parse_query(type_, [*pairs, *more]))


def ids(page: Page) -> list[str]:
    """The ids on a page."""
    return [entry.id for entry in page.entries]


def advance(
    hub: Hub,
    id: str,
    decide: Callable[[Event, Stored], bool | GatewayError],
    *,
    limit: int = BATCH,
    fence: int | None = None,
) -> int:
    """Read on for one subscriber."""
    with hub.read() as reader:
        standing = reader.standing(id)
    if standing is None:
        return 0
    asks = [Ask(standing, fence)]
    read = hub.advance(asks, lambda _, event, stored: decide(event, stored), limit=limit)[id]
    if isinstance(read, GatewayError):
        raise read
    return read
