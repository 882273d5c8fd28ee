"""Other networks' words for how a referral stands and why: ConceptMaps in ``mappings/referral``.

BSeR and 360X, HMIS, findhelp, Clarity, and SDOH-CC's capacity status, each to Task.status and to
the hub's own reasons, and back. ``$translate`` answers by them; the reasons decide whether another
agency is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, NamedTuple

from gateway.errors import MapError
from gateway.fhir import codes, gates, json
from gateway.model import Resource
from gateway.settings import shipped

REASON: Final = codes.BASE + "CodeSystem/referral-reason"
"""The hub's own reasons, in Task.statusReason."""

ENDS: Final = frozenset({"client-declined", "client-not-reached"})
"""The reasons that are the client's: whoever else were asked would hear the same."""

FOLDER: Final = "referral"


class Match(NamedTuple):
    """What a code becomes: ``equivalence`` is R4's concept-map-equivalence."""

    system: str
    code: str
    display: str
    equivalence: str


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A ConceptMap, by source system and code (in small letters)."""

    url: str
    rows: Mapping[tuple[str, str], tuple[Match, ...]]

    def translate(self, code: str, system: str = "") -> tuple[Match, ...]:
        """The matches of a code; of any source system where none is named."""
        key = code.casefold()
        if system:
            return self.rows.get((system, key), ())
        return tuple(one for (_, c), found in self.rows.items() if c == key for one in found)


@cache
def vocabularies() -> Mapping[str, Vocabulary]:
    """All of them by name. Raises MapError for a file that is no ConceptMap."""
    found = {}
    for path in sorted((shipped("mappings") / FOLDER).glob("*.json")):
        resource = json.loads(path.read_bytes())
        if resource.get("resourceType") != "ConceptMap" or resource.get("id") != path.stem:
            place = f"{FOLDER}/{path.name}"
            raise MapError(f"{place}: a ConceptMap whose id is the file's name", place=place)
        found[path.stem] = _read(gates.check(resource, models=False))
    return found


def reason(status_reason: Resource | None) -> str:
    """Why, as a code of the hub's own; "" where nothing coded is said that is known here."""
    for each in (status_reason or {}).get("coding") or []:
        system, code = str(each.get("system") or ""), str(each.get("code") or "")
        if system == REASON:
            return code
        for vocabulary in vocabularies().values():
            for match in vocabulary.translate(code, system) if system else ():
                if match.system == REASON:
                    return match.code
    return ""


def _read(resource: Resource) -> Vocabulary:
    rows: dict[tuple[str, str], tuple[Match, ...]] = {}
    for group in resource.get("group") or []:
        for element in group["element"]:
            key = str(group["source"]), str(element["code"]).casefold()
            made = tuple(_match(str(group["target"]), each) for each in element["target"])
            rows[key] = (*rows.get(key, ()), *made)
    return Vocabulary(str(resource["url"]), rows)


def _match(system: str, target: Mapping[str, Any]) -> Match:
    return Match(system, target["code"], target.get("display") or "", target["equivalence"])
