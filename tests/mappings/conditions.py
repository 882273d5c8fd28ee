"""When a rule of ``rules`` holds: by what was sent where, by HL7's tables, by what we state."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from tests.mappings.evidence import Evidence, bare
from tests.mappings.facts import Fact
from tests.mappings.same import SIZES
from tests.mappings.tables import read_table

When = Callable[[Fact, Evidence], bool]


class Rule(NamedTuple):
    """Facts whose type, path and value match, ``when`` the evidence bears it out."""

    type: str
    path: str
    value: str
    when: When
    why: str


def always(fact: Fact, evidence: Evidence) -> bool:
    return True


def unsent(fact: Fact, evidence: Evidence) -> bool:
    return not evidence.sent.has(fact.value)


def sent_in(*places: str) -> When:
    """Among what could make a resource of this kind, only these segments and fields sent it."""

    def when(fact: Fact, evidence: Evidence) -> bool:
        value = bare(fact.value)
        there = evidence.sent.within(*places)
        elsewhere = evidence.sent.without(*places, *_OTHERS.get(fact.type, ()))
        return value in there and value not in elsewhere

    return when


def not_sent_in(*places: str) -> When:
    return lambda fact, evidence: bare(fact.value) not in evidence.sent.within(*places)


_OTHERS = {
    "Practitioner": ("PID", "NK1", "GT1", "IN1", "IN2", "MSH", "DG1", "AL1"),
    "Organization": ("PID", "NK1", "OBX", "DG1", "PV1"),
    "Device": ("PID", "NK1", "DG1"),
}
"""What can't make one of a type, whatever it sends."""


def booked(fact: Fact, evidence: Evidence) -> bool:
    numbers = evidence.sent.field("SCH", 26) | evidence.sent.field("SCH", 27)
    return "Appointment" in evidence.types and not numbers


def only_called(fact: Fact, evidence: Evidence) -> bool:
    return bool(evidence.sent.within("CTD")) and not evidence.sent.within("NK1")


def not_(when: When) -> When:
    return lambda fact, evidence: not when(fact, evidence)


def untyped(*places: str) -> When:
    """No code of table 0203 was sent there."""
    return lambda fact, evidence: (
        not evidence.sent.within(*places) & set(read_table("identifier-type"))
    )


def no_category(fact: Fact, evidence: Evidence) -> bool:
    return fact.value not in set().union(
        *(
            set(read_table(table, column).values())
            for table in ("race", "ethnicity")
            for column in ("target", "display", "system")
        )
    )


def collected_in_an_order(fact: Fact, evidence: Evidence) -> bool:
    sent = evidence.sent
    return fact.value in sent.within("OBR-7", "OBR-6") and fact.value not in sent.within("SPM-17")


def empty(name: str, number: int) -> When:
    return lambda fact, evidence: not evidence.sent.field(name, number)


def sent(name: str, number: int, *codes: str) -> When:
    """A field has one of some codes; without codes, anything."""

    def when(fact: Fact, evidence: Evidence) -> bool:
        texts = evidence.sent.field(name, number)
        return bool(texts & set(codes)) if codes else bool(texts)

    return when


def ours(type_: str, path: str, *values: str) -> When:
    """We state one of some values, or any, at a path."""

    def when(fact: Fact, evidence: Evidence) -> bool:
        found = evidence.matching(type_, path)
        return bool(found & set(values)) if values else bool(found)

    return when


def unmade(fact: Fact, evidence: Evidence) -> bool:
    return fact.type not in evidence.types


def none_and_unsent(fact: Fact, evidence: Evidence) -> bool:
    return unmade(fact, evidence) and unsent(fact, evidence)


def unsent_in_accident(fact: Fact, evidence: Evidence) -> bool:
    return bool(evidence.sent.within("ACC")) and unsent(fact, evidence)


def worded(fact: Fact, evidence: Evidence) -> bool:
    """A wording that isn't sent, of something that we state by code or in the sender's words."""
    base = re.escape(re.sub(r"(\.coding)?\.display$|\.text$|\.valueString$", "", fact.path))
    return not evidence.sent.has(fact.value) and bool(
        evidence.matching(fact.type, rf"{base}\.(coding\.)?(code|display|text|valueString)")
    )


def untabled(*tables: tuple[str, str]) -> When:
    """HL7's tables lead none of the codes that were sent (in a field of a segment) to this."""

    def when(fact: Fact, evidence: Evidence) -> bool:
        return not any(
            fact.value == target and code in evidence.sent.within(place)
            for table, place in tables
            for column in ("target", "system", "display")
            for code, target in read_table(table, column).items()
        )

    return when


def kind_of_universal_id(fact: Fact, evidence: Evidence) -> bool:
    """Of table 0301: its system, one of its codes, or some words for one."""
    return (
        fact.value.endswith("v2-0301")
        or fact.value in read_table("universal-id-type")
        or (fact.path.endswith("display") and not evidence.sent.has(fact.value))
    )


def smaller(fact: Fact, evidence: Evidence) -> bool:
    """A part of a place that is smaller than any that was sent: ours is of the smallest."""
    sizes = [*SIZES, fact.value]
    ours = evidence.at("Location", "physicalType.coding.code")
    return bool(ours) and all(sizes.index(one) < sizes.index(fact.value) for one in ours)


def not_in(*codes: str) -> When:
    return lambda fact, evidence: fact.value not in codes
