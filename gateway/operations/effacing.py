"""A person's traces taken out, a step at a time, round after round until nothing is left.

First what brought them in (messages, rows), which is found by what it made; then the records, with
their Provenance; then what no search parameter tells of, found in the log by its bytes; last the
Patients. Of what a step is about to take out it asks again whether it may.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, Final, Literal

import orjson

from gateway.errors import Conflict
from gateway.fhir import gates, json
from gateway.members import Members
from gateway.model import Context, Reference, Resource
from gateway.operations.brought import Brought
from gateway.operations.copies import forget
from gateway.operations.jobs import Jobs
from gateway.operations.person import (
    Person,
    binaries,
    in_parts,
    is_open,
    is_ours,
    is_shared,
    known,
    may_go,
    sources,
)
from gateway.store import Hub, Reader, Transaction
from gateway.store.erasing import Erasure
from gateway.store.scanning import SPAN, Mention

AT_ONCE: Final = 25
"""How many resources go in one unit."""

PAUSE: Final = 0.2
"""Seconds before it goes round again: somebody has something of the person's in hand."""

Submit = Callable[[Callable[[Transaction], Any]], Future[Any]]
Steps = Iterator[None]
Step = Literal["step", "round"] | tuple[Reference, ...]


class Effacing:
    """Takes them out. Each step may be the last before a crash."""

    def __init__(self, hub: Hub, members: Members, jobs: Jobs, submit: Submit) -> None:
        self._hub = hub
        self._jobs = jobs
        self._submit = submit
        self._brought = Brought(hub, members, self._write)

    def __call__(self, erasure: Erasure) -> Iterator[Step]:
        """ "step" after each; "round" where somebody had something of the person's in hand, so that
        it must go round again; in the end what stays, since it tells of others too."""
        while True:
            with self._hub.read() as reader:
                person, last = known(reader, erasure), reader.last_message()
            stay = dict(person.stay)
            waits: list[str] = []
            for _ in self._round(person, erasure, last, stay, waits):
                yield "step"
            if not waits and self._gone(person, erasure, last):
                for _ in self._settled():
                    yield "step"
                self._write(partial(_end, erasure=erasure))
                yield tuple(stay)
                return
            yield "round"
            time.sleep(PAUSE)

    def _round(
        self,
        person: Person,
        erasure: Erasure,
        last: int,
        stay: dict[Reference, None],
        waits: list[str],
    ) -> Steps:
        yield from self._brought(person, last, stay, waits)
        if not forget(self._jobs, person):
            waits.append("a bulk job")
        for some in in_parts(person.records, AT_ONCE):
            self._write(partial(_erase, person=person, references=some))
            yield
        for group in [each for each in stay if each.startswith("Group/")]:
            if self._write(partial(_leave, person=person, group=group)):
                del stay[group]
        yield from self._unfiled(person, erasure, stay)

    def _gone(self, person: Person, erasure: Erasure, last: int) -> bool:
        """The Patients go, if nothing came meanwhile."""
        try:
            needles = self._brought.needles(person)
            done: bool = self._write(partial(_go, erasure=erasure, last=last, needles=needles))
        except Conflict:  # somebody referred to them at this very moment
            return False
        return done

    def _settled(self) -> Steps:
        """The full text forgets the words, too, which it had only noted as gone."""
        first = True
        while self._write(partial(Transaction.settle_words, first=first)):
            first = False
            yield

    def _write(self, unit: Callable[[Transaction], Any]) -> Any:
        """Do it, and leave the writer to others for as long as it took."""
        began = time.monotonic()
        done = self._submit(unit).result()
        time.sleep(min(1.0, time.monotonic() - began))
        return done

    # --- what no search parameter tells of --------------------------------------------------------

    def _unfiled(self, person: Person, erasure: Erasure, stay: dict[Reference, None]) -> Steps:
        with self._hub.read() as reader:
            end = reader.last_version()
        numbers = [orjson.dumps(each) for each in sorted(person.numbers)]
        needles = (*person.needles, *numbers)
        for after in range(0, end, SPAN):
            with self._hub.read() as reader:
                found = [
                    each
                    for each in reader.mentions(needles, after, after + SPAN)
                    if each.resource not in person.patients and may_go(person, each.owner, erasure)
                ]
                ways = [(each, _way(reader, person, each)) for each in found]
            whole = dict.fromkeys(each.resource for each, way in ways if way == "whole")
            for some in in_parts(whole, AT_ONCE):
                self._write(partial(_erase, person=person, references=some))
            parts = [(each.resource, each.version) for each, way in ways if way == "version"]
            for some_parts in in_parts(parts, AT_ONCE):
                self._write(partial(_erase_versions, parts=some_parts))
            stay.update(dict.fromkeys(each.resource for each, way in ways if way == "stays"))
            yield


