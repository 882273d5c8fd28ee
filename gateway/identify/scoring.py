"""How like two records of a person are: weights of evidence, and plain rules for certainty.

After Fellegi and Sunter: each element that both have adds to or takes from the log odds; what one
lacks says nothing. Certainty never comes of a sum alone: a rule must name what agrees. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import exp
from typing import Any, Final, Literal

from jellyfish import metaphone
from rapidfuzz.distance import OSA, JaroWinkler
from rapidfuzz.fuzz import token_sort_ratio

from gateway.fhir import codes
from gateway.model import Resource

Grade = Literal["certain", "probable", "possible", "certainly-not"]

PRIOR: Final = -6.0
"""The log odds that two records that share something to be found by are of one person."""

PROBABLE: Final = 0.9
POSSIBLE: Final = 0.5
HOUSEHOLD: Final = 0.8
"""The most for another given name: twins share a birth date, a family name, a home, a telephone."""

_MARKS: Final = re.compile(r"[^\w]+")


@dataclass(frozen=True, slots=True)
class Score:
    """``value`` from 0 to 1, and what it is worth (R4 extension match-grade)."""

    value: float
    grade: Grade


@dataclass(frozen=True, slots=True)
class Evidence:
    """How an element compares: ``weight`` in log odds, ``agrees`` where it is as good as equal."""

    weight: float
    agrees: bool = False


_NOTHING: Final = Evidence(0.0)


def score(wanted: Resource, found: Resource) -> Score:
    """How likely two Patients are one person, by what both of them say."""
    evidence = {name: compare(wanted, found) for name, compare in COMPARED.items()}
    odds = PRIOR + sum(one.weight for one in evidence.values())
    value = 1 / (1 + exp(-odds))
    agreed = {name for name, one in evidence.items() if one.agrees}
    against = any(one.weight < -1 for one in evidence.values())
    if _certain(agreed) and not against:
        return Score(round(max(value, 0.99), 4), "certain")
    if evidence["given"].weight < -1 and "identifier" not in agreed:
        value = min(value, HOUSEHOLD)
    if value >= PROBABLE:
        return Score(round(min(value, 0.98), 4), "probable")
    return Score(round(value, 4), "possible" if value >= POSSIBLE else "certainly-not")


def _certain(agreed: set[str]) -> bool:
    """A number and the person it was given to; or name, birth date and a way to reach them."""
    if "identifier" in agreed:
        return bool(agreed & {"family", "birthDate"})
    reach = agreed & {"phone", "email", "address"}
    return {"family", "given", "birthDate"} <= agreed and bool(reach)


# --- what is compared -----------------------------------------------------------------------------


def _identifiers(wanted: Resource, found: Resource) -> Evidence:
    """The same number in the same system; another number there says little: people get new ones."""
    left, right = (_pairs(one) for one in (wanted, found))
    if left & right:
        return Evidence(9.0, True)
    return Evidence(-0.5) if {s for s, _ in left} & {s for s, _ in right} else _NOTHING


def _pairs(patient: Resource) -> set[tuple[str, str]]:
    return {
        (str(one["system"]), folded(one["value"]))
        for one in patient.get("identifier") or []
        if one.get("system") and one.get("value") and one["system"] != codes.SSN_HASH
    }


def _family(wanted: Resource, found: Resource) -> Evidence:
    likeness = _best(_names(wanted, "family"), _names(found, "family"))
    return _graded(likeness, 3.0, -3.0)


def _given(wanted: Resource, found: Resource) -> Evidence:
    likeness = _best(_names(wanted, "given"), _names(found, "given"))
    return _graded(likeness, 2.5, -3.5)


def _graded(likeness: float | None, best: float, worst: float) -> Evidence:
    """From a likeness: alike, nearly (a typing error, the same sound), or not."""
    if likeness is None:
        return _NOTHING
    if likeness >= 0.97:
        return Evidence(best, True)
    if likeness >= 0.88:
        return Evidence(best * 0.6)
    return Evidence(worst if likeness < 0.75 else 0.0)


def _names(patient: Resource, part: str) -> set[str]:
    found: set[str] = set()
    for name in patient.get("name") or []:
        given = name.get(part)
        for text in given if isinstance(given, list) else [given]:
            if isinstance(text, str) and folded(text):
                found.add(folded(text))
    return found


def _best(left: Iterable[str], right: Iterable[str]) -> float | None:
    pairs = [(one, other) for one in left for other in right]
    return max((_alike(one, other) for one, other in pairs), default=None)


def _alike(one: str, other: str) -> float:
    likeness = JaroWinkler.similarity(one, other)
    sounds = metaphone(one)
    if likeness < 0.9 and sounds and sounds == metaphone(other):
        return 0.9
    return float(likeness)


def _birth(wanted: Resource, found: Resource) -> Evidence:
    left, right = wanted.get("birthDate"), found.get("birthDate")
    if not isinstance(left, str) or not isinstance(right, str):
        return _NOTHING
    if _is_rough(wanted) or _is_rough(found):
        return Evidence(1.5 if left[:4] == right[:4] else -0.5)
    if left == right:
        return Evidence(4.5, len(left) == 10)
    if len(left) != len(right):
        shorter, longer = sorted((left, right), key=len)
        return Evidence(1.5) if longer.startswith(shorter) else Evidence(-4.0)
    swapped = "-".join((left[:4], left[8:], left[5:7]))
    return Evidence(1.5 if swapped == right or OSA.distance(left, right) == 1 else -4.0)


def _is_rough(patient: Resource) -> bool:
    """Whether the birth date is said to be approximate or partial."""
    said = (patient.get("_birthDate") or {}).get("extension") or []
    return any(each.get("url") == codes.DATA_QUALITY for each in said)


def _gender(wanted: Resource, found: Resource) -> Evidence:
    left, right = wanted.get("gender"), found.get("gender")
    sure = {"male", "female"}
    if left not in sure or right not in sure:
        return _NOTHING
    return Evidence(0.5, True) if left == right else Evidence(-1.0)


def _contacts(system: str, read: Callable[[str], str], weight: float) -> Any:
    def compare(wanted: Resource, found: Resource) -> Evidence:
        left, right = (set(_telecom(one, system, read)) for one in (wanted, found))
        if not left or not right:
            return _NOTHING
        return Evidence(weight, True) if left & right else Evidence(-0.3)

    return compare


def _telecom(patient: Resource, system: str, read: Callable[[str], str]) -> Iterator[str]:
    for one in patient.get("telecom") or []:
        value = one.get("value")
        if one.get("system") == system and isinstance(value, str) and read(value):
            yield read(value)


def phone(text: str) -> str:
    """A telephone number's last ten digits; "" where there are fewer than seven."""
    digits = re.sub(r"\D", "", text)
    return digits[-10:] if len(digits) >= 7 else ""


