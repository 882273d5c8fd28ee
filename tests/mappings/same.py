"""The same fact, stated otherwise: each rule finds in our facts what it says stands for theirs.

A rule gives the reason, or None where our facts don't hold it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.mappings.evidence import Evidence, zoned_apart
from tests.mappings.facts import Fact
from tests.mappings.tables import read_table

_REFERRED = (
    r".*(authorReference|individual|actor|recorder|organization|destination|location)"
    r"\.(display|identifier\..*)"
)
SIZES = ("si", "bu", "lvl", "wa", "ro", "bd")  # of Location.physicalType, the largest first
_NAMES = {"site": "si", "building": "bu", "level": "lvl", "ward": "wa", "room": "ro", "bed": "bd"}
_NUMBERED = {
    "Patient": "Coverage|RelatedPerson|Account",
    "Account": "Encounter|Patient",
    "Specimen": "ServiceRequest|DiagnosticReport",
}
_STANDS_FOR = {
    "DiagnosticReport": ("ServiceRequest", "DocumentReference", "Observation"),
    "ServiceRequest": ("Immunization", "Appointment"),
    "EpisodeOfCare": ("Condition",),
}


_WELL_KNOWN = read_table("well-known-systems")


def same(fact: Fact, evidence: Evidence) -> str | None:
    """How our facts hold a fact that isn't among them; None if they don't."""
    return next((why for rule, why in RULES if rule(fact, evidence)), None)


def _concept(fact: Fact, evidence: Evidence) -> bool:
    base = re.sub(r"(\.coding)?\.(code|display)$|\.text$", "", fact.path)
    ways = (".coding.code", ".coding.display", ".text", ".code", ".display")
    return base != fact.path and any(
        fact.value in evidence.at(fact.type, base + way) for way in ways
    )


def _joined(fact: Fact, evidence: Evidence) -> bool:
    if not re.fullmatch(r"name|description|.*(MaidenName|<text>).*", fact.path):
        return False
    paths = "name|description" if fact.type == "Location" else re.escape(fact.path)
    return any(_words(fact.value) <= _words(ours) for ours in evidence.matching(fact.type, paths))


def _words(text: str) -> set[str]:
    return {word for word in re.split(r"--|[\s,+/^]+", text) if word} or {text}


def _larger_place(fact: Fact, evidence: Evidence) -> bool:
    if fact.type != "Location" or not fact.path.startswith("physicalType.coding."):
        return False
    if fact.path.endswith("system"):
        return bool(evidence.at("Location", "physicalType.coding.code"))
    size = _NAMES.get(fact.value, fact.value)
    ours = evidence.at("Location", "physicalType.coding.code")
    return size in SIZES and any(SIZES.index(one) > SIZES.index(size) for one in ours)


def _place_number(fact: Fact, evidence: Evidence) -> bool:
    if fact.type != "Location" or not fact.path.startswith("identifier."):
        return False
    return fact.value in evidence.at("Location", "partOf." + fact.path) or any(
        _words(fact.value) <= _words(ours) for ours in evidence.at("Location", "name")
    )


def _assigner(fact: Fact, evidence: Evidence) -> bool:
    if fact.type not in ("Organization", "Location", "Device") or not fact.path.startswith(
        "identifier."
    ):
        return False
    systems = evidence.matching(".*", ".*system")
    if fact.path == "identifier.value":
        named = evidence.at("Organization", "name") | evidence.matching(
            ".*", r".*assigner\.(display|identifier\.value)"
        )
        known = _WELL_KNOWN.get(fact.value.removeprefix("urn:oid:"))
        return (
            fact.value in named
            or known in systems
            or any(_names(system, fact.value) for system in systems)
        )
    schemes = {"iso": "urn:oid:", "guid": "urn:uuid:", "uuid": "urn:uuid:"}
    if fact.path.startswith("identifier.type.coding.") and fact.value in evidence.matching(
        ".*", rf".*assigner\.{re.escape(fact.path)}"
    ):
        return True
    if fact.path == "identifier.type.coding.code":
        return any(system.startswith(schemes.get(fact.value, "?")) for system in systems)
    if fact.path == "identifier.system":
        return fact.value == "urn:ietf:rfc:3986" and any(
            system.startswith("urn:") for system in systems
        )
    return False


def _names(system: str, authority: str) -> bool:
    written = re.sub(r"[^a-z0-9.]", "", authority.removeprefix("urn:oid:"))
    last = re.sub(r"%[0-9a-f]{2}|[^a-z0-9.]", "", re.split(r"[/:](?=[^/:]*$)", system)[-1])
    return bool(written) and written == last


def _named_where_referred_to(fact: Fact, evidence: Evidence) -> bool:
    if fact.type not in ("Practitioner", "Location", "Organization"):
        return False
    ours = evidence.matching(".*", _REFERRED)
    if fact.path.startswith("identifier."):
        return fact.value in ours
    return fact.path.startswith("name") and any(_words(fact.value) <= _words(one) for one in ours)


def _numbered_elsewhere(fact: Fact, evidence: Evidence) -> bool:
    head, _, rest = fact.path.partition(".")
    if head != "identifier" or not re.fullmatch(r"value|system|type\.coding\.\w+", rest):
        return False
    numbers = r"(.*\.)?(identifier|requisition|accessionIdentifier|groupIdentifier)\."
    paths = numbers + re.escape(rest)
    own = not rest.endswith("system") and fact.value in evidence.matching(fact.type, paths)
    others = _NUMBERED.get(fact.type, "-")
    return own or fact.value in evidence.matching(others, paths)


def _noted_elsewhere(fact: Fact, evidence: Evidence) -> bool:
    return re.fullmatch(r"alias|note\.text", fact.path) is not None and fact.value in (
        evidence.matching("Appointment|DiagnosticReport", ".*[nN]ote.*text|comment")
    )


def _when(fact: Fact, evidence: Evidence) -> bool:
    base = re.match(r"occurrence|performed|effective|collection\.collected", fact.path)
    return base is not None and fact.value in evidence.matching(fact.type, base[0] + ".*")


def _zone(fact: Fact, evidence: Evidence) -> bool:
    return any(
        zoned_apart(fact.value, ours) and evidence.sent.unzoned(ours)
        for ours in evidence.at(fact.type, fact.path)
    )


def _stood_for(fact: Fact, evidence: Evidence) -> bool:
    last = fact.path.rpartition(".")[2]
    return fact.type not in evidence.types and any(
        fact.value in evidence.matching(other, rf"(.*\.)?{last}")
        for other in _STANDS_FOR.get(fact.type, ())
    )


def _contact(fact: Fact, evidence: Evidence) -> bool:
    path = re.escape(fact.path.removeprefix("contact."))
    return (
        fact.type == "Organization"
        and fact.path.startswith("contact.")
        and fact.value in evidence.matching("Organization|RelatedPerson", path)
    )


def _scene(fact: Fact, evidence: Evidence) -> bool:
    return fact.type == "Location" and any(
        _words(fact.value) <= _words(one)
        for one in evidence.at("Observation", "component.valueString")
    )


def _yes_or_no(fact: Fact, evidence: Evidence) -> bool:
    path = re.sub(r"CodeableConcept\.coding\.\w+$", "Boolean", fact.path)
    said = {"y": "true", "yes": "true", "n": "false", "no": "false"}.get(fact.value)
    return path != fact.path and said in evidence.at(fact.type, path)


def _registered(fact: Fact, evidence: Evidence) -> bool:
    known = _WELL_KNOWN.get(fact.value.removeprefix("urn:oid:"))
    return fact.path.endswith("system") and known in evidence.at(fact.type, fact.path)


def _temporary(fact: Fact, evidence: Evidence) -> bool:
    return fact.path.endswith("<temporary-location>.valueBoolean") and "temporary" in (
        evidence.matching("Encounter", ".*<subject-locationClassification>.*code")
    )


def _own_uri(fact: Fact, evidence: Evidence) -> bool:
    last = re.split(r"[/:]", fact.value)[-1]
    return (
        fact.path.endswith("system")
        and re.search(r"//example\.com/|^[^/:]*$", fact.value) is not None
        and any(_names(ours, last) for ours in evidence.at(fact.type, fact.path))
    )


Rule = Callable[[Fact, Evidence], bool]

RULES: tuple[tuple[Rule, str], ...] = (
    (_concept, "a concept's code, display or text, in another of the three"),
    (_joined, "in one text that has all its words"),
    (_larger_place, "a place's larger parts: ours is one Location, named from the site to the bed"),
    (_place_number, "a part of a place: in its name, or in partOf"),
    (_assigner, "an assigning authority: in the identifier's system"),
    (_named_where_referred_to, "a person or place that is named in the reference"),
    (_numbered_elsewhere, "a number that stands in another element of the kind"),
    (_noted_elsewhere, "a note: the appointment or the report has it"),
    (_when, "when, in another of an element's choices"),
    (_zone, "a time sent without an offset, read in another zone"),
    (_stood_for, "a resource of another type has it"),
    (_contact, "an organization's contact: its own telecom, or the RelatedPerson's"),
    (_scene, "the place of an accident: in the Observation of it"),
    (_yes_or_no, "yes or no: a boolean"),
    (_registered, "an OID that FHIR has a system for"),
    (_temporary, "a temporary place, by HL7's other extension for it"),
    (_own_uri, "another URI for a system that has none"),
)
"""In this order."""
