"""Any bytes: the parser, the header's peek and the framing answer or refuse, and never crash.

``GATEWAY_FUZZ_SECONDS`` is the budget of all of it (CI gives 60); a failure prints its example.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from gateway.errors import ParseError, ReceiveError
from gateway.parse.er7 import Message, parse
from gateway.receive.ack import acknowledge, header
from gateway.receive.batch import divide, is_batch, peek
from gateway.receive.framing import Deframer, frame

SECONDS = float(os.environ.get("GATEWAY_FUZZ_SECONDS", "5"))
PIECES = (
    *(b"MSH|^~\\&|", b"MSH", b"FHS|", b"BHS|^~\\&|A|B|C|D|", b"BTS|1", b"FTS|", b"PID|", b"OBX|1|"),
    *(
        b"||||||ADT^A01|1|P|2.5.1",
        b"|UNICODE UTF-8",
        b"|~ISO IR87",
        b"\\X41\\",
        b"\\.br\\",
        b"\\M2442\\",
    ),
    *(
        b"\x1b$B",
        b"\x1b(B",
        b"\x1b$)C",
        b"\x0b",
        b"\x1c\r",
        b"\x1c",
        b"\r",
        b"\n",
        b"^",
        b"~",
        b"&",
    ),
    *(b"&", b"\\", b"#", b"\xff\xfe", b"\xef\xbb\xbf", "Zoë".encode(), b"Zo\xeb", b"\x00", b" "),
)
RAW = st.lists(st.sampled_from(PIECES) | st.binary(max_size=8), max_size=40).map(b"".join)
AT = datetime(2026, 3, 2, 3, 4, 5, tzinfo=UTC)
SEED = int.from_bytes(os.urandom(4), "big")


def read(raw: bytes) -> None:
    """Everything that a message lets one read."""
    try:
        message = parse(raw)
    except ParseError as error:
        refused = error.place
    else:
        _walk(message)
        return
    assert refused


def _walk(message: Message) -> None:
    for segment in message.segments:
        for number in range(1, len(segment.fields)):
            for part in segment.repetitions(number):
                part.text()
                part.leaf(2)
    assert all(issue.text for issue in message.warnings)


def peeked(raw: bytes) -> None:
    """Its header, and an answer to it that can be read again."""
    try:
        head = peek(raw)
    except ReceiveError:
        return
    answer = acknowledge(head, "AE", [], at=AT, control_id="1")
    assert header(answer).event.startswith("ACK")
    if is_batch(raw):
        try:
            divide(raw)
        except ReceiveError as error:
            refused = error.place
        else:
            return
        assert refused


def framed(raw: bytes) -> None:
    """The same messages wherever the reads split it, never more than the bytes."""
    whole = Deframer(10**6).feed(raw)
    for size in (1, 3):
        split = Deframer(10**6)
        pieces = [raw[at : at + size] for at in range(0, len(raw), size)]
        assert [each for piece in pieces for each in split.feed(piece)] == whole
    assert sum(map(len, whole)) <= len(raw)
    clean = raw.replace(b"\x1c", b"").replace(b"\x0b", b"")
    assert Deframer(10**6).feed(frame(clean)) == [clean]


@pytest.mark.parametrize("target", [read, peeked, framed])
def test_any_bytes_are_answered_or_refused(target: object) -> None:
    assert callable(target)
    print("seed", SEED)
    until = time.monotonic() + SECONDS / 3
    rounds = 0
    while rounds == 0 or time.monotonic() < until:

        @seed(SEED + rounds)
        @settings(
            max_examples=200,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        @given(RAW)
        def fuzz(raw: bytes) -> None:
            target(raw)

        fuzz()
        rounds += 1
