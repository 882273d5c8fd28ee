"""HL7's v2-to-FHIR tables, read: the rows of its message, segment, data type and code maps.

Where: ``corpora/hl7-v2-to-fhir/mappings`` (HL7/v2-to-fhir, its CSV files). A row counts when it
names a FHIR target; a code's also needs a code that it comes from, since some code maps merely
list a FHIR value set.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.corpora import CORPORA

FOLDER = CORPORA / "hl7-v2-to-fhir" / "mappings"

_TARGET = 9
"""The column ``FHIR Attribute`` (or ``Primary Target``) of all but the code maps."""


class Row(NamedTuple):
    """One row of a message, segment or data type map.

    ``key`` names it in reports and reasons: ``PID[Patient] PID-3 identifier[2]``, and ``(2)``
    behind the second of those that read alike. ``source`` is ``PID-3``, ``XCN.9``,
    ``ADT_A01.PID``, or "" where the guide says nothing; ``kind`` its v2 data type. ``made_by`` is
    the guide's data type map (a message row: its segment map), ``table`` its code map.
    """

    key: str
    map: str
    source: str
    kind: str
    condition: str
    target: str
    made_by: str
    table: str
    assignment: str


class Code(NamedTuple):
    """One row of a code map: ``key`` is ``AdministrativeSex F``."""

    key: str
    map: str
    code: str
    text: str
    target: str
    display: str
    system: str


def segment_rows() -> Iterator[Row]:
    """The rows of all segment maps."""
    return _rows("segments", 3, 14, 15, 16)


def data_type_rows() -> Iterator[Row]:
    """The rows of all data type maps."""
    return _rows("datatypes", 3, 14, 15, 16)


def message_rows() -> Iterator[Row]:
    """The rows of all message maps: a structure's segment becomes a resource."""
    return _rows("messages", 2, 10, None, 11)


def code_rows(*, mapped: bool = True) -> Iterator[Code]:
    """The rows of all code maps that have a code; ``mapped``: and a target."""
    for name, header, lines in _files("codesystems"):
        target = header.index("Code", 1)
        system, display = header.index("Code System", target), header.index("Display")
        for line in lines:
            code, text, made, shown, where = (
                line[column].strip() for column in (0, 1, target, display, system)
            )
            if code and (made or not mapped):
                yield Code(f"{name} {code}", name, code, text, made, shown, where)


def code_maps() -> list[str]:
    """The names of all code maps, whether or not they map a code."""
    return [name for name, _, _ in _files("codesystems")]


def _rows(
    family: str, kind: int, made_by: int, table: int | None, assignment: int
) -> Iterator[Row]:
    for name, _, lines in _files(family):
        alike: Counter[str] = Counter()
        for line in lines:
            source, target = line[1].strip(), line[_TARGET].strip()
            if not target:
                continue
            key = " ".join(part for part in (name, source, target) if part)
            alike[key] += 1
            yield Row(
                key if alike[key] == 1 else f"{key} ({alike[key]})",
                name,
                source,
                line[kind].strip(),
                " ".join(" ".join(line[6:9]).split()),
                target,
                line[made_by].strip(),
                line[table].strip() if table is not None else "",
                line[assignment].strip(),
            )


def _files(family: str) -> Iterator[tuple[str, list[str], Iterator[list[str]]]]:
    """Each map: its name, the heads of its columns, and its lines, filled up to 20 columns."""
    for path in sorted((FOLDER / family).glob("*.csv")):
        with path.open(encoding="utf-8-sig", newline="") as file:
            _, header, *lines = csv.reader(file)
        yield _name(path), header, ([*line, *[""] * (20 - len(line))] for line in lines)


def _name(path: Path) -> str:
    """``HL7 Segment - FHIR R4_ PID[Patient] - PID.csv`` is ``PID[Patient]``."""
    return path.stem.split("_ ", 1)[1].rpartition(" - ")[0]
