"""The published pairs: a message, its publisher's resources and ours."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from gateway.errors import GatewayError
from gateway.model import Agency
from gateway.parse.er7 import parse
from gateway.translate import Library, translate
from tests.corpora import CORPORA, split_messages
from tests.mappings.agreed import NOT_ITS_OWN


class Pair(NamedTuple):
    """``ours`` is None where the message is refused, which ``refusal`` says."""

    name: str
    source: str
    raw: bytes
    theirs: list[dict[str, Any]]
    ours: list[dict[str, Any]] | None
    refusal: str = ""


def pairs(library: Library) -> Iterator[Pair]:
    """Every pair of ``pairs.tsv`` of one HL7 v2 message and one Bundle."""
    with (CORPORA / "pairs.tsv").open(encoding="utf-8", newline="") as index:
        for row in csv.DictReader(index, delimiter="\t"):
            found = _pair(library, row["input"], row["expected"])
            if found is not None:
                yield found


def _pair(library: Library, name: str, expected: str) -> Pair | None:
    both = name.endswith(".hl7") and expected.endswith((".json", ".fhir"))
    if name in NOT_ITS_OWN or not both:
        return None
    raw = split_messages((CORPORA / name).read_bytes())
    bundle = json.loads((CORPORA / expected).read_bytes())
    if len(raw) != 1 or "entry" not in bundle:
        return None
    theirs = [entry["resource"] for entry in bundle["entry"] if "resource" in entry]
    pair = Pair(name, _source(name), raw[0], theirs, None)
    try:
        made = translate(library, Agency("sample", "Sample", timezone="UTC"), parse(raw[0]))
    except GatewayError as error:
        return pair._replace(refusal=f"{error.place}: {error}")
    return pair._replace(ours=[entry.resource for entry in made.entries])


def _source(name: str) -> str:
    """The publisher; of ReportStream the folder, since each tests something else."""
    publisher, _, rest = name.partition("/")
    if publisher != "cdc-reportstream":
        return publisher
    folders = ("FHIR_to_HL7", "mappinginventory")
    return "reportstream " + next((one for one in folders if one in rest), "other")
