"""R4's required bindings of codings and concepts (R4 terminologies, 4.1.5), as far as known here.

The gates hold plain codes to theirs. What ``$validate`` adds is a millisecond's work.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gateway.errors import Issue
from gateway.fhir import terminology
from gateway.fhir.values import Value, whole
from gateway.model import Resource

_CODED: Final = frozenset({"Coding", "CodeableConcept"})


def unbound(resource: Resource) -> Iterator[Issue]:
    """One issue for each coding or concept with no code of the value set that it must be from."""
    yield from _unbound(whole(resource))


def _unbound(value: Value) -> Iterator[Issue]:
    if value.type in _CODED and value.binding is not None and value.binding.strength == "required":
        members = terminology.members(value.binding.value_set)
        if members is not None and not terminology.coded_in(value.node, members):
            yield Issue("no code of its required value set", value.place, "code-invalid")
    for child in value.all_below():
        yield from _unbound(child)
