"""Two records of one patient become one: HL7 v2.8.2 §3.3.40 (A40), R4 ``Patient.link``.

The retired Patient stays, inactive, and points to its heir. What is said of it later is about the
heir: a message that still names the retired one revives nothing. Two that are only linked (A24)
stay apart. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Final

from gateway.errors import IdentifyError, Issue
from gateway.fhir.references import rewrite
from gateway.model import Entry, Reference, Resource

Content = Callable[[Reference], Resource | None]
"""What the hub has of a resource; None where it isn't there."""

RETIRED: Final = Issue(
    "this record was merged into another: it stays as it is, what came with it goes to the other",
    "PID-3",
    code="duplicate",
    severity="warning",
)
STANDS: Final = Issue(
    "these records were merged the other way round before: that stands",
    "MRG-1",
    code="duplicate",
    severity="warning",
)


_LINK: Final = frozenset({"link"})


def heir(patient: Resource) -> Reference | None:
    """Which record took a retired Patient's place; None of one that lives."""
    return next((to for to, type_ in _links(patient) if type_ == "replaced-by"), None)


def led(
    entries: tuple[Entry, ...], content: Content
) -> tuple[tuple[Entry, ...], tuple[Issue, ...]]:
    """The entries as they may be stored, and what there is to say of that.

    A Patient that the hub has retired is left as it is, and the others' references to it lead to
    its heir. Links that a Patient has stay beside its new ones.

    Raises:
        IdentifyError: a record merged into itself, or one that another had already taken in.
    """
    patients = [entry for entry in entries if entry.resource["resourceType"] == "Patient"]
    if not any("link" in e.resource or "link" in (content(e.reference) or ()) for e in patients):
        return entries, ()  # as nearly always: nobody here was ever merged
    _check(patients)
    heirs: dict[Reference, Reference] = {}
    still: dict[Reference, Issue] = {}
    for entry in patients:
        own, last = heir(entry.resource), _last(entry.reference, content)
        to = _last(own, content) if own else None
        if own is None and last != entry.reference:
            heirs[entry.reference], still[entry.reference] = last, RETIRED
        elif to == entry.reference:
            still[to] = STANDS
        elif to is not None and last not in (entry.reference, to):
            raise IdentifyError("this record was merged into another before", place="MRG-1")
    apart = frozenset(entry.reference for entry in patients)
    standing = tuple(
        _parted(_stored(entry, heirs, still, content), apart, content) for entry in entries
    )
    return standing, tuple(dict.fromkeys(still.values()))


def _parted(entry: Entry, apart: Collection[Reference], content: Content) -> Entry:
    """A Patient that is no longer linked with the others here (A37); its other links stay."""
    if "link" not in entry.removes or not entry.reference.startswith("Patient/"):
        return entry
    current = content(entry.reference) or {}
    kept = [
        link
        for link, (to, type_) in zip(current.get("link", ()), _links(current), strict=True)
        if type_ != "seealso" or to not in apart
    ]
    if not kept:
        return entry
    return replace(entry, resource={**entry.resource, "link": kept}, removes=entry.removes - _LINK)


def _check(patients: Iterable[Entry]) -> None:
    for entry in patients:
        if any(to == entry.reference for to, _ in _links(entry.resource)):
            raise IdentifyError("a record can't be merged into itself", place="MRG-1")


def _stored(
    entry: Entry,
    heirs: Mapping[Reference, Reference],
    still: Mapping[Reference, Issue],
    content: Content,
) -> Entry:
    type_, _, id_ = entry.reference.partition("/")
    if entry.reference in still:
        return Entry({"resourceType": type_, "id": id_})
    resource = rewrite(entry.resource, heirs) if heirs else entry.resource
    if type_ == "Patient" and "link" in resource:
        resource = {**resource, "link": _joined(content(entry.reference) or {}, resource)}
    return replace(entry, resource=resource)


def _joined(current: Resource, given: Resource) -> list[Resource]:
    """The new links after those that stand; a record has one heir."""
    named = set(_links(given))
    kept = [
        link
        for link, pair in zip(current.get("link", ()), _links(current), strict=True)
        if pair not in named and not (heir(given) and pair[1] == "replaced-by")
    ]
    return [*kept, *given["link"]]


def _last(patient: Reference, content: Content) -> Reference:
    """The end of the chain of heirs: itself where it lives."""
    passed = {patient}
    while (to := heir(content(patient) or {})) and to not in passed:
        passed.add(to)
        patient = to
    return patient


def _links(patient: Resource) -> list[tuple[Reference, str]]:
    return [
        (link.get("other", {}).get("reference", ""), link.get("type", ""))
        for link in patient.get("link", ())
    ]
