"""What publishers' converters state of their messages, and how much of it the library states too.

Publishers have habits of their own (made-up system URIs, invented uses, whole bundles of
locations), so facts are compared and not bundles; each fact that we lack is put down to a cause.
"""

from __future__ import annotations

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from gateway.errors import GatewayError
from gateway.model import Agency
from gateway.parse.er7 import parse
from gateway.settings import shipped
from gateway.translate import Library, load, translate
from tests.corpora import CORPORA, needs_corpora, split_messages
from tests.mappings.agreed import NOT_ITS_OWN, agreed
from tests.mappings.facts import Fact, facts
from tests.mappings.test_corpus import EVENTS

pytestmark = [needs_corpora, pytest.mark.corpora]

REFERRAL = "ms-fhir-converter/data/SampleData/Hl7v2/REF-I12-01.hl7"

_PUBLISHERS_SYSTEM = "the publisher's made-up system; ours is HL7's, or the agency's own"
_INSURED = "IN2 speaks of the insured: the number stands in Coverage or the subscriber"
_SSN = "PID-19 is type SS in the US, as the guide has it"
_CONSTANT = "the publisher's constant; code says Patient referral (SNOMED CT 3457005)"

LEFT_OUT = {
    "Condition": {
        ("identifier.value", "dg1001"): "the parent, of which nothing is known: in condition-dueTo"
    },
    "Patient": {
        ("communication.language.coding.system", "*"): _PUBLISHERS_SYSTEM,
        ("contact.telecom.use", "home"): "the publisher's guess: NK1-5 has no use",
        ("extension<us-core-ethnicity>.extension<ombCategory>.valueCoding.display", "*"): "wording",
        ("extension<us-core-ethnicity>.extension<text>.valueString", "*"): "the sender's wording",
        ("identifier.system", "*"): _PUBLISHERS_SYSTEM,
        ("identifier.type.coding.code", "good health hospital"): "no code of table 0203: display",
        ("identifier.type.coding.code", "mb"): _INSURED,
        ("identifier.type.coding.code", "mc"): _INSURED,
        ("identifier.type.coding.code", "mi"): _INSURED,
        ("identifier.type.coding.code", "sb"): _SSN,
        ("identifier.type.coding.display", "member number"): _INSURED,
        ("identifier.type.coding.display", "military id number"): _INSURED,
        ("identifier.type.coding.display", "patient's medicare number"): _INSURED,
        ("identifier.value", "mb-12345"): _INSURED,
        ("identifier.value", "medicare-12345"): _INSURED,
        ("identifier.value", "mi-12345"): _INSURED,
    },
    "RelatedPerson": {
        ("communication.language.coding.code", "de"): "sent as 'ger', and kept so",
        ("communication.language.coding.display", "german"): "sent as 'ger' without a text",
        ("communication.language.coding.system", "*"): "sent without a system",
        ("identifier.system", "*"): _PUBLISHERS_SYSTEM,
        ("identifier.type.coding.code", "sb"): _SSN,
        ("identifier.type.coding.display", "social beneficiary identifier"): _SSN,
    },
    "ServiceRequest": {
        ("category.coding.code", "patient-referral-request"): _CONSTANT,
        ("category.coding.display", "patient referral request"): _CONSTANT,
        ("category.coding.system", "*"): _PUBLISHERS_SYSTEM,
        ("identifier.system", "*"): _PUBLISHERS_SYSTEM,
        ("locationCode.coding.system", "*"): _PUBLISHERS_SYSTEM,
        ("reasonCode.coding.system", "*"): _PUBLISHERS_SYSTEM,
        ("status", "on-hold"): "a fresh referral (RF1-1 P) is active: the Task says how it stands",
    },
}
"""Of REF-I12-01's bundle, what we leave out of patient, referral, diagnosis and kin, and why."""


class Pair(NamedTuple):
    """A message and its publisher's resources; ``ours`` is None where we refuse the message."""

    name: str
    event: str
    theirs: list[dict[str, Any]]
    ours: list[dict[str, Any]] | None


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    library = load([shipped("mappings")])
    return list(_pairs(library))


def _pairs(library: Library) -> Iterator[Pair]:
    with (CORPORA / "pairs.tsv").open(encoding="utf-8", newline="") as index:
        for row in csv.DictReader(index, delimiter="\t"):
            found = _pair(library, row["input"], row["expected"])
            if found is not None and found.event in EVENTS:
                yield found


