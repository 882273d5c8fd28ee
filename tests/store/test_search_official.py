"""Every valid official example goes in and is found by each search parameter that applies to it.

What applies, and by which value, is fhirpathpy's word on the parameter's own expression; none of
the gateway's rows are looked at. Composites are evaluated element by element.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from gateway.errors import InvalidResource, InvalidSearch
from gateway.fhir.gates import check
from gateway.fhir.search_parameters import Parameter, parameters
from gateway.fhir.sounds import sounds
from gateway.model import Resource
from gateway.store import Hub, open_hub
from tests.corpora import needs_corpora
from tests.fhir.examples import official
from tests.fhir.test_search_parameters import compiled, oracle, speaks_of
from tests.store.found import page, put
from tests.store.samples import CLINIC

pytestmark = [needs_corpora, pytest.mark.corpora]


@pytest.fixture(scope="module")
def examples() -> list[Resource]:
    """Each once, with an id."""
    found: dict[str, Resource] = {}
    for _, resource in official("r4-spec-examples", "us-core"):
        if "id" in resource:
            try:
                valid = check(resource, models=False)
            except InvalidResource:
                continue
            found[f"{valid['resourceType']}/{valid['id']}"] = valid
    return list(found.values())


@pytest.fixture(scope="module")
def filled(examples: list[Resource], module_url: str) -> Iterator[Hub]:
    hub = open_hub(module_url)
    put(hub, CLINIC, *examples)
    yield hub
    hub.close()


def test_every_example_is_found_by_each_parameter_that_applies(
    filled: Hub, examples: list[Resource]
) -> None:
    asked, lost = 0, []
    for resource in examples:
        for text in searches(resource):
            asked += 1
            for narrow in (f"&_id={resource['id']}", "&_count=1000"):
                try:
                    result = page(filled, CLINIC, f"{resource['resourceType']}?{text}{narrow}")
                except InvalidSearch as error:
                    lost.append((resource["resourceType"], resource["id"], text, str(error)))
                    continue
                if resource["id"] not in [entry.id for entry in result.entries]:
                    lost.append((resource["resourceType"], resource["id"], text, narrow))
    print(f"{len(examples)} resources, {asked} searches")
    assert not lost, lost[:20]
    assert asked > 2000


def searches(resource: Resource) -> Iterator[str]:
    """Searches, a value each, that must find a resource."""
    for code, one in parameters(resource["resourceType"]).items():
        # A CarePlan's scheduledString is a text, whatever stands in it.
        if one.kind == "words" or code in ("_id", "_lastUpdated", "activity-date"):
            continue
        if one.kind == "composite":
            found = list(composites(one, resource))
        else:
            values = oracle(one.expression, resource)
            found = [text for value in values for text in asked_by(one.kind, value, one, code)]
        for text in dict.fromkeys(found[:4]):
            yield f"{code}={quoted(text)}"


def composites(one: Parameter, resource: Resource) -> Iterator[str]:
    expressions = COMPONENTS[one.definition.rpartition("/")[2]]
    for root in one.expression.split(" | "):
        if not speaks_of(root, resource["resourceType"]):
            continue
        for number in range(len(list(compiled(root)(resource)))):
            parts = []
            for part, expression in zip(one.components, expressions, strict=True):
                path = expression.replace("DateTime", "dateTime")
                values = [
                    value
                    for each in path.split(" | ")
                    for value in compiled(f"{root}[{number}].{each}")(resource)
                ]
                parts.append([t for v in values for t in asked_by(part.kind, v, one, "")][:2])
            yield from map("$".join, itertools.product(*parts))


def _components() -> dict[str, list[str]]:
    from gateway.fhir.definitions import load

    return {
        raw["id"]: [expression for _, expression in raw["component"]]
        for raw in load("search_parameters")
        if "component" in raw
    }


COMPONENTS = _components()


def asked_by(kind: str, value: Any, one: Parameter, code: str) -> Iterable[str]:
    """The texts of a search by a value."""
    return [text for text in ASKED[kind](value) if text]


def escaped(text: Any) -> str:
    return re.sub(r"([\\,$|])", r"\\\1", str(text))


def quoted(text: str) -> str:
    return text.replace("%", "%25").replace("&", "%26").replace("#", "%23").replace(";", "%3B")


def token(value: Any) -> list[str]:
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if isinstance(value, str):
        return [escaped(value)]
    if "coding" in value:
        return [text for coding in value["coding"] for text in token(coding)]
    if "code" in value:
        return [f"{escaped(value.get('system', ''))}|{escaped(value['code'])}"]
    if "value" in value and value.get("system") in ("phone", "email", "fax", "url", "sms", "pager"):
        return [escaped(value["value"])]
    if "value" in value:
        return [f"{escaped(value.get('system', ''))}|{escaped(value['value'])}"]
    return []


def string(value: Any) -> list[str]:
    if isinstance(value, dict):
        names = ("text", "family", "city", "postalCode", "state", "country")
        parts = [value[name] for name in names if name in value]
        return [escaped(part) for part in [*parts, *value.get("given", []), *value.get("line", [])]]
    return [escaped(value)]


def reference(value: Any) -> list[str]:
    if isinstance(value, str):
        return [escaped(value), escaped(value.partition("|")[0])] if value[:1] != "#" else []
    if "resourceType" in value:
        return []
    text = value.get("reference", "")
    if text.startswith("#"):
        return []
    return [escaped(text)] if text else []


def date(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value, f"ge{value}", f"le{value}"]
    ends = [f"ge{value['start']}"] if "start" in value else []
    ends += [f"le{value['end']}"] if "end" in value else []
    return ends or [f"ap{each}" for each in value.get("event", [])]


def number(value: Any) -> list[str]:
    return [str(value), f"ge{value}", f"le{value}"] if isinstance(value, (int, Decimal)) else []


def quantity(value: Any) -> list[str]:
    if "comparator" in value or not isinstance(value.get("value"), (int, Decimal)):
        return []
    text = str(value["value"])
    if "currency" in value:
        return [text, f"{text}|urn:iso:std:iso:4217|{value['currency']}"]
    if "code" not in value:
        return [text]
    return [text, f"{text}|{escaped(value.get('system', ''))}|{escaped(value['code'])}"]


def spoken(value: Any) -> list[str]:
    texts = [value] if isinstance(value, str) else [value.get("family"), *value.get("given", ())]
    return [escaped(text) for text in texts if text and sounds(text)]


ASKED = {
    "token": token,
    "string": string,
    "reference": reference,
    "date": date,
    "number": number,
    "quantity": quantity,
    "uri": lambda value: [escaped(value)],
    "sounds": spoken,
    "near": lambda value: [f"{value['latitude']}|{value['longitude']}|1|m"],
}
