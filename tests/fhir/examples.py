"""The official examples, read once."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from gateway.fhir.elements import refused_types
from gateway.fhir.json import loads
from gateway.model import Resource
from tests.corpora import CORPORA

FOLDERS = ("r4-spec-examples", "us-core", "sdoh-clinicalcare", "fhir-us-bser", "fhir-ips")


@cache
def official(*folders: str) -> list[tuple[str, Resource]]:
    """(name, resource) of every example of a type that the gateway takes."""
    return [
        (f"{file.parent.name}/{file.name}", resource)
        for file in files(*folders)
        if (resource := loads(file.read_bytes()))["resourceType"] not in refused_types()
    ]


def files(*folders: str) -> Iterator[Path]:
    for folder in folders or FOLDERS:
        yield from sorted((CORPORA / folder).rglob("*.json"))
