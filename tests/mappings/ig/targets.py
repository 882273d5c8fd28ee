"""The guide's ``FHIR Attribute`` as types and paths: ``participant[1].actor(Practitioner.name)``.

The guide's own slips (``occurenceTiming``, ``name.suffix[2}``) are read as what they mean.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_INDEX = re.compile(r"\[[^\])}(.]*[\]}]?|:[^.]*")
_SLIPS = (
    ("occurence", "occurrence"),
    ("practioner", "practitioner"),
    ("Practioner", "Practitioner"),
    ("organziation", "organization"),
    ("PractitionerRole.Practitioner(", "PractitionerRole.practitioner("),
    (".sytem", ".system"),
    ("coding.value", "coding.code"),
    ("extension.uri", "extension.url"),
    ("value.CodeableConcept", "valueCodeableConcept"),
    ("payer", "payor"),
    (".(", "("),
    ("coveragePeriod", "period"),
)
_DATA_TYPES = frozenset({"Annotation", "Quantity", "Extension"})


class Target(NamedTuple):
    """An element: ``Encounter``, ``participant.individual``; ``path`` "" is the resource itself."""

    types: frozenset[str]
    path: str


def chain(type_: str, attribute: str) -> list[Target]:
    """The element of ``type_``, and those of other resources that the guide reaches through it."""
    plain = _INDEX.sub("", attribute.partition("=")[0].strip())
    for slip, meant in _SLIPS:
        plain = plain.replace(slip, meant)
    plain = re.sub(r"(^|\()Quantity\.", r"\1", plain)
    return list(_links(type_, plain.strip(" .").replace("$this", "").replace("$value", "")))


def _links(type_: str, attribute: str) -> list[Target]:
    path, _, inner = attribute.rstrip(")").partition("(")
    first, _, rest = inner.partition(".")
    if first in _DATA_TYPES:
        return [Target(frozenset({type_}), f"{path}.{rest}")]
    here = Target(frozenset(type_.split("|")), path.strip(" ."))
    if not inner:
        return [here]
    other, nested, further = inner.partition("(")
    types, _, path = other.partition(".")
    return [here, *_links(types.strip(), f"{path}{nested}{further}")]


def covers(made: str, wanted: str, *, whole: bool) -> bool:
    """Whether a rule for the element ``made`` is one for ``wanted``.

    It is when it stands there or below; one that makes the whole of ``made`` also stands for
    what is in it.
    """
    made, wanted = made.replace("_", "").lower(), wanted.lower()
    below = made == wanted or made.startswith((f"{wanted}.", f"{wanted}<"))
    return not wanted or below or (whole and wanted.startswith(f"{made}."))


def same_constant(ours: str, theirs: str) -> bool:
    """Whether two constants mean one thing: the guide writes extension URLs in several ways."""
    return _plain(ours) == _plain(theirs)


def constant(assignment: str) -> str | None:
    """What an assignment in quotes says; None for narratives and formulas."""
    text = assignment.strip().strip("'")
    quoted = len(text) > 2 and text[0] == text[-1] == '"' and '"' not in text[1:-1]
    return text[1:-1].strip() if quoted else None


def _plain(text: str) -> str:
    if "://" not in text:
        return text.casefold()
    name = text.strip().rstrip("/").removesuffix(".html")
    return re.sub(r".*StructureDefinition/|.*/R4/|^https?://|extension-", "", name).casefold()
