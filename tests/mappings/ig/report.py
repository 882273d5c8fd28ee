"""The report: what became of each row of the guide, by family.

``python -m tests.mappings.ig.report [FAMILY [PATTERN]]`` prints the rows of a family whose keys
match, one a line (``segments 'PID[Patient]*'``): messages, segments, datatypes or codes.
``missing`` rows say which of our elements read their field, if any does.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ruamel.yaml import YAML

from tests.mappings.ig.codes import agrees, table_name
from tests.mappings.ig.probes import probed
from tests.mappings.ig.tables import (
    Row,
    code_rows,
    data_type_rows,
    message_rows,
    segment_rows,
)
from tests.mappings.ig.targets import Target, chain, constant, covers, same_constant
from tests.mappings.ig.touches import Library, Touch

MAPPINGS = Path(__file__).parents[3] / "mappings"
HERE = Path(__file__).parent
FAMILIES = ("messages", "segments", "datatypes", "codes")

Status = Literal["covered", "differs", "left out", "missing"]


class Verdict(NamedTuple):
    """What became of a row, and why."""

    key: str
    status: Status
    why: str


class Reason(NamedTuple):
    """Why the rows of a pattern (``*`` is any text) differ or are left out."""

    rows: str
    status: Status
    why: str


@cache
def library() -> Library:
    """Our maps, walked once."""
    return Library(MAPPINGS)


@cache
def reasons() -> tuple[Reason, ...]:
    """``reasons.yaml``, in its order."""
    raw: list[dict[str, Any]] = YAML(typ="safe").load(HERE / "reasons.yaml")
    return tuple(
        Reason(row, status, one["why"])
        for one in raw
        for status in ("differs", "left out")
        for row in one.get(status, ())
    )


def verdicts(family: str) -> list[Verdict]:
    """A verdict for each row of a family."""
    found = {
        "messages": _messages,
        "segments": _segments,
        "datatypes": _data_types,
        "codes": _codes,
    }
    return [_reasoned(*one) for one in found[family]()]


def _reasoned(key: str, covered: bool, hint: str) -> Verdict:
    if covered:
        return Verdict(key, "covered", hint)
    for reason in reasons():
        if _matches(key, reason.rows):
            return Verdict(key, reason.status, reason.why)
    return Verdict(key, "missing", hint)


def _matches(key: str, pattern: str) -> bool:
    return key == pattern or ("*" in pattern and fnmatchcase(key, pattern.replace("[", "[[]")))


# --- messages and segments -----------------------------------------------------------------------


def _messages() -> Iterator[tuple[str, bool, str]]:
    for row in message_rows():
        structure, segment = re.split("[.:]", row.source)[0], row.source.rpartition(".")[2]
        message = library().events.get(structure.replace("_", "^"), "")
        wanted = chain(row.target.partition(".")[0].split("[")[0].split("(")[0], "")[0].types
        made = wanted & _made_from(message, segment)
        yield row.key, bool(made), "" if message else "no map serves this event"


@cache
def _made_from(message: str, segment: str) -> frozenset[str]:
    """The types that a message map makes from a segment."""
    mine = (one for one in library().touches if one.message == message)
    return frozenset(one.type for one in mine if _reads(one, segment))


def _segments() -> Iterator[tuple[str, bool, str]]:
    for row in segment_rows():
        yield row.key, _covered(row), _hint(row)


def _covered(row: Row) -> bool:
    inside = row.map.partition("[")[2].rstrip("]")
    links = chain(inside.partition("-")[0], row.target)
    if not links[-1].path and len(links) > 1:
        return all(_made(row, link, None) for link in links[-2:])
    wanted = constant(row.assignment or row.target.partition("=")[2])
    return all(_refers(*link) for link in links[:-1]) and _made(row, links[-1], wanted)


def _made(row: Row, target: Target, value: str | None) -> bool:
    segment = row.map.partition("[")[0]
    return any(
        covers(one.path, target.path, whole=one.whole and value is None)
        and (value is None or (one.value is not None and same_constant(one.value, value)))
        for one in _reading(row.source.partition(".")[0] or segment)
        if one.type in target.types
    )


@cache
def _refers(types: frozenset[str], path: str) -> bool:
    """Whether any rule makes the element that the guide goes through."""
    return any(
        one.type in types and covers(one.path, path, whole=False) for one in library().touches
    )


@cache
def _reading(source: str) -> tuple[Touch, ...]:
    """The rules that depend on a field, or on any of a segment, whatever their message."""
    found = (one for one in library().touches if _reads(one, source))
    return tuple({one._replace(message="", resource="", sources=frozenset()) for one in found})


def _reads(touch: Touch, source: str) -> bool:
    if source in touch.sources:
        return True
    return "-" not in source and any(one.startswith(f"{source}-") for one in touch.sources)


def _hint(row: Row) -> str:
    field = row.source.partition(".")[0]
    if "-" not in field:
        return ""
    rules = _reading(field)
    found = {f"{one.type}.{one.path}" for one in rules if one.path and one.value is None}
    shown = sorted(found, key=lambda one: (len(one), one))[:3]
    return f"its field goes to {', '.join(shown)}" if shown else "its field is not read"


# --- data types and codes ------------------------------------------------------------------------


def _data_types() -> Iterator[tuple[str, bool, str]]:
    for row, covered, hint in probed(data_type_rows(), MAPPINGS):
        yield row.key, covered, hint


def _codes() -> Iterator[tuple[str, bool, str]]:
    tables = library().maps.tables()
    for row in code_rows():
        table = tables.get(table_name(row.map))
        ours = table.rows.get(row.code) if table else None
        covered = ours is not None and agrees(row, ours.target, ours.system)
        hint = f"we say {ours.target or 'nothing'}" if ours else "not in our table"
        yield row.key, covered, "" if covered else hint


# --- printing ------------------------------------------------------------------------------------


def table(counted: dict[str, Counter[str]]) -> Iterable[str]:
    """The table of all families. Accounted is all but the missing."""
    yield f"{'family':10} {'rows':>5} {'covered':>8} {'differs':>8} {'left out':>9} {'missing':>8}"
    for family, counts in counted.items():
        rows = sum(counts.values())
        shares = "{:.1%} covered, {:.1%} accounted".format(
            counts["covered"] / rows, 1 - counts["missing"] / rows
        )
        numbers = [counts[one] for one in ("covered", "differs", "left out", "missing")]
        yield "{:10} {:5} {:8} {:8} {:9} {:8}  {}".format(family, rows, *numbers, shares)


def main(family: str = "", pattern: str = "*") -> None:
    """Print the rows of one family that match, and the table."""
    for one in verdicts(family) if family else ():
        if _matches(one.key, pattern):
            print(f"{one.status:8}  {one.key}" + (f"  -- {one.why}" if one.why else ""))
    for line in table({one: Counter[str](v.status for v in verdicts(one)) for one in FAMILIES}):
        print(line)


if __name__ == "__main__":
    main(*sys.argv[1:])
