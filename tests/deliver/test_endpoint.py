"""Where deliveries may go: every way of writing an inner address, at write and at connect."""

from __future__ import annotations

import asyncio

import pytest

from gateway.deliver.endpoint import Blocked, Guard
from gateway.deliver.failure import Failure
from gateway.errors import SettingError

HTTP = ("http", "https")
LOCAL = ("127.0.0.0/8", "::1/128")

INNER = [
    "127.0.0.1",
    "127.1.2.3",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "192.0.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "168.63.129.16",
    "192.88.99.1",
    "::1",
    "::",
    "fe80::1",
    "fc00::1",
    "fd00:ec2::254",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "100::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "::ffff:168.63.129.16",
    "::127.0.0.1",
    "::169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2001:0:7f00:1::",
]

PUBLIC = ["93.184.216.34", "8.8.8.8", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:8.8.8.8"]

FORMS = [
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://0177.0.0.1/",
    "http://017700000001/",
    "http://127.1/",
    "http://127.0.1/",
    "http://127.0.0.1./",
    "http://127.0.0.1.:80/",
    "http://0/",
    "http://[::]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[::1%25lo]/",
    "http://[fe80::1%25eth0]/",
    "http://[2606:2800:220:1:248:1893:25c8:1946%25eth0]/",
    "http://127%2e0%2e0%2e1/",
    "http://%6c%6f%63alhost/",
    "http://\u2460\u2461\u2466.0.0.1/",
    "http://\uff11\uff12\uff17.0.0.1/",
    "http://ex\u00e4mple.com/",
    "http://localhost/",
    "http://LOCALHOST./",
    "http://a.localhost/",
    "http://printer.local/",
    "http://metadata.google.internal/",
    "http://router.lan/",
    "http://metadata/",
    "http://user@93.184.216.34/",
    "http://user:secret@93.184.216.34/",
    "http://@93.184.216.34/",
    "http://93.184.216.34@127.0.0.1/",
    "http://93.184.216.34\\@127.0.0.1/",
    "http://93.184.216.34#@127.0.0.1/",
    "http://93.184.216.34 @127.0.0.1/",
    "http://93.184.216.34/#fragment",
    "http://93.184.216.34/\r\nHost: x",
    "http://93.184.216.34/\tx",
    "http://93.184.216.34/a b",
    " http://93.184.216.34/",
    "http:/\\93.184.216.34/",
    "http:///93.184.216.34/",
    "//93.184.216.34/",
    "93.184.216.34",
    "http://",
    "",
    "http://:80/",
    "http://93.184.216.34:99999/",
    "http://93.184.216.34:x/",
    "http://[::1/",
    "http://[nonsense]/",
    "http://exa_mple-.com/",
    "http://-example.com/",
    "http://example..com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "javascript:alert(1)",
    "mllp://example.com:2575",
    "httpx://example.com/",
    "unix:///var/run/docker.sock",
]


def bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


@pytest.mark.parametrize("url", FORMS + [f"http://{bracketed(each)}/" for each in INNER])
def test_no_way_of_writing_it_leads_inside(url: str) -> None:
    with pytest.raises(Failure) as caught:
        Guard().endpoint(url, HTTP)
    assert caught.value.permanent
    assert caught.value.place == "Subscription.channel.endpoint"
    host = url.partition("://")[2].strip("/")
    assert not host or host not in str(caught.value)


@pytest.mark.parametrize("address", INNER)
def test_an_inner_address_is_refused_at_connect_too(address: str) -> None:
    with pytest.raises(Blocked):
        Guard().check(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_allowed(address: str) -> None:
    Guard().check(address)
    Guard().endpoint(f"https://{bracketed(address)}/hook", HTTP)


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("https://example.com/fhir", "example.com", 443),
        ("http://Example.COM:8080/fhir?x=1", "example.com", 8080),
        ("https://xn--exmple-cua.com/", "xn--exmple-cua.com", 443),
        ("https://a_b.example.org./", "a_b.example.org", 443),
        (
            "https://[2606:2800:220:1:248:1893:25c8:1946]/",
            "2606:2800:220:1:248:1893:25c8:1946",
            443,
        ),
    ],
)
def test_a_public_endpoint_is_taken_apart(url: str, host: str, port: int) -> None:
    endpoint = Guard().endpoint(url, HTTP)
    assert (endpoint.host, endpoint.port, endpoint.url) == (host, port, url)


def test_mllp_has_its_scheme_and_port() -> None:
    assert Guard().endpoint("mllp://clinic.example.org", ("mllp",)).port == 2575
    with pytest.raises(Failure):
        Guard().endpoint("http://clinic.example.org", ("mllp",))


def test_an_installation_opens_the_networks_that_it_names_and_no_others() -> None:
    guard = Guard((*LOCAL, "10.1.0.0/16"))
    for address in ("127.0.0.1", "::1", "10.1.2.3", "::ffff:127.0.0.1"):
        guard.check(address)
    for address in ("10.2.0.1", "169.254.169.254", "192.168.0.1", "64:ff9b::7f00:1"):
        with pytest.raises(Blocked):
            guard.check(address)
    assert guard.endpoint("http://localhost:8081/", HTTP).port == 8081
    assert guard.endpoint("http://pantry:8081/", HTTP).host == "pantry"
    for url in ("http://2130706433/", "http://127.1/"):
        with pytest.raises(Failure):
            guard.endpoint(url, HTTP)


@pytest.mark.parametrize("network", ["nonsense", "10.0.0.1/8", "10.0.0.0/99"])
def test_a_network_that_is_none_is_a_setting_error(network: str) -> None:
    with pytest.raises(SettingError):
        Guard([network])


def test_a_name_is_resolved_to_allowed_addresses_or_refused() -> None:
    async def resolve(guard: Guard, url: str) -> tuple[str, ...]:
        return await guard.resolve(guard.endpoint(url, HTTP))

    assert set(asyncio.run(resolve(Guard(LOCAL), "http://localhost:80/"))) <= {"127.0.0.1", "::1"}
    with pytest.raises(Failure, match="may not be called"):
        asyncio.run(resolve(Guard(["10.0.0.0/8"]), "http://localhost:80/"))
    with pytest.raises(Failure, match="no address"):
        asyncio.run(resolve(Guard(), "http://nowhere.invalid/"))
