"""What every closing message shares: version, header, patient, and how it becomes bytes.

hl7apy builds it (20 to 30 ms, never on the event loop) and checks the whole against the
structure of the sender's version. It is imported when the first message is built.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from gateway.close.case import CODE, NAME, Case, er7, escape, field, required, segment
from gateway.errors import CloseError
from gateway.record import Node

VERSIONS: Final[Mapping[str, str]] = {
    **{each: each for each in ("2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7")},
    **dict.fromkeys(("2.8", "2.8.1", "2.8.2"), "2.7"),
}
"""The versions that we answer in, and the structures of hl7apy that we build with.

What we send is the same in 2.7 and 2.8; hl7apy's OBR of 2.8 lacks the withdrawn OBR-14, -15 and
-27 and so writes what follows them in the wrong places.
"""

FALLBACK: Final = "2.5.1"

STRUCTURES: Final[Mapping[str, str]] = {
    "RRI": "RRI_I12",
    "ORU": "ORU_R01",
    "OSU": "OSU_O51",
    "SIU": "SIU_S12",
}
"""MSH-9.1 to MSH-9.3, the same for all events of ours."""

LATEST: Final[Mapping[str, str]] = {"SIU": "2.6"}
"""The last version whose structure serves: SCH of 2.7 lacks the withdrawn SCH-11, as OBR above."""

_X360: Final = "360X"
_HD: Final = {1: 1, 2: 1, 3: 1}
_CX: Final = {1: 1, 4: 3, 5: 1}
_MODES: Final[Mapping[str, tuple[str, str]]] = {
    "": ("", ""),
    "commit": ("AL", "NE"),
    "application": ("AL", "AL"),
}
"""MSH-15 and MSH-16 by ``Closing.acknowledgement``; both empty is original mode."""

_SYSTEMS: Final[Mapping[str, str]] = {  # HL7 table 0396
    "http://snomed.info/sct": "SCT",
    "http://loinc.org": "LN",
    "http://www.ama-assn.org/go/cpt": "C4",
    "http://hl7.org/fhir/sid/icd-10-cm": "I10C",
}
_PYTHON: Final[Mapping[str, str]] = {  # HL7 table 0211 to Python's names
    **{f"8859/{n}": f"iso8859-{n}" for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)},
    "UNICODE UTF-8": "utf-8",
}


def version(case: Case) -> str:
    """The version to answer in: the sender's, else 2.5.1."""
    said = field(segment(case.original, "MSH"), 12, CODE)
    return said if said in VERSIONS else FALLBACK


def start(case: Case, kind: str, event: str, profile: Mapping[str, Any] | None = None) -> Any:
    """An hl7apy message with its header filled; ``kind`` "RRI", ``event`` "I12".

    ``profile`` is hl7apy's message profile where it has no structure of its own.
    """
    from hl7apy.consts import VALIDATION_LEVEL
    from hl7apy.core import Message

    number, structure = version(case), STRUCTURES[kind]
    built = min(VERSIONS[number], LATEST.get(kind, VERSIONS[number]))
    tolerant = VALIDATION_LEVEL.TOLERANT
    message = Message(structure, version=built, validation_level=tolerant, reference=profile)
    asked, msh = required(case.original, "MSH"), message.msh
    for ours, theirs in ((3, 5), (4, 6), (5, 3), (6, 4)):
        put(msh, ours, field(asked, theirs, _HD))
    put(msh, 7, stamp(case.at))
    put(msh, 9, f"{kind}^{event}" + (f"^{structure}" if number != "2.3" else ""))
    put(msh, 10, case.control_id)
    put(msh, 11, field(asked, 11, CODE) or "P")
    put(msh, 12, number)
    accept, application = _MODES[case.acknowledgement]
    put(msh, 15, accept)
    put(msh, 16, application)
    if field(asked, 21, CODE) == _X360 and number >= "2.5":
        put(msh, 21, _X360)  # IHE 360X knows its own by this
    return message


def patient(case: Case, pid: Any) -> None:
    """Fill PID with no more than it takes to know the patient again: ids, name, birth date."""
    asked = required(case.original, "PID")
    put(pid, 3, "~".join(filter(None, map(_identifier, asked.repetitions(3)))))
    put(pid, 5, field(asked, 5, NAME) or "^^^^^^U")
    born = re.match(r"\d{8}|\d{6}|\d{4}", field(asked, 7, CODE))
    put(pid, 7, born[0] if born else "")


def _identifier(node: Node) -> str:
    """A patient's id as CX, its type U (unspecified) where the sender gave none; 2.7 wants one."""
    text = er7(node, _CX)
    if not text or text.startswith("^"):
        return ""
    parts = text.split("^")
    return text if len(parts) == 5 else "^".join([*parts, *[""] * (4 - len(parts)), "U"])


def ours(case: Case) -> str:
    """The referral's id with us, as an EI."""
    return f"{case.request['id']}^CAREGATEWAY"


def put(segment_: Any, number: int, text: str) -> None:
    """Set a field of an hl7apy segment to ER7 text; "" leaves it out. ``~`` makes repetitions."""
    name = f"{segment_.name}_{number}".lower()
    first, *others = text.split("~")
    if first:
        setattr(segment_, name, first)
    for repetition in others:
        segment_.add_field(name).value = repetition


def finish(message: Any, case: Case) -> bytes:
    """The message's bytes, checked: in ASCII, else the sender's charset, else UTF-8 (MSH-18).

    Raises CloseError where the structure doesn't hold.
    """
    from hl7apy.exceptions import HL7apyException

    charset = _charset(message.to_er7(), case)
    put(message.msh, 18, charset)
    try:
        message.validate()
    except HL7apyException as error:
        raise CloseError(
            f"the closing message breaks its structure ({type(error).__name__})", place="MSH"
        ) from None
    text: str = message.to_er7()
    return text.encode(_PYTHON.get(charset, "ascii")) + b"\r"


def _charset(text: str, case: Case) -> str:
    """MSH-18 for a text: "" for ASCII."""
    if text.isascii():
        return ""
    said = field(segment(case.original, "MSH"), 18, CODE)
    try:
        text.encode(_PYTHON[said])
    except (KeyError, UnicodeEncodeError):
        return "UNICODE UTF-8"
    return said


def coded(concept: Mapping[str, Any], otherwise: str = "") -> str:
    """A CodeableConcept as CE/CWE: code^text^system; ``otherwise`` where it says nothing."""
    coding = _coding(concept)
    text = concept.get("text") or coding.get("display") or ""
    system = _SYSTEMS.get(coding.get("system", ""), "L") if coding.get("code") else ""
    parts = (str(coding.get("code") or ""), str(text), system)
    return "^".join(escape(part) for part in parts).rstrip("^") or otherwise


def wording(concept: Mapping[str, Any]) -> str:
    """A CodeableConcept in words, unescaped."""
    coding = _coding(concept)
    return str(concept.get("text") or coding.get("display") or coding.get("code") or "")


def _coding(concept: Mapping[str, Any]) -> Mapping[str, Any]:
    """The first coding of a CodeableConcept, empty where there is none."""
    found: Mapping[str, Any] = next(iter(concept.get("coding") or []), {})
    return found


def stamp(at: datetime) -> str:
    """An HL7 timestamp in UTC, to the second."""
    return at.astimezone(UTC).strftime("%Y%m%d%H%M%S+0000")


def moment(value: str) -> str:
    """A FHIR date or dateTime as an HL7 timestamp of the same precision."""
    if "T" not in value:
        return value.replace("-", "")
    return datetime.fromisoformat(value).strftime("%Y%m%d%H%M%S%z")
