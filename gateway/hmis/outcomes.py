"""How a referral stands, in the words of HMIS's Event.csv (list 4.20.D, ReferralResult)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, tzinfo
from types import MappingProxyType
from typing import Final

from gateway.model import Resource

RESULTS: Final = MappingProxyType(
    {"completed": "1", "cancelled": "2", "rejected": "3", "failed": "3"}
)
"""ReferralResult by Task.status. A referral that is still open has none; HMIS can't tell who gave
up one that was cancelled, and knows only "client rejected"; a service that failed is its
provider's."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """ReferralResult, ResultDate and DateUpdated as Event.csv writes them."""

    result: str
    date: str
    updated: str


def outcome(task: Resource, zone: tzinfo) -> Outcome | None:
    """What became of a referral; None while it is open, or where it was a mistake."""
    result = RESULTS.get(str(task.get("status")))
    if result is None:
        return None
    updated = _moment(str(task["meta"]["lastUpdated"]), zone)
    said = str(task.get("lastModified") or "")
    ended = _day(said, zone) if said else updated[:10]
    return Outcome(result, ended, updated)


def moment(text: str, zone: tzinfo) -> str:
    """A FHIR dateTime as HMIS writes one; a date alone is its beginning."""
    return _moment(text, zone) if "T" in text else f"{text[:10]} 00:00:00"


def _moment(text: str, zone: tzinfo) -> str:
    return datetime.fromisoformat(text).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def _day(text: str, zone: tzinfo) -> str:
    return _moment(text, zone)[:10] if "T" in text else text[:10]
