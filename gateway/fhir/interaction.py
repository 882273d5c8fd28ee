"""One interaction that is asked for: alone by HTTP, or as an entry of a Bundle (R4 http)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from urllib.parse import parse_qsl

from gateway.errors import InvalidResource
from gateway.fhir.patch import Patch
from gateway.model import Reference, Resource

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
Pairs = tuple[tuple[str, str], ...]

_ETAG: Final = re.compile(r'(?:W/)?"([0-9]{1,18})"|([0-9]{1,18})')
_FIELDS: Final = 1000
ANY: Final = -1
"""In place of a version: whichever there is (RFC 9110, 13.1.1: ``*``)."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for.

    ``criteria`` are those of a conditional one, of its URL or of If-None-Exist. ``resource`` is a
    POST's or PUT's, checked; ``patch`` a PATCH's. ``if_match`` is the version that must be
    current (``ANY``: one), ``if_free`` says that none may be (If-None-Match: *), ``known`` is the
    version that a reader has already, ``since`` (aware) the time as of which it knows. ``place`` is
    the entry's, "" alone; ``full_url`` what the Bundle's other entries call it, ``called`` what
    they may where that is "". ``path`` is a URL without its query, in parts, and ``pairs`` are its
    query.
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
    since: datetime | None = None
    place: str = ""
    full_url: str = ""
    called: str = ""
    path: tuple[str, ...] = ()
    pairs: Pairs = ()

    @property
    def reads(self) -> bool:
        """Whether it only reads."""
        return self.method in ("GET", "HEAD")

    @property
    def beyond(self) -> bool:
        """Whether it asks for more than a resource, its history or a search of its type.

        Operations, ``_search`` by POST, compartments, all types, the capabilities: a batch has
        them asked at the API's own doors.
        """
        type, *rest = self.path or ("",)
        if self.method == "POST":
            return bool(rest)
        if not self.reads or type == "_history":
            return False
        own = not rest or len(rest) == 1 or (rest[1] == "_history" and len(rest) < 4)
        return type in ("", "metadata") or not own or any(one[:1] == "$" for one in rest)

    @property
    def reference(self) -> Reference:
        """``Type/id``; of a conditional one ``Type/``."""
        return f"{self.type}/{self.id}"

    def at(self, element: str) -> str:
        """The place of an element of the entry's request: ``Bundle.entry[3].request.url``."""
        return f"{self.place}.request.{element}" if self.place else ""


def criteria(text: str, place: str, type: str = "") -> Pairs:
    """The criteria of a conditional interaction, ``identifier=a|b&name=c``, decoded.

    They may stand behind their ``type``, as in ``Patient?name=c``, and that behind the base:
    HAPI's clients send If-None-Exist so. ``_format`` and ``_pretty`` shape the answer and aren't
    among them. Raises InvalidResource where there are none: all of a type is nothing to be
    conditional on.
    """
    target, mark, rest = text.partition("?")
    if mark and target.rpartition("/")[2] in ("", type) and "=" not in target:
        text = rest
    pairs = _pairs(text, place)
    found = tuple(each for each in pairs if each[0] not in ("_format", "_pretty"))
    if not found:
        raise InvalidResource("no criteria are given", place=place, code="required")
    return found


def query(text: str, place: str) -> Pairs:
    """A query's pairs, decoded, in order. Raises InvalidResource."""
    return tuple(_pairs(text, place))


def version(tag: str, place: str) -> int:
    """The version of an entity tag, ``W/"3"``; ``ANY`` for ``*``. Raises InvalidResource."""
    if tag.strip() == "*":
        return ANY
    match = _ETAG.fullmatch(tag.strip())
    if match is None:
        raise InvalidResource('names a version: W/"3"', place=place, code="value")
    return int(match[1] or match[2])


def _pairs(text: str, place: str) -> Sequence[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_FIELDS)
    except (UnicodeDecodeError, ValueError):
        raise InvalidResource("the criteria can't be understood", place=place) from None
