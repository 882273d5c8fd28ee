"""How much somebody may ask who hasn't said who they are: by the address that they call from.

A page behind a link, the documents, whether the gateway lives: these need no key, and so no
agency's allowance bounds them (``limits``). Nor does one bound who tries keys. An address is
counted apart for each of these, so that a flood of one doesn't hide the other. Of IPv6 a network
of 64 bits counts as one, since a host has one to itself. All of it runs on one event loop; each
process counts for itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from typing import Final, Literal

from gateway.errors import Throttled

Kind = Literal["open", "probe", "key"]
"""What is asked without a key: a page or document; how the gateway is; with a key that is none."""

MOST: Final = 10_000
"""How many addresses are told apart at a time; beyond, new ones are counted as one."""

_TOO_FAST: Final = "too much comes from this address without a key; send it again"


class Strangers:
    """What addresses asked of late: for each the time when its next call is due (GCRA, I.371).

    ``rate`` calls a second, of each kind, ``burst`` at once; a rate of 0 is no limit. ``clock``
    tells seconds that only go forward.
    """

    def __init__(
        self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._interval = 1 / rate if rate else 0.0
        self._slack = self._interval * (max(burst, 1) - 1 + 1e-6)
        self._clock = clock
        self._due: dict[tuple[str, Kind], float] = {}

    def enter(self, address: str, kind: Kind) -> None:
        """One call. Raises Throttled."""
        if not self._interval:
            return
        now, named = self._clock(), (network(address), kind)
        if named not in self._due and len(self._due) >= MOST:
            named = self._forgotten(now, named)
        due = self._due.get(named, now)
        self._refuse(due, now)
        self._due[named] = max(now, due) + self._interval

    def check(self, address: str, kind: Kind) -> None:
        """Raise Throttled where one more call would be too much; it isn't counted."""
        if self._interval:
            now = self._clock()
            self._refuse(self._due.get((network(address), kind), now), now)

    def _refuse(self, due: float, now: float) -> None:
        if due - self._slack > now:
            raise Throttled(_TOO_FAST, due - self._slack - now)

    def _forgotten(self, now: float, named: tuple[str, Kind]) -> tuple[str, Kind]:
        """Forget who has been quiet; what a new address is counted under."""
        self._due = {each: due for each, due in self._due.items() if due > now}
        return named if len(self._due) < MOST else ("", named[1])


def network(address: str) -> str:
    """What an address is counted under."""
    try:
        found = ip_address(address)
    except ValueError:  # a socket in the file system, a name in tests
        return address
    if not isinstance(found, IPv6Address):
        return address
    mapped = found.ipv4_mapped
    return str(mapped) if mapped else found.packed[:8].hex()
