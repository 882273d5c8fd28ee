"""``map explain``: from an element of what a message became back to its bytes and its rule."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.table import Table

from gateway.errors import NotFound
from gateway.fhir.json import dumps
from gateway.model import Agency, Reference
from gateway.parse import er7
from gateway.parse.spans import spans
from gateway.rows import lying, read
from gateway.translate import Library
from gateway.translate.explain import ExplainingRows, Told, explain

_PATH: Final = re.compile(r"(?P<type>[A-Z][A-Za-z]+)(?:/(?P<id>[A-Za-z0-9\-]{1,64}))?(?P<rest>.*)")
_AT: Final = re.compile(r"\[\d+\]")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be explained: ``path`` is ``name.family`` or ``name[0]`` of a type, "" for all.

    ``reference`` names one resource; "" means every one of that type ("": of any).
    """

    type: str
    reference: Reference
    path: str

    def meets(self, reference: Reference, told: Told) -> bool:
        """Whether an element is, or is in, what is asked for; places that aren't said are any."""
        type_, _, path = told.path.partition(".")
        if self.reference not in ("", reference) or self.type not in ("", type_):
            return False
        held = path if "[" in self.path else _AT.sub("", path)
        return (
            not self.path
            or held == self.path
            or held.startswith((f"{self.path}.", f"{self.path}["))
        )


@dataclass(frozen=True, slots=True)
class Explanation:
    """One element's way back. ``bytes`` are (from, up to) of those of ``told.read`` that have."""

    reference: Reference
    told: Told
    bytes: dict[str, tuple[int, int]]


def asked(text: str) -> Asked:
    """``Patient.name.family``, ``Patient/6f1….name[0]``, ``Task`` or "" taken apart.

    Raises NotFound for what has no such form.
    """
    match = _PATH.fullmatch(text)
    if not text:
        return Asked("", "", "")
    if match is None or (match["rest"] and not match["rest"].startswith(".")):
        raise NotFound("an element is named like Patient.name[0].family", place="path")
    reference = f"{match['type']}/{match['id']}" if match["id"] else ""
    return Asked(match["type"], reference, match["rest"].removeprefix("."))


def explained(library: Library, agency: Agency, raw: bytes, wanted: Asked) -> list[Explanation]:
    """The way back of each element that is asked for. Raises ParseError, TranslateError."""
    message = er7.parse(raw, charset=agency.charset)
    found = [
        (reference, told)
        for reference, told in explain(library, agency, message).elements()
        if wanted.meets(reference, told)
    ]
    places = list({place for _, told in found for place in told.read})
    where = spans(message, raw, places)
    return [
        Explanation(reference, told, {one: where[one] for one in told.read if one in where})
        for reference, told in found
    ]


def explained_rows(
    library: Library, agency: Agency, feed: str, path: Path, wanted: Asked
) -> list[Explanation]:
    """The same of the rows or JSON records of a file or folder: their places say row and column.

    Raises ParseError, and TranslateError where the agency has no such feed.
    """
    rows = ExplainingRows(library, agency, feed)
    return [
        Explanation(reference, told, {})
        for made in read(library, agency, feed, lying(path))
        if made.plan is not None and made.given is not None and made.entries
        for reference, told in rows.explain(made.plan.name, made.given).elements()
        if wanted.meets(reference, told)
    ]


# --- for programs, and for people -----------------------------------------------------------------


def as_json(found: Sequence[Explanation], *, values: bool = False) -> dict[str, Any]:
    """Each element with its rules, places and bytes."""
    return {"elements": [_line(one, values=values) for one in found]}


def _line(one: Explanation, *, values: bool) -> dict[str, Any]:
    told = one.told
    line = {
        "resource": one.reference,
        "path": told.path,
        "kind": told.kind,
        "rules": list(told.rules),
        "read": [_place(one, place) for place in told.read],
        "decidedBy": list(told.asked),
        "tables": list(told.rows),
        "refersTo": told.refers,
    }
    return line | ({"value": told.value} if values else {})


def _place(one: Explanation, place: str) -> dict[str, Any]:
    said: dict[str, Any] = {"place": place}
    if place in one.bytes:
        said["bytes"] = list(one.bytes[place])
    return said


def tables(found: Sequence[Explanation], *, values: bool = False) -> list[Table]:
    """A line an element: what it was made of, and which rule did."""
    table = Table()
    for name in ("Element", "From", "Bytes", "Rule", *(("Value",) if values else ())):
        table.add_column(name, overflow="fold")
    for one in found:
        told = one.told
        rules = [*told.rules, *(f"table {row}" for row in told.rows)]
        cells = [told.path, _from(told), _bytes(one), "\n".join(rules)]
        table.add_row(*cells, *([dumps(told.value).decode()] if values else ()))
    return [table]


def _from(told: Told) -> str:
    lines = list(told.read) or [f"({told.kind})"]
    if told.refers:
        lines.append(f"names {told.refers}")
    if told.asked:
        lines.append(f"decided by {', '.join(told.asked)}")
    return "\n".join(lines)


def _bytes(one: Explanation) -> str:
    spans_ = (one.bytes.get(place) for place in one.told.read)
    return "\n".join(f"{span[0]}-{span[1] - 1}" if span else "" for span in spans_)
