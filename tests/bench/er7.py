"""What reading a message costs, beside a bare split, python-hl7 and hl7apy.

The message is a REF^I12 of about 3 kB. "bare split" is the floor: cut at every delimiter that the
reads need, nothing else. Figures are the best of several rounds, in microseconds a message.
"""

from __future__ import annotations

import timeit
from collections.abc import Callable, Iterator
from time import process_time

import hl7
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message

from gateway.parse.er7 import parse
from tests.bench.run import Size
from tests.bench.table import Figure

REFERRAL = "\r".join(
    [
        "MSH|^~\\&|CLINIC^1.2.3^ISO|CEDARGEN|HUB|GATEWAY|20250301101500-0600||REF^I12^REF_I12|"
        "MSG00001|P|2.5.1|||AL|NE|USA|UNICODE UTF-8",
        "RF1|P^Pending^HL70283|R^Routine^HL70280|MED^Medical^HL70281|WR^Written^HL70282|"
        "OP^Outpatient^HL70284|REF-7781^CLINIC|20250301|20250901|20250301|HS^Housing^HL70336",
        *(
            f"PRD|{role}|DOE\\S\\{n}^JANE^Q^^DR^MD|{n} MAIN ST^SUITE 4^CEDAR^IA^52401^USA^B|"
            f"NORTHSIDE PANTRY^^^^|^WPN^PH^^1^319^55501{n:02}~^NET^Internet^a{n}@example.org||"
            f"{n}778^NPI~{n}991^LOCAL|20200101|20991231"
            for n, role in enumerate(("RP", "RT", "PP", "CP", "OT"), 10)
        ),
        "PID|1||MRN001^^^CEDARGEN^MR~999-12-3456^^^SSA^SS~DL12345^^^IA^DL||SMITH^MARY^ANN^JR^MS^^L~"
        "JONES^MARY^^^^^M||19800412|F||2106-3^White^HL70005|12 OAK ST^APT 3^CEDAR^IA^52402^USA^H~"
        "PO BOX 9^^CEDAR^IA^52402^USA^M|LINN|^PRN^PH^^1^319^5551234~^PRN^CP^^1^319^5559876|"
        "^WPN^PH^^1^319^5550000|en^English^HL70296|M^Married^HL70002|CHR^Christian^HL70006|ACC55",
        *(
            f"NK1|{n}|SMITH^JOHN^{n}|SPO^Spouse^HL70063|12 OAK ST^^CEDAR^IA^52402^USA|"
            f"^PRN^PH^^1^319^555{n:04}||EC^Emergency contact^HL70131"
            for n in range(1, 4)
        ),
        *(
            f"DG1|{n}|I10|Z59.{n}^Housing and economic circumstances {n}^I10C|"
            f"Homelessness\\T\\instability|20250214|W"
            for n in range(1, 5)
        ),
        *(
            f"OBX|{n}|CE|7180{n}-2^Housing status^LN||LA31993-{n}^I have a place to live^LN||||||F|"
            f"||20250228|||1234^DOE^JANE"
            for n in range(1, 6)
        ),
        "NTE|1|L|Please call in the afternoon\\.br\\Interpreter needed",
    ]
).encode()

READS = [
    *(("MSH", n, 1, 1) for n in (3, 4, 7, 9, 10, 12)),
    *(("PID", 3, 1, c) for c in (1, 4, 5)),
    *(("PID", 5, 1, c) for c in (1, 2, 3)),
    *(("PID", n, 1, 1) for n in (7, 8, 10, 15, 16)),
    *(("PID", 11, 1, c) for c in (1, 3, 4, 5)),
    *(("RF1", n, 1, 1) for n in (1, 6, 7)),
    ("PID", 3, 2, 1),
]


def ours() -> list[str | None]:
    message = parse(REFERRAL)
    texts = []
    for name, field, repetition, component in READS:
        segment = message.first(name)
        assert segment is not None
        texts.append(segment.text(field, repetition, component))
    return texts


def bare() -> list[str]:
    segments: dict[str, list[str]] = {}
    for line in REFERRAL.decode().split("\r"):
        segments.setdefault(line[:3], line.split("|"))
    texts = []
    for name, field, repetition, component in READS:
        cells = segments[name]
        value = cells[field - (name == "MSH")]
        texts.append(value.split("~")[repetition - 1].split("^")[component - 1])
    return texts


def oracle() -> list[str]:
    message = parse_message(
        REFERRAL.decode(), validation_level=VALIDATION_LEVEL.TOLERANT, find_groups=False
    )
    texts = []
    for name, field, repetition, component in READS:
        segment = next(child for child in message.children if child.name == name)
        cell = getattr(segment, f"{name}_{field}")[repetition - 1].to_er7()
        texts.append(cell.split("^")[component - 1])
    return texts


def python_hl7() -> list[str]:
    message = hl7.parse(REFERRAL.decode())
    return [
        message.extract_field(name, field_num=field, repeat_num=repetition, component_num=component)
        for name, field, repetition, component in READS
    ]


def microseconds(run: Callable[[], object], times: int) -> float:
    """Of processor time, so that what else runs counts for little; the best of several rounds."""
    return min(timeit.repeat(run, number=times, repeat=5, timer=process_time)) / times * 1e6


def figures(size: Size) -> Iterator[Figure]:
    """Microseconds a message; all of them read the same texts."""
    assert ours() == bare() == oracle() == python_hl7()
    many, few = size.repeats * 100, size.repeats * 5
    floor, cost = microseconds(bare, many), microseconds(ours, many)
    peers = {
        "hl7apy": microseconds(oracle, max(1, size.repeats // 10)),
        "python-hl7": microseconds(python_hl7, few),
    }
    parsing = f"parse alone {microseconds(lambda: parse(REFERRAL), many):.0f} µs"
    work = "er7: parse + 25 fields, REF^I12 of 3 kB"
    yield Figure(work, cost, "µs", floor, "bare split", "≤ 100", parsing)
    for name, peer in peers.items():
        yield Figure(work, cost, "µs", peer, name)
