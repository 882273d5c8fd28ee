"""Any bytes: parser, charsets, escapes, header, batches and framing read or refuse, never crash.

``GATEWAY_FUZZ_SECONDS`` is the budget of all of it (.ci/run gives 60, else it is short); a failure
prints its seed and the smallest example.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from gateway.errors import ParseError, ReceiveError
from gateway.parse import charset, escapes
from gateway.parse.delimiters import Delimiters
from gateway.parse.er7 import Message, parse
from gateway.receive.ack import acknowledge, header
from gateway.receive.batch import divide, is_batch, peek
from gateway.receive.framing import Deframer, frame
from gateway.record import Node

SECONDS = float(os.environ.get("GATEWAY_FUZZ_SECONDS", "5"))
PIECES = (
    *(b"MSH|^~\\&|", b"MSH", b"FHS|", b"BHS|^~\\&|A|B|C|D|", b"BTS|1", b"FTS|", b"PID|", b"OBX|1|"),
    *(b"||||||ADT^A01|1|P|2.5.1", b"||||||ADT^A01|1|P|2.5.1|0|||||", b"|UNICODE UTF-8"),
    *(
        b"|~ISO IR87",
        b"\\X41\\",
        b"\\X",
        b"\\.br\\",
        b"\\.sp+9\\",
        b"\\M2442\\",
        b"\\C2842\\",
        b"\\Z",
    ),
    *(b"\x1b$B", b"\x1b(B", b"\x1b$)C", b"\x1b-A", b"\x0b", b"\x1c\r", b"\x1c", b"\r", b"\n"),
    *(b"|", b"^", b"~", b"&", b"\\", b"#", b'""', b"\xff\xfe", b"\xef\xbb\xbf", b"M\x00S\x00H\x00"),
    *("Zoë".encode(), b"Zo\xeb", "山田".encode("iso2022_jp"), b"\x81", b"\x00", b" "),
)
RAW = st.lists(st.sampled_from(PIECES) | st.binary(max_size=8), max_size=40).map(b"".join)
SETS = "ASCII,8859/1,8859/15,ISO IR14,ISO IR87,GB 18030-2000,UNICODE UTF-8,KS X 1001,BIG-5"
NAMES = st.sampled_from(f"{SETS},UNICODE UTF-16,cp1252,utf-7,hz,punycode,base64,".split(","))
NAMES |= st.text(max_size=8)
MARKS = st.permutations("|^~\\&#!$%\r").map(lambda found: Delimiters(*found[:6]))
TEXT = st.lists(
    st.text(max_size=4)
    | st.sampled_from(["\\", "\\X", "C3A9", "\\.", "br", "sp+3", "\\F\\", "~", "#"])
).map("".join)
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
            for repetition, part in enumerate(segment.repetitions(number), 1):
                assert segment.text(number, repetition) == part.text() == part.leaf(1)
                for node in _below(part):
                    assert node.place.startswith(segment.name)
                    node.text()
    assert all(issue.text for issue in message.warnings)


def _below(node: Node) -> Iterator[Node]:
    yield node
    for number in range(1, len(node.shape) + 1):
        child = node.child(number)
        if child is not None and child is not node:
            yield from _below(child)


def decoded(raw: bytes, name: str, agency: str) -> None:
    """Whatever MSH-18 names, the bytes become a text that its codec can write, or all is told."""
    for known in ("auto", agency):
        try:
            found = charset.decode(raw, name, known)
        except ParseError as error:
            refused = error.place
        else:
            "".encode(found.codec)
            assert all(issue.place == "MSH-18" for issue in found.warnings)
            continue
        assert refused == "MSH-18"
        assert known != "auto"


def unescaped(text: str, marks: Delimiters, codec: str) -> None:
    """Text without an escape character stays; with one it never grows beyond its layout."""
    reported: list[None] = []
    plain = escapes.unescape(text, marks, codec, lambda: reported.append(None))
    if marks.escape not in text:
        assert plain == text
    assert len(reported) <= text.count(marks.escape)
    assert len(plain) <= 33 * len(text)  # \\.sp99\\ is 7 characters and 99 lines


def peeked(raw: bytes) -> None:
    """Its header, and an answer to it that can be read again."""
    try:
        head = peek(raw)
    except ReceiveError:
        return
    answer = acknowledge(head, "AE", [], at=AT, control_id="1", expected=7)
    assert header(answer).event.startswith("ACK")
    if is_batch(raw):
        try:
            divide(raw)
        except ReceiveError as error:
            refused = error.place
        else:
            return
        assert refused


def framed(raw: bytes, cuts: list[int]) -> None:
    """The same messages wherever the reads split it, never more than the bytes."""
    whole = Deframer(10**6).feed(raw)
    edges = [0, *sorted(cut % (len(raw) + 1) for cut in cuts), len(raw)]
    for pieces in (
        [raw[at : at + 1] for at in range(len(raw))],
        [raw[start:end] for start, end in pairwise(edges)],
    ):
        split = Deframer(10**6)
        assert [each for piece in pieces for each in split.feed(piece)] == whole
    assert sum(map(len, whole)) <= len(raw)
    clean = raw.replace(b"\x1c", b"").replace(b"\x0b", b"")
    assert Deframer(10**6).feed(frame(clean)) == [clean]


TARGETS: dict[Callable[..., None], tuple[st.SearchStrategy[object], ...]] = {
    read: (RAW,),
    decoded: (RAW, NAMES, NAMES),
    unescaped: (TEXT, MARKS, st.sampled_from(["utf-8", "ascii", "shift_jis", "utf-16", "euc_kr"])),
    peeked: (RAW,),
    framed: (RAW, st.lists(st.integers(min_value=0), max_size=5)),
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.timeout(300 + SECONDS)
def test_any_bytes_are_read_or_refused(target: Callable[..., None]) -> None:
    print("seed", SEED)
    until = time.monotonic() + SECONDS / len(TARGETS)
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
        @given(st.tuples(*TARGETS[target]))
        def fuzz(arguments: tuple[object, ...]) -> None:
            target(*arguments)

        fuzz()
        rounds += 1
