"""One interaction that is asked for: alone by HTTP, or as an entry of a Bundle (R4 http)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import parse_qsl

from gateway.errors import InvalidResource
from gateway.fhir.patch import Patch
from gateway.model import Reference, Resource

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
Pairs = tuple[tuple[str, str], ...]

_ETAG: Final = re.compile(r'(?:W/)?"([0-9]{1,18})"|([0-9]{1,18})')
_FIELDS: Final = 1000


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for.

    ``criteria`` are those of a conditional one, of its URL or of If-None-Exist. ``resource`` is a
    POST's or PUT's, checked; ``patch`` a PATCH's. ``if_match`` is the version that must be
    current, ``if_free`` says that none may be (If-None-Match: *), ``known`` is the version that a
    reader has already. ``place`` is the entry's, "" alone; ``full_url`` what the Bundle's other
    entries call it. ``path`` is a URL without its query, in parts, and ``pairs`` are its query.
    """

    method: Method
    type: str = ""
    id: str = ""
    criteria: Pairs | None = None
    resource: Resource | None = None
    patch: Patch | None = None
    if_match: int | None = None
    if_free: bool = False
    known: int | None = None
    place: str = ""
    full_url: str = ""
    path: tuple[str, ...] = ()
    pairs: Pairs = ()

    @property
    def reads(self) -> bool:
        """Whether it only reads."""
        return self.method in ("GET", "HEAD")

    @property
    def reference(self) -> Reference:
        """``Type/id``; of a conditional one ``Type/``."""
        return f"{self.type}/{self.id}"

    def at(self, element: str) -> str:
        """The place of an element of the entry's request: ``Bundle.entry[3].request.url``."""
        return f"{self.place}.request.{element}" if self.place else ""


def criteria(text: str, place: str) -> Pairs:
    """The criteria of a conditional interaction, ``identifier=a|b&name=c``, decoded.

    ``_format`` and ``_pretty`` shape the answer and aren't among them. Raises InvalidResource
    where there are none: all of a type is nothing to be conditional on.
    """
    pairs = _pairs(text.removeprefix("?"), place)
    found = tuple(each for each in pairs if each[0] not in ("_format", "_pretty"))
    if not found:
        raise InvalidResource("no criteria are given", place=place, code="required")
    return found


def query(text: str, place: str) -> Pairs:
    """A query's pairs, decoded, in order. Raises InvalidResource."""
    return tuple(_pairs(text, place))


def version(tag: str, place: str) -> int:
    """The version that an entity tag names: ``W/"3"``. Raises InvalidResource."""
    match = _ETAG.fullmatch(tag.strip())
    if match is None:
        raise InvalidResource('names a version: W/"3"', place=place, code="value")
    return int(match[1] or match[2])


def _pairs(text: str, place: str) -> Sequence[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_FIELDS)
    except (UnicodeDecodeError, ValueError):
        raise InvalidResource("the criteria can't be understood", place=place) from None
