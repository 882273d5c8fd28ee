"""The directory is everybody's: who sees a service, and where it is.

Of a victim service provider's place nothing is told: its services name no Location, and no
Location of its is anybody else's to see (DESIGN §7).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gateway.errors import InvalidResource
from gateway.fhir import json
from gateway.members import Members
from gateway.model import Context, Grant, Reference, Resource
from gateway.store import Transaction, Written

PLACES: Final = ("location", "coverageArea")


def check(members: Members, context: Context, service: Resource) -> Resource:
    """The HealthcareService, if its agency may say so much of itself.

    Raises:
        InvalidResource: a victim service provider's that tells where it is.
    """
    agency = members.get(context.agency)
    for element in PLACES:
        if agency is not None and agency.confidential and service.get(element):
            raise InvalidResource(
                "a victim service provider's service names no place",
                place=f"HealthcareService.{element}",
                code="business-rule",
            )
    return service


def publish(tx: Transaction, members: Members, before: Resource | None, written: Written) -> None:
    """Let every member see an active service and where it is; one that isn't active, nobody.

    ``before`` is the version that this one follows. Run again it changes nothing. Only what the
    service's own agency owns is shown.
    """
    service = json.loads(written.body)
    shown = _shown(tx, members, written, service) if service.get("active") is not False else []
    if before is not None and {written.reference, *_told(before)} - set(shown):
        tx.revoke(written.reference)
    for reference in shown:
        tx.grant(Grant(reference, "*", written.reference))


def _shown(
    tx: Transaction, members: Members, written: Written, service: Resource
) -> list[Reference]:
    agency = members.get(written.owner)
    told = () if agency is not None and agency.confidential else _told(service)
    return [written.reference, *(each for each in told if tx.owner(each) == written.owner)]


def _told(service: Resource) -> Iterator[Reference]:
    """What a service refers to that is of the directory: its places, and who provides it."""
    links = [each for element in PLACES for each in service.get(element) or []]
    for link in (*links, service.get("providedBy") or {}):
        if link.get("reference"):
            yield link["reference"]
