"""What the resources of a referral are called, and how they are told apart."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any, Final

from gateway.fhir import codes
from gateway.model import HUB, Context, Reference, Resource

HUB_ORGANIZATION: Final[Reference] = f"Organization/{HUB}"
"""The hub's own entry in the directory: requester of every child, owner of what it places."""

GATEWAY: Final = Context(HUB, "gateway", purpose="COC")
"""The hub as it writes what it owns: care coordination (v3-ActReason)."""

STANDING: Final = codes.BASE + "CodeSystem/referral-standing"
"""Task.businessStatus of a referral that the hub places: ``seeking``, ``waiting``, ``navigator``,
``held``, ``partly`` (one of several parts), ``over``."""

REASON: Final = codes.BASE + "CodeSystem/referral-reason"
"""Task.statusReason in the hub's own words; others' are mapped to it (``mappings/referral``)."""

NAMED: Final = codes.BASE + "StructureDefinition/named-performer"
"""Extension of a Task that the hub places: whom it was for first (Reference)."""

NAVIGATE: Final = "navigate"
"""The kind (``codes.TASK_KIND``) of a navigator's Task."""

FALLBACK: Final = "fallback"
"""The input (``codes.TASK_PART``, valueBoolean) that allows passing by the one who is named."""

UNSPECIFIED: Final = "sdoh-category-unspecified"
"""The SDOH category that tells no need from another."""

_SPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, codes.BASE + "coordination")
_FULFIL: Final = frozenset({"fulfill"})


def is_referral(task: Resource) -> bool:
    """Whether a Task asks for a ServiceRequest to be fulfilled, and is no part of another's."""
    said = (task.get("code") or {}).get("coding") or []
    asks = not said or any(each.get("code") in _FULFIL for each in said)
    order = task.get("intent") == "order" and not task.get("partOf")
    return order and asks and target(task, "focus").startswith("ServiceRequest/")


def is_navigators(task: Resource) -> bool:
    """Whether it is a Task of the navigator's queue."""
    return any(
        each.get("system") == codes.TASK_KIND and each.get("code") == NAVIGATE
        for each in (task.get("code") or {}).get("coding") or []
    )


def may_fall_back(task: Resource) -> bool:
    """Whether the asker lets others be asked where the one who is named can't."""
    for each in task.get("input") or []:
        said = (each.get("type") or {}).get("coding") or []
        if any((c.get("system"), c.get("code")) == (codes.TASK_PART, FALLBACK) for c in said):
            return each.get("valueBoolean") is True
    return False


def named(task: Resource) -> Reference:
    """Who was named first, "" where nobody was."""
    for each in task.get("extension") or []:
        if each.get("url") == NAMED:
            return str((each.get("valueReference") or {}).get("reference") or "")
    return ""


def target(resource: Resource, element: str) -> Reference:
    """The literal reference that an element holds, "" for none."""
    held = resource.get(element)
    held = held[0] if isinstance(held, list) and held else held
    return str(held.get("reference") or "") if isinstance(held, dict) else ""


def categories(request: Resource) -> tuple[str, ...]:
    """The SDOH categories that a ServiceRequest is for, in its order."""
    said = (c for each in request.get("category") or [] for c in each.get("coding") or [])
    found = (str(c.get("code")) for c in said if c.get("system") == codes.SDOH_CODES)
    return tuple(each for each in dict.fromkeys(found) if each != UNSPECIFIED)


def parts(request: Resource) -> tuple[str, ...]:
    """What is sought apart: each category of several; ("",) where the request is one whole."""
    found = categories(request)
    return found if len(found) > 1 else ("",)


def id_of(*names: object) -> str:
    """An id that is the same whenever it is asked for."""
    return str(uuid.uuid5(_SPACE, "\n".join(map(str, names))))


def instant(at: datetime) -> str:
    """A FHIR instant."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def coded(system: str, code: str, text: str = "") -> dict[str, Any]:
    """A CodeableConcept."""
    made: dict[str, Any] = {"coding": [{"system": system, "code": code}]}
    return {**made, "text": text} if text else made


def part_of(task: Resource) -> str:
    """The id of the Task that a Task is part of, "" for none."""
    return target(task, "partOf").removeprefix("Task/")
