"""A person, as the hub knows them: the Patients that are one, and what is about them.

What is about a person refers to a Patient of theirs; what was done about that (Provenance,
AuditEvent), was asked or said about it (Task, Communication) refers to it. The owner of the Patient
has a say in what is its own and in what the hub itself made of its referrals; an administrator in
all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Final, TypeVar

from gateway.errors import GatewayError
from gateway.fhir import json
from gateway.fhir.codes import MESSAGE_IDENTIFIER
from gateway.fhir.references import references
from gateway.model import HUB, Reference, Resource
from gateway.store import Reader, Transaction
from gateway.store.erasing import Erasure
from gateway.store.leaving import RECORDS

T = TypeVar("T")

FOLLOWED: Final = (*RECORDS, "Task", "Communication", "CommunicationRequest")
"""What is about what is about a person, though it need not refer to them."""

ENDED: Final = frozenset({"completed", "failed", "rejected", "cancelled", "entered-in-error"})
"""Where nobody is to do anything about a Task any more."""

_BINARY: Final = re.compile(rb'"(?:[^"]*/)?(Binary/[A-Za-z0-9\-.]{1,64})"')


@dataclass(slots=True)
class Person:
    """``patients`` are one person's, of ``owner``. ``records`` are about them and may go, ``stay``
    would be but is about others as well; ``others`` is what agencies have that have a say in it.

    ``agencies``: whose messages and rows may go; ``identifiers``: the numbers that the Patients are
    known by, each with its system.
    """

    owner: str
    patients: tuple[Reference, ...]
    agencies: frozenset[str]
    identifiers: frozenset[tuple[str | None, str]] = field(repr=False, default=frozenset())
    records: dict[Reference, None] = field(default_factory=dict)
    stay: dict[Reference, None] = field(default_factory=dict)
    others: dict[Reference, None] = field(default_factory=dict)

    @property
    def numbers(self) -> frozenset[str]:
        """The numbers alone."""
        return frozenset(number for _, number in self.identifiers)

    @property
    def all(self) -> list[Reference]:
        """All that is about the person, whosesoever."""
        return [*self.records, *self.stay, *self.others]

    @property
    def needles(self) -> tuple[bytes, ...]:
        """The bytes by which a body refers to them."""
        return tuple(each.encode() for each in self.patients)

    def is_meant(self, resource: Resource) -> bool:
        """Whether a resource refers to one of the Patients."""
        return any(to in self.patients for to in _targets(resource))

    def tells_of_others(self, reader: Reader, resource: Resource) -> bool:
        """Whether it refers to another Patient who is here, too."""
        named = {to for to in _targets(resource) if to.startswith("Patient/")}
        return any(reader.says(each) for each in named.difference(self.patients))


def in_parts(found: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    """Some at a time, in order (``itertools.batched`` of Python 3.12)."""
    left = iter(found)
    while some := tuple(islice(left, size)):
        yield some


def known(reader: Reader, erasure: Erasure) -> Person:
    """What the hub knows of the person whose Patient that is, by what it can be searched by."""
    owner = reader.whose(erasure.patient) or erasure.agency
    patients = _one(reader, erasure.patient, owner)
    person = Person(owner, tuple(patients), frozenset({owner}), _identifiers(reader, patients))
    seen = set(patients)
    waiting = list(patients)
    while waiting:
        target = waiting.pop()
        for each, whose in reader.about(target):
            direct = target in patients
            if each in seen or not (direct or each.startswith(FOLLOWED)):
                continue
            seen.add(each)
            if _file(reader, person, each, whose, erasure):
                waiting.append(each)
    if erasure.admin:
        owned = {reader.whose(each) or owner for each in person.records}
        person.agencies |= owned - {HUB}
    return person


def _file(reader: Reader, person: Person, each: Reference, whose: str, erasure: Erasure) -> bool:
    """Put it where it belongs; whether it may go."""
    if not may_go(person, whose, erasure):
        person.others[each] = None
        return False
    content = reader.says(each)
    if person.tells_of_others(reader, content):
        if not is_ours(content):
            person.stay[each] = None
        return False
    person.records[each] = None
    return True


def may_go(person: Person, whose: str, erasure: Erasure) -> bool:
    """Whether who asks has the say over what ``whose`` has."""
    return erasure.admin or whose in (person.owner, HUB)


def is_shared(tx: Transaction, person: Person, task: Reference) -> bool:
    """Whether another agency has a Task, or has a right to it."""
    if tx.whose(task) != person.owner:
        return True
    now = datetime.now(UTC)
    live = [each for each in tx.granted(task) if each.until is None or each.until > now]
    return any(each.agency not in (person.owner, HUB) for each in live)


def is_open(task: Resource) -> bool:
    """Whether a Task is there and hasn't ended."""
    return bool(task) and task.get("status") not in ENDED


def is_ours(content: Resource) -> bool:
    """Whether the hub itself wrote it of a message, load or merge: it holds ids, and no more."""
    return content.get("resourceType") == "Provenance" and bool(list(sources(content)))


def sources(provenance: Resource) -> Iterator[str]:
    """The ids of the kept messages, or loads, that a Provenance names."""
    for entity in provenance.get("entity") or ():
        said = (entity.get("what") or {}).get("identifier") or {}
        if said.get("system") == MESSAGE_IDENTIFIER and isinstance(said.get("value"), str):
            yield said["value"]


def binaries(reader: Reader, person: Person, body: bytes) -> Iterator[Reference]:
    """What a document of the person's holds that no other document does."""
    for found in set(_BINARY.findall(body)):
        binary = found.decode()
        if reader.whose(binary) != person.owner:
            continue
        if all(each in person.records for each in reader.documents_of(binary)):
            yield binary


def _one(reader: Reader, patient: Reference, owner: str) -> list[Reference]:
    """The owner's Patients that are linked as one person's, this one first."""
    found, new = [patient], [patient]
    while new:
        each = new.pop()
        named = [to for to in _targets(_last(reader, each)) if to.startswith("Patient/")]
        named += [by for by, _ in reader.about(each) if by.startswith("Patient/")]
        for other in named:
            if other not in found and reader.whose(other) == owner:
                found.append(other)
                new.append(other)
    return found


def _last(reader: Reader, patient: Reference) -> Resource:
    """What a Patient said of itself last, though it is deleted."""
    bodies = [body for body in reader.bodies(patient) if body]
    return json.loads(bodies[-1]) if bodies else {}


def _identifiers(reader: Reader, patients: list[Reference]) -> frozenset[tuple[str | None, str]]:
    found: set[tuple[str | None, str]] = set()
    for patient in patients:
        for body in filter(None, reader.bodies(patient)):
            said = json.loads(body).get("identifier") or ()
            found |= {(one.get("system"), str(one["value"])) for one in said if one.get("value")}
    return frozenset(found)


def _targets(resource: Resource) -> set[Reference]:
    try:
        return {to.partition("/_history/")[0] for _, to in references(resource)}
    except GatewayError:  # of a type that this release doesn't know
        return set()
