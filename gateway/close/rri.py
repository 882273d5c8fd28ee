"""RRI^I12: the answer to a referral (HL7 v2.3 to 2.8, chapter 11, return referral information).

RF1-1 from table 0283 says how it stands, MSA-2 which message it answers, NTE why. An agency
whose profile has RRI for the outcome too is told it in NTE, after the same structure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from gateway.close.case import Case, escape, field, required
from gateway.close.served import services
from gateway.close.structure import (
    finish,
    originator,
    ours,
    patient,
    put,
    stamp,
    start,
    version,
    wording,
)
from gateway.errors import CloseError

STATUS: Final[Mapping[str, str]] = {
    "requested": "P^Pending^HL70283",
    "accepted": "A^Accepted^HL70283",
    "in-progress": "A^Accepted^HL70283",
    "on-hold": "A^Accepted^HL70283",
    "completed": "A^Accepted^HL70283",
    "rejected": "R^Rejected^HL70283",
    "failed": "R^Rejected^HL70283",
    "cancelled": "R^Rejected^HL70283",
}
"""Task.status to RF1-1, by our ConceptMap (referral-protocol.md, section 3)."""

_ENDS: Final = frozenset({"completed", "failed", "cancelled"})
_PERSON: Final = {1: 1, 2: 1, 3: 1}


def build(case: Case) -> bytes:
    """The RRI for the Task as it stands, unframed. Raises CloseError."""
    if case.status not in STATUS:
        raise CloseError("an RRI has no word for this status", place="Task.status")
    message = start(case, "RRI", "I12")
    put(message.msa, 1, "AA")
    put(message.msa, 2, field(required(case.original, "MSH"), 10, {1: 1}))
    put(message.rf1, 1, STATUS[case.status])
    put(message.rf1, 6, originator(case))
    put(message.rf1, 9, stamp(case.at))
    put(message.rf1, 11, ours(case))
    for role, name in _providers(case):
        prd = message.add_group(_group(case)).add_segment("PRD")
        put(prd, 1, role)
        put(prd, 2, name)
    patient(case, message.pid)
    for number, line in enumerate(_remarks(case), 1):
        nte = message.add_segment("NTE")
        put(nte, 1, str(number))
        put(nte, 3, escape(line))
    return finish(message, case)


def _group(case: Case) -> str:
    return "RRI_I12_PROVIDER" if version(case) == "2.3" else "RRI_I12_PROVIDER_CONTACT"


def _providers(case: Case) -> Iterator[tuple[str, str]]:
    """(PRD-1, PRD-2): the referring provider as the sender wrote it, and who answers."""
    for each in case.original.segments:
        if each.name == "PRD" and field(each, 1, {1: 1}) == "RP":
            yield field(each, 1, _PERSON), field(each, 2, _PERSON)
    yield "RT^Referred to Provider^HL70286", escape(case.performer)


def _remarks(case: Case) -> Iterator[str]:
    """The NTEs: how it ended, what was done and when, and why."""
    if case.status in _ENDS:
        yield f"Referral {case.status}"
    for service in services(case):
        yield ", ".join(filter(None, (wording(service.concept), service.date[:10])))
    if case.reason:
        yield case.reason
