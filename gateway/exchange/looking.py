"""What is read as FHIR: read, vread and history, each as the caller may see it.

What another agency owns is noted when it is shown (``trail``; DESIGN, section 7).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, NamedTuple

from gateway.errors import InvalidSearch
from gateway.exchange.searching import Search, answered, understood
from gateway.exchange.trail import Trail
from gateway.fhir.history import parse_history
from gateway.fhir.interaction import Request
from gateway.fhir.search import awaited
from gateway.fhir.shape import Shape, part, shape_of
from gateway.model import Context, Stored
from gateway.protect import scopes
from gateway.protect.least import shown
from gateway.store import Hub, Page, Reader

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Listing:
    """A searchset or history: its path below the base, its parameters, its page."""

    kind: Literal["searchset", "history"]
    path: str
    pairs: Pairs
    page: Page


class Wanted(NamedTuple):
    """A resource that somebody asks for: its version of that number, else the newest."""

    context: Context
    type: str
    id: str
    version: int | None = None


class Looking:
    """The FHIR interactions that read."""

    def __init__(self, hub: Hub, trail: Trail) -> None:
        self._hub = hub
        self._trail = trail
        self.note = trail.note

    def read(self, context: Context, type: str, id: str) -> Stored:
        """FHIR ``read``. Raises Denied, NotFound, Gone."""
        with self._hub.read() as reader:
            return self._seen(reader, Wanted(context, type, id))

    def vread(self, context: Context, type: str, id: str, version: int) -> Stored:
        """FHIR ``vread``. Raises Denied, NotFound, Gone."""
        with self._hub.read() as reader:
            return self._seen(reader, Wanted(context, type, id, version))

    def each(self, wanted: Sequence[Wanted]) -> list[Stored | Exception]:
        """``read`` or ``vread`` of each, in one snapshot: what it raises is its own answer."""
        with self._hub.read() as reader:
            return [self._tried(reader, one) for one in wanted]

    def history(self, context: Context, type: str = "", id: str = "", pairs: Pairs = ()) -> Page:
        """FHIR ``history`` of a resource, of a type or of all, newest first.

        Raises Denied, NotFound, InvalidSearch.
        """
        with self._hub.read() as reader:
            page = _history(reader, context, type, id, pairs)
        self._trail.note(context, "history", page.entries)
        return page

    def _tried(self, reader: Reader, wanted: Wanted) -> Stored | Exception:
        try:
            return self._seen(reader, wanted)
        except Exception as error:  # noqa: BLE001 - told to who asked for this one
            return error

    def _seen(self, reader: Reader, wanted: Wanted) -> Stored:
        context, type, id, version = wanted
        if version is None:
            stored, action = _read(reader, context, type, id), "read"
        else:
            stored, action = _vread(reader, context, type, id, version), "vread"
        self._trail.note(context, action, [stored])
        return stored


def look(reader: Reader, context: Context, request: Request) -> Stored | Listing:
    """What a GET in a Bundle asks for, read where its other entries are done.

    Raises Denied, NotFound, Gone, InvalidSearch.
    """
    shape, pairs = shape_of(request.type, [e for e in request.pairs if e[0] not in UNSHAPED])
    match request.path:
        case (type,) if type == request.type and type:
            page = _search(reader, context, type, pairs)
            return _listing("searchset", request, page, shape)
        case (*_, "_history"):
            type, id = (*request.path[:-1], "", "")[:2]
            if len(request.path) <= 3:
                return _listing(
                    "history", request, _history(reader, context, type, id, pairs), shape
                )
        case (type, id) if not pairs:
            return part(_read(reader, context, type, id), shape)
        case (type, id, "_history", number) if number.isdigit() and len(number) < 19 and not pairs:
            return part(_vread(reader, context, type, id, int(number)), shape)
    raise InvalidSearch("this isn't read from within a Bundle", place="url")


UNSHAPED: Final = ("_format", "_pretty")
"""What a GET's URL may say of the answer's form, which in a Bundle is the Bundle's."""


def _listing(
    kind: Literal["searchset", "history"], request: Request, page: Page, shape: Shape
) -> Listing:
    entries = tuple(part(each, shape) for each in page.entries)
    return Listing(kind, "/".join(request.path), request.pairs, replace(page, entries=entries))


def _read(reader: Reader, context: Context, type: str, id: str) -> Stored:
    scopes.require(context, type, "r")
    return shown(context, reader.read(context, type, id))


def _vread(reader: Reader, context: Context, type: str, id: str, version: int) -> Stored:
    scopes.require(context, type, "r")
    return shown(context, reader.vread(context, type, id, version))


def _history(reader: Reader, context: Context, type: str, id: str, pairs: Pairs) -> Page:
    scopes.require(context, type or scopes.ANY, "r")
    query = parse_history(pairs)
    page = reader.history(
        context, type, id, count=query.count, cursor=query.cursor, since=query.since, at=query.at
    )
    return replace(page, entries=tuple(shown(context, each) for each in page.entries))


def _search(reader: Reader, context: Context, type: str, pairs: Pairs) -> Page:
    query = understood(reader, context, Search(type, pairs))
    if awaited(query):
        text = "full text, :text, phonetic, near and custom parameters aren't searched in a Bundle"
        raise InvalidSearch(text)
    return answered(reader, context, query)
