"""Which search parameters find by the rows of others: what is filed once needn't be filed twice.

An Observation's ``combo-code`` looks at what ``code`` and ``component-code`` look at, a Coverage's
``patient`` at what ``beneficiary`` does. A Condition's ``subject`` looks at what ``patient`` does
and at more: a row that both would have is filed as ``patient``'s alone, and found by both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any


def holding(
    looks: Mapping[str, Sequence[Any]], is_within: Callable[[Any, Any], bool]
) -> Mapping[str, tuple[str, ...]]:
    """By code of those that look at all that others look at, and at more: which others.

    ``is_within`` says whether all that one look finds is found by the other, too.
    """
    found: dict[str, list[str]] = {}
    for code, own in looks.items():
        for other, theirs in looks.items():
            if all(any(is_within(each, one) for one in own) for each in theirs):
                found.setdefault(code, []).append(other)
    return {code: tuple(others) for code, others in found.items()}


def sharing(looks: Mapping[str, Sequence[Any]]) -> Mapping[str, tuple[str, ...]]:
    """By code of those that need no rows of their own, whose rows say the same.

    ``looks`` is what each parameter looks at: values that are equal where that is the same.
    """
    found: dict[str, list[str]] = {}
    for code in sorted(looks, key=lambda code: -len(looks[code])):
        own = looks[code]
        inside = [
            other
            for other, theirs in looks.items()
            if other not in found and other != code and all(each in own for each in theirs)
        ]
        if all(any(each in looks[other] for other in inside) for each in own):
            found[code] = inside
    # What was named before it was found to be the same as others: those are named, too.
    return {code: tuple(o for o in inside if o not in found) for code, inside in found.items()}
