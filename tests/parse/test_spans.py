"""A place of a message leads back to its bytes."""

from __future__ import annotations

import pytest

from gateway.parse.er7 import Message, parse
from gateway.parse.spans import spans

RAW = (
    b"MSH|^~\\&|EHR|CEDARGEN|HUB|COUNTY|20240301||ADT^A01|C1|P|2.5.1||||||UNICODE UTF-8\r\n"
    b"PID|1||77^^^CEDARGEN&1.2&ISO^MR~88^^^X^PI||N\xc3\xb8vak^Elena^^^^^L~Novak^Lena\r\n"
    b"OBX|1|ST|a||one\r\nOBX|2|ST|a||two\\T\\three\r\n"
)


@pytest.mark.parametrize(
    ("place", "sent"),
    [
        ("PID-3.1", b"77"),
        ("PID-3.4.2", b"1.2"),
        ("PID-3[2].1", b"88"),
        ("PID-5.1", b"N\xc3\xb8vak"),
        ("PID-5.2", b"Elena"),
        ("PID-5.7", b"L"),
        ("PID-5[2].2", b"Lena"),
        ("PID-5[2]", b"Novak^Lena"),
        ("OBX-5", b"one"),
        ("OBX[2]-5", b"two\\T\\three"),
        ("MSH-1", b"|"),
        ("MSH-2", b"^~\\&"),
        ("MSH-4", b"CEDARGEN"),
        ("MSH-9.2", b"A01"),
    ],
)
def test_a_place_is_found_in_the_bytes(place: str, sent: bytes) -> None:
    (span,) = spans(parse(RAW), RAW, [place]).values()
    assert RAW[slice(*span)] == sent


@pytest.mark.parametrize("place", ["PID-8", "PID-3[4].1", "ZZZ-1", "OBX[3]-5", "Patient.name"])
def test_what_is_not_there_has_no_bytes(place: str) -> None:
    assert spans(parse(RAW), RAW, [place]) == {}


def test_what_does_not_stand_there_byte_for_byte_has_none() -> None:
    latin = RAW.replace(b"N\xc3\xb8vak", b"N\xf8vak")  # though it says UTF-8
    message: Message = parse(latin)
    found = spans(message, latin, ["PID-5.2", "PID-5.1"])
    assert all(latin[slice(*span)] in (b"Elena", b"N\xf8vak") for span in found.values())
