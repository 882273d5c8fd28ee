"""No input is superlinear: twice the bytes take at most 2.3 times the processor time.

Hostile shapes of messages, batches and streams, each read in full by what stands before everything
else on the wire. Only ratios are judged, of the best of several runs, without garbage collection.
A long run (``GATEWAY_FUZZ_SECONDS`` of 600) takes larger sizes, up to the limit of 10 MB.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from gateway.errors import GatewayError
from gateway.parse import charset
from gateway.parse.er7 import parse
from gateway.parse.parts import Part
from gateway.receive.ack import acknowledge, header
from gateway.receive.batch import answer, divide
from gateway.receive.framing import Deframer, frame

MOST = 2.3
LARGE = float(os.environ.get("GATEWAY_FUZZ_SECONDS", "5")) >= 600
READ = 1_000_000 if LARGE else 50_000
"""Bytes of what is read in every detail; the other half of a ratio has twice as many."""
PASSED = 5_000_000 if LARGE else 400_000
"""Bytes of what is only cut or peeked at."""

HEAD = b"MSH|^~\\&|A|B|C|D|E||ADT^A01|M1|P|2.5.1"
UTF_8 = HEAD + b"||||||UNICODE UTF-8\r"
ISO_IR = HEAD + b"||||||ASCII~ISO IR87\r"
FIELD = HEAD + b"\rPID|"
BHS = b"BHS|^~\\&|A|B|C|D|20260302||||B1\r"
ONE = HEAD + b"\rPID|1\r"
AT = datetime(2026, 3, 2, 3, 4, 5, tzinfo=UTC)

Shape = tuple[bytes, bytes]
"""What stands first, and what is repeated up to a size."""

MESSAGES: dict[str, Shape] = {
    "segments": (HEAD, b"\rOBX|1|ST|x^y||z"),
    "empty segments": (HEAD, b"\rZZZ"),
    "fields": (FIELD, b"|x"),
    "empty fields": (FIELD, b"|"),
    "repetitions": (FIELD, b"~x^y"),
    "empty repetitions": (FIELD, b"~"),
    "components": (FIELD, b"^x"),
    "subcomponents": (FIELD, b"&x"),
    "all delimiters": (FIELD, b"|^~\\&"),
    "escapes": (FIELD, b"\\T\\"),
    "stray escapes": (FIELD, b"\\q"),
    "escape characters": (FIELD, b"\\"),
    "escapes in components": (FIELD, b"^\\S\\x\\"),
    "open hexadecimal": (FIELD, b"\\X41"),
    "one hexadecimal run": (FIELD + b"\\X", b"41"),
    "hexadecimal runs": (FIELD, b"\\X41\\"),
    "broken hexadecimal runs": (FIELD, b"\\X41\\\\X4"),
    "hexadecimal in hexadecimal": (FIELD, b"\\X\\X41\\"),
    "layout": (FIELD, b"\\.sp99\\"),
    "open layout": (FIELD, b"\\.sp"),
    "agreed escapes": (FIELD, b"\\Zx"),
    "one huge field": (FIELD, b"x"),
    "broken lines": (HEAD + b"\rOBX|1", b"\rx"),
    "blank lines": (HEAD, b" \n"),
    "CR and LF": (HEAD, b"\r\n"),
    "a long header": (HEAD, b"|x"),
    "a header of repetitions": (HEAD + b"||||||", b"~8859/1"),
    "foreign bytes": (FIELD, b"\xe9\x81"),
    "broken UTF-8": (UTF_8 + b"PID|", b"\xc3\xa9\xff"),
    "two-byte text": (ISO_IR + b"PID|", b"\x1b$B;3ED\x1b(B"),
    "open shifts": (ISO_IR + b"PID|", b"\x1b$B"),
    "shifts to nothing known": (ISO_IR + b"PID|", b"\x1b$)Z"),
    "shifts by HL7's escapes": (ISO_IR + b"PID|", b"\\M2442\\\\C2842\\"),
    "NULs": (HEAD + b"\r", b"\0"),
    "blanks before": (b"", b" \r\n\0"),
    "UTF-16": (HEAD.decode().encode("utf-16"), "\rOBX|1|ST|é".encode("utf-16-le")),
}

STREAMS: dict[str, Shape] = {
    "messages": (b"", frame(ONE)),
    "frames without an end": (b"", b"\x0bMSH|"),
    "beginnings in one frame": (b"\x0b", b"\x0b"),
    "ends": (b"", b"\x1c\r"),
    "noise": (b"", b"x\r"),
    "one frame": (b"\x0b", b"x"),
}

BATCHES: dict[str, Shape] = {
    "messages": (BHS, ONE),
    "empty messages": (BHS, b"MSH\r"),
    "headers without a message": (b"FHS|^~\\&|A\r", BHS),
    "ends without a beginning": (BHS + ONE, b"BTS|1\r"),
    "batches": (b"FHS|^~\\&|A\r", BHS + ONE + b"BTS|1\r"),
    "lines": (BHS + HEAD, b"\r\n \t"),
    "almost headers": (BHS + HEAD, b"\rMSH"),
    "one long header": (BHS[:-1], b"|x"),
    "blanks before": (b"", b" \r\n\0"),
}


def filled(shape: Shape, size: int) -> bytes:
    first, again = shape
    return first + again * (size // len(again)) + b"\r"


def read(raw: bytes) -> None:
    """All that a message lets one read."""
    try:
        message = parse(raw)
    except GatewayError:
        return
    for segment in message.segments:
        for number in range(1, len(segment.fields)):
            for part in segment.repetitions(number):
                walk(part)
    assert message.warnings is not None


def walk(part: Part) -> None:
    part.text()
    shape = part.shape
    if len(shape) > 1:
        for number in range(1, len(shape) + 1):
            part.leaf(number)
            below = part.child(number)
            if below is not None:
                walk(below)


def peek_and_answer(raw: bytes) -> None:
    """A header at any rate, and the answer to it."""
    try:
        head = header(raw)
    except GatewayError:
        return
    acknowledge(head, "AE", [], at=AT, control_id="1")


def decode(raw: bytes) -> None:
    for name in ("", "ISO IR87", "GB 18030-2000"):
        charset.decode(raw, name)


def deframe(raw: bytes) -> None:
    Deframer(10**8).feed(raw)


def deframe_in_packets(raw: bytes) -> None:
    deframer = Deframer(10**8)
    for at in range(0, len(raw), 1460):
        deframer.feed(raw[at : at + 1460])


def deframe_by_bytes(raw: bytes) -> None:
    deframer = Deframer(10**8)
    for at in range(len(raw)):
        deframer.feed(raw[at : at + 1])


def batch(raw: bytes) -> None:
    try:
        divided = divide(raw)
    except GatewayError:
        return
    answer(divided, [ONE] * len(divided.messages), at=AT, id="1")


CASES: dict[str, tuple[Callable[[bytes], None], Shape, int]] = {
    **{f"read: {name}": (read, shape, READ) for name, shape in MESSAGES.items()},
    **{f"peek: {name}": (peek_and_answer, shape, PASSED) for name, shape in MESSAGES.items()},
    **{f"decode: {name}": (decode, shape, 2 * READ) for name, shape in MESSAGES.items()},
    **{f"batch: {name}": (batch, shape, READ) for name, shape in BATCHES.items()},
    **{f"deframe: {name}": (deframe, shape, PASSED) for name, shape in STREAMS.items()},
    **{f"packets: {name}": (deframe_in_packets, shape, PASSED) for name, shape in STREAMS.items()},
    **{f"bytes: {name}": (deframe_by_bytes, shape, READ) for name, shape in STREAMS.items()},
}


@pytest.fixture(scope="module", autouse=True)
def _alone() -> None:
    """What other tests left behind isn't looked through at every measurement."""
    gc.collect()
    gc.freeze()


@pytest.mark.parametrize("case", CASES)
def test_twice_the_bytes_take_at_most_2_3_times_the_work(case: str) -> None:
    work, shape, size = CASES[case]
    one, two = filled(shape, size), filled(shape, 2 * size)
    best_one = best_two = float("inf")
    for _ in range(24):
        best_one = min(best_one, cpu(work, one))
        best_two = min(best_two, cpu(work, two))
        if best_two <= max(MOST * best_one, FLOOR):
            return
    pytest.fail(f"{best_two / best_one:.2f} times: {best_one:.4f} s, then {best_two:.4f} s")


FLOOR = 0.0005
"""Seconds below which a clock's tick is as long as the work."""


def cpu(work: Callable[[bytes], None], raw: bytes) -> float:
    """Seconds of this process."""
    gc.collect()
    gc.disable()
    try:
        began = time.process_time()
        work(raw)
        return time.process_time() - began
    finally:
        gc.enable()
