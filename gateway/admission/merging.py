"""What the hub does when one Patient takes another's place, whichever way it came in.

Whatever of the same agency, or of the hub on its behalf, refers to the retired Patient refers to
its heir from then on, and who could read the one can read the other. A Provenance says what was
moved, so that it can be undone: its targets are the resources, its entities the retired Patient
(removal) and the heir (source). Found by the search rows: a reference that no R4 search parameter
covers stays where it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from uuid import uuid4

from gateway.fhir import gates
from gateway.fhir.references import rewrite
from gateway.identify.merge import heir
from gateway.members import KEEPER
from gateway.model import HUB, Context, Reference, Resource, Stored
from gateway.store import Transaction

STAYS: Final = frozenset({"Patient", "Provenance"})
"""What still names the retired Patient: the links themselves, and the record of what was said."""


def settle(tx: Transaction, before: Resource | None, stored: Stored) -> None:
    """Follow a Patient's new version. Run again it changes nothing."""
    patient = tx.content(stored.reference)
    survivor = heir(patient) if patient else None
    if survivor is None or survivor == heir(before or {}) or tx.owner(survivor) != stored.owner:
        return
    context = Context(stored.owner, "gateway")
    moved = []
    for writer in (context, KEEPER):  # the hub asks for the person too, on its agency's behalf
        named = tx.referring(writer.agency, stored.reference)
        moved += [each for each in named if each.partition("/")[0] not in STAYS]
    tx.fetch(moved)
    for each in moved:
        led = rewrite(tx.content(each) or {}, {stored.reference: survivor})
        writer = KEEPER if tx.owner(each) == HUB else context
        tx.put(writer, gates.check(led, models=False), interaction="update")
    for grant in tx.granted(stored.reference):
        tx.grant(replace(grant, resource=survivor))
    if moved:
        record = _record(context, moved, stored, survivor)
        tx.put(context, gates.check(record, models=False), interaction="create")


def _record(
    context: Context, moved: Sequence[Reference], retired: Stored, survivor: Reference
) -> Resource:
    return {
        "resourceType": "Provenance",
        "id": str(uuid4()),
        "target": [{"reference": each} for each in moved],
        "recorded": retired.updated.isoformat(timespec="milliseconds"),
        "activity": {"text": "merge"},
        "agent": [{"who": {"reference": context.organization}}],
        "entity": [
            {"role": "removal", "what": {"reference": retired.reference}},
            {"role": "source", "what": {"reference": survivor}},
        ],
    }
