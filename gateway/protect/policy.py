"""Who may call a route at all. Every route names one of these, or the server doesn't start.

A policy only opens the door: scopes bound what the caller may do behind it, ownership and grants
what it may see.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from gateway.errors import Denied
from gateway.model import HUB, Context


class Policy(StrEnum):
    """The doors: anybody, whoever bears a key, an agency's own key, an admin's key.

    METRICS opens to an admin and to keys that open nothing else.
    """

    PUBLIC = "public"
    MEMBER = "member"
    AGENCY = "agency"
    ADMIN = "admin"
    METRICS = "metrics"


METRICS: Final = frozenset({"gateway/metrics"})
"""The scopes of a key that reads ``/metrics``, and opens no other door."""


def admit(policy: Policy, context: Context) -> None:
    """Refuse a caller who has a key, but not the one that this door asks for (``Denied``)."""
    if policy is Policy.METRICS:
        if not (context.admin or context.scopes == METRICS):
            raise Denied("an admin's key is needed here, or one for metrics")
    elif context.scopes == METRICS:
        raise Denied("this key is for metrics alone")
    if policy is Policy.ADMIN and not context.admin:
        raise Denied("an admin's key is needed here")
    if policy is Policy.AGENCY and context.agency in ("", HUB):
        raise Denied("an agency's own key is needed here")
