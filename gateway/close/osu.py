"""OSU^O51: how an order that referred stands (v2.8 chapter 4; IHE 360X uses it in v2.5.1).

ORC-1 says what happened, ORC-5 what state it led to, ORC-16 why. MSA is part of it from 2.8 on
alone: what 360X takes up in older versions has none.
"""

from __future__ import annotations

from typing import Any, Final

from gateway.close.case import Case, escape
from gateway.close.result import orderer
from gateway.close.standing import standing
from gateway.close.structure import VERSIONS, finish, ours, patient, put, stamp, start, version

STRUCTURE: Final = "OSU_O51"


def build(case: Case) -> bytes:
    """The OSU for the Task as it stands, unframed. Raises CloseError."""
    number, row = version(case), standing(case)
    message = start(case, "OSU", "O51", profile(number))
    if number >= "2.8":
        put(message.msa, 1, "AA")
        put(message.msa, 2, case.answered)
    patient(case, message.pid)
    orc = message.orc
    put(orc, 1, row.control)
    put(orc, 2, case.originator)
    put(orc, 3, ours(case))
    put(orc, 5, row.order)
    if number == "2.3":
        put(orc, 7, "1")  # quantity/timing, required in 2.3 alone: once
    put(orc, 9, stamp(case.at))
    put(orc, 12, orderer(case))
    put(orc, 16, f"^{escape(case.reason)}" if case.reason else "")
    put(orc, 17, f"^{escape(case.performer)}" if case.performer else "")
    return finish(message, case)


def profile(number: str) -> dict[str, Any]:
    """OSU_O51 as a message profile of hl7apy, which has the segments but not the structure."""
    from hl7apy import load_reference

    parts = [("MSH", (1, 1)), ("SFT", (0, -1)), ("NTE", (0, -1)), ("PID", (0, 1)), ("ORC", (1, -1))]
    if number >= "2.8":
        parts.insert(1, ("MSA", (1, 1)))
    if number < "2.5":
        parts.remove(("SFT", (0, -1)))
    base = VERSIONS[number]
    made = tuple((name, load_reference(name, "Segment", base), n, "SEG") for name, n in parts)
    return {STRUCTURE: ("sequence", made)}
