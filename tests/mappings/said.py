"""What a clinic says, and what the maps that ship make of it."""

from __future__ import annotations

from typing import Any

from gateway.model import Agency, Entry, Translation
from gateway.parse.er7 import parse
from gateway.translate import Library, translate

AGENCY = Agency("clinic", "Clinic", timezone="America/Chicago")
PATIENT = "PID|1||77^^^CLINIC^MR||Doe^Jo||19800102|F"


def message(
    library: Library,
    event: str,
    *segments: str,
    to: str = "COUNTY",
    number: str = "M1",
    profile: str = "",
) -> Translation:
    """A message of these segments, translated; ``profile`` is its MSH-21."""
    header = (
        rf"MSH|^~\&|EHR|CLINIC|HUB|{to}|20260101101500-0600||{event}|{number}|P|2.5.1"
        f"|||||||||{profile}"
    )
    return translate(library, AGENCY, parse("\r".join((header, *segments)).encode()))


def made(translation: Translation, type_: str) -> list[dict[str, Any]]:
    """The resources of that type."""
    return [one.resource for one in translation.entries if one.resource["resourceType"] == type_]


def entry(translation: Translation, type_: str) -> Entry:
    """The only one of that type."""
    (found,) = (one for one in translation.entries if one.resource["resourceType"] == type_)
    return found
