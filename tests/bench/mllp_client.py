"""The bench's client: many connections, one message in flight on each, in one light process.

``python -m tests.bench.mllp_client PORT CONNECTIONS MESSAGES PREFIX SAMPLE`` prints a line of
JSON: messages a second, p50 and p99 in milliseconds, and how many answers weren't AA.
"""

from __future__ import annotations

import json
import random
import string
import sys
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

from tests.bench.load import run

START, END = b"\x0b", b"\x1c\r"
NUMBERED = {"RF1": 6, "PID": 3, "PV1": 19, "OBR": 3}
"""What must be another's with another patient: the field that identifies, by segment."""

PERSONAL = {
    "PID": {5: (1, 2), 11: (1,), 13: (1, 4, 7)},
    "NK1": {2: (1, 2), 4: (1,), 5: (1, 4, 7)},
}
"""What is never the same of two people, by segment, field and component: names, streets, phones."""


def numbered(sample: str, number: str) -> bytes:
    """The sample as another message, referral, patient, visit and laboratory order, framed.

    The patient is another person, kin and all, so that nothing that was remembered of one serves
    for the next. The same number makes the same message.
    """
    chance = random.Random(number)
    segments = [line.split("|") for line in sample.replace("\n", "\r").split("\r") if line]
    for fields in segments:
        for at, components in PERSONAL.get(fields[0], {}).items():
            if at < len(fields):
                fields[at] = _another(fields[at], components, chance)
        if fields[0] == "PID":
            born = date(1930, 1, 1) + timedelta(days=chance.randrange(34_000))
            fields[7] = f"{born:%Y%m%d}"
        if fields[0] == "MSH":
            fields[9] = number
        elif fields[0] in NUMBERED:
            field = NUMBERED[fields[0]]
            fields[field] = "^".join([number, *fields[field].split("~")[0].split("^")[1:]])
    return START + "\r".join("|".join(fields) for fields in segments).encode() + b"\r" + END


def _another(field: str, components: Sequence[int], chance: random.Random) -> str:
    """The field with other letters and digits in these components of each repetition."""
    repetitions = [repetition.split("^") for repetition in field.split("~")]
    for parts in repetitions:
        for at in components:
            if at <= len(parts):
                parts[at - 1] = "".join(_other(sign, chance) for sign in parts[at - 1])
    return "~".join("^".join(parts) for parts in repetitions)


def _other(sign: str, chance: random.Random) -> str:
    for kind in (string.digits, string.ascii_lowercase, string.ascii_uppercase):
        if sign in kind:
            return chance.choice(kind)
    return sign


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