def _address(wanted: Resource, found: Resource) -> Evidence:
    pairs = [
        (one, other) for one in wanted.get("address") or [] for other in found.get("address") or []
    ]
    return max((_place(*pair) for pair in pairs), key=lambda one: one.weight, default=_NOTHING)


def _place(one: Resource, other: Resource) -> Evidence:
    zips = [str(each.get("postalCode", ""))[:5] for each in (one, other)]
    lines = [folded(" ".join(map(str, each.get("line") or []))) for each in (one, other)]
    same = bool(zips[0]) and zips[0] == zips[1]
    if all(lines) and token_sort_ratio(*lines) >= 90:
        return Evidence(3.0, True) if same or not all(zips) else Evidence(1.0)
    return Evidence(0.8) if same else Evidence(-0.2)


def folded(text: str) -> str:
    """A name or line without case and marks."""
    return " ".join(_MARKS.sub(" ", str(text).casefold()).split())


COMPARED: Final[dict[str, Callable[[Resource, Resource], Evidence]]] = {
    "identifier": _identifiers,
    "family": _family,
    "given": _given,
    "birthDate": _birth,
    "gender": _gender,
    "phone": _contacts("phone", phone, 3.0),
    "email": _contacts("email", lambda text: text.strip().casefold(), 3.5),
    "address": _address,
}
"""What is compared, and how."""
