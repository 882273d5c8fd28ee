"""A feed of three files for the tests: clients, their visits, and who runs the place."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.translate.maps import write

FEED = """\
feed: shelter
kind: csv
files:
  - {file: About.csv, map: about}
  - {file: "clients*.csv", map: client}
  - {file: "visits*.csv", map: visit}
  - {file: Notes.csv}
dates: M/D/Y
timezone: America/Chicago
empty: ["NULL"]
masked: [SSN]
ignored: [Export]
refuse:
  - {in: about, if: "Version != '1'", because: the version isn't 1}
"""
ABOUT = """\
map: about
id: Name
resources: {}
"""
CLIENT = """\
map: client
id: Id
updated: Changed
deleted: Gone exists
lookup:
  open: {in: visit, by: {Client: Id}, refused: false}
  barred: {in: visit, by: {Client: Id}, refused: true}
refuse:
  - {if: barred exists and not open exists, because: may not be shared, keep: false}
resources:
  patient:
    to: Patient
    key: {value: {from: Id}, system: {own: clients}}
    set:
      identifier: {system: {own: clients}, value: {from: Id}}
      name: {family: {from: Last}, given: {from: First}}
      birthDate: {from: "[Date of birth]"}
      gender: {from: Sex, table: sex, unmapped: reject}
  veteran:
    to: Observation
    if: Veteran exists
    key: {value: {from: Id}, system: {own: veterans}}
    set:
      status: {const: final}
      code: {const: {text: veteran}}
      subject: {ref: patient}
      valueBoolean: {from: Veteran}
"""
VISIT = """\
map: visit
id: [Visit, Client]
deleted: Gone exists
lookup:
  client: {in: client, by: {Id: Client}}
  others: {in: visit, by: Client}
refuse:
  - {if: "Kind = secret", because: secret visits stay out, keep: false}
again: others
resources:
  client: {to: Patient, made-by: client, key: {value: {from: Client}, system: {own: clients}}}
  stay:
    to: Encounter
    key: {value: {join: [Visit, Client], by: "|"}, system: {own: visits}}
    set:
      status: {const: finished}
      class: {const: {system: "http://terminology.hl7.org/CodeSystem/v3-ActCode", code: AMB}}
      subject: {reference: {ref: client}, display: {from: client.Last}}
      period: {start: {from: Date}}
      identifier: {each: others, value: {join: [Visit, ^Visit], by: " of "}}
"""
SEX = "code,target\nM,male\nF,female\n"

FILES = {
    "shelter/feed.yaml": FEED,
    "shelter/records/about.yaml": ABOUT,
    "shelter/records/client.yaml": CLIENT,
    "shelter/records/visit.yaml": VISIT,
    "shelter/tables/sex.csv": SEX,
}

CLIENTS = ("Id", "First", "Last", "Date of birth", "Sex", "Veteran", "SSN", "Changed", "Gone")
VISITS = ("Visit", "Client", "Date", "Kind", "Gone")


def maps(folder: Path) -> Path:
    """A folder of mappings with the feed ``shelter``."""
    return write(folder, FILES)


def table(columns: Sequence[str], *rows: Mapping[str, str]) -> bytes:
    """A CSV file."""
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="", lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def client(id: str, **said: str) -> dict[str, str]:
    """A client's row; ``dob`` is the date of birth."""
    dob = said.pop("dob", "")
    return {"Id": id, "First": "Ada", "Last": f"L{id}", "Date of birth": dob} | said


def visit(id: str, client: str, **said: str) -> dict[str, str]:
    """A visit's row."""
    return {"Visit": id, "Client": client, "Date": "3/1/2024"} | said


def put(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Files in a folder of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder
