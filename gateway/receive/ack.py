"""HL7 v2 acknowledgements, original and enhanced (v2.8.2 §2.9), worded without a library.

They stand on the wire path, before and after everything else, so they must be cheap, and possible
for any message that at least begins with MSH. Texts name places and never values.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from gateway.errors import Issue, ParseError, ReceiveError
from gateway.parse.charset import decode
from gateway.parse.delimiters import ABSENT, STANDARD, Delimiters, declared
from gateway.parse.header import VERSIONS, charset_name, header_line, opening

Code = Literal["AA", "AE", "AR", "CA", "CE", "CR"]
"""Table 0008: the application's answers, and those that only say that it is (not) on disk."""

_VERSION: Final = "2.5.1"
"""What the answer is written in where the message names no version that is known."""

_MOST_ERRORS: Final = 100
_LONGEST_TEXT: Final = 250
_LONGEST_LINE: Final = 64 * 1024
"""A header that is longer is cut: it is echoed, and must not cost what a message may."""

_CONDITIONS: Final = {
    "0": "Message accepted",
    "100": "Segment sequence error",
    "101": "Required field missing",
    "102": "Data type error",
    "103": "Table value not found",
    "104": "Value too long",
    "200": "Unsupported message type",
    "201": "Unsupported event code",
    "202": "Unsupported processing id",
    "203": "Unsupported version id",
    "204": "Unknown key identifier",
    "205": "Duplicate key identifier",
    "206": "Application record locked",
    "207": "Application internal error",
}
"""HL7 table 0357."""

_SEVERITIES: Final = {"fatal": "E", "error": "E", "warning": "W", "information": "I"}
"""FHIR's severities in HL7 table 0516."""

_PLACE = re.compile(
    r"(?P<segment>[A-Z][A-Z0-9]{2})(?:\[(?P<ordinal>\d+)\])?"
    r"(?:-(?P<field>\d+)(?:\[(?P<repetition>\d+)\])?"
    r"(?:\.(?P<component>\d+)(?:\.(?P<subcomponent>\d+))?)?)?"
)


@dataclass(frozen=True, slots=True)
class Header:
    """What MSH says, each field as sent, escapes and components included; "" where absent.

    ``event`` is "REF^I12" with the standard ``^`` whatever the sender's delimiters are, and
    ``charset`` the Python name of the character set that the header was read with. ``bare``: MSH-13
    is 0 or -1, and no other segment has anything to say.
    """

    delimiters: Delimiters
    charset: str
    sending_application: str = ""
    sending_facility: str = ""
    receiving_application: str = ""
    receiving_facility: str = ""
    event: str = ""
    control_id: str = ""
    processing_id: str = ""
    version: str = ""
    declared_charset: str = ""
    sequence: str = ""
    accept_wanted: str = ""
    application_wanted: str = ""
    bare: bool = False

    @property
    def enhanced(self) -> bool:
        """Whether MSH-15 or MSH-16 asks for enhanced mode.

        MSH-15 NE alone asks for nothing, so its sender is answered as in original mode. A message
        without a control id couldn't be found again between the two answers.
        """
        asked = self.accept_wanted not in ("", "NE") or bool(self.application_wanted)
        return asked and bool(self.control_id)

    @property
    def link(self) -> str:
        """The two applications (MSH-3 to MSH-6) between which MSH-13 counts."""
        parts = (self.sending_application, self.sending_facility)
        return "\n".join((*parts, self.receiving_application, self.receiving_facility))

    @property
    def application(self) -> str:
        """MSH-3.1: the name by which an agency may declare its application."""
        return self.sending_application.partition(self.delimiters.component)[0]

    @property
    def facility(self) -> str:
        """MSH-4.1: the name by which an agency may declare its facility."""
        return self.sending_facility.partition(self.delimiters.component)[0]


def header(raw: bytes) -> Header:
    """Peek at the header of a message that may be unreadable otherwise.

    Unusable delimiters are taken as the standard ones. Raises ReceiveError at MSH where the bytes
    don't begin with one.
    """
    try:
        line = header_line(opening(raw[:_LONGEST_LINE]))
    except ParseError as error:
        raise ReceiveError(str(error), place=error.place) from None
    plain = line.decode("latin-1")
    try:
        marks = whole(declared(plain))
    except ParseError:
        marks = STANDARD
    text, charset, _ = decode(line, charset_name(plain, marks))
    fields = [*text.split(marks.field, 18), *[""] * 18]
    sequence = fields[12].strip()
    return Header(
        marks,
        charset,
        sending_application=fields[2],
        sending_facility=fields[3],
        receiving_application=fields[4],
        receiving_facility=fields[5],
        event=_event(fields[8], marks),
        control_id=fields[9],
        processing_id=fields[10],
        version=fields[11].partition(marks.component)[0],
        declared_charset=re.sub("UTF-(16|32)", "UTF-8", fields[17]),  # what the answer is in
        sequence=sequence,
        accept_wanted=fields[14].strip(),
        application_wanted=fields[15].strip(),
        bare=sequence in ("0", "-1") and _is_bare(raw, marks),
    )


