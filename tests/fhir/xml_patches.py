"""The published XML Patch cases (fhir-test-cases, r4/patch), told as JSON documents and patches.

The gateway speaks no XML, so an element becomes an object of its name, attributes and content, and
an XML Patch (RFC 5261) the JSON Patch that does the same: XPath selects here, the patch changes.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

Json = dict[str, Any]

FHIR = "{http://hl7.org/fhir}"
OTHERWISE = {
    "Missing patch operation": "RFC 6902 and the FHIRPath cases let a patch of nothing through",
    "Missing target document": "what isn't there is a 404, before any patch",
    "Remove Element - error": "a JSON Pointer can't name two; FHIRPath's is in test_patch",
    "A.3.  Adding a Prefixed Namespace Declaration": "JSON has no namespaces to declare",
}
"""The cases that can't be told so, and why."""

_STEP = re.compile(r"(?:f:)?(\w+)(?:\[(?:(\d+)|@(\w+)='([^']*)')\])?")


class Case(NamedTuple):
    name: str
    before: Json
    patch: list[Json]
    after: Json | None


def cases(file: Path) -> Iterator[Case]:
    parser = ET.XMLParser(target=ET.TreeBuilder(insert_comments=True))
    for case in ET.parse(file, parser).getroot().iter("case"):
        if case.attrib["name"] not in OTHERWISE:
            yield _case(case)


def _case(case: ET.Element) -> Case:
    before = _document(case.find("target"))
    patched = case.find("patched")
    patch = _elements(case.find(FHIR + "patch"))
    steps = [step for each in patch for step in _operations(each, before)]
    after = None if patched is None else _document(patched)
    return Case(case.attrib["name"], before, steps, after)


def _document(holder: ET.Element | None) -> Json:
    assert holder is not None
    return {"content": [_node(_elements(holder)[0])]}


def _elements(holder: ET.Element | None) -> list[ET.Element]:
    return [] if holder is None else [each for each in holder if isinstance(each.tag, str)]


def _node(element: ET.Element) -> Json:
    node: Json = {"name": element.tag}
    if element.attrib:
        node["attributes"] = dict(element.attrib)
    if content := _content(element):
        node["content"] = content
    return node


def _content(element: ET.Element) -> list[Any]:
    found: list[Any] = [element.text]
    for child in element:
        is_element = isinstance(child.tag, str)
        found += [_node(child) if is_element else {"comment": child.text}, child.tail]
    return [
        each for each in found if each is not None and (not isinstance(each, str) or each.strip())
    ]


def _operations(asked: ET.Element, document: Json) -> Iterator[Json]:
    kind = asked.tag.removeprefix(FHIR)
    path = _select(asked.attrib["sel"], document)
    given = _content(asked)
    if kind == "remove":
        yield {"op": "remove", "path": path}
    elif kind == "replace":
        yield {"op": "replace", "path": path, "value": given[0]}
    elif asked.attrib.get("type", "").startswith("@"):
        yield from _attribute(path, asked.attrib["type"][1:], given[0], document)
    elif asked.attrib.get("pos") == "before":
        yield {"op": "add", "path": path, "value": given[0]}
    elif "content" in _at(document, path):
        yield from ({"op": "add", "path": f"{path}/content/-", "value": each} for each in given)
    else:
        yield {"op": "add", "path": f"{path}/content", "value": given}


def _attribute(path: str, name: str, value: Any, document: Json) -> Iterator[Json]:
    if "attributes" not in _at(document, path):
        yield {"op": "add", "path": f"{path}/attributes", "value": {}}
    yield {"op": "add", "path": f"{path}/attributes/{name}", "value": value}


def _select(xpath: str, document: Json) -> str:
    """The JSON Pointer of what an XPath selects; one that leads nowhere where that is nothing."""
    path = ""
    for step in xpath.split("/"):
        node = _at(document, path)
        if step.startswith("@"):
            return f"{path}/attributes/{step[1:]}"
        content = node.get("content", [])
        if step.startswith("text()"):
            wanted = [n for n, each in enumerate(content) if isinstance(each, str)]
        elif step.startswith("comment()"):
            wanted = [n for n, each in enumerate(content) if "comment" in each]
        else:
            wanted = _children(step, content)
        if not wanted:
            return "/nothing"
        path = f"{path}/content/{wanted[0]}"
    return path


def _children(step: str, content: list[Any]) -> list[int]:
    match = _STEP.fullmatch(step)
    assert match is not None, step
    name, number, attribute, value = match.groups()
    named = [
        n
        for n, each in enumerate(content)
        if isinstance(each, dict)
        and each.get("name") == FHIR + name
        and (attribute is None or each.get("attributes", {}).get(attribute) == value)
    ]
    return named[int(number) - 1 :][:1] if number else named


def _at(document: Any, path: str) -> Any:
    for key in path.split("/")[1:]:
        document = document[int(key)] if isinstance(document, list) else document[key]
    return document
