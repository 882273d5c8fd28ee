"""What was done for the client, as the referral's outputs say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.close.case import Case
from gateway.model import Resource


@dataclass(frozen=True, slots=True)
class Service:
    """One service delivered: its CodeableConcept and its FHIR date or dateTime ("" if unsaid)."""

    concept: Mapping[str, Any]
    date: str


def services(case: Case) -> tuple[Service, ...]:
    """The Procedures among the outputs, then what Task.output says in a CodeableConcept."""
    done = [
        Service(each.get("code") or {}, _date(each))
        for each in case.outputs
        if each.get("resourceType") == "Procedure"
    ]
    told = [
        Service(each["valueCodeableConcept"], "")
        for each in case.task.get("output") or []
        if "valueCodeableConcept" in each
    ]
    return (*done, *told)


def _date(procedure: Resource) -> str:
    """When it was done: the day itself, or the end of its period."""
    period = procedure.get("performedPeriod") or {}
    return str(procedure.get("performedDateTime") or period.get("end") or period.get("start") or "")
