"""What a FHIR resource states, as facts: (type, path, value), comparable between converters.

Ids, literal references, narratives and metadata are no facts: each converter has its own. Paths are
without indices, values are text in small letters, times are in UTC and to the second. An extension
stands in a path by its URL's end: ``<patient-religion>``, or ``<own x>`` where that isn't HL7's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

_OWN = frozenset({"id", "reference", "resourceType", "div"})
_TOP = frozenset({"meta", "text", "language", "implicitRules"})
_TIME = re.compile(r"\d{4}-\d\d-\d\dt[\d:.]+(?:z|[+-]\d\d:\d\d)")


class Fact(NamedTuple):
    """``Patient``, ``name.family``, ``everyman``."""

    type: str
    path: str
    value: str


def facts(resources: Iterable[dict[str, Any]]) -> set[Fact]:
    """All facts of some resources."""
    return {
        Fact(resource["resourceType"], path, value)
        for resource in resources
        for name, element in resource.items()
        if name not in _TOP
        for path, value in _leaves(name, element)
    }


def plain(value: Any) -> str:
    """A value as facts have it: small letters, single blanks, times in UTC."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float | Decimal):
        return f"{float(value):g}"
    text = " ".join(str(value).casefold().split())
    return _instant(text) if _TIME.fullmatch(text) else text


def _leaves(path: str, element: Any) -> Iterator[tuple[str, str]]:
    if isinstance(element, list):
        for one in element:
            yield from _leaves(path, one)
    elif isinstance(element, dict):
        extension = "url" in element and path.endswith("xtension")
        here = path + _named(element["url"]) if extension else path
        for name, child in element.items():
            if name not in _OWN and not (name == "url" and extension):
                yield from _leaves(f"{here}.{name}", child)
    elif path.rpartition(".")[2] not in _OWN:
        yield path, plain(element)


def _named(url: str) -> str:
    own = "/" in url and not re.match(r"https?://(hl7|terminology\.hl7)\.org/", url)
    return f"<{'own ' if own else ''}{url.rpartition('/')[2]}>"


def _instant(text: str) -> str:
    at = datetime.fromisoformat(text.upper())
    return at.astimezone(UTC).isoformat(timespec="seconds").casefold()
