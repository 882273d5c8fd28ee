"""What a row made and makes no more leaves the hub: deleted, or, where others need it, entered in
error, or no longer active."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, Literal

from gateway.admission.rules import Change, Hall, admit
from gateway.errors import GatewayError, Unavailable
from gateway.fhir import gates
from gateway.fhir.elements import element
from gateway.model import Context, Reference, Resource
from gateway.store import Transaction

IN_ERROR: Final = "entered-in-error"
_VERIFICATION: Final = "http://terminology.hl7.org/CodeSystem/condition-ver-status"


def leave(
    hall: Hall, tx: Transaction, context: Context, reference: Reference
) -> Literal["update", "delete"] | None:
    """Take a resource out as far as it goes; None where there is nothing that could be done."""
    if tx.owner(reference) != context.agency:
        return None
    type_, _, id_ = reference.partition("/")
    if not _is_held(tx, context, reference):
        tx.delete(context, type_, id_)
        return "delete"
    content = tx.content(reference)
    marked = _marked(content) if content is not None else None
    if marked is None:
        return None
    try:
        change = Change(gates.check(marked, models=False))
        (written,) = admit(hall, tx, context, [change], trusted=True)
    except Unavailable:
        raise
    except GatewayError:
        return None
    return None if written.unchanged else "update"


def _is_held(tx: Transaction, context: Context, reference: Reference) -> bool:
    """Whether others refer to it, or another agency has it."""
    now = datetime.now(UTC)
    grants = [each for each in tx.granted(reference) if each.agency != context.agency]
    if any(each.until is None or each.until > now for each in grants):
        return True
    return any(each != reference for each in tx.referrers(reference, count=2))


def _marked(content: Resource) -> Resource | None:
    """A resource that says of itself that it was an error, or isn't active; None where none can."""
    type_ = content["resourceType"]
    if type_ == "Condition":
        said = {"coding": [{"system": _VERIFICATION, "code": IN_ERROR}]}
        rest = {key: value for key, value in content.items() if key != "clinicalStatus"}
        return {**rest, "verificationStatus": said}
    status = element(f"{type_}.status")
    codes = status.binding.codes if status is not None and status.binding is not None else None
    for code in (IN_ERROR, "inactive"):
        if codes is not None and code in codes:
            return {**content, "status": code}
    return {**content, "active": False} if element(f"{type_}.active") is not None else None
