"""A victim service provider: its clients and its place don't enter the hub (DESIGN, section 7).

What it sends of a person is a pseudonym, and a referral to or from it goes under one, with no more
than the reasons for it: 34 USC 12291(b)(2). It answers by how a referral stands. What says more is
refused at the door, whoever sends it, so that nobody has to be trusted to hide it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from gateway.errors import RouteError
from gateway.fhir.compartments import compartment
from gateway.fhir.references import references
from gateway.members import Members
from gateway.model import HUB, Reference, Resource
from gateway.route.pseudonym import PERSONS, REASONS, persons, telling
from gateway.store import Transaction, Written

_TOLD: Final = "a victim service provider's client goes under a pseudonym alone"
_KEPT: Final = "what a victim service provider does for its clients stays with it"
_WHO: Final = "what a victim service provider answers doesn't say who brought it about"
_PLACE: Final = "nothing leads back to a victim service provider's place"

_BROUGHT: Final = REASONS | PERSONS.keys() | {"ServiceRequest", "Provenance", "AuditEvent"}
"""What of all that is about a person a victim service provider may bring, beside Tasks."""

_NOBODYS: Final = frozenset({"Basic", "MeasureReport", "Schedule"})
"""What may be about nobody: how many were served, and when."""

_SEALED: Final = frozenset({"Binary", "Bundle"})
"""What may hold anybody's record inside."""

_SENT: Final = REASONS | PERSONS.keys() | {"ServiceRequest"}
"""What of a referral's a victim service provider is given a right to, beside the Task."""

_PLACES: Final = frozenset({"address", "coverageArea", "position", "valueAddress"})

_RESULTS: Final = frozenset({"Observation", "Condition", "Goal"})
"""What it may answer with beside how a referral stands: its asker reads that, and may not know
whom the hub asked."""

_DOERS: Final = frozenset(
    {
        "performer",
        "asserter",
        "recorder",
        "expressedBy",
        "authorReference",
        "authorString",
        "assigner",
    }
)
_PROVIDERS: Final = frozenset(
    {"Organization", "Practitioner", "PractitionerRole", "HealthcareService", "CareTeam", "Device"}
)


def check(before: Resource | None, proposed: Resource) -> None:
    """Pass what a victim service provider writes over ``before``, or raise.

    Raises:
        RouteError: a client's record, who a client is, or where the provider is; at its place.
    """
    type_ = str(proposed["resourceType"])
    kept = type_ in compartment("Patient") and type_ not in _BROUGHT
    if type_ in _SEALED or (kept and (type_ not in _NOBODYS or persons(proposed))):
        raise RouteError(_KEPT, place=type_)
    if "contained" in proposed:
        raise RouteError(_KEPT, place=f"{type_}.contained")
    changed = {k: v for k, v in proposed.items() if before is None or before.get(k) != v}
    said = proposed if type_ in PERSONS else {**changed, "resourceType": type_}
    if (type_ in PERSONS or persons(proposed)) and (told := telling(said)):
        raise RouteError(_TOLD, place=told)
    if place := next(_places(said), ""):
        raise RouteError(_PLACE, place=place)
    if place := next(_doers(said), ""):
        raise RouteError(_WHO, place=place)


def hold(tx: Transaction, members: Members, written: Written) -> None:
    """Before a Task leads to anything: who asks or is asked may be told who it is for.

    Raises:
        RouteError: one of them is a victim service provider, and it isn't for a pseudonym.
    """
    task = tx.content(written.reference) or {}
    asked = members.directory.by_reference((task.get("owner") or {}).get("reference") or "")
    sides = {written.owner, asked} - {None, HUB}
    if len(sides) < 2 or not sides & members.confidential:
        return
    for place in ("for", "focus"):
        if _tells(tx, {"resourceType": "Task", place: task.get(place) or {}}):
            raise RouteError(_TOLD, place=f"Task.{place}")
    if _tells(tx, task):
        raise RouteError(_TOLD, place="Task")


def keep(tx: Transaction, members: Members, written: Written) -> None:
    """After a resource changed: what a victim service provider was sent still tells nothing.

    Raises:
        RouteError: it has a right to the resource, or to the hub's copy, and that says more now.
    """
    copies = tx.referring(HUB, written.reference) if written.type == "ServiceRequest" else []
    for each in (written.reference, *copies):
        sent = each.partition("/")[0] in _SENT and _is_shared(tx, members, each)
        if sent and _tells(tx, tx.content(each)):
            raise RouteError(_TOLD, place=written.type)


def _is_shared(tx: Transaction, members: Members, reference: Reference) -> bool:
    """Whether a victim service provider has a right to it that it doesn't own."""
    owner = tx.owner(reference)
    given = {each.agency for each in tx.granted(reference)}
    return bool((given - {owner}) & members.confidential)


def _tells(tx: Transaction, resource: Resource | None) -> bool:
    """Whether a resource tells who a person is, or what it sends along; what isn't there might."""
    if resource is None or telling(resource):
        return True
    type_ = resource["resourceType"]
    about = persons(resource)
    if type_ in PERSONS:  # a relative's client; no further
        about = [each for each in about if type_ != "Patient" and each.startswith("Patient/")]
    if any(_tells(tx, tx.content(each)) for each in about):
        return True
    return any(
        each.partition("/")[0] not in allowed or _tells(tx, tx.content(each))
        for element, allowed in _ALONG.get(type_, {}).items()
        for each in _links(resource, element)
    )


def _links(resource: Resource, element: str) -> Iterator[Reference]:
    held: Any = resource.get(element) or []
    for link in held if isinstance(held, list) else [held]:
        if link.get("reference"):
            yield link["reference"].partition("/_history/")[0]


_ALONG: Final[Mapping[str, Mapping[str, frozenset[str]]]] = {
    "Task": {"focus": frozenset({"ServiceRequest"})},
    "ServiceRequest": {"reasonReference": REASONS, "supportingInfo": REASONS},
}
"""What goes with a Task or a request, by the element that names it, and what it may be."""


def _places(resource: Resource) -> Iterator[str]:
    """Where a resource says, or refers to, a place."""
    if resource["resourceType"] == "Location":
        yield "Location"
    yield from (place for place, to in references(resource) if to.startswith("Location/"))
    for each in _elements(resource):
        if each in _PLACES or each.startswith("location"):
            yield f"{resource['resourceType']}.{each}"


def _doers(resource: Resource) -> Iterator[str]:
    """Where what is read as an outcome says, or refers to, who brought it about."""
    type_ = resource["resourceType"]
    if type_ == "Task":
        outputs = {"resourceType": type_, "output": resource.get("output") or []}
        told = references(outputs)
        yield from (place for place, to in told if to.partition("/")[0] not in _RESULTS)
    if type_ not in _RESULTS:
        return
    yield from (f"{type_}.{each}" for each in _elements(resource) if each in _DOERS)
    if "source" in (resource.get("meta") or {}):
        yield f"{type_}.meta.source"
    found = references(resource)
    yield from (place for place, to in found if not _PROVIDERS.isdisjoint(to.split("/")))


def _elements(node: Any) -> Iterator[str]:
    """The name of every element, however deep."""
    if isinstance(node, list):
        for each in node:
            yield from _elements(each)
    elif isinstance(node, dict):
        for element, value in node.items():
            yield element
            yield from _elements(value)
