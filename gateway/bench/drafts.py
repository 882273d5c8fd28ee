"""A map drafted from what the columns of a sample are likely to be, as the text of YAML files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.bench.guesses import Column, Guess, Owner

_SEXES: Final = {
    "f": "female", "female": "female", "w": "female", "woman": "female", "m": "male",
    "male": "male", "man": "male", "o": "other", "other": "other", "x": "other",
    "nonbinary": "other", "non-binary": "other", "u": "unknown", "unknown": "unknown",
}  # fmt: skip

_SSN: Final = "http://hl7.org/fhir/sid/us-ssn"
_CLASS: Final = (
    '{const: {system: "http://terminology.hl7.org/CodeSystem/v3-ActCode", code: AMB, '
    "display: ambulatory}}"
)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is proposed for one column. ``target`` is "" where nothing is."""

    column: str
    target: str
    unsure: str


@dataclass(frozen=True, slots=True)
class Drafted:
    """A record's map and its tables by name, and what was proposed, column by column."""

    map: str
    tables: Mapping[str, str]
    proposals: tuple[Proposal, ...]


class Draft:
    """Writes the map of one kind of record."""

    def __init__(self, name: str, found: Sequence[Guess], left: Sequence[Column]) -> None:
        self._name = name
        self._by: dict[tuple[Owner, str], Guess] = {(one.owner, one.element): one for one in found}
        self._left = left
        self._tables: dict[str, str] = {}
        self._used: list[Proposal] = []

    def written(self) -> Drafted:
        """The map, whole. It loads: what can't be told stands in it as a remark."""
        lines = [f"map: {self._name}", *self._id(), "resources:"]
        persons = any(owner == "person" for owner, _ in self._by)
        body = list(self._person()) if persons else list(self._organization())
        if persons and ("record", "date") in self._by:
            body += self._visit()
        if persons:
            body += self._answers()
        lines += [f"  {line}" for line in body]
        used = {one.column for one in self._used}
        rest = (*(one.column for one in self._by.values()), *self._left)
        for column in (one for one in rest if one.name not in used):
            lines.append(f"# unsure: nothing is proposed for {column.path}")
            self._used.append(Proposal(column.name, "", "nothing is proposed"))
        return Drafted("\n".join(lines) + "\n", self._tables, tuple(self._used))

    # --- whole resources -------------------------------------------------------------------------

    def _id(self) -> Iterator[str]:
        """Who the record is; without such a line by its content, which is said."""
        key = self._by.get(("record", "key"))
        if key is None and ("record", "date") not in self._by:
            key = self._by.get(("person", "key")) or self._by.get(("organization", "key"))
        if key is None:
            yield "# unsure: no column tells the records apart, so a record is known by its content"
            return
        yield f"id: {_path(key)}{_remark(key.unsure)}"

    def _person(self) -> Iterator[str]:
        yield "person:"
        yield "  to: Patient"
        yield from (
            f"  {line}"
            for line in self._key("person", ["name.family", "name.given", "name.text", "birthDate"])
        )
        yield "  set:"
        body = list(self._person_elements())
        yield from (f"    {line}" for line in body)
        yield "    managingOrganization: {ref: agency}"

    def _person_elements(self) -> Iterator[str]:
        yield from self._identifiers()
        yield from self._of_name()
        yield from self._simple("person", "birthDate", "birthDate")
        yield from self._gender()
        yield from self._telecom()
        yield from self._address()
        yield from self._contact()
        if (one := self._by.get(("person", "language"))) is not None:
            yield self._line("communication", f"{{language: {{text: {_from(one)}}}}}", one)

    def _identifiers(self) -> Iterator[str]:
        for element, why in (("key", ""), ("ssn", "ask whether you may send it")):
            if (one := self._by.get(("person", element))) is not None:
                self._note(one, "identifier", one.unsure or why)
        rules = [
            f"{{value: {_from(one)}, system: {system}}}"
            for element, system in (("key", "{own: person}"), ("ssn", f'{{const: "{_SSN}"}}'))
            if (one := self._by.get(("person", element))) is not None
        ]
        if rules:
            yield "identifier:"
            yield from (f"  - {rule}" for rule in rules)

    def _of_name(self) -> Iterator[str]:
        family, given, middle, whole = (
            self._by.get(("person", f"name.{part}"))
            for part in ("family", "given", "middle", "text")
        )
        parts = []
        if family is not None:
            parts.append(f"family: {_from(family)}")
        if given is not None:
            also = f", {_from(middle)}" if middle is not None else ""
            parts.append(f"given: [{_from(given)}{also}]")
        if whole is not None and not parts:
            parts.append(f"text: {_from(whole)}")
        known = [one for one in (family, given, middle if given else None) if one is not None]
        for one in known or ([whole] if whole is not None and parts else []):
            self._note(one, "name", one.unsure)
        if parts:
            yield f"name: {{{', '.join(parts)}}}"

    def _gender(self) -> Iterator[str]:
        one = self._by.get(("person", "gender"))
        if one is None:
            return
        codes = sorted(set(one.column.filled))
        unknown = [code for code in codes if code.casefold() not in _SEXES]
        rows = (f'"{code}",{_SEXES[code.casefold()]}' for code in codes if code not in unknown)
        self._tables["gender"] = "\n".join(["code,target", *rows]) + "\n"
        why = "the table 'gender' lacks some codes of the sample" if unknown else one.unsure
        yield self._line("gender", f"{{from: {_path(one)}, table: gender}}", one, why)

    def _telecom(self) -> Iterator[str]:
        found = [
            (system, one)
            for system in ("phone", "email")
            for (owner, element), one in self._by.items()
            if owner == "person" and element.startswith(f"telecom.{system}")
        ]
        if found:
            yield "telecom:"
        for system, one in found:
            self._note(one, "telecom", one.unsure)
            use = _use(one.column) if system == "phone" else ""
            each, path = _each(one.column.path)
            value = f"system: {{const: {system}}}, value: {{from: {path}}}{use}"
            yield f"  - {{{each}{value}}}{_remark(one.unsure)}"

    def _contact(self) -> Iterator[str]:
        """Whom to call in an emergency."""
        name, phone = (self._by.get(("contact", part)) for part in ("name", "phone"))
        parts = []
        if name is not None:
            parts.append(f"name: {{text: {_from(name)}}}")
            self._note(name, "contact.name", name.unsure)
        if phone is not None:
            parts.append(f"telecom: {{system: {{const: phone}}, value: {_from(phone)}}}")
            self._note(phone, "contact.telecom", phone.unsure)
        if parts:
            yield f"contact: {{{', '.join(parts)}}}"

    def _answers(self) -> Iterator[str]:
        """What nothing else holds, kept under its own name, so that it isn't lost meanwhile."""
        used = {one.column for one in self._used}
        spare = [one.column for one in self._by.values() if one.column.name not in used]
        asked = [column for column in (*spare, *self._left) if column.filled]
        if not asked:
            return
        after = "visit" if ("record", "date") in self._by else "person"
        yield "answers:"
        yield "  to: Observation"
        yield f'  key: {{join: [{{ref: {after}}}, {{const: answers}}], by: "|"}}'
        yield "  set:"
        yield "    status: {const: final}"
        yield f"    code: {{text: {{const: {_worded(self._name)}}}}}"
        yield "    subject: {ref: person}"
        if after == "visit":
            yield "    encounter: {ref: visit}"
            yield f"    effectiveDateTime: {_from(self._by['record', 'date'])}"
        yield "    component:"
        for column in asked:
            value = f"valueString: {{from: {_quoted(column.path)}}}"
            text = f"code: {{text: {{const: {_worded(column.name)}}}}}"
            yield f"      - {{{text}, {value}}}{_remark(_KEPT)}"
            self._used.append(Proposal(column.name, "Observation.component", _KEPT))

    def _address(self) -> Iterator[str]:
        parts = [
            (part, one)
            for part in ("line", "city", "district", "state", "postalCode")
            if (one := self._by.get(("person", f"address.{part}"))) is not None
        ]
        if parts:
            yield "address:"
        for part, one in parts:
            self._note(one, f"address.{part}", one.unsure)
            yield f"  {part}: {_from(one)}{_remark(one.unsure)}"

    def _visit(self) -> Iterator[str]:
        date = self._by["record", "date"]
        yield "visit:"
        yield "  to: Encounter"
        yield from (f"  {line}" for line in self._key("record", ["date", "type"], after="person"))
        yield "  set:"
        end = self._by.get(("record", "end"))
        if end is None:
            yield "    status: {const: finished}  # unsure: has all that is told of happened?"
        else:
            ended = f"{{if: {_tested(end)}, const: finished}}"
            yield f"    status: [{ended}, {{const: in-progress}}]"
        yield f"    class: {_CLASS}"
        yield "    subject: {ref: person}"
        yield "    serviceProvider: {ref: agency}"
        ends = f", end: {_from(end)}" if end is not None else ""
        value = f"{{start: {_from(date)}{ends}}}"
        yield f"    {self._line('period', value, date)}"
        if end is not None:
            self._note(end, "period", end.unsure)
        if (kind := self._by.get(("record", "type"))) is not None:
            value = f"{{text: {_from(kind)}}}"
            yield f"    {self._line('type', value, kind, kind.unsure or 'a table could code it')}"

    def _organization(self) -> Iterator[str]:
        yield "organization:"
        yield "  to: Organization"
        yield from (f"  {line}" for line in self._key("organization", ["name"]))
        yield "  set:"
        yield from (f"    {line}" for line in self._simple("organization", "name", "name"))
        yield "    active: {const: true}"

    # --- parts -----------------------------------------------------------------------------------

    def _key(self, owner: Owner, others: Sequence[str], after: str = "") -> Iterator[str]:
        """How a resource is known: by its number, else by what else there is, which is said."""
        own = self._by.get((owner, "key"))
        if own is None and owner == "person" and ("record", "date") not in self._by:
            own = self._by.get(("record", "key"))
        name = "visit" if owner == "record" else owner
        if own is not None:
            self._note(own, "identifier" if owner == "person" else "key", own.unsure)
            yield f"key: {{value: {_from(own)}, system: {{own: {name}}}}}{_remark(own.unsure)}"
            return
        parts = [_path(one) for other in others if (one := self._by.get((owner, other)))]
        first = [f"{{ref: {after}}}"] if after else []
        if not parts:
            parts = [_path(one) for one in self._by.values()] or [
                _quoted(one.path) for one in self._left
            ]
        yield f"# unsure: no column numbers {name}s; people of one name would be one"
        yield f'key: {{join: [{{const: {name}}}, {", ".join([*first, *parts])}], by: "|"}}'

    def _simple(self, owner: Owner, element: str, name: str) -> Iterator[str]:
        if (one := self._by.get((owner, element))) is not None:
            yield self._line(name, _from(one), one)

    def _line(self, element: str, rule: str, one: Guess, unsure: str | None = None) -> str:
        why = one.unsure if unsure is None else unsure
        self._note(one, element, why)
        return f"{element}: {rule}{_remark(why)}"

    def _note(self, one: Guess, element: str, unsure: str) -> None:
        type_ = {"record": "Encounter", "organization": "Organization"}.get(one.owner, "Patient")
        said = Proposal(one.column.name, f"{type_}.{element}", unsure)
        if all(known.column != said.column for known in self._used):
            self._used.append(said)


