"""What the hub does when one Patient takes another's place, whichever way it came in.

Whatever of the same agency, or of the hub on its behalf, refers to the retired Patient refers to
its heir from then on, and who could read the one can read the other. A Provenance says what was
moved: its targets are the resources, its entities the retired Patient (removal) and the heir
(source). Found by the search rows: a reference that no search parameter covers stays where it is.

Where the link is taken off again, what the Provenance names goes back, and who was led to the heir
reads it no longer. What had named both before is recorded apart, and stays: nobody can tell which
was meant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final
from uuid import uuid4

from gateway.fhir import gates
from gateway.fhir.references import references, rewrite
from gateway.identify.merge import heir
from gateway.members import KEEPER
from gateway.model import HUB, Context, Reference, Resource, Stored
from gateway.store import Transaction

STAYS: Final = frozenset({"Patient", "Provenance"})
"""What still names the retired Patient: the links themselves, and the record of what was said."""


MERGED: Final = "merge"
BOTH: Final = "merge of what named both"
UNDONE: Final = "merge undone"
"""Provenance.activity of what was moved, of what can't be moved back, and of what was."""


def settle(tx: Transaction, before: Resource | None, stored: Stored) -> None:
    """Follow a Patient's new version. Run again it changes nothing."""
    patient = tx.content(stored.reference)
    survivor, was = heir(patient or {}), heir(before or {})
    if survivor == was:
        return
    if was is not None and tx.owner(was) == stored.owner:
        _undo(tx, stored, was)
    if survivor is not None and tx.owner(survivor) == stored.owner:
        _merge(tx, stored, survivor)


def _merge(tx: Transaction, stored: Stored, survivor: Reference) -> None:
    context = Context(stored.owner, "gateway")
    moved = []
    for writer in (context, KEEPER):  # the hub asks for the person too, on its agency's behalf
        named = tx.referring(writer.agency, stored.reference)
        moved += [each for each in named if each.partition("/")[0] not in STAYS]
    tx.fetch(moved)
    both = [each for each in moved if _names(tx, each, survivor)]
    _lead(tx, stored, moved, {stored.reference: survivor})
    for grant in tx.granted(stored.reference):
        tx.grant(replace(grant, resource=survivor))
    _record(tx, MERGED, [each for each in moved if each not in both], stored, survivor)
    _record(tx, BOTH, both, stored, survivor)


def _undo(tx: Transaction, stored: Stored, survivor: Reference) -> None:
    """What was moved to the heir, and on to its heirs, goes back; so do rights to them."""
    heirs = _heirs(tx, survivor)
    moved = [
        each
        for each in _moved(tx, stored, survivor)
        if tx.owner(each) in (stored.owner, HUB) and any(_names(tx, each, one) for one in heirs)
    ]
    _lead(tx, stored, moved, dict.fromkeys(heirs, stored.reference))
    reasons = {*moved, *(each.because for each in tx.granted(stored.reference))}
    for one in heirs:
        for given in tx.granted(one):
            if given.because in reasons and not _asks_for(tx, given.because, one):
                tx.end(one, given.because)
                tx.grant(replace(given, resource=stored.reference))
    _record(tx, UNDONE, moved, stored, survivor)


def _lead(
    tx: Transaction, stored: Stored, found: Sequence[Reference], leads: Mapping[str, Reference]
) -> None:
    for each in found:
        led = rewrite(tx.content(each) or {}, leads)
        writer = KEEPER if tx.owner(each) == HUB else Context(stored.owner, "gateway")
        tx.put(writer, gates.check(led, models=False), interaction="update")


def _moved(tx: Transaction, retired: Stored, survivor: Reference) -> list[Reference]:
    """What the last merge of the one into the other moved, as its Provenance has it."""
    named = (each for each in tx.referring(retired.owner, retired.reference))
    records = [tx.content(each) or {} for each in named if each.startswith("Provenance/")]
    merges = [
        each
        for each in records
        if (each.get("activity") or {}).get("text") == MERGED
        and each.get("entity") == _entity(retired.reference, survivor)
    ]
    last = max(merges, key=lambda each: str(each["recorded"]), default={})
    return [str(each["reference"]) for each in last.get("target") or []]


def _heirs(tx: Transaction, first: Reference) -> list[Reference]:
    """A Patient and its heirs after it."""
    found = [first]
    while (then := heir(tx.content(found[-1]) or {})) and then not in found:
        found.append(then)
    return found


def _names(tx: Transaction, reference: Reference, patient: Reference) -> bool:
    content = tx.content(reference)
    return content is not None and any(to == patient for _, to in references(content))


def _asks_for(tx: Transaction, task: Reference, patient: Reference) -> bool:
    """Whether a Task, or what it asks for, is about a Patient."""
    focus = ((tx.content(task) or {}).get("focus") or {}).get("reference") or ""
    return _names(tx, task, patient) or _names(tx, str(focus), patient)


def _record(
    tx: Transaction,
    activity: str,
    moved: Sequence[Reference],
    retired: Stored,
    survivor: Reference,
) -> None:
    if not moved:
        return
    context = Context(retired.owner, "gateway")
    record: Resource = {
        "resourceType": "Provenance",
        "id": str(uuid4()),
        "target": [{"reference": each} for each in moved],
        "recorded": retired.updated.isoformat(timespec="milliseconds"),
        "activity": {"text": activity},
        "agent": [{"who": {"reference": context.organization}}],
        "entity": _entity(retired.reference, survivor),
    }
    tx.put(context, gates.check(record, models=False), interaction="create")


def _entity(retired: Reference, survivor: Reference) -> list[Resource]:
    return [
        {"role": "removal", "what": {"reference": retired}},
        {"role": "source", "what": {"reference": survivor}},
    ]
