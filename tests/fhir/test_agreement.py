"""What is taken without being shown to gate 2, gate 2 takes: fhir.resources is the oracle.

GATEWAY_MUTANTS is how many resources are made up of each kind (2,000).
"""

from __future__ import annotations

import copy
import os
import random
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.fhir import agreement, gates
from gateway.fhir.definitions import load
from gateway.fhir.definitions.build_agreement import differing
from gateway.fhir.elements import resource_types
from gateway.model import Resource
from tests.corpora import needs_corpora
from tests.fhir.examples import official

MUTANTS = int(os.environ.get("GATEWAY_MUTANTS", "2000"))
WORDS = (
    *("", " ", "a", "two words", "two  blanks", " led", "ends ", "\u00a0", "a\u00a0b", "é", "名前"),
    *("\n", "a\nb", "\ufeff", "\u200b", "\u2028", "\u3000", "a|1.0", "#x", "-", "a_b", "x" * 300),
    *("2023-02-29", "2024-02-29", "1900-02-29", "2000-02-29", "2023-04-31", "2023-13", "2023-00"),
    *("0000", "0001-01-01", "2023", "2023-01", "2023-1-1", "9999-12-31", "2023-02-28T23:59:60Z"),
    *("2023-02-29T10:00:00Z", "2023-02-28T10:00:00", "2023-02-28T10:00:00.1234567Z"),
    *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999-13:59", "2023-02-28T24:00:00Z"),
    *("12:00:00", "23:59:60", "24:00:00", "12:00", "12:00:00.1234567", "YQ==", "YQ=", "YQ", "%"),
    *("urn:oid:1.2.3", "urn:oid:3.1", "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"),
    *("urn:uuid:c757873d-ec9a-1326-a141-556f43239520", "http://a.b/c", "http://", "mailto:a@b"),
    *("http://1.2.3.999/a", "http://xn--a/b", "https://example.org:99999/", "x/y", "male", "final"),
)
NUMBERS = (0, 1, -1, 2**31 - 1, 2**31, -(2**31), 10**17, Decimal("1.0"), Decimal("72.50"))
ODD = (None, True, False, {}, [], [None], [{}], {"extension": []}, {"id": "a"})
LEAVES: tuple[Any, ...] = (*WORDS, *NUMBERS, *ODD, Decimal("1E+2"), Decimal("1E-9"))


def refused_by_models(resource: Resource) -> list[str]:
    """Where gate 2 alone refuses it."""
    found = gates._model_issues(resource["resourceType"], resource)
    return [str(issue.place) for issue in found]


def agreed(resource: Resource) -> bool:
    return gates.agreed(resource["resourceType"], resource)


def test_the_table_is_what_the_installed_models_make_of_it() -> None:
    assert load("agreement") == differing()


@needs_corpora
@pytest.mark.corpora
def test_nearly_all_official_examples_need_no_models_and_none_is_refused_by_them() -> None:
    examples = [resource for _, resource in official()]
    taken = [each for each in examples if agreed(each)]
    print(f"{len(taken)} of {len(examples)}")
    assert len(taken) > 0.9 * len(examples)
    assert [each["id"] for each in taken if refused_by_models(each)] == []


@needs_corpora
@pytest.mark.corpora
def test_no_mutant_of_an_official_example_passes_that_gate_2_refuses() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    examples = [resource for _, resource in official()]
    passed = 0
    for _ in range(MUTANTS):
        made = mutant(rng, rng.choice(examples), examples)
        if gates._unknown(made.get("resourceType")) is None and agreed(made):
            passed += 1
            assert refused_by_models(made) == [], made
    assert passed > MUTANTS / 20


