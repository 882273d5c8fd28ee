"""Compartments (R4 compartmentdefinition, 2.45): which resources are about a Patient, by data."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from gateway.fhir.definitions import load
from gateway.fhir.search_parameters import parameters


@cache
def compartment(type: str) -> Mapping[str, tuple[str, ...]]:
    """By type, the search parameters that put a resource into the compartment of a ``type``.

    Empty where ``type`` has no compartment. What can't be searched by puts nothing anywhere.
    """
    table: dict[str, dict[str, list[str]]] = load("compartments")
    found = {
        member: tuple(code for code in codes if _refers(member, code, type))
        for member, codes in table.get(type, {}).items()
    }
    return {member: codes for member, codes in found.items() if codes}


@cache
def owners() -> tuple[str, ...]:
    """The types that have a compartment."""
    return tuple(sorted(load("compartments")))


def _refers(member: str, code: str, type: str) -> bool:
    one = parameters(member).get(code)
    return one is not None and one.kind == "reference" and type in (one.targets or (type,))
