"""The child ServiceRequest and Task that one agency is asked by (SDOH Clinical Care 3.0, indirect).

Pure. The child request repeats what the asker's says, so that whoever is asked needs nothing of the
asker's own; it bears the asker's number, by which people talk about it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from gateway.coordination.nouns import HUB_ORGANIZATION, id_of, instant
from gateway.fhir import codes
from gateway.model import Reference, Resource

REPEATED: Final[tuple[str, ...]] = (
    "identifier",
    "category",
    "priority",
    "code",
    "orderDetail",
    "quantityQuantity",
    "quantityRatio",
    "quantityRange",
    "subject",
    "occurrenceDateTime",
    "occurrencePeriod",
    "occurrenceTiming",
    "reasonCode",
    "reasonReference",
    "insurance",
    "supportingInfo",
    "patientInstruction",
)
"""What a child request has of its parent: what is asked for, for whom and why; no notes, which may
be the asker's own."""


def request(
    parent: Resource, parent_task: str, number: int, agency: str, service: Reference, part: str
) -> Resource:
    """The child ServiceRequest of a hop: for which of the agency's HealthcareServices ("" where
    none is known), and for which one SDOH category ("": all)."""
    repeated = {name: parent[name] for name in REPEATED if name in parent}
    if part:
        repeated["category"] = [each for each in parent["category"] if _is_of(each, part)]
    return {
        "resourceType": "ServiceRequest",
        "id": id_of("request", parent_task, number),
        **repeated,
        "status": "active",
        "intent": "filler-order",
        "basedOn": [{"reference": f"ServiceRequest/{parent['id']}"}],
        "requester": {"reference": HUB_ORGANIZATION},
        "performer": [{"reference": each} for each in (f"Organization/{agency}", service) if each],
    }


def task(parent: Resource, child: Resource, number: int, agency: str, at: datetime) -> Resource:
    """The child Task of a hop: requested of the agency by the hub."""
    focus = f"ServiceRequest/{child['id']}"
    made: Resource = {
        "resourceType": "Task",
        "id": id_of("task", parent["id"], number),
        "partOf": [{"reference": f"Task/{parent['id']}"}],
        "status": "requested",
        "intent": "order",
        "code": {"coding": [{"system": codes.TASK_CODE, "code": "fulfill"}]},
        "focus": {"reference": focus},
        "for": child["subject"],
        "authoredOn": instant(at),
        "lastModified": instant(at),
        "requester": {"reference": HUB_ORGANIZATION},
        "owner": {"reference": f"Organization/{agency}"},
    }
    priority = child.get("priority") or parent.get("priority")
    return {**made, "priority": priority} if priority else made


def renewed(child: Resource, parent: Resource) -> Resource:
    """The child request as its parent reads now."""
    part = [each for each in child.get("category") or [] if each in (parent.get("category") or [])]
    kept = {name: value for name, value in child.items() if name not in REPEATED}
    said = {name: parent[name] for name in REPEATED if name in parent}
    return {**kept, **said, **({"category": part} if part else {})}


def _is_of(category: Resource, part: str) -> bool:
    """Whether a category is this part's: it names it, or no SDOH category at all."""
    said = [c for c in category.get("coding") or [] if c.get("system") == codes.SDOH_CODES]
    return not said or any(each.get("code") == part for each in said)
