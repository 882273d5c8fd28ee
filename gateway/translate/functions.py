"""``fn:`` the functions that a map may call: node in, text out."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

from gateway.fhir.codes import BASE
from gateway.record import NULL, Node
from gateway.translate.run import Run

V2_TABLE: Final = "http://terminology.hl7.org/CodeSystem/v2-"

_OID: Final = re.compile(r"[0-2](?:\.(?:0|[1-9]\d*))+")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_URI: Final = re.compile(r"(?:urn:[a-z0-9]{2,}:|[a-z][a-z0-9+.-]+://)\S+")
_TABLE: Final = re.compile(r"HL7-?(\d{1,4})")
_NUMBER: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?|\.[0-9]+")

_SSN: Final = 9
_SHORTEST: Final = 20
_HASHED: Final = re.compile(r"(?:[0-9xX]{4})?([0-9a-fA-F]{64}|[0-9a-fA-F]{40}|[0-9a-fA-F]{32})")

_REMEMBERED: Final = 1024
"""How many coding systems' names an agency's shelf remembers."""

Function = Callable[[Run, Node], str | None]


def leaf(run: Run, node: Node | None) -> str | None:
    """A node's text; None where empty. ``""`` is None too, and noted in ``run.null``."""
    text = node.text() if node is not None else None
    if text == NULL:
        run.null = True
        return None
    return text


def _part(run: Run, node: Node, number: int) -> str | None:
    """The same of a part."""
    text = node.leaf(number)
    if text == NULL:
        run.null = True
        return None
    return text


def as_uri(text: str) -> str | None:
    """``urn:oid:``, ``urn:uuid:`` or a URI as it stands; None for anything else."""
    found = text.strip()
    if _OID.fullmatch(found):
        return f"urn:oid:{found}"
    if _UUID.fullmatch(found):
        return f"urn:uuid:{found.lower()}"
    return found if _URI.fullmatch(found) else None


def authority(run: Run, node: Node) -> str | None:
    """The system URI of an HD: namespace, universal id, its type (v2.8.2 §2A.3.34).

    The agency's word comes first, then what is globally unique, then a URI within the agency.
    """
    namespace, universal = _part(run, node, 1), _part(run, node, 2)
    known = run.agency.authorities
    if namespace and namespace in known:
        return known[namespace]
    if universal and (found := known.get(universal) or as_uri(universal)):
        return found
    name = namespace or universal
    if not name:
        return None
    run.warn(node, "no system is declared for this assigning authority; one of the agency's own")
    return own(run.agency.id, "authority", name)


def coding_system(run: Run, node: Node) -> str | None:
    """The URI of a coding system's name (CWE.3, table 0396)."""
    name = (leaf(run, node) or "").strip()
    if not name:
        return None
    known = run.systems
    if name not in known:
        if len(known) >= _REMEMBERED:
            known.clear()
        known[name] = _coding_system(run, name)
    return known[name]


def _coding_system(run: Run, name: str) -> str | None:
    if found := run.find("coding-systems", run.coding_systems, name):
        return found.target or None
    if match := _TABLE.fullmatch(name):
        return f"{V2_TABLE}{match[1].zfill(4)}"
    return as_uri(name) or own(run.agency.id, "code-system", name)


@lru_cache(1024)
def own(agency: str, kind: str, name: str) -> str:
    """A stable URI for what only the agency can explain."""
    return f"{BASE}agency/{agency}/{kind}/{quote(name.strip(), safe='')}"


def uri(run: Run, node: Node) -> str | None:
    """OID, UUID or URI as a URI."""
    text = leaf(run, node)
    return as_uri(text) if text else None


def whole(run: Run, node: Node) -> str | None:
    """All text of what has no parts by its type (ST, TX, FT), though ^ or & stand bare in it.

    What is divided is put together again with the delimiters that HL7 recommends (v2.8.2 §2.5.4).
    """
    first = node.child(1) if len(node.shape) == 1 else None
    if first is not None and len(first.shape) == 1:
        return leaf(run, node)
    depth = node.place.rpartition("-")[2].count(".")
    return _joined(run, node, "^&"[depth:]).rstrip("^") or None


def _joined(run: Run, node: Node | None, marks: str) -> str:
    if node is None or not marks:
        return leaf(run, node) or ""
    parts = enumerate(node.shape, 1)
    return marks[0].join(
        _joined(run, node.child(number), marks[1:]) if there else "" for number, there in parts
    )


def hex_to_base64(run: Run, node: Node) -> str | None:
    """Bytes as hexadecimal digits (ED.4 = Hex), blanks between them or not, as base64."""
    text = leaf(run, node)
    if text is None:
        return None
    try:
        return b64encode(bytes.fromhex(text)).decode() or None
    except ValueError:
        run.warn(node, "can't be read as hexadecimal digits; left out", condition="102")
        return None


def _of_text(change: Callable[[str], str]) -> Function:
    def function(run: Run, node: Node) -> str | None:
        text = leaf(run, node)
        return change(text) or None if text else None

    return function


def _digits(text: str) -> str:
    return "".join(character for character in text if character in "0123456789")


def _number(text: str) -> str:
    """The first number in a text, as sent: of ``<0.5`` that is 0.5."""
    found = _NUMBER.search(text)
    return found[0] if found else ""


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode()


def _masked(text: str) -> str:
    """A social security number as it may be shown: its last four digits; x where one is missing."""
    kept = "".join(each for each in text.lower() if each in "0123456789x")
    return f"xxx-xx-{kept[-4:]}" if len(kept) == _SSN else ""


def _hash(text: str) -> str:
    """The hash in a hashed social security number: HMIS puts its last four digits in front.

    One that isn't in hexadecimal digits stays as it is; what is too short for a hash is none.
    """
    stripped = text.strip()
    found = _HASHED.fullmatch(stripped)
    return found[1].lower() if found else stripped if len(stripped) >= _SHORTEST else ""


OF_TEXT: Final[Mapping[str, Callable[[str], str]]] = MappingProxyType(
    {
        "base64": _base64,
        "digits": _digits,
        "hash": _hash,
        "lower": str.lower,
        "mask-ssn": _masked,
        "number": _number,
        "upper": str.upper,
    }
)
"""Those that look at a text alone: they serve what is joined, too."""

FUNCTIONS: Final[Mapping[str, Function]] = MappingProxyType(
    {
        "authority": authority,
        "coding-system": coding_system,
        "hex-to-base64": hex_to_base64,
        "uri": uri,
        "whole": whole,
        **{name: _of_text(change) for name, change in OF_TEXT.items()},
    }
)
"""The allow-list."""
