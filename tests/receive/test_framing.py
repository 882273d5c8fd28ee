from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.receive.framing import Deframer, frame

MESSAGES = st.lists(st.binary().map(lambda raw: raw.replace(b"\x1c", b"").replace(b"\x0b", b"")))


def cut(stream: bytes, at: list[int]) -> list[bytes]:
    edges = [0, *sorted(edge % (len(stream) + 1) for edge in at), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


def collect(deframer: Deframer, pieces: list[bytes]) -> list[bytes]:
    return [message for piece in pieces for message in deframer.feed(piece)]


@settings(deadline=None)
@given(MESSAGES, st.lists(st.integers(min_value=0)))
def test_what_is_framed_comes_out_wherever_the_stream_is_cut(
    messages: list[bytes], at: list[int]
) -> None:
    stream = b"".join(map(frame, messages))
    assert collect(Deframer(10_000), cut(stream, at)) == messages


@settings(deadline=None)
@given(MESSAGES)
def test_a_stream_may_come_byte_by_byte(messages: list[bytes]) -> None:
    stream = b"".join(map(frame, messages))
    assert collect(Deframer(10_000), [bytes([byte]) for byte in stream]) == messages


@settings(deadline=None)
@given(st.lists(st.binary() | st.sampled_from([b"\x0b", b"\x1c", b"\r", b"\x0bMSH", b"\x1c\r"])))
def test_arbitrary_bytes_are_cut_alike_however_they_arrive(pieces: list[bytes]) -> None:
    whole, split = Deframer(50), Deframer(50)
    assert whole.feed(b"".join(pieces)) == collect(split, pieces)
    assert (whole.overflow is None) == (split.overflow is None)


def test_a_missing_cr_and_noise_between_frames_are_forgiven() -> None:
    stream = b"noise\x0bone\x1c\x0btwo\x1c\r\r\n \x0bthree\x1cnoise"
    assert Deframer(100).feed(stream) == [b"one", b"two", b"three"]


def test_a_frame_that_begins_anew_replaces_the_broken_one() -> None:
    stream = b"\x0bMSH|half of it\x0bMSH|whole\x1c\r"
    assert Deframer(100).feed(stream) == [b"MSH|whole"]


def test_a_vertical_tab_in_a_field_is_kept() -> None:
    assert Deframer(100).feed(b"\x0bMSH|a\x0bb\x1c\r") == [b"MSH|a\x0bb"]


def test_a_message_of_just_the_limit_passes() -> None:
    deframer = Deframer(4)
    assert deframer.feed(b"\x0b1234\x1c\r") == [b"1234"]
    assert deframer.overflow is None


def test_a_frame_that_outgrows_the_limit_keeps_its_beginning_and_ends_the_reading() -> None:
    deframer = Deframer(4)
    assert deframer.feed(b"\x0b12\x1c\r\x0b123") == [b"12"]
    assert deframer.feed(b"45") == []
    assert deframer.overflow == b"1234"
    assert deframer.feed(b"\x1c\r\x0b1\x1c\r") == []


def test_a_complete_frame_can_outgrow_the_limit_too() -> None:
    deframer = Deframer(4)
    assert deframer.feed(b"\x0b12\x1c\r\x0b12345\x1c\r\x0b3\x1c\r") == [b"12"]
    assert deframer.overflow == b"1234"
