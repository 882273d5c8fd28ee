"""How resources leave the hub: by their owner alone, and only what nobody else has or refers to.

R4 http, 3.1.0.7. A deletion is a last version: what was stays to be read in the history.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from gateway.errors import Conflict, Denied, Issue, PreconditionFailed
from gateway.fhir.interaction import Request
from gateway.fhir.references import references
from gateway.model import Context, Reference
from gateway.store import Transaction, Written

SHOWN: Final = 10
"""How many of those that refer to a resource are told of."""


def remove(tx: Transaction, context: Context, request: Request) -> Written | None:
    """Delete what a request names; None where there is nothing that its caller may see.

    Raises:
        Denied: it isn't the caller's own.
        Conflict: another agency has it.
        PreconditionFailed: another version is current.
    """
    reference = request.reference
    place = request.at("url") or request.type
    owner = tx.owner(reference)
    if owner is None or not tx.visible(context, reference):
        if request.if_match is not None:
            raise PreconditionFailed("there is none", place=request.at("ifMatch") or "If-Match")
        return None
    if owner != context.agency:
        raise Denied("only its owner may delete it", place=place)
    if request.if_match not in (None, tx.version(reference)):
        raise PreconditionFailed(
            "another version is current", place=request.at("ifMatch") or "If-Match"
        )
    now = datetime.now(UTC)
    held = [each for each in tx.granted(reference) if each.agency != owner]
    if any(each.until is None or each.until > now for each in held):
        raise Conflict("another agency has it by a referral: end it, don't delete it", place=place)
    deleted = tx.delete(context, request.type, request.id)
    settle = SETTLES.get(request.type)
    if settle is not None:
        settle(tx, reference)
    return deleted


def check_left(tx: Transaction, context: Context, removed: Mapping[Reference, str]) -> None:
    """Once all is written: nothing may refer to what was deleted (each with its request's place).

    Raises:
        Conflict: something does; an issue for each place that the caller may see.
    """
    for reference, place in removed.items():
        left = [each for each in tx.referrers(reference, count=SHOWN + 1) if each != reference]
        if left:
            raise _conflict(tx, context, reference, left, place)


def _conflict(
    tx: Transaction, context: Context, reference: Reference, left: list[Reference], place: str
) -> Conflict:
    seen = [each for each in left if tx.visible(context, each)][:SHOWN]
    issues = [
        Issue(f"{each} refers to it", where, Conflict.code, Conflict.condition)
        for each in seen
        for where, target in references(tx.content(each) or {})
        if target.partition("/_history/")[0] == reference
    ]
    text = "others refer to it" if seen else "what another agency has refers to it"
    return Conflict(text, place=place, more=issues)


def _end_referral(tx: Transaction, reference: Reference) -> None:
    tx.revoke(reference)


def _end_subscription(tx: Transaction, reference: Reference) -> None:
    tx.mark(reference.partition("/")[2], "off")


SETTLES: Final[Mapping[str, Callable[[Transaction, Reference], None]]] = {
    "Task": _end_referral,
    "Subscription": _end_subscription,
}
"""What follows a deletion."""
