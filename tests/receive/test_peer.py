from __future__ import annotations

from typing import Any

import pytest

from gateway.receive.peer import whose

LOOPBACK = ("127.0.0.1", 40000)
ELSEWHERE = ("192.0.2.7", 40000)


def certificate(*common: str, dns: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "subject": tuple((("commonName", name),) for name in common),
        "subjectAltName": (("IP Address", "192.0.2.7"), *(("DNS", name) for name in dns)),
    }


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_only_a_peer_on_loopback_may_say_who_it_is(address: str) -> None:
    assert whose(None, None, (address, 1)) == (None, True)


@pytest.mark.parametrize("address", ["192.0.2.7", "10.0.0.1", "::ffff:10.0.0.1", "fe80::1%eth0"])
def test_a_peer_elsewhere_may_not(address: str) -> None:
    assert whose(None, None, (address, 1)) == (None, False)
    assert whose(None, None, None) == (None, False)


def test_the_ports_agency_goes_first() -> None:
    assert whose("cedar", None, ELSEWHERE) == ("cedar", False)


def test_a_certificate_names_its_agency_by_common_name_then_by_dns_name() -> None:
    assert whose(None, certificate("cedar", dns=("north",)), LOOPBACK) == ("cedar", False)
    assert whose(None, certificate(dns=("north", "south")), LOOPBACK) == ("north", False)


def test_a_certificate_must_bear_the_name_of_the_ports_agency() -> None:
    assert whose("north", certificate("x", dns=("y", "north")), ELSEWHERE) == ("north", False)
    assert whose("north", certificate("cedar"), LOOPBACK) == (None, False)


def test_no_certificate_or_an_unverified_one_decides_nothing() -> None:
    assert whose(None, {}, ELSEWHERE) == (None, False)
    assert whose(None, {}, LOOPBACK) == (None, True)
