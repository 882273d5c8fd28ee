"""Every example of mappings/README.md, run: the guide can't lie."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gateway.parse.er7 import parse
from gateway.translate import Library, load, translate

README = Path(__file__).parents[2] / "mappings" / "README.md"
BLOCK = re.compile(r"^```(yaml|csv|hl7|json)\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = [(match[1], match[2]) for match in BLOCK.finditer(README.read_text(encoding="utf-8"))]
FILE = re.compile(r"# (\S+/\S+\.(?:yaml|csv))\n")
FRAGMENT = re.compile(r"# ([A-Z][A-Za-z]+): .*\n")
MESSAGES = [text for kind, text in BLOCKS if kind == "hl7"]


def fragments() -> Iterator[Any]:
    """(type, rules, expected elements) of the small examples, run on the first message."""
    for (kind, text), (_, after) in itertools.pairwise(BLOCKS):
        match = FRAGMENT.match(text)
        if kind == "yaml" and match:
            yield pytest.param(match[1], text, after, id=text.split("\n", 1)[0])


def whole() -> Iterator[Any]:
    """(message, expected resources)."""
    for (kind, text), (next_kind, after) in itertools.pairwise(BLOCKS):
        if kind == "hl7" and next_kind == "json":
            yield pytest.param(text, after, id=text.split("|")[8])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All files that the page shows, where it says."""
    root = tmp_path_factory.mktemp("mappings")
    for kind, text in BLOCKS:
        match = FILE.match(text) if kind in ("yaml", "csv") else None
        if match:
            path = root / match[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text[match.end() :], encoding="utf-8")
    return root


def exact(text: str) -> Any:
    return json.loads(text, parse_float=Decimal)


def translated(library: Library, message: str) -> list[dict[str, Any]]:
    """The resources, with ids as the page writes them: #0, #1 …."""
    agency = library.agencies["cedar-general"]
    entries = translate(library, agency, parse(message.replace("\n", "\r").encode())).entries
    names = {
        f"{entry.resource['resourceType']}/{entry.resource['id']}": f"#{number}"
        for number, entry in enumerate(entries)
    }
    resources = [
        {key: value for key, value in entry.resource.items() if key != "id"} for entry in entries
    ]
    return [renamed(resource, names) for resource in resources]


def renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: renamed(one, names) for key, one in value.items()}
    if isinstance(value, list):
        return [renamed(one, names) for one in value]
    return names.get(value, value) if isinstance(value, str) else value


def test_the_page_has_examples() -> None:
    assert len(list(fragments())) >= 6
    assert len(list(whole())) >= 2
    assert len(MESSAGES) >= 3


@pytest.mark.parametrize(("message", "expected"), list(whole()))
def test_a_message_becomes_what_the_page_says(folder: Path, message: str, expected: str) -> None:
    assert translated(load([folder]), message) == exact(expected)


@pytest.mark.parametrize(("type_", "rules", "expected"), list(fragments()))
def test_rules_make_what_the_page_says(
    folder: Path, tmp_path: Path, type_: str, rules: str, expected: str
) -> None:
    indented = "".join(f"      {line}\n" for line in rules.splitlines())
    maps = tmp_path / "hl7v2" / "messages"
    maps.mkdir(parents=True)
    (maps / "ADT_A01.yaml").write_text(
        "map: ADT_A01\nevents: [ADT^A01]\nresources:\n  it:\n"
        f"    to: {type_}\n    key: {{from: PID-3.1}}\n    set:\n{indented}",
        encoding="utf-8",
    )
    (made,) = translated(load([tmp_path, folder]), MESSAGES[0])
    assert made == {"resourceType": type_, **exact(expected)}


def test_the_first_message_becomes_its_four_resources(folder: Path) -> None:
    library = load([folder])
    made = translated(library, MESSAGES[0])
    assert [one["resourceType"] for one in made] == [
        "Patient",
        "Practitioner",
        "Encounter",
        "Condition",
    ]
    patient, practitioner, encounter, condition = made
    assert [one["value"] for one in patient["identifier"]] == ["77", "900-12"]
    assert patient["identifier"][1]["system"] == "urn:oid:2.16.840.1.113883.4.1"
    assert patient["name"][1] == {"family": "Ever", "use": "nickname"}
    assert patient["gender"] == "male"
    assert patient["telecom"] == [{"system": "phone", "value": "555-1234", "use": "home"}]
    assert patient["deceasedBoolean"] is True
    assert patient["managingOrganization"] == {"reference": "Organization/cedar-general"}
    assert practitioner["name"] == [{"family": "Attend", "given": ["Aaron"]}]
    assert encounter["participant"] == [{"individual": {"reference": "#1"}}]
    assert encounter["diagnosis"] == [{"condition": {"reference": "#3"}}]
    assert condition["subject"] == {"reference": "#0"}
    assert condition["onsetDateTime"] == "2024-02-29"


def test_the_agency_is_as_the_page_says(folder: Path) -> None:
    agency = load([folder]).agencies["cedar-general"]
    assert agency.timezone == "America/Chicago"
    assert [(one.application, one.facility) for one in agency.senders] == [
        ("EHR", "CEDARGEN"),
        ("LAB", ""),
    ]
    assert agency.identifiers == (("http://hl7.org/fhir/sid/us-npi", "1234567893"),)
    assert agency.closing is not None
    assert (agency.closing.reply, agency.closing.outcome) == ("rri", "oru")
    assert agency.closing.to == "mllp://127.0.0.1:2601"
