"""Where a delivery may go: never into a private network that the installation didn't name.

An endpoint's words are checked when it is written, and the address that is really connected to is
checked again at every connect, so a name that changes its address afterwards is of no use.
Python's ``is_global`` holds true for several ranges that lead inside: they are listed here.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final
from urllib.parse import urlsplit

from gateway.deliver.failure import Failure
from gateway.errors import SettingError

PLACE: Final = "Subscription.channel.endpoint"
PORTS: Final = {"http": 80, "https": 443, "mllp": 2575, "mllps": 2575}

_INSIDE: Final = tuple(
    ip_network(text)
    for text in (
        "168.63.129.16/32",  # Azure's wire server
        "192.88.99.0/24",  # 6to4 relays
        "64:ff9b::/96",  # NAT64: any IPv4 address behind it
        "64:ff9b:1::/48",
        "2002::/16",  # 6to4
        "2001::/32",  # Teredo
        "fec0::/10",  # site-local
        "::/96",  # IPv4-compatible
    )
)
_INNER_NAMES: Final = (".localhost", ".local", ".internal", ".home.arpa", ".lan")
_HOST: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
_UNSAFE: Final = re.compile(r"[^\x21-\x7e]|[\\^`{|}<>\"]")

Address = IPv4Address | IPv6Address


class Blocked(PermissionError):
    """A connect to an address that the guard refuses; an OSError, so connectors pass it on."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A checked endpoint: ``host`` is a name in ASCII or an address without brackets."""

    scheme: str
    host: str
    port: int
    url: str


class Guard:
    """What may be called: public addresses, and the private networks that are named (CIDR).

    Raises SettingError for a network that isn't one.
    """

    def __init__(self, networks: Iterable[str] = ()) -> None:
        try:
            self._networks = tuple(ip_network(text) for text in networks)
        except ValueError:
            raise SettingError("not a network", place="endpoint_networks") from None

    def allows(self, address: Address) -> bool:
        """Whether that address may be connected to."""
        plain = getattr(address, "ipv4_mapped", None) or address
        if _within(plain, self._networks):
            return True
        if plain.is_multicast or not plain.is_global:
            return False
        return not _within(plain, _INSIDE)

    def endpoint(self, url: str, schemes: Collection[str]) -> Endpoint:
        """Take a URL apart and pass it by its words; ``schemes`` are those of the channel.

        Raises Failure (permanent): another scheme, credentials in the URL, an odd spelling of an
        address, a name that only means something inside, or an address that isn't allowed.
        """
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").rstrip("."), parts.port
        except ValueError:
            raise _refused("not a URL") from None
        if parts.scheme not in schemes or _UNSAFE.search(url) or parts.fragment or not host:
            raise _refused("not a URL of this channel")
        if "@" in parts.netloc:
            raise _refused("an endpoint carries no credentials")
        self._check_host(host, parts.netloc)
        return Endpoint(parts.scheme, host, port or PORTS[parts.scheme], url)

    def _check_host(self, host: str, netloc: str) -> None:
        address = _address(host)
        if address is not None:
            if not self.allows(address) or "%" in netloc:
                raise _refused("this address may not be called")
        elif not _HOST.fullmatch(host) or _numeric(host):
            raise _refused("not a host")
        elif _inner(host) and not self._networks:
            raise _refused("this host may not be called")

    def check(self, host: str) -> None:
        """Pass the address of a socket that is about to connect. Raises Blocked."""
        address = _address(host.partition("%")[0])
        if address is None or not self.allows(address):
            raise Blocked("this address may not be called")

    async def resolve(self, endpoint: Endpoint) -> tuple[str, ...]:
        """The addresses of an endpoint, all of them allowed: connect to these and no others.

        Raises Failure: the name has no address, or one that may not be called.
        """
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise Failure("the endpoint's name has no address", place=PLACE) from None
        addresses = tuple(dict.fromkeys(str(each[4][0]) for each in found))
        try:
            for address in addresses:
                self.check(address)
        except Blocked:
            raise Failure("this address may not be called", place=PLACE) from None
        return addresses


def _within(address: Address, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    return any(address.version == each.version and address in each for each in networks)


def _address(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _numeric(host: str) -> bool:
    """Whether resolvers would read the name as an address: 2130706433, 0x7f.1, 127.1, 017700…"""
    last = host.rpartition(".")[2]
    return last.isdigit() or re.fullmatch(r"0x[0-9a-f]*", last) is not None


def _inner(host: str) -> bool:
    return "." not in host or host.endswith(_INNER_NAMES)


def _refused(text: str) -> Failure:
    return Failure(text, place=PLACE, permanent=True)
