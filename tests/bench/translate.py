"""What it costs to translate a message, and to check what came of it.

Two REF^I12: the 3 kB one of ``er7`` and, where the corpora are, Microsoft's of 5.8 kB. Beside
stands orjson, which only makes the same objects of their own JSON. Microseconds of processor time;
the garbage collector is set as the gateway sets it.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from functools import partial

import orjson

from gateway.app import LITTER
from gateway.fhir.gates import check
from gateway.fhir.json import dumps
from gateway.messages.meaning import meant
from gateway.model import Agency
from gateway.parse.er7 import parse
from gateway.receive.arrival import as_message
from gateway.route.directory import Directory
from gateway.translate import Library, translate
from tests.bench.er7 import REFERRAL, microseconds
from tests.bench.run import Size
from tests.bench.table import Figure
from tests.corpora import CORPORA
from tests.shipped import library

SAMPLE = CORPORA / "ms-fhir-converter/data/SampleData/Hl7v2/REF-I12-01.hl7"
AGENCY = Agency("bench", "Bench", timezone="America/Chicago")
REMAKE = "orjson.loads of the same"


def figures(size: Size) -> Iterator[Figure]:
    """Translating; then the whole of what a message takes before the writer has it."""
    maps = _settled()
    for name, raw in _samples():
        made = _made(maps, raw)
        again = microseconds(partial(_remake, made), size.repeats * 5)
        parsing = microseconds(partial(parse, raw), size.repeats * 10)
        both = microseconds(partial(_translated, maps, raw), size.repeats * 2)
        more = f"{len(made)} resources; parsing {parsing:.0f} µs"
        work, budget = f"translate REF^I12, {name}", "≤ 400" if raw is REFERRAL else ""
        yield Figure(work, both - parsing, "µs", again, REMAKE, budget, more)
    message, _ = as_message("bench", "mllp", REFERRAL)
    whole = microseconds(lambda: meant(maps, AGENCY, message, Directory(())), size.repeats * 2)
    work = "understand: parse, translate, check, index"
    yield Figure(work, whole, "µs", microseconds(lambda: parse(REFERRAL), 100), "parse")


def checking(size: Size) -> Iterator[Figure]:
    """The gate that a mapped resource passes, over what the maps made of the message."""
    made = [orjson.loads(one) for one in _made(_settled(), REFERRAL)]
    raws = [orjson.dumps(one) for one in made]

    def gate() -> None:
        for one in made:
            check(one, models=False)

    floor, cost = (
        microseconds(run, size.repeats * 5) / len(made) for run in (partial(_remake, raws), gate)
    )
    yield Figure("check, per mapped resource", cost, "µs", floor, "orjson.loads", "≤ 10")


def _remake(raws: list[bytes]) -> None:
    for raw in raws:
        orjson.loads(raw)


def _translated(maps: Library, raw: bytes) -> object:
    return translate(maps, AGENCY, parse(raw))


def _settled() -> Library:
    maps = library()
    gc.collect()
    gc.freeze()
    gc.set_threshold(LITTER, 20, 100)
    return maps


def _samples() -> Iterator[tuple[str, bytes]]:
    yield "3 kB", REFERRAL
    if SAMPLE.is_file():
        yield "5.8 kB (ms-fhir)", SAMPLE.read_bytes()


def _made(maps: Library, raw: bytes) -> list[bytes]:
    return [dumps(entry.resource) for entry in translate(maps, AGENCY, parse(raw)).entries]
