"""A clinic whose tables a test writes, and changes as the gateway runs, over a few small maps."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gateway.model import Receipt
from gateway.pipeline import Pipeline
from gateway.receive.arrival import as_message
from gateway.translate import Library, load

MAPS = {
    "messages/ADT_A01.yaml": """\
map: ADT_A01
events: [ADT^A01]
resources:
  patient:
    to: Patient
    key: {from: PID-3, as: CX}
    set:
      identifier: {each: PID-3, as: CX}
      name: {family: {from: PID-5.1}}
      gender: {from: PID-8, table: sex}
      maritalStatus: {from: PID-16, as: CWE, table: marital}
  encounter:
    to: Encounter
    if: PV1 exists
    key: {from: PV1-19, as: CX}
    set:
      status: {from: PV1-2, table: status}
      class: {const: {code: AMB}}
      subject: {ref: patient}
""",
    "datatypes/CX.yaml": "map: CX\nto: Identifier\nvalue: {from: CX.1}\n"
    "system: {from: CX.4, fn: authority}\n",
    "datatypes/CWE.yaml": "map: CWE\nto: CodeableConcept\ntext: {from: CWE.1}\n",
    "tables/sex.csv": "code,target\nF,female\n",
    "tables/marital.csv": "code,target\n",
    "tables/status.csv": "code,target\n",
}


def small_maps(folder: Path) -> Path:
    """The maps, written into a folder that stands in for the shipped ones; the folder."""
    for name, text in MAPS.items():
        path = folder / "hl7v2" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (folder / "topics").mkdir()
    return folder


@cache
def small_library() -> Library:
    """The maps, loaded once."""
    with TemporaryDirectory() as folder:
        return load([small_maps(Path(folder))])


class Clinic:
    """An agency's folder, and what it sends. ``unmapped``: its policy for every table."""

    def __init__(
        self, pipeline: Pipeline, folder: Path, said: str = "", unmapped: str = "task"
    ) -> None:
        self.pipeline = pipeline
        self.folder = folder
        folder.mkdir(exist_ok=True)
        tables = "\n".join(
            f"  {name}: {{file: {name}.csv, unmapped: {unmapped}}}"
            for name in ("sex", "marital", "status")
        )
        (folder / "agency.yaml").write_text(
            "agency: clinic\nname: The Clinic\nfeeds: [{kind: hl7v2, timezone: UTC}]\n"
            f"authorities: {{CLINIC: 'urn:clinic'}}\n{said}tables:\n{tables}\n",
            encoding="utf-8",
        )
        self.tables()

    def tables(self, sex: str = "", marital: str = "", status: str = "") -> None:
        """What its tables have (``code,target`` lines). The gateway is told."""
        rows = {"sex": sex, "marital": marital, "status": status}
        for name, lines in rows.items():
            (self.folder / f"{name}.csv").write_text(f"code,target\n{lines}\n", encoding="utf-8")
        self.pipeline.add_agency("clinic", self.folder)

    def sends(self, raw: bytes) -> Receipt:
        """A message, to its receipt."""
        return self.pipeline.accept(*as_message("clinic", "mllp", raw)).result()

    def admits(self, at: str, **told: str) -> Receipt:
        """An ADT^A01 at a minute; see ``admission``."""
        return self.sends(admission(at, **told))


def admission(
    at: str,
    *,
    sex: str = "F",
    family: str = "Novak",
    marital: str = "",
    number: str = "7",
    status: str = "",
) -> bytes:
    """An ADT^A01 of one person; time and number are its control id."""
    head = f"MSH|^~\\&|EHR|CLINIC|HUB|COUNTY|{at}||ADT^A01^ADT_A01|C{at}{number}|P|2.5.1"
    pid = f"PID|1||{number}^^^CLINIC^MR||{family}^Ana||19840719|{sex}||||||||{marital}"
    visit = [f"PV1|1|{status}|||||||||||||||||V{number}^^^CLINIC"] if status else []
    return "\r".join((head, f"EVN||{at}", pid, *visit, "")).encode()


def parts(task: Any, of: str = "input") -> dict[str, Any]:
    """A Task's inputs or outputs by their code."""
    return {
        part["type"]["coding"][0]["code"]: value
        for part in task.get(of, ())
        for name, value in part.items()
        if name != "type"
    }