def _way(reader: Reader, person: Person, mention: Mention) -> str:
    """What becomes of a version that holds their reference or number: ``whole`` (its resource
    goes), ``version`` (it goes), ``stays`` (it is told of), or "" (nothing)."""
    content = json.loads(mention.body) if mention.body else {}
    meant = person.is_meant(content) or _linked(person, mention.body)
    now = reader.says(mention.resource)
    if not meant:
        return "stays" if mention.current and _is_numbered(content, person) else ""
    if is_ours(content):
        return ""
    if not mention.current:
        return "version" if now and not person.is_meant(now) else "" if now else "whole"
    return "whole" if person.is_meant(now) and not person.tells_of_others(reader, now) else "stays"


def _linked(person: Person, body: bytes) -> bool:
    """Whether one of the Patients is named whole, not as the beginning of another's id."""
    return any(re.search(re.escape(each) + rb"(?![A-Za-z0-9\-.])", body) for each in person.needles)


def _is_numbered(node: Any, person: Person) -> bool:
    """Whether an identifier in it is one of theirs."""
    if isinstance(node, dict):
        named = (node.get("system"), node.get("value")) in person.identifiers
        return named or any(_is_numbered(each, person) for each in node.values())
    return isinstance(node, list) and any(_is_numbered(each, person) for each in node)


# --- units ----------------------------------------------------------------------------------------


def _erase(tx: Transaction, person: Person, references: Sequence[Reference]) -> None:
    """Records go, with the messages that their Provenance names and what only they hold."""
    for each in references:
        content = tx.says(each)
        task = each.startswith("Task/") and is_open(content) and is_shared(tx, person, each)
        if task or person.tells_of_others(tx, content):
            continue  # so it is since it was looked at
        if content:
            if content["resourceType"] == "Provenance":
                tx.erase_messages(person.agencies, sources(content))
            for binary in binaries(tx, person, json.dumps(content)):
                tx.erase(binary)
        tx.erase(each)


def _erase_versions(tx: Transaction, parts: Sequence[tuple[Reference, int]]) -> None:
    for reference, number in parts:
        tx.erase_versions(reference, [number])


def _leave(tx: Transaction, person: Person, group: Reference) -> bool:
    """The person leaves a Group of several; whether nothing in it names them any more."""
    content = tx.says(group)
    members = [each for each in content.get("member") or () if not _is_entity(each, person)]
    left: Resource = {**content, "member": members}
    if not content or not members or person.is_meant(left):
        return False
    left = {name: value for name, value in left.items() if name != "text"}
    context = Context(tx.whose(group) or "", "purge")
    tx.put(context, gates.check(left, models=False), interaction="update")
    return True


def _is_entity(member: Any, person: Person) -> bool:
    return (member.get("entity") or {}).get("reference") in person.patients


def _go(tx: Transaction, erasure: Erasure, last: int, needles: Sequence[bytes]) -> bool:
    """The Patients go; False where there is something about them that came since."""
    person = known(tx, erasure)
    newest = tx.last_message()
    came = (
        needles
        and newest > last
        and any(tx.messages_naming(each, needles, last, newest) for each in person.agencies)
    )
    if person.records or came:
        return False
    for patient in person.patients:
        tx.erase(patient)
    tx.flush()
    for patient in person.patients:
        if not set(tx.referrers(patient, count=10_000)) <= {*person.all, *person.patients}:
            raise Conflict("it is referred to again", place="Patient")
    return True


def _end(tx: Transaction, erasure: Erasure) -> None:
    tx.end_erasure(erasure.patient)
    tx.audit(Context(erasure.agency, erasure.client), "purged", erasure.patient)
