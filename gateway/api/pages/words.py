"""What the light page says of a referral, in plain words; Jinja2 escapes all of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from gateway.light import Move, Sight
from gateway.model import Resource

_STANDS: Final = {
    "requested": "waits for your answer",
    "accepted": "you accepted it",
    "in-progress": "in progress",
    "on-hold": "on hold",
    "rejected": "you declined it",
    "completed": "done: the person was served",
    "cancelled": "cancelled",
    "failed": "couldn't be done",
    "entered-in-error": "sent by mistake",
}
_PROHIBITED: Final = "contacting-subject-prohibited"
_URGENT: Final = ("urgent", "asap", "stat")


@dataclass(frozen=True, slots=True)
class Words:
    """The page's lines: (label, value) pairs about the referral and about the person."""

    title: str
    stands: str
    used: bool
    urgent: bool
    silent: bool
    about: tuple[tuple[str, str], ...]
    person: tuple[tuple[str, str], ...]
    moves: tuple[Move, ...]
    version: int
    until: str
    today: str


def words(sight: Sight) -> Words:
    """The words for what a link shows."""
    task, request = sight.task, sight.request
    return Words(
        title=concept(request.get("code")) or concept(task.get("code")) or "A referral",
        stands=_STANDS.get(str(task.get("status")), ""),
        used=sight.used,
        urgent=(request.get("priority") or task.get("priority")) in _URGENT,
        silent=_is_silent(request),
        about=_filled(_about(sight)),
        person=_filled(_person(sight.person)),
        moves=sight.moves,
        version=sight.version,
        until=f"{sight.link.until:%Y-%m-%d}",
        today=f"{datetime.now(UTC):%Y-%m-%d}",
    )


def concept(value: Any) -> str:
    """A CodeableConcept's text, else its first display or code."""
    value = value or {}
    codings = value.get("coding") or [{}]
    return str(value.get("text") or codings[0].get("display") or codings[0].get("code") or "")


def _is_silent(request: Resource) -> bool:
    """Whether the person may not be contacted (SDOH-CC: the asker's flag for their safety)."""
    details = request.get("orderDetail") or []
    codings = (coding for detail in details for coding in detail.get("coding") or [])
    return any(coding.get("code") == _PROHIBITED for coding in codings)


def _about(sight: Sight) -> list[tuple[str, str]]:
    task, request = sight.task, sight.request
    notes = [*(request.get("note") or []), *(task.get("note") or [])]
    reason = task.get("statusReason")
    because = [*(request.get("reasonCode") or []), *(each.get("code") for each in sight.reasons)]
    return [
        ("Asked by", sight.asker),
        ("Asked on", str(task.get("authoredOn") or "")[:10]),
        ("Kind of need", ", ".join(filter(None, map(concept, request.get("category") or [])))),
        ("Because of", ", ".join(dict.fromkeys(filter(None, map(concept, because))))),
        ("Description", str(task.get("description") or "")),
        ("Reason given", concept(reason)),
        *(("Note", str(each.get("text") or "")) for each in notes),
    ]


def _person(person: Resource) -> list[tuple[str, str]]:
    languages = (each.get("language") for each in person.get("communication") or [])
    return [
        ("Name", "; ".join(dict.fromkeys(map(_name, person.get("name") or [])))),
        ("Born", str(person.get("birthDate") or "")),
        ("Gender", str(person.get("gender") or "")),
        ("Speaks", ", ".join(filter(None, map(concept, languages)))),
        *(("Reach at", str(each.get("value") or "")) for each in person.get("telecom") or []),
        *(("Address", _address(each)) for each in person.get("address") or []),
    ]


def _name(name: Any) -> str:
    parts = [*(name.get("given") or []), name.get("family")]
    return str(name.get("text") or " ".join(str(each) for each in parts if each))


def _address(address: Any) -> str:
    parts = [*(address.get("line") or [])]
    parts += [address.get(each) for each in ("city", "state", "postalCode")]
    return str(address.get("text") or ", ".join(str(each) for each in parts if each))


def _filled(pairs: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(pair for pair in pairs if pair[1].strip())
