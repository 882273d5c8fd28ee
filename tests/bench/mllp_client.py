"""The bench's client: many connections, one message in flight on each, in one light process.

``python tests/bench/mllp_client.py PORT CONNECTIONS MESSAGES PREFIX SAMPLE`` prints a line of
JSON: messages a second, p50 and p99 in milliseconds, and how many answers weren't AA.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.pop(1)  # this folder, whose fhir.py would hide the library

from tests.bench.load import run

START, END = b"\x0b", b"\x1c\r"
NUMBERED = {"RF1": 6, "PID": 3, "PV1": 19, "OBR": 3}
"""What must be another's with another patient: the field that identifies, by segment."""


def numbered(sample: str, number: str) -> bytes:
    """The sample as another message, referral, patient, visit and laboratory order, framed."""
    segments = [line.split("|") for line in sample.replace("\n", "\r").split("\r") if line]
    for fields in segments:
        if fields[0] == "MSH":
            fields[9] = number
        elif fields[0] in NUMBERED:
            field = NUMBERED[fields[0]]
            fields[field] = "^".join([number, *fields[field].split("~")[0].split("^")[1:]])
    return START + "\r".join("|".join(fields) for fields in segments).encode() + b"\r" + END


if __name__ == "__main__":
    port, connections, count, prefix, sample = sys.argv[1:]
    text = Path(sample).read_text(encoding="utf-8")
    made = [numbered(text, f"{prefix}{ordinal:07d}") for ordinal in range(int(count))]
    figures = run(
        int(port),
        int(connections),
        made,
        whole=lambda answer: answer.endswith(END),
        good=lambda answer: b"MSA|AA|" in answer,
    )
    print(json.dumps(figures))