_KEPT: Final = "kept as text, under its own name"


def _use(column: Column) -> str:
    """Which telephone it is, where its name says so."""
    words = column.words.split()
    uses = {"home": "home", "work": "work", "office": "work"} | dict.fromkeys(
        ("mobile", "cell", "celular", "movil"), "mobile"
    )
    found = next((use for word, use in uses.items() if word in words), "")
    return f", use: {{const: {found}}}" if found else ""


def _each(path: str) -> tuple[str, str]:
    """A path to the first of a list as all of them: what goes before, and the path within."""
    around, found, inner = path.rpartition("[0].")
    return (f"each: {_quoted(around)}, ", _quoted(inner)) if found else ("", _quoted(path))


def _tested(one: Guess) -> str:
    return json.dumps(f"{one.column.path} exists", ensure_ascii=False)


def _worded(name: str) -> str:
    """A text as YAML takes it."""
    return json.dumps(name, ensure_ascii=False)


def _from(one: Guess) -> str:
    return f"{{from: {_path(one)}}}"


def _path(one: Guess) -> str:
    return _quoted(one.column.path)


def _quoted(path: str) -> str:
    """A path as YAML takes it."""
    plain = path.replace("_", "").replace(".", "").replace("-", "").isalnum()
    return path if plain and not path[0].isdigit() and path != "." else f'"{path}"'


def _remark(unsure: str) -> str:
    return f"  # unsure: {unsure}" if unsure else ""