def acknowledge(
    header: Header | None,
    code: Code,
    issues: Sequence[Issue],
    *,
    at: datetime,
    control_id: str,
    expected: int | None = None,
) -> bytes:
    """The answer to a message, in its own version, delimiters and character set.

    ``at`` is an aware time, ``control_id`` the answer's own (``new_control_id``). Each issue
    becomes an ERR, the first hundred of them; before version 2.5, where ERR can't tell a warning
    from an error, errors share one, and the first stands in MSA too. Without a header the answer
    names nobody. ``expected`` is MSA-4, a sequence number.
    """
    header = header or Header(STANDARD, "ascii")
    marks = header.delimiters
    version = header.version if header.version in VERSIONS else _VERSION
    # Compared as texts: table 0104's versions all have one digit a part.
    modern = version >= "2.5"
    issues = issues[:_MOST_ERRORS]
    if not modern:
        issues = [issue for issue in issues if issue.severity in ("fatal", "error")]
    lines = [
        _msh(header, marks, version, at, control_id),
        _msa(header, marks, code, [] if modern else issues, version, expected),
        *(_errs(issues, marks) if modern else _old_err(issues, marks)),
    ]
    text = "".join(f"{line}\r" for line in lines)
    return text.encode(header.charset, errors="replace")


def wanted(condition: str, code: Code) -> bool:
    """Whether an answer is asked for by MSH-15 or MSH-16 (table 0155); absent is NE."""
    good = code in ("AA", "CA")
    return condition == "AL" or (condition == "SU" and good) or (condition == "ER" and not good)


def new_control_id() -> str:
    """A control id for a message of ours: 20 characters, as long as every version allows."""
    return secrets.token_hex(10)


def whole(marks: Delimiters) -> Delimiters:
    """Delimiters none of which is absent.

    The answer needs all of its delimiters: what the sender doesn't declare is chosen here.
    """
    spare = (mark for mark in "^~\\&#!" if mark not in marks)
    whole = (next(spare) if mark == ABSENT else mark for mark in marks[:5])
    return Delimiters._make([*whole, marks.truncation])


def _is_bare(raw: bytes, marks: Delimiters) -> bool:
    """Whether the segments after MSH, if there are any, are all empty or null.

    What is longer than a header may be has something to say.
    """
    if len(raw) > _LONGEST_LINE:
        return False
    said = b'"' + "".join(marks[:5]).encode("latin-1") + b" \x00\x1a\x1c"
    lines = re.split(rb"[\r\n]+", raw.lstrip())[1:]
    return not any(line.strip()[3:].strip(said) for line in lines)


def _event(field: str, marks: Delimiters) -> str:
    components = field.split(marks.component, 2)[:2]
    return "^".join(components).rstrip("^")


def _msh(header: Header, marks: Delimiters, version: str, at: datetime, control_id: str) -> str:
    trigger = header.event.partition("^")[2]
    kind = ["ACK"] if version == "2.1" or not trigger else ["ACK", trigger]
    if version > "2.3" and trigger:
        kind.append("ACK")
    fields = [
        "MSH",
        "".join(marks[1:5]) + marks.truncation.strip(ABSENT),
        header.receiving_application,
        header.receiving_facility,
        header.sending_application,
        header.sending_facility,
        f"{at:%Y%m%d%H%M%S%z}",
        "",
        marks.component.join(kind),
        control_id,
        header.processing_id or "P",
        version,
        *([""] * 5 + [header.declared_charset] if header.declared_charset else []),
    ]
    return marks.field.join(fields)


def _msa(
    header: Header,
    marks: Delimiters,
    code: Code,
    issues: Sequence[Issue],
    version: str,
    expected: int | None,
) -> str:
    fields = ["MSA", code, header.control_id, "", "" if expected is None else str(expected), "", ""]
    if issues:
        first = issues[0]
        fields[3] = _escape(first.text[:80], marks)
        if version >= "2.3":
            fields[6] = _condition(first, marks, marks.component)
    while not fields[-1] and len(fields) > 3:
        fields.pop()
    return marks.field.join(fields)


def _errs(issues: Sequence[Issue], marks: Delimiters) -> Iterator[str]:
    for issue in issues:
        location = marks.component.join(_location(issue.place))
        text = issue.text if location or not issue.place else f"{issue.place}: {issue.text}"
        condition = _condition(issue, marks, marks.component)
        severity = _SEVERITIES[issue.severity]
        words = _escape(text[:_LONGEST_TEXT], marks)
        yield marks.field.join(["ERR", "", location, condition, severity, "", "", "", words])


def _old_err(issues: Sequence[Issue], marks: Delimiters) -> Iterator[str]:
    """ERR-1: segment, its ordinal, field, and the condition as subcomponents."""
    if issues:
        yield marks.field.join(
            ["ERR", marks.repetition.join(_old(issue, marks) for issue in issues)]
        )


def _old(issue: Issue, marks: Delimiters) -> str:
    location = [*_location(issue.place), "", "", ""][:3]
    return marks.component.join([*location, _condition(issue, marks, marks.subcomponent)])


def _location(place: str | None) -> list[str]:
    """The components of ERL, empty trailing ones left out; [] for a place that isn't HL7 v2's."""
    found = _PLACE.fullmatch(place or "")
    if found is None:
        return []
    segment, ordinal, field, repetition, *parts = found.groups()
    numbers = [number for number in parts if number]
    if repetition or numbers:
        numbers.insert(0, repetition or "1")
    return [segment, ordinal or "1", *([field] if field else []), *numbers]


def _condition(issue: Issue, marks: Delimiters, between: str) -> str:
    mended = issue.severity in ("warning", "information")
    # Table 0357 has no code for what was mended; "internal error" would alarm the sender.
    condition = "0" if mended and issue.condition == "207" else issue.condition
    text = _CONDITIONS.get(condition, "Application error")
    return between.join([_escape(condition, marks), text, "HL70357"])


def _escape(text: str, marks: Delimiters) -> str:
    """Plain text for a field: delimiters escaped, controls and what isn't ASCII out of the way."""
    names = zip(marks[:5], "FSRET", strict=True)
    escapes = {ord(mark): f"{marks.escape}{name}{marks.escape}" for mark, name in names}
    plain = "".join(char if char.isascii() and char.isprintable() else "?" for char in text)
    return plain.translate(escapes)
