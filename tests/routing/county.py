"""A county in a hub: a clinic that asks, and services of members that might help."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gateway.fhir import codes, gates
from gateway.members import Members
from gateway.model import Context
from gateway.store import Hub, Written
from tests.shipped import library

CLINIC = Context("clinic", "test")
PANTRY = Context("pantry", "test")
FOOD = {"system": codes.SDOH_CODES, "code": "food-insecurity"}
BARRED = {"coding": [{"system": codes.FLAG, "code": "barred"}]}
REQUEST = "ServiceRequest/r"


def join(hub: Hub, *agencies: str) -> Members:
    """Members, with their entries in the directory."""
    members = Members(hub, library())
    for agency in agencies:
        members.add(agency, None, agency.title())
    return members


def hide(members: Members, agency: str, folder: Path) -> None:
    """Make a member a victim service provider, as its agency.yaml says."""
    told = f"agency: {agency}\nname: {agency.title()}\nvictim-service-provider: true\n"
    own = folder / agency
    own.mkdir()
    (own / "agency.yaml").write_text(told)
    members.add(agency, own)


def county(hub: Hub) -> Members:
    """A clinic with its patient and request; a pantry and a bank, each with a service."""
    members = join(hub, "clinic", "pantry", "bank")
    put(hub, "clinic", patient())
    put(hub, "clinic", request())
    put(hub, "pantry", service("pantry-food"))
    put(hub, "bank", service("bank-food"))
    return members


def put(hub: Hub, owner: str, resource: dict[str, Any]) -> Written:
    context = Context(owner, "test")
    valid = gates.check(resource)
    return hub.write(lambda tx: tx.put(context, valid, interaction="update"))


def service(id: str, agency: str = "", **more: Any) -> dict[str, Any]:
    """A pantry; of ``agency``, where another tells of it."""
    provider = {"providedBy": {"reference": f"Organization/{agency}"}} if agency else {}
    return {
        "resourceType": "HealthcareService",
        "id": id,
        "active": True,
        "name": id.title(),
        "category": [{"coding": [FOOD]}],
        **provider,
        **more,
    }


def request(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "ServiceRequest",
        "id": "r",
        "status": "active",
        "intent": "order",
        "category": [{"coding": [FOOD]}],
        "subject": {"reference": "Patient/p"},
        **more,
    }


def patient(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": "p",
        "name": [{"family": "Novak", "given": ["Elena"]}],
        "birthDate": "1987-03-22",
        "address": [{"postalCode": "52240", "state": "IA"}],
        **more,
    }


def task(id: str, agency: str, status: str, owner: str = "clinic") -> dict[str, Any]:
    return {
        "resourceType": "Task",
        "id": id,
        "status": status,
        "intent": "order",
        "for": {"reference": "Patient/p"},
        "requester": {"reference": f"Organization/{owner}"},
        "owner": {"reference": f"Organization/{agency}"},
    }