def mutant(rng: random.Random, resource: Resource, others: list[Resource]) -> Resource:
    made = copy.deepcopy(resource)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        holder = rng.choice(list(holders(made)))
        key: Any = rng.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        match rng.randrange(6):
            case 0 | 1:
                holder[key] = copy.deepcopy(rng.choice(LEAVES))
            case 2 if key != "resourceType":
                del holder[key]
            case 3 if isinstance(holder, dict):
                holder[rng.choice(("_", "")) + str(key)] = {"extension": [{"url": "a"}]}
            case 4 if isinstance(holder, list):
                holder.insert(rng.randrange(len(holder) + 1), None)
            case _ if isinstance(holder, dict):
                graft = rng.choice(list(holders(rng.choice(others))))
                if isinstance(graft, dict) and graft is not made:
                    name = rng.choice(list(graft))
                    holder[name] = copy.deepcopy(graft[name])
    return made


def holders(node: Any) -> Iterator[Any]:
    """Every object and list that holds something."""
    if isinstance(node, (dict, list)) and node:
        yield node
        for child in node.values() if isinstance(node, dict) else node:
            yield from holders(child)


def test_no_resource_that_the_narrow_schema_allows_is_refused_by_gate_2() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    types = sorted(resource_types())
    passed = 0
    for _ in range(MUTANTS):
        made = made_of(rng, rng.choice(types), 4)
        if agreed(made):
            passed += 1
            assert refused_by_models(made) == [], made
    assert passed > MUTANTS / 10


def made_of(rng: random.Random, name: str, depth: int) -> Resource:
    """An instance of a definition: what it demands and a few elements more."""
    one = definitions()[name]
    groups = [
        [each["required"][0] for each in rule["anyOf"]]
        for rule in one.get("allOf", ())
        if all("required" in each for each in rule["anyOf"])
    ]
    keys = {*one.get("required", ())}
    keys |= {next((n for n in group if n.endswith("Boolean")), group[0]) for group in groups}
    keys &= set(one["properties"])
    optional = sorted(one["properties"])
    keys |= set(rng.sample(optional, min(len(optional), rng.randrange(4)))) if depth > 0 else set()
    if not keys:
        keys = {"id"}
    return {key: value(rng, one["properties"][key], depth - 1) for key in sorted(keys)}


def value(rng: random.Random, schema: Any, depth: int) -> Any:
    if "items" in schema:
        return [value(rng, schema["items"], depth) for _ in range(rng.choice((1, 1, 2)))]
    if "anyOf" in schema:
        return None if rng.random() < 0.1 else value(rng, schema["anyOf"][0], depth)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return rng.choice(schema["enum"])
    if "minimum" in schema:
        return rng.choice((schema["minimum"], 1, 7, schema["maximum"]))
    name = schema.get("$ref", "").rpartition("/")[2]
    if not name:
        return made_of(rng, rng.choice(("Patient", "Basic", "Task")), 1)
    if "properties" in definitions()[name]:
        return made_of(rng, name, depth)
    if name == "boolean":
        return rng.random() < 0.5
    return rng.choice(NUMBERS if name == "decimal" else fitting(name))


@cache
def fitting(name: str) -> tuple[str, ...]:
    """Words that a primitive takes."""
    probe = gates._compiled(name, {name: definitions()[name]})
    return tuple(word for word in WORDS if probe.is_valid(word)) or ("none",)


@cache
def definitions() -> dict[str, Any]:
    return agreement.narrowed(gates._definitions())


@given(st.data())
def test_what_a_narrowed_pattern_takes_the_models_take(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(set(agreement._NARROWED) - {"xhtml"})))
    # hypothesis takes its time over a class of a million characters
    pattern = agreement._NARROWED[name].replace(agreement._SOLID, "!-~\u00e9\u540d\u200b")
    text = data.draw(st.from_regex(pattern, fullmatch=True) | st.sampled_from(WORDS))
    key = "value" + name[0].upper() + name[1:]
    made = {"resourceType": "Basic", "code": {"text": "a"}, "extension": [{"url": "u", key: text}]}
    assume(agreed(made))
    assert refused_by_models(made) == []


def test_what_isnt_agreed_on_is_still_judged() -> None:
    taken = {
        "resourceType": "Endpoint",
        "status": "active",
        "payloadType": [{"text": "a"}],
        "connectionType": {"code": "hl7v2-mllp"},
        "address": "mllp:10.1.1.10:9234",
    }
    assert not agreed(taken)
    assert gates.check(taken) is taken
