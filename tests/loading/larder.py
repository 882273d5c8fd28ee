"""An agency whose tables a test writes, and changes as the gateway runs: rows and JSON records."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.exchange.searching import Search
from gateway.loading.tally import Tally
from gateway.model import Context
from gateway.pipeline import Pipeline
from gateway.rows import lying
from tests import feeds
from tests.translate.maps import write

LARDER = Context("larder", "test")
AGENCY = """\
agency: larder
name: The Larder
feeds:
  - feed: guests
    kind: csv
    files: [{file: "guests*.csv", map: guest}]
  - feed: cases
    kind: json
    files: [{map: case}]
"""
GUEST = """\
map: guest
id: Visit
resources:
  person:
    to: Patient
    key: {value: {from: Card}, system: {own: cards}}
    set:
      identifier: {value: {from: Card}, system: {own: cards}}
      name: {family: {from: Last}}
      gender: {from: Sex, table: sex, unmapped: task}
  visit:
    to: Encounter
    key: {value: {from: Visit}, system: {own: visits}}
    set:
      status: {from: State, table: state, unmapped: task}
      class: {const: {system: "http://terminology.hl7.org/CodeSystem/v3-ActCode", code: AMB}}
      subject: {ref: person}
"""
CASE = """\
map: case
id: no
resources:
  person:
    to: Patient
    key: {value: {from: no}, system: {own: cases}}
    set:
      identifier: {value: {from: no}, system: {own: cases}}
      gender: {from: person.sex, table: sex, unmapped: task}
"""
COLUMNS = ("Visit", "Card", "Last", "Sex", "State")


class Larder:
    """The agency. ``guest`` is the map of its spreadsheet."""

    def __init__(self, pipeline: Pipeline, folder: Path) -> None:
        self.pipeline = pipeline
        self.folder = folder
        self.guest = GUEST
        self._loads = 0
        self.tables()

    def tables(self, sex: str = "", state: str = "", cases: str = "", said: str = "") -> None:
        """What its feeds' tables have; the gateway is told. ``said``: more of its agency.yaml."""
        states = f"code,target\ndone,finished\n{state}\n"
        files = {
            "agency.yaml": AGENCY + said,
            "guests/records/guest.yaml": self.guest,
            "guests/tables/sex.csv": f"code,target\nF,female\n{sex}\n",
            "guests/tables/state.csv": states,
            "cases/records/case.yaml": CASE,
            "cases/tables/sex.csv": f"code,target\nF,female\n{cases}\n",
        }
        write(self.folder, files)
        self.pipeline.add_agency("larder", self.folder)

    def sends(self, *rows: Mapping[str, str]) -> Tally:
        return self._load("guests", {"guests.csv": feeds.table(COLUMNS, *rows)})

    def tells(self, *records: Any) -> Tally:
        return self._load("cases", {"cases.json": json.dumps(records).encode()})

    def _load(self, feed: str, files: Mapping[str, bytes]) -> Tally:
        self._loads += 1
        came = list(lying(feeds.put(self.folder.parent / f"larder{self._loads}", files)))
        loading = self.pipeline.loading
        return loading(LARDER, feed, came, channel="test", spool=loading.spool())

    def has(self, type_: str, who: Context = LARDER) -> list[Any]:
        page = self.pipeline.search(who, Search(type_, [("_count", "100")])).page
        return [json.loads(each.body) for each in page.entries]

    @property
    def task(self) -> Any:
        (task,) = self.has("Task")
        return task

    def waiting(self, task: Any, who: Context = LARDER) -> list[tuple[str, str, int, bool]]:
        with self.pipeline._hub.read() as reader:
            found = reader.waiting_rows(who, task["id"])
        return [(each.feed, each.file, each.line, bool(each.aside)) for each in found]


def guest(visit: str, card: str = "c1", sex: str = "F", state: str = "done") -> dict[str, str]:
    return {"Visit": visit, "Card": card, "Last": f"L{visit}", "Sex": sex, "State": state}
