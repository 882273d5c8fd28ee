"""Resources made ready to be written, an element at a time: most of what is said was said before.

What ``gates.check`` (gate 1) and ``prepare`` do for a whole resource hangs, but for the set of its
elements, on each element by itself: whether it is valid, and by what search finds it. So what was
found of an element is remembered by its JSON, and a resource costs what is new in it. To whom it
refers, and its own number, are new in most and make little difference: what holds them is
remembered without (``_Gapped``).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, NamedTuple

import orjson

from gateway.fhir import gates
from gateway.fhir.json import dumps
from gateway.fhir.search_parameters import element_rows, reads_whole
from gateway.model import Entry, Reference, Resource
from gateway.store.prepared import Packed, Prepared, packed, prepare, unpacked
from gateway.store.search import index

REMEMBERED: Final = 1024
"""How many texts of an element, and how many sets of elements, are remembered by type."""

_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}", re.ASCII)
_HOLDERS: Final = frozenset({"Bundle", "Parameters"})
_OURS: Final = frozenset({"resourceType", "id"})
_HUBS: Final = ("versionId", "lastUpdated")


class Ready(NamedTuple):
    """An entry of a translation, ready to be written: plain values, for ``marshal`` to carry.

    It is made an object (``opened``) only where somebody looks into it: of most nobody does.
    """

    parts: Packed
    removes: Sequence[str]
    keep: Sequence[str]
    known: str

    @property
    def type(self) -> str:
        """The resource's type."""
        return self.parts[0]

    @property
    def reference(self) -> Reference:
        """``Type/id``."""
        return f"{self.parts[0]}/{self.parts[1]}"

    @property
    def digest(self) -> bytes:
        """What tells its content from other content (``Prepared.digest``)."""
        return self.parts[5]

    def opened(self) -> tuple[Entry, Prepared]:
        """As an entry, with what is ready of it."""
        found = unpacked(self.parts)
        removes, keep = frozenset(self.removes), frozenset(self.keep)
        return Entry(found.resource, removes, keep, self.known), found


def readied(entry: Entry, parts: Packed) -> Ready:
    """An entry with its parts."""
    return Ready(parts, sorted(entry.removes), sorted(entry.keep), entry.known)


_REFERS: Final = b'"reference":"'
_LITERAL: Final = re.compile(
    rb'("reference":"[A-Z][A-Za-z]+/)([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?=")'
)
_NUMBERED: Final = re.compile(rb'("value":")([A-Za-z0-9._\-]{1,64})(?=")')
_ANY: Final = "any-value-of-care-gateway-"
"""What a number stands in for, with its place: no identifier that anybody has."""


_LISTED: Final = (b"[{", b'"},{', b'"}]')
"""What stands before, between and after references in a list of nothing else."""


def _is_list(pieces: list[bytes]) -> bool:
    """Whether an element, taken apart at its references, is a list of them."""
    before, between, after = _LISTED
    return (pieces[0], pieces[-1]) == (before, after) and set(pieces[2:-1:2]) == {between}


class _Gapped(NamedTuple):
    """The search rows of an element that refers to others, or has a number, but for these.

    In ``gaps`` are, by table, the rows in order, each with the place of the text that it lacks.
    """

    gaps: list[tuple[int, list[tuple[tuple[Any, ...], int | None]]]]

    def rows(self, texts: list[str]) -> index.Rows:
        """With these texts."""
        return {
            kind: [
                row if number is None else (row[0], texts[number], *row[2:]) for row, number in each
            ]
            for kind, each in self.gaps
        }


def _gapped(rows: index.Rows, texts: list[str]) -> _Gapped | None:
    """Rows without these texts; None where one doesn't stand where an id or code does, alone."""
    gaps = []
    for kind, each in rows.items():
        gaps.append((kind, [(row, _number(kind, row, texts)) for row in each]))
    made = _Gapped(gaps)
    others = [f"{number:08x}" for number in range(len(texts))]
    told = any(text in str(made.rows(others)) for text in texts)
    return None if told or len(set(texts)) < len(texts) else made


def _number(kind: int, row: tuple[Any, ...], texts: list[str]) -> int | None:
    return texts.index(row[1]) if kind in index.NAMED and row[1] in texts else None


