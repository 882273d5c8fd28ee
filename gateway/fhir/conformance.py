"""Whether a resource is as a profile says (R4 profiling.html): our own walk over its elements.

Cardinality, fixed values and patterns, types, targets of references, required bindings to value
sets that are known here, slices, extensions' own profiles, invariants. What can't be decided here
(an absent base, a foreign value set) is told as information, and is never an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from gateway.errors import Issue, Severity
from gateway.fhir import terminology
from gateway.fhir.expressions import LITERAL
from gateway.fhir.invariants import judged
from gateway.fhir.profiles import CORE, Profile, Profiles
from gateway.fhir.slices import Sorter, contains
from gateway.fhir.tree import Node, tree
from gateway.fhir.values import Value, whole
from gateway.model import Resource

DEEPEST: Final = 16
"""How far profiles that name profiles are followed."""


def deviations(resource: Resource, profile: Profile, profiles: Profiles) -> list[Issue]:
    """One issue for each thing in which a resource isn't as a profile says; [] where it conforms.

    Errors come first. Information names what couldn't be checked.
    """
    if resource.get("resourceType") != profile.type:
        return [Issue(f"the profile is one of {profile.type}", None, "structure")]
    walk = _Walk(profiles, resource)
    found = list(dict.fromkeys(walk.profile(profile, whole(resource))))
    return sorted(found, key=lambda issue: _ORDER[issue.severity])


_ORDER: Final[dict[Severity, int]] = {"fatal": 0, "error": 1, "warning": 2, "information": 3}


class _Walk:
    """One resource held to profiles."""

    def __init__(self, profiles: Profiles, root: Resource) -> None:
        self._profiles = profiles
        self._root = root
        self._sorter = Sorter(profiles, root)
        self._depth = 0

    def profile(self, profile: Profile, value: Value) -> Iterator[Issue]:
        """A value held to a whole profile."""
        if self._depth > DEEPEST:
            return
        if profile.absent:
            yield _unchecked("the profile's base isn't known here", value.place)
        self._depth += 1
        yield from self._hold(tree(profile.elements), value)
        self._depth -= 1

    def _hold(self, node: Node, value: Value) -> Iterator[Issue]:
        """A value held to all that is said of its element."""
        says = node.says
        if "fixed" in says and value.node != says["fixed"]:
            yield Issue("not the profile's fixed value", value.place, "value")
        if "pattern" in says and not contains(value.node, says["pattern"]):
            yield Issue("not as the profile's pattern says", value.place, "value")
        yield from self._types(says.get("types", ()), value)
        if "binding" in says:
            strength, url = says["binding"]
            yield from _bound(strength, url, value)
        inside = value.node if isinstance(value.node, dict) else {}
        resource = inside if "resourceType" in inside else self._root
        yield from judged(says.get("rules", ()), value, self._root, resource)
        for child in node.children.values():
            yield from self._child(child, value)

    def _child(self, child: Node, value: Value) -> Iterator[Issue]:
        found = value.below(child.name)
        place = f"{value.place}.{child.name.removesuffix('[x]')}"
        yield from _counted(child.says, len(found), place, "")
        for each in found:
            yield from self._hold(child, each)
        if child.slices:
            yield from self._sliced(child, found, place)

    def _sliced(self, child: Node, found: list[Value], place: str) -> Iterator[Issue]:
        sorted_, undecided = self._sorter.sort(child, found)
        if undecided:
            yield _unchecked("what tells the slices apart isn't known here", place)
        for name, values in sorted_.items():
            node = child.slices[name]
            bounds = node.says if not undecided else {"max": node.says.get("max", "*")}
            yield from _counted(bounds, len(values), place, f" in slice {name}")
            for each in values:
                yield from self._hold(node, each)
        if child.says.get("slicing", {}).get("rules") == "closed" and not undecided:
            taken = {id(each.node) for values in sorted_.values() for each in values}
            for each in found:
                if id(each.node) not in taken:
                    yield Issue("in none of the profile's slices", each.place, "structure")

    def _types(self, types: list[dict[str, Any]], value: Value) -> Iterator[Issue]:
        if not types:
            return
        own = [each for each in types if each["code"] == value.type]
        resource = value.type[:1].isupper() and "Resource" in {each["code"] for each in types}
        if not own and not resource and not types[0]["code"].startswith("http"):
            yield Issue("not of a type that the profile allows", value.place, "structure")
        targets = [target for each in own for target in each.get("targets", ())]
        if targets and isinstance(value.node, dict):
            yield from self._target(targets, value)
        asked = [profile for each in own for profile in each.get("profiles", ())]
        known = [found for url in asked if (found := self._profiles.get(url)) is not None]
        if len(asked) == len(known) == 1:
            yield from self.profile(known[0], value)

    def _target(self, targets: list[str], value: Value) -> Iterator[Issue]:
        allowed = {self._profiles.type_of(target) for target in targets}
        literal = value.node.get("reference")
        match = LITERAL.fullmatch(literal) if isinstance(literal, str) else None
        type_ = match["type"] if match else value.node.get("type", "")
        if type_ and "" not in allowed and type_ not in allowed:
            yield Issue("refers to a type that the profile doesn't allow", value.place, "structure")


def _counted(says: dict[str, Any], count: int, place: str, where: str) -> Iterator[Issue]:
    if count < says.get("min", 0):
        yield Issue(f"the profile asks for at least {says['min']}{where}", place, "required")
    most = says.get("max", "*")
    if most != "*" and count > int(most):
        yield Issue(f"the profile allows at most {most}{where}", place, "structure")


def _bound(strength: str, url: str, value: Value) -> Iterator[Issue]:
    """A coded value held to its value set; an extensible one is only warned of."""
    if value.node is None:
        return
    members = terminology.members(url)
    if members is None:
        if strength == "required":
            yield _unchecked("its value set isn't known here", value.place)
        return
    if not isinstance(value.node, (str, dict)) or terminology.coded_in(value.node, members):
        return
    if strength == "required":
        yield Issue("not in the profile's value set", value.place, "code-invalid")
    elif _coded(value.node):
        text = "in none of the value set's codes, which is meant to be extended only at need"
        yield Issue(text, value.place, "code-invalid", severity="warning")


def _coded(node: Any) -> bool:
    return isinstance(node, str) or bool(node.get("coding")) or "code" in node


def _unchecked(text: str, place: str) -> Issue:
    return Issue(f"not checked: {text}", place, "incomplete", severity="information")


def claimed(resource: Resource) -> list[str]:
    """The profiles that a resource says it conforms to, R4's own types left out."""
    said = (resource.get("meta") or {}).get("profile") or []
    return [url for url in said if isinstance(url, str) and not _core(url)]


def _core(url: str) -> bool:
    return url.startswith(CORE) and url.removeprefix(CORE).isalpha() and url[len(CORE)].isupper()
