"""The messages and rows that brought a person in: found by what their maps make of them.

A message of an agency's that holds a number of the person's is translated again: it is about them
where it makes one of their Patients. What can't be translated is theirs where its PID or MRG names
the number. A row is theirs by what it made; and by that one learns in which columns of a feed a
person's number stands, which finds those that made nothing and those that were set aside.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from gateway.errors import GatewayError
from gateway.fhir import json
from gateway.fhir.codes import MESSAGE_IDENTIFIER
from gateway.fhir.search import parse_query
from gateway.members import KEEPER, Members
from gateway.messages.meaning import Understood, meant
from gateway.model import Message, Reference
from gateway.operations.person import Person, in_parts, is_open
from gateway.rows import header_names
from gateway.store import Header, Hub, Kept, Reader, Transaction
from gateway.store.scanning import SPAN

AT_ONCE: Final = 50
"""How many messages or rows go in one unit."""

LONG: Final = 6
"""A number of so many characters is a person's wherever it stands; a shorter one is anything."""

_SAMPLE: Final = 500
"""From how many rows of a feed one learns where a person's number stands."""

_NAMED: Final = {b"PID": (2, 3, 4, 18, 19, 20), b"MRG": (1, 2, 3, 4)}
"""The fields that hold a patient's numbers (HL7 v2.8, 3.4.2, 3.4.9), as they are counted."""

_ENDS: Final = re.compile(rb"[\r\n]+")

Write = Callable[[Callable[[Transaction], Any]], Any]
Stay = dict[Reference, None]
Named = dict[str, str]
"""A row's cells by their columns."""


class Brought:
    """Finds them, and takes them out."""

    def __init__(self, hub: Hub, members: Members, write: Write) -> None:
        self._hub = hub
        self._members = members
        self._write = write

    def needles(self, person: Person) -> tuple[bytes, ...]:
        """The person's numbers, as they stand in messages and rows."""
        return tuple(sorted(each.encode() for each in person.numbers))

    def __call__(self, person: Person, last: int, stay: Stay, waits: list[str]) -> Iterator[None]:
        """A step each. What isn't the person's alone is added to ``stay``; ``waits`` says what is
        in somebody's hand now."""
        needles = self.needles(person)
        for agency in sorted(person.agencies):
            for after in range(0, last if needles else 0, SPAN):
                self._messages(person, agency, after, stay, waits)
                yield
            yield from self._rows(person, agency, stay)

    # --- messages ---------------------------------------------------------------------------------

    def _messages(
        self, person: Person, agency: str, after: int, stay: Stay, waits: list[str]
    ) -> None:
        with self._hub.read() as reader:
            found = reader.messages_naming(agency, self.needles(person), after, after + SPAN)
            about = [each for each in found if self._is_about(reader, person, each)]
            needed = {each.message.id for each in about if _is_needed(reader, person, each)}
        waits += [each.message.id for each in about if each.status == "received"]
        stay.update(dict.fromkeys(f"message {each}" for each in sorted(needed)))
        ids = [each.message.id for each in about if each.message.id not in needed]
        for some in in_parts(ids, AT_ONCE):
            self._write(partial(Transaction.erase_messages, agencies=person.agencies, ids=some))

    def _is_about(self, reader: Reader, person: Person, found: Kept) -> bool:
        bodies = [found.message.raw, *(each.raw for each in reader.mended(found.message.id))]
        return any(self._tells(person, found.message, raw) for raw in bodies)

    def _tells(self, person: Person, message: Message, raw: bytes) -> bool:
        agency = self._members.get(message.agency)
        if names(raw, person.numbers):
            if agency is None or message.kind != "hl7v2":
                return True
            members = self._members
            asked = _with(message, raw)
            outcome = meant(members.library, agency, asked, members.directory)
            if not isinstance(outcome, Understood):
                return True
            patients = {each.reference for each in outcome.ready if each.type == "Patient"}
            return not patients or not patients.isdisjoint(person.patients)
        return False

    # --- rows -------------------------------------------------------------------------------------

    def _rows(self, person: Person, agency: str, stay: Stay) -> Iterator[None]:
        made = {*person.records, *person.patients}
        feeds: dict[str, dict[int, set[str]]] = {}
        with self._hub.read() as reader:
            sheets = reader.all_sheets(agency)
        for feed, sheet in sheets:
            ids = feeds.setdefault(feed, {}).setdefault(sheet, set())
            after: int | None = 0
            while after is not None:
                with self._hub.read() as reader:
                    found, after = reader.rows_made(sheet, after)
                ids.update(each.id for each in found if not made.isdisjoint(each.made))
                yield
        for of in feeds.values():
            columns = self._columns(person, of) if person.numbers else set()
            for sheet, ids in of.items():
                if person.numbers:
                    self._held(person, sheet, ids, columns, stay)
                self._take_out(sheet, ids)
                yield

    def _columns(self, person: Person, of: dict[int, set[str]]) -> set[str]:
        """Those in which each row of the person's that has them holds one of their numbers."""
        right: set[str] = set()
        wrong: set[str] = set()
        for sheet, ids in of.items():
            with self._hub.read() as reader:
                headers = {each.key: each for each in reader.headers(sheet)}
                rows = reader.kept_rows(sheet, sorted(ids)[:_SAMPLE])
            for row in rows:
                for name, text in cells(row.raw, headers.get(row.header)).items():
                    (right if text in person.numbers else wrong).add(name)
        return right - wrong

    def _held(
        self, person: Person, sheet: int, ids: set[str], columns: set[str], stay: Stay
    ) -> None:
        """What made nothing, or was set aside, and holds a number where numbers stand."""
        needles = self.needles(person)
        with self._hub.read() as reader:
            headers = {each.key: each for each in reader.headers(sheet)}
        after: int | None = 0
        while after is not None:
            with self._hub.read() as reader:
                rows, after = reader.rows_holding(sheet, needles, after)
            for id_, head, raw in rows:
                if _holds(cells(raw, headers.get(head)), columns, person.numbers):
                    ids.add(id_)
        after = 0
        while after is not None:
            with self._hub.read() as reader:
                asides, after = reader.asides_holding(sheet, needles, after)
            theirs = []
            for each in asides:
                said = cells(each.raw, headers.get(each.head))
                if _holds(said, columns, person.numbers):
                    theirs.append(each.key)
                elif any(text in person.numbers and len(text) >= LONG for text in said.values()):
                    stay[f"row set aside {each.id}"] = None
            for some in in_parts(theirs, AT_ONCE):
                self._write(partial(Transaction.erase_asides, keys=some))

    def _take_out(self, sheet: int, ids: set[str]) -> None:
        by: dict[str, list[tuple[str, str, str]]] = {}
        after: tuple[str, str, str] | None = ("", "", "")
        while ids and after is not None:
            with self._hub.read() as reader:
                found, after = reader.columns_of(sheet, after)
            for each in found:
                if each[2] in ids:
                    by.setdefault(each[2], []).append(each)
        for some in in_parts(sorted(ids), AT_ONCE):
            named = [one for id_ in some for one in by.get(id_, ())]
            self._write(partial(Transaction.erase_rows, sheet=sheet, ids=some, by=named))


