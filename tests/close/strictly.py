"""A closing message as hl7apy judges it, and what our own parser reads of it."""

from __future__ import annotations

import re
from typing import Any

from hl7apy import load_reference
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message

from gateway.close import build
from gateway.close.osu import profile
from gateway.close.structure import STRUCTURES
from gateway.parse.er7 import Message, parse
from tests.close.cases import APPOINTMENT, BOOKED, case


def strict(raw: bytes) -> None:
    """hl7apy's own verdict, from the bytes alone, by the newest structures that it can read.

    In 2.8 it can't read an OBR, from 2.7 on no SCH (see structure); OSU_O51 it doesn't know, and
    before MSH-9.3 no event of RRI but the first.
    """
    back = parse(raw)
    known = STRUCTURES[back.event[:3]]
    named = values(back, "MSH", 9, component=3)[0] or back.event.replace("^", "_")
    read = min(back.version, {"SIU_S12": "2.6"}.get(known, "2.7"))
    text = re.sub(r"\A(MSH[^\r]*\|)2\.[78](\.\d)?(?=[|\r])", rf"\g<1>{read}", raw.decode("utf-8"))
    osu = profile(back.version) if known == "OSU_O51" else None
    structure = osu or {named: load_reference(known, "Message", read)}
    message = parse_message(
        text, VALIDATION_LEVEL.STRICT, find_groups=True, message_profile=structure
    )
    assert message.validate()


def made(kind: str, status: str = "completed", version: str = "2.5.1", **task: Any) -> bytes:
    """A message of any kind; a SIU has its appointment."""
    if kind == "siu":
        task.setdefault("output", BOOKED)
        return build(kind, case(status, version, outputs=(APPOINTMENT,), **task))
    return build(kind, case(status, version, **task))


def values(message: Message, name: str, *numbers: int, component: int = 1) -> list[str | None]:
    segment = message.first(name)
    assert segment is not None
    return [segment.text(number, component=component) for number in numbers]
