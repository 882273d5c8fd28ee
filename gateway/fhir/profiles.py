"""Profiles: StructureDefinitions as what they add to R4, merged down to one list of elements.

Some ship with the gateway (``definitions/build_profiles.py``: SDOH Clinical Care, BSeR, the
Subscriptions backport, a part of US Core); the rest come from folders that the installation names:
any unpacked FHIR package. R4 5.1 and elementdefinition.html.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from gateway.errors import SettingError
from gateway.fhir.definitions import load

Json = dict[str, Any]

CORE: Final = "http://hl7.org/fhir/StructureDefinition/"
_VALUED: Final = re.compile(r"(fixed|pattern)[A-Z]")


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile with all that its known bases say: ``elements`` by their id, in order.

    ``absent`` is the canonical URL of a base that isn't known: what it asks for isn't checked.
    """

    url: str
    version: str
    type: str
    elements: Mapping[str, Json]
    absent: str = ""


class Profiles:
    """The profiles at hand, by canonical URL."""

    def __init__(self, raw: Mapping[str, Json]) -> None:
        self._raw = raw
        self._known: dict[str, Profile | None] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._raw))

    def get(self, canonical: str) -> Profile | None:
        """The profile of that URL; None where it, or that major version, isn't at hand."""
        url, _, version = canonical.partition("|")
        if url not in self._known:
            self._known[url] = self._merged(url, ())
        found = self._known[url]
        return found if found is not None and _same(version, found.version) else None

    def type_of(self, canonical: str) -> str:
        """The type that a profile is of; "" where it isn't at hand, or of any."""
        url = canonical.partition("|")[0]
        if url.startswith(CORE) and url not in self._raw:
            name = url.removeprefix(CORE)
            return "" if name == "Resource" else name
        raw = self._raw.get(url)
        return raw["type"] if raw is not None else ""

    def _merged(self, url: str, way: tuple[str, ...]) -> Profile | None:
        raw = self._raw.get(url)
        if raw is None or url in way:
            return None
        own = {one["id"]: one for one in raw["elements"]}
        base, _, wanted = raw["base"].partition("|")
        if raw["whole"] or (base.startswith(CORE) and base not in self._raw):
            return Profile(url, raw["version"], raw["type"], own)
        under = self._merged(base, (*way, url))
        if under is None or not _same(wanted, under.version):
            return Profile(url, raw["version"], raw["type"], own, raw["base"])
        merged = dict(under.elements)
        for id, one in own.items():
            merged[id] = _over(merged.get(id, {}), one)
        return Profile(url, raw["version"], raw["type"], merged, under.absent)


def _same(asked: str, held: str) -> bool:
    """Whether two versions are of one major release; "" is any."""
    return not asked or not held or asked.partition(".")[0] == held.partition(".")[0]


def _over(base: Json, own: Json) -> Json:
    """An element with what its base said of it; rules add up."""
    rules = [*base.get("rules", ()), *own.get("rules", ())]
    return {**base, **own} | ({"rules": rules} if rules else {})


@cache
def shipped() -> Profiles:
    """Those that ship with the gateway."""
    return Profiles(load("profiles"))


def profiles(folders: Iterable[Path]) -> Profiles:
    """The shipped ones and those in ``folders``, which replace shipped ones of the same URL.

    Raises:
        SettingError: a folder that isn't there, or a StructureDefinition that can't be read.
    """
    found: dict[str, Json] = {}
    for folder in folders:
        if not folder.is_dir():
            raise SettingError("no such folder of profiles", place=str(folder))
        for file in sorted(folder.rglob("StructureDefinition-*.json")):
            one = _read(file)
            if one.get("derivation") == "constraint":
                found[one["url"]] = reduced(one)
    return Profiles({**load("profiles"), **found}) if found else shipped()


def reduced(one: Json) -> Json:
    """A StructureDefinition as it is kept: its differential, else its snapshot, without texts."""
    whole = "differential" not in one
    part = one["snapshot"] if whole else one["differential"]
    elements = [_reduced(element, one["url"], whole=whole) for element in part["element"]]
    return {
        "version": one.get("version", ""),
        "type": one["type"],
        "base": one.get("baseDefinition", ""),
        "whole": whole,
        "elements": [element for element in elements if len(element) > 1 or ":" in element["id"]],
    }


def _read(file: Path) -> Json:
    try:
        one: Json = json.loads(file.read_bytes())
        one["type"], one["url"]
    except (ValueError, KeyError, OSError):
        raise SettingError("not a StructureDefinition in JSON", place=str(file)) from None
    return one


def _reduced(element: Json, url: str, *, whole: bool) -> Json:
    base = element.get("base", {}) if whole else {}
    out: Json = {"id": element.get("id") or element["path"]}
    for bound in ("min", "max"):
        if bound in element and (element[bound] != base.get(bound) or ":" in out["id"]):
            out[bound] = element[bound]
    for key, value in element.items():
        match = _VALUED.match(key)
        if match:
            out[match[1]] = value
    if "slicing" in element:
        slicing = element["slicing"]
        by = [[one["type"], one["path"]] for one in slicing.get("discriminator", ())]
        out["slicing"] = {"by": by, "rules": slicing.get("rules", "open")}
    binding = element.get("binding", {})
    if binding.get("strength") in ("required", "extensible") and "valueSet" in binding:
        out["binding"] = [binding["strength"], binding["valueSet"].partition("|")[0]]
    types = [_type(each) for each in element.get("type", ())]
    if types and (not whole or any(len(each) > 1 for each in types) or _narrowed(element)):
        out["types"] = types
    rules = [
        [rule["key"], rule["severity"], rule.get("human", ""), rule["expression"]]
        for rule in element.get("constraint", ())
        if "expression" in rule and rule.get("source", url) == url
    ]
    return out | ({"rules": rules} if rules else {})


def _narrowed(element: Json) -> bool:
    """Whether a snapshot's choice may be one that has lost types."""
    return bool(element["path"].endswith("[x]"))


def _type(given: Json) -> Json:
    out = {"code": given["code"]}
    for name, short in (("profile", "profiles"), ("targetProfile", "targets")):
        if name in given:
            out[short] = given[name]
    return out
