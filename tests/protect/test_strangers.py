from __future__ import annotations

import pytest

from gateway.errors import Throttled
from gateway.protect import strangers
from gateway.protect.strangers import Strangers


def counted(rate: float = 1.0, burst: int = 2) -> tuple[Strangers, list[float]]:
    now = [100.0]
    return Strangers(rate, burst, lambda: now[0]), now


def calls(of: Strangers, address: str, most: int = 10) -> int:
    """How many calls are let in before one is refused."""
    for number in range(most):
        try:
            of.enter(address, "open")
        except Throttled:
            return number
    return most


def test_an_address_has_its_burst_and_then_its_pace() -> None:
    of, now = counted()
    assert calls(of, "192.0.2.1") == 2
    now[0] += 1
    assert calls(of, "192.0.2.1") == 1
    assert calls(of, "192.0.2.2") == 2
    now[0] += 100
    assert calls(of, "192.0.2.1") == 2


def test_what_is_asked_is_counted_apart_and_looking_isnt_counted() -> None:
    of, _ = counted()
    for _ in range(5):
        of.check("192.0.2.1", "key")
    for _ in range(2):
        of.enter("192.0.2.1", "key")
    with pytest.raises(Throttled) as refused:
        of.check("192.0.2.1", "key")
    assert refused.value.again == pytest.approx(1, abs=0.01)
    of.enter("192.0.2.1", "probe")


def test_a_host_has_one_network_of_ipv6_and_ipv4_is_ipv4() -> None:
    of, _ = counted()
    assert calls(of, "2001:db8::1") == 2
    assert calls(of, "2001:db8::ffff:1") == 0
    assert calls(of, "2001:db8:0:1::1") == 2
    assert calls(of, "192.0.2.1") == 2
    assert calls(of, "::ffff:192.0.2.1") == 0


def test_many_addresses_take_a_bounded_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strangers, "MOST", 10)
    of, now = counted()
    for number in range(500):
        calls(of, f"198.51.100.{number}", 1) if number < 10 else None
    assert calls(of, "192.0.2.1") == 2  # as one of those that find no place
    assert calls(of, "192.0.2.2") == 0
    assert len(of._due) <= 11
    now[0] += 10
    assert calls(of, "192.0.2.3") == 2
    assert len(of._due) == 1


def test_no_rate_is_no_limit() -> None:
    of, _ = counted(rate=0)
    assert calls(of, "192.0.2.1", 1000) == 1000
