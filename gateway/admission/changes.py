"""What an entry of a translation changes: of a message as of a row."""

from __future__ import annotations

from datetime import datetime

from gateway.admission.rules import Change
from gateway.fhir import gates
from gateway.identify.late import filled
from gateway.model import Entry
from gateway.store import Prepared, Transaction
from gateway.translate import merge


def change(
    tx: Transaction,
    entry: Entry,
    prepared: Prepared | None,
    said: datetime | None,
    *,
    late: bool = False,
) -> Change:
    """What an entry makes of what the hub has. Where it can be as it was ``prepared``, it is.

    ``said`` is the time of what says so; ``late``: the hub knows newer, and only what lacks is
    added. Raises InvalidResource.
    """
    reference = entry.reference
    if prepared is not None and (not tx.version(reference) or tx.holds(reference, prepared.digest)):
        return Change(prepared.resource, said=said, prepared=prepared)
    current = tx.content(reference)
    body = filled(current, entry) if late and current else merge(current, entry)
    return Change(gates.check(body, models=False), said=said)
