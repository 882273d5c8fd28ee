"""``keep``, ``known``, ``forget``, ``made-by``, ``else`` and ``apart``: what a message never
changes, must find, takes away, only refers to, has where no key finds anything, and several of one.

A cancelled discharge (A13) has no PV1-44, which elsewhere says nothing; here it ends no stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gateway.fhir.elements import children
from gateway.translate.elements import Forget
from gateway.translate.paths import Frame, Path
from gateway.translate.rules import Compiler
from gateway.translate.sites import Site
from gateway.translate.source import Block, Yaml, block, flag, refuse, several, text, texts

_ELSEWHERE: Final = frozenset({"to", "in", "each", "if", "key", "known", "made-by"})
"""What is said of a resource that isn't made here."""


def compile_keep(item: Yaml | None, type_: str) -> frozenset[str]:
    """The elements that the hub owns once they are written; MapError for what R4 doesn't have."""
    found = list(texts(item, "an element's name")) if item is not None else []
    for name, place in found:
        if name not in children(type_):
            refuse(place, f"{type_} has no element '{name}'")
    return frozenset(name for name, _ in found)


def compile_known(
    item: Yaml | None, told: tuple[Path, ...], *, unsaid: bool = False
) -> tuple[Path, ...]:
    """``told``, the paths of its key, for a resource that must be in the hub already; else ()."""
    known = unsaid if item is None else flag(item, "'known'")
    return told if known else ()


def compile_else(item: Yaml | None, frame: Frame) -> bool:
    """Whether what no key names is known by its message alone; MapError where there is none."""
    if item is None:
        return False
    if text(item, "'else'") != "message" or frame.dialect is not None:
        refuse(item.place, "'else' is 'message', and of HL7 v2 only")
    return True


def compile_apart(item: Yaml | None, frame: Frame) -> bool:
    """Whether several of one key are several; MapError where there are no segments to tell by."""
    if item is not None and frame.dialect is not None:
        refuse(item.place, "'apart' is of HL7 v2 only")
    return item is not None and flag(item, "'apart'")


def compile_elsewhere(compiler: Compiler, body: Block) -> bool:
    """Whether other records make it (``made-by``); MapError for one that no map of those makes."""
    item = body.get("made-by")
    if item is None:
        return False
    body.refuse_unknown(_ELSEWHERE, "what other records make")
    name, type_ = text(item, "a map's name"), text(body.need("to"))
    made = compiler.makes(name)
    if type_ not in made:
        known = compiler.maps.find("records", name) is not None
        refuse(item.place, f"the map '{name}' makes no {type_}" if known else f"no map '{name}'")
    return True


def compile_forget(
    compiler: Compiler, item: Yaml | None, type_: str, site: Site
) -> tuple[Forget, ...]:
    """What a resource forgets; MapError for what it doesn't have or can't be without."""
    return tuple(_forget(compiler, one, type_, site) for one in several(item)) if item else ()


def _forget(compiler: Compiler, item: Yaml, type_: str, site: Site) -> Forget:
    said = block(item, "'forget'")
    said.refuse_unknown(frozenset({"if", "elements"}), "'forget'")
    condition = compiler.condition(said.get("if"), site)
    names = frozenset(_names(said.need("elements"), type_))
    return Forget(condition.write if condition else None, names)


def _names(item: Yaml, type_: str) -> Iterator[str]:
    for name, place in texts(item, "an element's name"):
        element = children(type_).get(name)
        if element is None or name == "id":
            refuse(place, f"{type_} has no element '{name}'")
        if element.min or element.demanded:
            refuse(place, f"{element.path} is required: no message takes it away")
        yield name
