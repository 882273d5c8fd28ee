"""Which of a search's conditions to start from: a guess at what usually finds least."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from gateway.fhir.moments import is_moment
from gateway.fhir.query import (
    Chain,
    Compartment,
    Composite,
    Condition,
    Criterion,
    Has,
    Kind,
)
from gateway.fhir.search_parameters import COLUMNS

_NARROW: Final[dict[Kind, float]] = {
    "reference": 1,
    "uri": 2,
    "string": 3,
    "date": 5,
    "token": 6,
    "number": 7,
    "quantity": 8,
}


def chosen(conditions: Sequence[Condition]) -> Condition | None:
    """What to start from; None: from the type or the ids."""
    if any(isinstance(c, Criterion) and c.param == "_id" for c in conditions):
        return None
    return min((c for c in conditions if _can_start(c)), key=breadth, default=None)


def others(types: Sequence[str], conditions: Sequence[Condition]) -> list[int]:
    """What else a search might start from, where the guess finds much: what is sought by a value.

    By their places among the conditions.
    """
    start = chosen(conditions)
    return [n for n, one in enumerate(conditions) if one is not start and _is_sought(types, one)]


def _is_sought(types: Sequence[str], condition: Condition) -> bool:
    """Whether counting what it finds, up to some, costs no more than these."""
    if not isinstance(condition, Criterion) or condition.modifier not in ("", "exact"):
        return False
    if is_of_a_moment(types, condition):  # a day of birth, for one
        times: tuple[Any, ...] = condition.values
        return all(value.prefix == "eq" for value in times)
    if condition.param in COLUMNS or condition.kind not in ("token", "reference", "string", "uri"):
        return False
    values: tuple[Any, ...] = condition.values
    return condition.kind != "token" or all(value.code is not None for value in values)


def ends(start: Condition | None) -> list[tuple[str, Criterion]]:
    """The criteria that the chains of a condition end at, each with the type that it asks of."""
    if isinstance(start, Chain):
        steps = list(start.targets)
    elif isinstance(start, Has):
        steps = [(start.type, start.meets)]
    else:
        return []
    further = [end for _, one in steps for end in ends(one)]
    here = [(type, one) for type, one in steps if isinstance(one, Criterion) and _can_start(one)]
    return here + further


def is_narrow(conditions: Sequence[Condition]) -> bool:
    """Whether a search starts from what finds one or a few, whoever asks."""
    if any(isinstance(c, Criterion) and c.param == "_id" for c in conditions):
        return True
    start = chosen(conditions)
    return start is not None and breadth(start) < 1


def together(
    types: Sequence[str], start: Condition, conditions: Sequence[Condition]
) -> list[Criterion]:
    """What else is asked of the one row that ``start`` is about: of a span both its ends."""
    if not isinstance(start, Criterion) or not is_of_a_moment(types, start):
        return []
    return [
        c
        for c in conditions
        if isinstance(c, Criterion)
        and c is not start
        and (c.param, c.modifier, c.missing) == (start.param, "", None)
    ]


def is_of_a_moment(types: Sequence[str], criterion: Criterion) -> bool:
    """Whether it is about the one row, no longer than a year, that a resource has."""
    return (
        criterion.kind == "date"
        and not criterion.modifier
        and len(types) == 1
        and is_moment(types[0], criterion.param)
    )


def breadth(condition: Condition) -> float:
    """How much a condition usually finds: a guess, to choose by."""
    match condition:
        case Criterion():
            if condition.param in COLUMNS or _names_few(condition):
                return 0
            contains = 10 if condition.modifier == "contains" else 0
            return _NARROW[condition.kind] + contains
        case Composite():
            return max(min(breadth(one) for one in each) for each in condition.alternatives)
        case Chain():
            return 0.5 + max(breadth(one) for _, one in condition.targets)
        case Has():
            return 0.5 + breadth(condition.meets)
        case Compartment():
            return 1.5
    return 2.5


def _names_few(criterion: Criterion) -> bool:
    """Whether it asks for identifiers by value: a system alone has very many."""
    values: tuple[Any, ...] = criterion.values
    return criterion.param == "identifier" and all(value.code is not None for value in values)


def _can_start(condition: Condition) -> bool:
    match condition:
        case Criterion():
            return condition.param not in COLUMNS and condition.modifier not in ("not", "missing")
        case Composite():
            return condition.missing is None
        case Chain():
            return all(_can_begin(one) for _, one in condition.targets)
        case Has():
            return _can_begin(condition.meets)
        case Compartment():
            return not condition.itself
    return True


def _can_begin(condition: Condition) -> bool:
    return _can_start(condition) or (
        isinstance(condition, Criterion) and condition.param == "_id" and not condition.modifier
    )
