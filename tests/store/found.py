"""A search as it is asked for, with what must be made for it made first."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from gateway.fhir.search import awaited, parse_query
from gateway.model import Context, Grant, ValidResource
from gateway.store import Hub, Page

BASE = "https://here.example/fhir"


def page(hub: Hub, context: Context, text: str, **more: Any) -> Page:
    """The page of ``Type?name=value&…``."""
    type_, _, asked = text.partition("?")
    pairs = parse_qsl(asked.replace("+", "%2B"), keep_blank_values=True)
    query = parse_query(type_, pairs, base_url=BASE, **more)
    for late in awaited(query):
        hub.catch_up(late)
    with hub.read() as reader:
        return reader.search(context, query)


def found(hub: Hub, context: Context, text: str, **more: Any) -> list[str]:
    """What a search finds; its total is right."""
    result = page(hub, context, text, **more)
    ids = [entry.id for entry in result.entries]
    if result.next is None and "_cursor" not in text:
        assert result.total == len(ids), text
    return ids


def put(hub: Hub, context: Context, *resources: dict[str, Any]) -> None:
    """Write resources in one transaction, new ones or new versions."""

    def unit(transaction: Any) -> None:
        for resource in resources:
            transaction.put(context, ValidResource(resource), interaction="update")

    hub.write(unit)


def grant(hub: Hub, agency: str, *references: str) -> None:
    """Let an agency see resources."""

    def unit(transaction: Any) -> None:
        for reference in references:
            transaction.grant(Grant(reference, agency, "Task/because"))

    hub.write(unit)