def _pair(library: Library, name: str, expected: str) -> Pair | None:
    if (
        name in NOT_ITS_OWN
        or not name.endswith(".hl7")
        or not expected.endswith((".json", ".fhir"))
    ):
        return None
    raw = split_messages((CORPORA / name).read_bytes())
    bundle = json.loads((CORPORA / expected).read_bytes())
    if len(raw) != 1 or "entry" not in bundle:
        return None
    theirs = [entry["resource"] for entry in bundle["entry"] if "resource" in entry]
    try:
        record = parse(raw[0])
        made = translate(library, Agency("sample", "Sample", timezone="UTC"), record)
    except GatewayError:
        return Pair(name, "^".join(_event(raw[0])), theirs, None)
    return Pair(name, made.event, theirs, [entry.resource for entry in made.entries])


def _event(raw: bytes) -> list[str]:
    fields = raw.split(b"\r")[0].split(b"\n")[0].decode("latin-1").split("|")
    return fields[8].split("^")[:2] if len(fields) > 8 else []


def test_the_referral_lacks_no_fact_but_those_listed(pairs: list[Pair]) -> None:
    pair = next(pair for pair in pairs if pair.name == REFERRAL)
    assert pair.ours is not None
    theirs = [resource for resource in pair.theirs if _about_the_referral(resource)]
    lacking = facts(theirs) - facts(pair.ours)
    assert {fact for fact in lacking if not _listed(fact)} == set()
    stale = [
        (type_, *key)
        for type_, listed in LEFT_OUT.items()
        for key in listed
        if not any(fact.type == type_ and _fits(key, fact) for fact in lacking)
    ]
    assert not stale, "these are no longer lacking"


def test_most_of_what_publishers_state_is_stated(pairs: list[Pair]) -> None:
    shares = _print_table(pairs)
    assert shares["ms-fhir-converter"] >= 0.9
    assert shares["google-hdh"] >= 0.9


def _about_the_referral(resource: dict[str, Any]) -> bool:
    if resource["resourceType"] == "ServiceRequest":
        return "locationCode" in resource  # the other one is the laboratory's
    return resource["resourceType"] in LEFT_OUT


def _listed(fact: Fact) -> bool:
    return any(_fits(key, fact) for key in LEFT_OUT.get(fact.type, {}))


def _fits(key: tuple[str, str], fact: Fact) -> bool:
    return key[0] == fact.path and key[1] in ("*", fact.value)


def _print_table(pairs: list[Pair]) -> dict[str, float]:
    """Print causes by publisher; give the share, of the facts expected of us, that we state."""
    causes: dict[str, Counter[str]] = defaultdict(Counter)
    for pair in pairs:
        publisher = pair.name.partition("/")[0]
        causes[publisher]["pairs"] += 1
        if pair.ours is None:
            causes[publisher]["refused"] += 1
            continue
        ours = facts(pair.ours)
        known = {(fact.type, fact.value) for fact in ours}
        types = {fact.type for fact in ours}
        for fact in facts(pair.theirs):
            causes[publisher][_cause(fact, ours, known, types)] += 1
    _print_causes(causes)
    return {
        publisher: found["stated"] / max(1, sum(found[one] for one in CAUSES if one != AGREED))
        for publisher, found in causes.items()
    }


AGREED = "agreed"
CAUSES = (
    "stated",
    AGREED,
    "said elsewhere",
    "type not made",
    "their extension",
    "their system",
    "wording",
    "lacking",
)


def _cause(fact: Fact, ours: set[Fact], known: set[tuple[str, str]], types: set[str]) -> str:
    if fact in ours:
        return "stated"
    if agreed(fact, ours):
        return AGREED
    if fact.type not in types:
        return "type not made"
    if (fact.type, fact.value) in known:
        return "said elsewhere"
    if "extension<" in fact.path and not any(one.path == fact.path for one in ours):
        return "their extension"
    if fact.path.endswith("system"):
        return "their system"
    return "wording" if fact.path.endswith(("display", "text")) else "lacking"


def _print_causes(causes: dict[str, Counter[str]]) -> None:
    heads = ("pairs", "refused", *CAUSES)
    print("\n" + " ".join(f"{head:>15}" for head in ("publisher", *heads)))
    for publisher, found in sorted(causes.items()):
        print(" ".join(f"{cell:>15}" for cell in (publisher[:15], *(found[h] for h in heads))))