@dataclass(slots=True)
class _Element:
    """One element of one type: the texts that were valid, each with its search rows."""

    type: str
    name: str
    front: bytes
    known: dict[bytes, index.Rows] = field(default_factory=dict)
    gapped: dict[tuple[bytes, ...], _Gapped] = field(default_factory=dict)

    def rows(self, resource: Resource, raw: bytes) -> index.Rows | None:
        """Its search rows, where ``known`` has none; None where it isn't valid."""
        if _REFERS not in raw:
            numbered = self.name == "identifier"
            return self._numbered(resource, raw) if numbered else self._new(resource, raw)
        pieces = _LITERAL.split(raw)
        ids = [id.decode() for id in pieces[2::3]]
        del pieces[2::3]
        if len(ids) > 1 and _is_list(pieces) and len(set(ids)) == len(ids):
            return self._listed(pieces[1::2], ids)
        known = self.gapped.get(tuple(pieces))
        if known is not None:
            found = known.rows(ids)
            _keep(self.known, raw, found)  # rows about the same client follow one another
            return found
        new = self._new(resource, raw)
        if ids and new is not None and (made := _gapped(new, ids)) is not None:
            _keep(self.gapped, tuple(pieces), made)
        return new

    def _numbered(self, resource: Resource, raw: bytes) -> index.Rows | None:
        """Those of identifiers: each is another's, and but for that they are alike."""
        pieces = _NUMBERED.split(raw)
        numbers = [number.decode() for number in pieces[2::3]]
        del pieces[2::3]
        known = self.gapped.get(tuple(pieces))
        if known is None and numbers:
            known = self._unnumbered(pieces)
        if len(set(numbers)) < len(numbers):  # two may make the same row
            known = None
        return self._new(resource, raw) if known is None else known.rows(numbers)

    def _unnumbered(self, pieces: list[bytes]) -> _Gapped | None:
        """What identifiers make that have any numbers, remembered without them."""
        texts = [f"{_ANY}{number}" for number in range(len(pieces) // 2)]
        parts = list(pieces)
        for number in reversed(range(len(texts))):
            parts.insert(2 * number + 2, texts[number].encode())
        raw = b"".join(parts)
        found = self._new({"resourceType": self.type, self.name: orjson.loads(raw)}, raw)
        made = _gapped(found, texts) if found is not None else None
        if made is not None:
            _keep(self.gapped, tuple(pieces), made)
        return made

    def _listed(self, fronts: list[bytes], ids: list[str]) -> index.Rows | None:
        """Those of a list of references, one after the other: what a Provenance is about."""
        found: index.Rows = {}
        for front, id_ in zip(fronts, ids, strict=True):
            known = self.gapped.get((front,)) or self._alone(front, id_)
            if known is None:
                return None
            for kind, rows in known.rows([id_]).items():
                found.setdefault(kind, []).extend(rows)
        return found

    def _alone(self, front: bytes, id_: str) -> _Gapped | None:
        """What a list of one reference makes, remembered by where that leads but for its id."""
        listed = [{"reference": front.removeprefix(_REFERS).decode() + id_}]
        whole = {"resourceType": self.type, self.name: listed}
        found = self._new(whole, orjson.dumps(listed))
        made = _gapped(found, [id_]) if found is not None else None
        if made is not None:
            _keep(self.gapped, (front,), made)
        return made

    def _new(self, resource: Resource, raw: bytes) -> index.Rows | None:
        if not gates.valid_element(self.type, self.name, resource[self.name]):
            return None
        found = index.filed(self.type, element_rows(resource, self.name))
        _keep(self.known, raw, found)
        return found


@dataclass(slots=True)
class _Type:
    """The elements of a type that were met, and the sets of them that may stand together."""

    name: str
    elements: dict[str, _Element] = field(default_factory=dict)
    together: dict[tuple[str, ...], None] = field(default_factory=dict)

    def element(self, name: str) -> _Element:
        """One of them."""
        found = self.elements.get(name)
        if found is None:
            found = _Element(self.name, name, f',"{name}":'.encode())
            self.elements[name] = found
        return found


_type: Final = cache(_Type)


def ready(resource: Resource) -> Packed:
    """A resource made ready to be written. Raises InvalidResource for what gate 1 refuses."""
    type_ = _type(resource["resourceType"])
    names = tuple(resource)
    if names not in type_.together:
        gates.check(resource, models=False)
        _keep(type_.together, names, None)
    whole = "contained" in resource or type_.name in _HOLDERS or reads_whole(type_.name)
    found = None if whole else _parts(type_, resource)
    return packed(prepare(gates.check(resource, models=False))) if found is None else found


def _parts(type_: _Type, resource: Resource) -> Packed | None:
    """The same from what is known of its elements; None where one isn't known to be valid."""
    meta, core, plain = b"{}", [b"{"], True
    rows: index.Rows = {}
    mixed: set[int] = set()
    elements = type_.elements
    for name, value in resource.items():
        if name in _OURS:
            continue
        try:
            raw = orjson.dumps(value)
        except TypeError:
            raw, plain = dumps(value), False
        element = elements.get(name) or type_.element(name)
        found = element.known.get(raw)
        if found is None:
            found = element.rows(resource, raw)
            if found is None:
                return None
        for kind, each in found.items():
            if kind in rows:
                rows[kind] = rows[kind] + each
                mixed.add(kind)
            else:
                rows[kind] = each
        if name != "meta":
            core += element.front, raw
        elif any(one in value for one in _HUBS):
            return None
        else:
            meta = raw
    id_ = resource["id"]
    if _ID.fullmatch(id_) is None:
        return None
    core[1:2] = [each[1:] for each in core[1:2]]  # before the first stands no comma
    core.append(b"}")
    body = b"".join(core)
    digest = hashlib.blake2b(meta + body, digest_size=16).digest()
    for kind in mixed:  # two elements may make the same row
        rows[kind] = list(dict.fromkeys(rows[kind]))
    return type_.name, id_, meta, body, plain, digest, rows


def _keep(known: dict[Any, Any], key: object, value: object) -> None:
    """Remember something; a full memory starts afresh."""
    if len(known) >= REMEMBERED:
        known.clear()
    known[key] = value
