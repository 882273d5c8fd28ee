"""``include:`` of a message map: the resources of parts, put before its own.

A part (``parts/visit.yaml``) is what several messages say alike. It is put in as it is written,
places too, so that everything else sees one whole message map.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from gateway.translate.source import Block, Scalar, Series, Yaml, block, refuse, several, text

_KEYS: Final = frozenset({"part", "in", "prefix"})
_PART: Final = frozenset({"map", "resources"})

_NONE: Final = frozenset[str]()
_OWN: Final = (None, frozenset({"set"}))
"""Resources by name, their keys one by one, and of ``set`` the elements."""

Find = Callable[[str, str], Block]
"""A part's body by (name, place)."""


class _Wanted(NamedTuple):
    """One item of ``include``: a part, the group it goes into, and what its names begin with."""

    name: str
    place: str
    group: Scalar | None
    prefix: str


def included(body: Block, find: Find) -> Block:
    """A message map with its parts in it; as it is where it names none.

    A resource of its own that has the name of a part's says only what is different of it.
    """
    if (item := body.get("include")) is None:
        return body
    resources = Block(body.place, {}, {})
    for one in several(item):
        wanted = _wanted(one)
        part = find(wanted.name, wanted.place)
        part.refuse_unknown(_PART, "a part")
        _add(block(part.need("resources"), "'resources'"), resources, wanted)
    if (own := body.get("resources")) is not None:
        resources = overlaid(resources, block(own, "'resources'"), _OWN)
    items = {**body.items, "resources": resources}
    places = {"resources": item.place, **body.places}
    del items["include"], places["include"]
    return Block(body.place, items, places)


def overlaid(base: Block, said: Block, levels: Sequence[frozenset[str] | None]) -> Block:
    """``base`` with what is said in place of its own; ``drop`` takes a key away.

    ``levels`` names, level by level, the keys whose mappings are taken key by key; None is all.
    """
    deeper, below = (levels[0], levels[1:]) if levels else (_NONE, ())
    items, places = dict(base.items), dict(base.places)
    for key, item in said.items.items():
        under = items.get(key)
        if isinstance(item, Scalar) and item.value == "drop":
            if under is None:
                refuse(said.places[key], f"there is no '{key}' to drop")
            del items[key], places[key]
            continue
        both = isinstance(item, Block) and isinstance(under, Block)
        if both and (deeper is None or key in deeper):
            items[key] = overlaid(under, item, below)  # type: ignore[arg-type]  # mappings, both
        else:
            items[key] = item
        places[key] = said.places[key]
    return Block(base.place, items, places)


def _wanted(item: Yaml) -> _Wanted:
    if isinstance(item, Scalar):
        return _Wanted(text(item, "a part's name"), item.place, None, "")
    body = block(item, "a part")
    body.refuse_unknown(_KEYS, "an include")
    group = body.get("in")
    if group is not None and not isinstance(group, Scalar):
        refuse(group.place, "'in' is a group's name")
    prefix = text(body.items["prefix"], "'prefix'") if "prefix" in body.items else ""
    return _Wanted(text(body.need("part"), "'part'"), item.place, group, prefix)


def _add(part: Block, into: Block, wanted: _Wanted) -> None:
    """A part's resources, in their groups and under the names that the message has for them."""
    names = frozenset(part.items)
    for own, item in part.items.items():
        name = wanted.prefix + own
        if name in into.items:
            refuse(wanted.place, f"'{name}' of '{wanted.name}' is there already")
        body = block(_renamed(item, names, wanted) if wanted.prefix else item, f"'{own}'")
        into.items[name], into.places[name] = _inside(body, wanted.group), part.places[own]


def _inside(body: Block, group: Scalar | None) -> Block:
    """A resource that stands in no group stands in the one that the message says."""
    if group is None or "in" in body.items:
        return body
    items, places = {**body.items, "in": group}, {**body.places, "in": group.place}
    return Block(body.place, items, places)


def _renamed(item: Yaml, names: frozenset[str], wanted: _Wanted) -> Yaml:
    if isinstance(item, Series):
        return Series(item.place, tuple(_renamed(one, names, wanted) for one in item.items))
    if not isinstance(item, Block):
        return item
    items = {key: _renamed(one, names, wanted) for key, one in item.items.items()}
    ref = items.get("ref")
    if isinstance(ref, Scalar) and ref.value in names:
        items["ref"] = Scalar(ref.place, f"{wanted.prefix}{ref.value}")
    return Block(item.place, items, item.places)
