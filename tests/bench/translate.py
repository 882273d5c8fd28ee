"""What translating costs: ``python tests/bench/translate.py``, one run, ratios side by side.

Two REF^I12: the 3 kB one of ``er7.py`` and, where the corpora are, Microsoft's of 5.8 kB. Figures
are the best of several rounds, in microseconds of CPU a message; "translate" includes reading the
fields. The garbage collector is set as the gateway sets it.
"""

from __future__ import annotations

import gc
import sys
import timeit
from pathlib import Path
from time import process_time

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.pop(1)  # this folder, whose fhir.py would hide the library

from gateway.app import LITTER
from gateway.model import Agency
from gateway.parse.er7 import parse
from gateway.translate import Library, load, translate
from tests.bench.er7 import REFERRAL, microseconds
from tests.corpora import CORPORA

MAPPINGS = Path(__file__).resolve().parents[2] / "mappings"
SAMPLE = CORPORA / "ms-fhir-converter/data/SampleData/Hl7v2/REF-I12-01.hl7"
AGENCY = Agency("bench", "Bench", timezone="America/Chicago")


def costs(library: Library, raw: bytes) -> tuple[int, float, float]:
    """Resources made of a message, and microseconds to parse and to translate it."""
    parsing = microseconds(lambda: parse(raw), 200)
    both = microseconds(lambda: translate(library, AGENCY, parse(raw)), 50)
    return len(translate(library, AGENCY, parse(raw)).entries), parsing, both - parsing


def row(library: Library, name: str, raw: bytes) -> None:
    made, parsing, cost = costs(library, raw)
    print(
        f"{name:16}{len(raw):8}{made:11}{parsing:10.0f}{cost:11.0f}{cost / made:14.1f}"
        f"{cost / parsing:12.1f}"
    )


def main() -> None:
    seconds = min(timeit.repeat(lambda: load([MAPPINGS]), number=1, repeat=3, timer=process_time))
    library = load([MAPPINGS])
    gc.collect()
    gc.freeze()
    gc.set_threshold(LITTER, 20, 100)
    print(f"loading the shipped maps: {seconds * 1000:.0f} ms")
    print(
        f"{'REF^I12':16}{'bytes':>8}{'resources':>11}{'parse':>10}{'translate':>11}"
        f"{'a resource':>14}{'x parse':>12}"
    )
    row(library, "ours", REFERRAL)
    if SAMPLE.is_file():
        row(library, "ms-fhir", SAMPLE.read_bytes())


if __name__ == "__main__":
    main()