def names(raw: bytes, numbers: frozenset[str]) -> bool:
    """Whether a message's PID or MRG names one of these, by its bytes: it may be broken."""
    wanted = {each.encode() for each in numbers}
    lines = _ENDS.split(raw)
    start = next((line for line in lines if b"MSH" in line[:8]), b"MSH|^~\\&")
    start = start[start.find(b"MSH") :]
    field, component, repeat = start[3:4] or b"|", start[4:5] or b"^", start[5:6] or b"~"
    for line in lines:
        parts = line.strip(b"\x0b\x1c \t").split(field)
        for number in _NAMED.get(parts[0], ()):
            if number < len(parts):
                said = {each.split(component)[0].strip() for each in parts[number].split(repeat)}
                if said & wanted:
                    return True
    return False


def cells(raw: bytes, header: Header | None) -> Named:
    """A kept row's texts by column, or a JSON record's by the keys at its top; it may be broken."""
    if header is None or not raw:
        return {}
    try:
        if not header.raw:
            said = json.loads(raw)
            return {name: str(value) for name, value in said.items()}
        text = raw.decode("utf-8", "replace")
        columns = header_names(header.raw, header.delimiter)
        found = next(csv.reader([text], delimiter=header.delimiter), [])
    except (GatewayError, csv.Error):
        return {}
    return dict(zip(columns, (each.strip() for each in found), strict=False))


def _holds(said: Named, columns: set[str], numbers: frozenset[str]) -> bool:
    return any(said.get(name) in numbers for name in columns)


def _with(message: Message, raw: bytes) -> Message:
    return Message(
        message.id,
        message.agency,
        message.channel,
        message.kind,
        message.control_id,
        raw,
        message.received,
    )


def _is_needed(reader: Reader, person: Person, found: Kept) -> bool:
    """Whether an open referral of somebody else's came with it: its answers are made out of it."""
    asked = [("entity:identifier", f"{MESSAGE_IDENTIFIER}|{found.message.id}"), ("_count", "10")]
    for source in reader.search(KEEPER, parse_query("Provenance", asked)).entries:
        for target in json.loads(source.body)["target"]:
            task = str(target.get("reference") or "")
            others = task.startswith("Task/") and task not in person.records
            if others and is_open(reader.says(task)):
                return True
    return False
