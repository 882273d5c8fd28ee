"""A victim service provider's clients: their records don't enter the hub (DESIGN, section 7).

What it sends of a person is a pseudonym, and a referral to or from it goes under one: 34 USC
12291(b)(2). What says more is refused at the door, so that nobody has to be trusted to hide it.
"""

from __future__ import annotations

from typing import Final

from gateway.errors import RouteError
from gateway.members import Members
from gateway.model import HUB, Context, Resource
from gateway.route.requests import is_pseudonymous
from gateway.store import Transaction, Written

PERSONS: Final = frozenset({"Patient", "RelatedPerson", "Person"})
"""The resources that are a person's record."""

_TOLD: Final = "a victim service provider's client goes under a pseudonym alone"


def check(members: Members, context: Context, person: Resource) -> Resource:
    """A person's record, if its agency may bring so much of it into the hub.

    Raises:
        RouteError: a victim service provider's that tells who it is.
    """
    if _is_confidential(members, context.agency) and not is_pseudonymous(person):
        raise RouteError(_TOLD, place=str(person["resourceType"]))
    return person


def hold(tx: Transaction, members: Members, written: Written) -> None:
    """Before a Task leads to anything: who asks or is asked may be told who it is for.

    Raises:
        RouteError: one of them is a victim service provider, and it isn't for a pseudonym.
    """
    task = tx.content(written.reference) or {}
    asked = members.directory.by_reference((task.get("owner") or {}).get("reference") or "")
    sides = {written.owner, asked} - {None, HUB}
    if len(sides) < 2 or not any(_is_confidential(members, str(each)) for each in sides):
        return
    for place in ("for", "focus"):
        if not _is_hidden(tx, task.get(place) or {}):
            raise RouteError(_TOLD, place=f"Task.{place}")


def _is_hidden(tx: Transaction, link: Resource) -> bool:
    """Whether what a Task refers to tells nobody who the person is; what isn't found might."""
    reference = (link.get("reference") or "").partition("/_history/")[0]
    found = tx.content(reference) if reference else {}
    if found is None or "display" in link:
        return False
    return _is_hidden(tx, found["subject"]) if "subject" in found else is_pseudonymous(found)


def _is_confidential(members: Members, agency: str) -> bool:
    known = members.get(agency) if agency != HUB else None
    return known is not None and known.confidential
