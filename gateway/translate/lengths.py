"""Lengths of time: a number and a unit, added to a time (``plus``, ``minus``) or counted.

Only units of one length serve: a month has none. Units go by UCUM's codes and by the words that
senders write for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from gateway.record import Node
from gateway.translate.code import At, Code, Write
from gateway.translate.functions import leaf
from gateway.translate.run import Read, Run, Scope
from gateway.translate.values import parse_decimal

_WORDS: Final = (
    (1, "s sec secs second seconds"),
    (60, "min mins minute minutes"),
    (3600, "h hr hrs hour hours"),
    (86400, "d day days"),
    (604800, "wk week weeks"),
)
UNITS: Final[Mapping[str, int]] = MappingProxyType(
    {word: seconds for seconds, words in _WORDS for word in words.split()}
)
"""Seconds in a unit of time, by its code or word in small letters."""

LONGEST: Final = Decimal(10**9)
"""Seconds: some 31 years. What is longer is a slip of the sender's."""

Find = Callable[[Run, Scope, "Node | None"], "Node | None"]
Length = Callable[[Run, Scope, "Node | None"], "tuple[Decimal, Node] | None"]
"""Seconds and the node of the number; None where there is none, or after a warning."""


def length(number: Find, units: tuple[Find | int, ...]) -> Length:
    """The seconds of a number in the first of ``units`` that is there; an int is one as it is."""

    def read(run: Run, scope: Scope, node: Node | None) -> tuple[Decimal, Node] | None:
        found = number(run, scope, node)
        text = leaf(run, found)
        if text is None or found is None:
            return None
        value = parse_decimal(text.strip())
        if value is None or value < 0:
            run.warn(found, "can't be read as a length of time; left out", condition="102")
            return None
        seconds = _unit(run, scope, node, units)
        if seconds is None or value * seconds > LONGEST:
            run.warn(found, "a length of time without a unit that can be reckoned with; left out")
            return None
        return value * seconds, found

    return read


def _unit(run: Run, scope: Scope, node: Node | None, units: tuple[Find | int, ...]) -> int | None:
    for unit in units:
        if isinstance(unit, int):
            return unit
        text = leaf(run, unit(run, scope, node))
        if text is not None:
            return UNITS.get(text.strip().casefold())
    return None


def shifted(base: Write, by: Length, sign: int) -> Write:
    """A date or time so much later (``sign`` 1) or earlier (-1); None without either."""

    def later(run: Run, scope: Scope, node: Node | None, begin: str) -> str | None:
        found = by(run, scope, node)
        if found is None:
            return None
        seconds, at = found
        moved = _moved(begin, sign * seconds)
        if moved is None:
            run.warn(at, "the time isn't precise enough to add a length to; left out")
        return moved

    def write(code: Code, at: At, into: str) -> None:
        base(code, at, into)
        with code.block(f"if {into} is not None"):
            code(f"{into} = {code.bound(later)}(run, {at.scope}, {at.node}, {into})")

    return write


def _moved(begin: str, seconds: Decimal) -> str | None:
    """``begin`` so many seconds on; None where it is less precise than they are."""
    whole_days = seconds % UNITS["d"] == 0
    try:
        if "T" in begin:
            return (datetime.fromisoformat(begin) + timedelta(seconds=float(seconds))).isoformat()
        if len(begin) == 10 and whole_days:
            return (date.fromisoformat(begin) + timedelta(seconds=float(seconds))).isoformat()
    except (ValueError, OverflowError):
        return None
    return None


def in_minutes(by: Length) -> Read:
    """How many minutes a length has, where they are whole and some."""

    def read(run: Run, scope: Scope, node: Node | None) -> int | None:
        found = by(run, scope, node)
        if found is None:
            return None
        seconds, at = found
        if not seconds or seconds % 60:
            run.warn(at, "no whole number of minutes; left out")
            return None
        return int(seconds // 60)

    return read
