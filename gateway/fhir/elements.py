"""What R4 4.0.1 lets stand where: types, cardinality, bindings and targets of every element.

After the official StructureDefinitions (``definitions/build.py``). Paths are FHIR's own with the
type in front ("Patient.contact.name.family", "HumanName.family"); a choice goes by its concrete
name ("ServiceRequest.occurrencePeriod"). Where a primitive stands, its extensions stand beside it
under an underscore ("Patient._birthDate").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from gateway.fhir.definitions import load

Strength = Literal["required", "extensible", "preferred", "example"]


@dataclass(frozen=True, slots=True)
class Binding:
    """The value set that a coded element draws from.

    ``codes`` are its codes where R4 can list them and ``strength`` is required, else None;
    ``system`` is their code system where the set has just one.
    """

    strength: Strength
    value_set: str
    codes: frozenset[str] | None = None
    system: str | None = None


@dataclass(frozen=True, slots=True)
class Element:
    """One element. ``types`` has one name, except for "Resource" content (Bundle entries).

    ``parent`` is the path under which its children are listed: the type's name for a data type,
    its own path for a backbone element. ``choice`` is "value" for value[x] by a concrete name,
    and ``demanded`` says that one of that choice must be there. ``targets`` are the types that a
    Reference or canonical may point to; empty means any.
    """

    path: str
    types: tuple[str, ...]
    min: int
    max: int | Literal["*"]
    parent: str
    binding: Binding | None = None
    targets: tuple[str, ...] = ()
    choice: str | None = None
    demanded: bool = False

    @property
    def is_list(self) -> bool:
        """Whether JSON writes it as a list."""
        return self.max != 1

    @property
    def is_primitive(self) -> bool:
        """Whether it is a JSON string, number or boolean."""
        return self.types[0] in primitives()


def element(path: str) -> Element | None:
    """The element at ``path``; None where R4 has none. Indexes ("name[0]") aren't part of it."""
    root, *names = path.split(".")
    parent, found = root, None
    for name in names:
        found = children(parent).get(name)
        if found is None:
            return None
        parent = found.parent
    return found


@cache
def children(parent: str) -> Mapping[str, Element]:
    """The elements below a type or backbone path, by name; empty for what has none."""
    members: dict[str, dict[str, Any]] = _table()["elements"].get(parent, {})
    out = {name: _element(f"{parent}.{name}", raw) for name, raw in members.items()}
    for name, one in tuple(out.items()):
        attribute = name == "id" or one.path == "Extension.url" or one.types == ("xhtml",)
        if one.is_primitive and not attribute:
            out["_" + name] = _extensions(parent, name, one)
    return out


@cache
def resource_types() -> frozenset[str]:
    """The names of the resource types that the gateway takes."""
    return frozenset(_table()["resources"])


@cache
def refused_types() -> frozenset[str]:
    """R4 types that it doesn't take: R4B, whose models check them, lacks or changed them."""
    return frozenset(_table()["refused"])


@cache
def primitives() -> frozenset[str]:
    """The names of the primitive types."""
    return frozenset(_table()["primitives"])


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = load("elements")
    return table


def _element(path: str, raw: dict[str, Any]) -> Element:
    like = raw.get("like")
    types = tuple(raw["types"]) or ("BackboneElement",)
    nested = like or (path if types[0] in ("BackboneElement", "Element") else types[0])
    return Element(
        path=path,
        types=types,
        min=raw["min"],
        max="*" if raw["max"] == "*" else int(raw["max"]),
        parent=nested,
        binding=_binding(raw.get("binding")),
        targets=tuple(raw.get("targets", ())),
        choice=raw.get("choice"),
        demanded=raw.get("demanded", False),
    )


def _binding(raw: list[Any] | None) -> Binding | None:
    if raw is None:
        return None
    strength, url = raw
    codes = _table()["codes"].get(url) if strength == "required" else None
    system = _table()["systems"].get(url)
    return Binding(strength, url, frozenset(codes) if codes else None, system)


def _extensions(parent: str, name: str, one: Element) -> Element:
    return Element(f"{parent}._{name}", ("Element",), 0, one.max, "Element")
