"""Small maps and messages for the tests: a folder, a Patient map, a translated message."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from gateway.model import Agency, Entry, Translation
from gateway.parse.er7 import parse
from gateway.translate import Library, load, translate

AGENCY = Agency("clinic", "Clinic", timezone="")
HEADER = "MSH|^~\\&|EHR|CLINIC|HUB|COUNTY|20240301101500||ADT^A01^ADT_A01|C1|P|2.5.1"

PATIENT = """\
map: ADT_A01
events: [ADT^A01]
resources:
  patient:
    to: Patient
    key: {from: PID-3.1}
    set:
"""


def write(folder: Path, files: dict[str, str]) -> Path:
    """Write files (by path) below ``folder``."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
    return folder


def patient_map(rules: str) -> str:
    """A map of ADT^A01 whose one Patient has these rules; they begin in line 8."""
    return PATIENT + textwrap.indent(textwrap.dedent(rules).strip("\n"), "      ") + "\n"


def library(folder: Path, rules: str, files: dict[str, str] | None = None) -> Library:
    """A library of the Patient map and whatever files it needs."""
    write(folder, files or {})
    (folder / "hl7v2" / "messages").mkdir(parents=True, exist_ok=True)
    (folder / "hl7v2" / "messages" / "ADT_A01.yaml").write_text(
        patient_map(rules), encoding="utf-8"
    )
    return load([folder])


def message(*segments: str, header: str = HEADER) -> bytes:
    """A message of its segments, with a header in front."""
    return "\r".join((header, *segments)).encode()


def run(
    loaded: Library, *segments: str, agency: Agency = AGENCY, header: str = HEADER
) -> Translation:
    """What a message becomes."""
    return translate(loaded, agency, parse(message(*segments, header=header)))


def patient(folder: Path, rules: str, *segments: str, **more: Any) -> Entry:
    """The Patient that these rules make of a message."""
    files = more.pop("files", None)
    return run(library(folder, rules, files), *segments, **more).entries[0]


def elements(entry: Entry) -> dict[str, Any]:
    """A resource without its type and id."""
    return {
        name: value for name, value in entry.resource.items() if name not in ("resourceType", "id")
    }
