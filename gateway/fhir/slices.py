"""Which slice of a profile a value belongs to, by its discriminators (R4 profiling.html, 5.1.0.14).

``value`` and ``pattern``, ``type``, ``exists`` and ``profile`` (by the type that it is of). A
verdict is True, False, or None where this can't be told here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gateway.fhir import terminology
from gateway.fhir.expressions import LITERAL
from gateway.fhir.profiles import Profiles
from gateway.fhir.tree import Node
from gateway.fhir.values import Value
from gateway.model import Resource

Verdict = bool | None


class Sorter:
    """Sorts the values of one resource into slices."""

    def __init__(self, profiles: Profiles, root: Resource) -> None:
        self._profiles = profiles
        self._root = root

    def sort(self, node: Node, found: list[Value]) -> tuple[dict[str, list[Value]], bool]:
        """The values of each slice, and whether there was one of which it couldn't be told."""
        by = _discriminators(node)
        out: dict[str, list[Value]] = {name: [] for name in node.slices}
        if not by:
            return out, True
        undecided = False
        for value in found:
            for name, slice in node.slices.items():
                verdict = _all(self._fits(slice, value, kind, path) for kind, path in by)
                undecided |= verdict is None
                if verdict:
                    out[name].append(value)
                    break
        if not found:
            undecided = False
        return out, undecided

    def _fits(self, slice: Node, value: Value, kind: str, path: str) -> Verdict:
        if path.endswith("resolve()"):
            return self._of_target(slice, value, path)
        if kind == "type":
            return self._of_type(slice, value, path)
        if kind == "exists":
            return _exists(slice, value, path)
        if kind == "profile":
            return self._of_type(slice, value, path)
        if path == "url" and (urls := _profiles(slice)):
            return isinstance(value.node, dict) and value.node.get("url") in urls
        verdicts = [
            _any(_said(node, each) for each in _values(value, path)) for node in slice.at(path)
        ]
        decided = [verdict for verdict in verdicts if verdict is not _SILENT]
        return _all(decided) if decided else None

    def _of_type(self, slice: Node, value: Value, path: str) -> Verdict:
        codes = {
            str(each["code"]) for node in slice.at(path) for each in node.says.get("types", ())
        }
        asked = [url for node in slice.at(path) for url in _profiles(node)]
        codes |= {type_ for url in asked if (type_ := self._profiles.type_of(url))}
        if not codes:
            return None
        return any(each.type in codes for each in _values(value, path))

    def _of_target(self, slice: Node, value: Value, path: str) -> Verdict:
        """By the type of what a reference leads to."""
        before = path.removesuffix("resolve()").rstrip(".") or "$this"
        targets = {
            self._profiles.type_of(target)
            for node in slice.at(before)
            for each in node.says.get("types", ())
            for target in each.get("targets", ())
        }
        if not targets or "" in targets:
            return None
        found = {self._type(each.node) for each in _values(value, before)}
        if "" in found:
            return None
        if not found <= targets:
            return False
        # Of one type: whether it is of the profile, too, only what it leads to could tell.
        return True if len(targets) and not _one_of_many(slice, before) else None

    def _type(self, reference: Any) -> str:
        literal = reference.get("reference") if isinstance(reference, dict) else None
        if not isinstance(literal, str):
            return ""
        if literal.startswith("#"):
            inner = self._root.get("contained", ())
            return next((one["resourceType"] for one in inner if one.get("id") == literal[1:]), "")
        match = LITERAL.fullmatch(literal)
        return match["type"] if match else ""


def contains(node: Any, pattern: Any) -> bool:
    """Whether a value has all that a pattern has (ElementDefinition.pattern[x])."""
    if isinstance(pattern, dict):
        return isinstance(node, dict) and all(
            name in node and contains(node[name], one) for name, one in pattern.items()
        )
    if isinstance(pattern, list):
        return isinstance(node, list) and all(
            any(contains(each, one) for each in node) for one in pattern
        )
    return bool(node == pattern)


class _Silent:
    """What a node says that says nothing that could tell slices apart."""


_SILENT: Any = _Silent()


def _said(node: Node, value: Value) -> Any:
    """Whether a value is as fixed values, patterns and bindings at a node and below say."""
    verdicts: list[Verdict] = []
    says = node.says
    if "fixed" in says:
        verdicts.append(value.node == says["fixed"])
    if "pattern" in says:
        verdicts.append(contains(value.node, says["pattern"]))
    if says.get("binding", [""])[0] == "required":
        members = terminology.members(says["binding"][1])
        verdicts.append(None if members is None else terminology.coded_in(value.node, members))
    for child in node.children.values():
        inner = [_said(child, each) for each in value.below(child.name)]
        decided = [verdict for verdict in inner if verdict is not _SILENT]
        if decided:
            verdicts.append(_any(decided))
        elif _speaks(child):
            verdicts.append(False)
    return _all(verdicts) if verdicts else _SILENT


def _speaks(node: Node) -> bool:
    """Whether a node or one below has a fixed value or pattern."""
    return bool({"fixed", "pattern"} & set(node.says)) or any(map(_speaks, node.children.values()))


def _discriminators(node: Node) -> list[tuple[str, str]]:
    by = node.says.get("slicing", {}).get("by")
    if by:
        return [(kind, path) for kind, path in by]
    if node.name in ("extension", "modifierExtension"):
        return [("value", "url")]
    if node.name.endswith("[x]"):
        return [("type", "$this")]
    return []


def _profiles(node: Node) -> list[str]:
    return [
        url.partition("|")[0]
        for each in node.says.get("types", ())
        for url in each.get("profiles", ())
    ]


def _values(value: Value, path: str) -> list[Value]:
    found = [value]
    for name in () if path in ("$this", "") else path.split("."):
        found = [inner for each in found for inner in each.below(name)]
    return found


def _exists(slice: Node, value: Value, path: str) -> Verdict:
    there = bool(_values(value, path))
    for node in slice.at(path):
        if node.says.get("max") == "0":
            return not there
        if node.says.get("min", 0) >= 1:
            return there
    return None


def _one_of_many(slice: Node, path: str) -> bool:
    """Whether the slice names profiles, so that the type alone doesn't make a member."""
    named = [
        target
        for node in slice.at(path)
        for each in node.says.get("types", ())
        for target in each.get("targets", ())
    ]
    return any("/us/" in target or "/uv/" in target for target in named)


def _all(verdicts: Iterable[Verdict]) -> Verdict:
    found = list(verdicts)
    if any(verdict is False for verdict in found):
        return False
    return None if any(verdict is None for verdict in found) else True


def _any(verdicts: Iterable[Any]) -> Any:
    found = list(verdicts)
    if any(verdict is True for verdict in found):
        return True
    spoken = [verdict for verdict in found if verdict is not _SILENT]
    if found and not spoken:
        return _SILENT
    return None if any(verdict is None for verdict in spoken) else False
