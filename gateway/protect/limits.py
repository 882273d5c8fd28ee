"""How much one agency, and all of them together, may ask of this process.

Two measures, of an agency and of the whole. *Pace*: calls a second, with a burst, as a token bucket
that is one number (the generic cell rate algorithm, ITU-T I.371). *In hand*: how many calls are
under way, and how many bytes they brought, so that a flood finds its end before memory does.

A call over HTTP that is too much is refused (``enter``: 429, or 503 where the whole is full). An
MLLP sender can be made to wait instead (``delay``, ``seek``): it is read on when its turn comes.
All of it runs on one event loop. Each process counts for itself: of n processes an agency has n
times its allowance, at most.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from gateway.errors import Full, Throttled
from gateway.model import Allowance
from gateway.settings import Settings

PATIENCE: Final = 10.0
"""Seconds that a message may wait for its turn: senders wait 30 for an answer, as a rule."""

SOON: Final = 1.0
"""Seconds after which who has too much in hand may ask again."""

ROOM: Final = 16
"""How many messages of the largest size all may have in hand; one agency half as many."""

_TOO_MUCH: Final = "this agency has too much in hand here; send it again"
_TOO_FAST: Final = "this agency sends faster than it may; send it again"
_FULL: Final = "the gateway has too much in hand; send it again"


class Tally:
    """What an agency has in hand, when its next call is due, and who waits."""

    __slots__ = ("due", "given", "held", "in_hand", "interval", "most", "slack", "waiting")

    def __init__(self) -> None:
        self.given: Allowance | None = None
        self.in_hand = self.held = self.most = 0
        self.due = self.interval = self.slack = 0.0
        self.waiting: deque[Callable[[], None]] = deque()

    def allow(self, given: Allowance, usual: Allowance) -> None:
        """From now on it may do this."""
        self.given, whole = given, given.over(usual)
        self.most = whole.in_hand or 0
        rate = whole.rate or 0
        self.interval = 1 / rate if rate else 0.0
        # A hair more, or who comes just in time would be late by what floats lose.
        self.slack = self.interval * ((whole.burst or math.ceil(rate)) - 1 + 1e-6)

    def wait(self, now: float) -> float:
        """Seconds until its next call is due; not above 0 where it is."""
        return self.due - self.slack - now

    def count(self, now: float) -> None:
        """One more call."""
        if self.interval:
            self.due = max(now, self.due) + self.interval


class Place:
    """A call's place among those in hand, until it is left."""

    __slots__ = ("_limits", "_size", "_tally")

    def __init__(self, limits: Limits, tally: Tally, size: int = 0) -> None:
        self._limits, self._tally, self._size = limits, tally, size

    def hold(self, size: int) -> None:
        """It brings so many bytes more. Raises Throttled, Full."""
        self._limits.hold(self._tally, size)
        self._size += size

    def leave(self) -> None:
        """It is answered, and its bytes are let go. To be called once."""
        self._limits.leave(self._tally, self._size)


class Limits:
    """The limits of a process. ``clock`` tells seconds that only go forward.

    ``usual`` holds for an agency of which ``allowance`` says nothing else; ``most`` calls of all
    agencies may be in hand, with ``room`` bytes.
    """

    def __init__(
        self,
        allowance: Callable[[str], Allowance | None],
        usual: Allowance,
        most: int,
        room: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._allowance, self._usual = allowance, usual
        self._most, self._room = most, room
        self._clock = clock
        self._tallies: dict[str, Tally] = {}
        self._waiting: deque[Callable[[], None]] = deque()
        self.in_hand = self.held = 0

    def enter(self, agency: str) -> Place:
        """A call's place, taken now. Raises Throttled, Full."""
        tally = self._tally(agency)
        if self._is_busy(tally, 0):
            raise Throttled(_TOO_MUCH, SOON)
        if self._is_full(0):
            raise Full(_FULL)
        if tally.interval:
            now = self._clock()
            wait = tally.wait(now)
            if wait > 0:
                raise Throttled(_TOO_FAST, wait)
            tally.count(now)
        return self._entered(tally, 0)

    def delay(self, agency: str) -> float:
        """Seconds until an agency's next message is due, which counts as taken then.

        Raises Throttled where that is too long for a sender to wait.
        """
        tally = self._tally(agency)
        if not tally.interval:
            return 0.0
        now = self._clock()
        wait = tally.wait(now)
        if wait > PATIENCE:
            raise Throttled(_TOO_FAST, wait)
        tally.count(now)
        return max(0.0, wait)

    def seek(self, agency: str, size: int, wake: Callable[[], None]) -> Place | None:
        """A place for a message of so many bytes; None where there is none now.

        Then ``wake`` is called when it is worth asking again, for each its turn.
        """
        tally = self._tally(agency)
        if self._is_busy(tally, size):
            tally.waiting.append(wake)
        elif self._is_full(size):
            self._waiting.append(wake)
        else:
            return self._entered(tally, size)
        return None

    def hold(self, tally: Tally, size: int) -> None:
        """A call in hand brings more bytes. Raises Throttled, Full."""
        if tally.held and tally.held + size > self._room // 2:
            raise Throttled(_TOO_MUCH, SOON)
        if self.held and self.held + size > self._room:
            raise Full(_FULL)
        tally.held += size
        self.held += size

    def leave(self, tally: Tally, size: int) -> None:
        """A call leaves: whoever waited the longest has its turn."""
        tally.in_hand -= 1
        tally.held -= size
        self.in_hand -= 1
        self.held -= size
        if tally.waiting:
            self._call(tally.waiting, lambda: self._is_busy(tally, 0))
        if self._waiting:
            self._call(self._waiting, lambda: self._is_full(0))

    def _entered(self, tally: Tally, size: int) -> Place:
        tally.in_hand += 1
        tally.held += size
        self.in_hand += 1
        self.held += size
        return Place(self, tally, size)

    def _is_busy(self, tally: Tally, size: int) -> bool:
        """Whether an agency has as much in hand as it may; one call it may always have."""
        if tally.most and tally.in_hand >= tally.most:
            return True
        return bool(tally.held) and tally.held + size > self._room // 2

    def _is_full(self, size: int) -> bool:
        if self.in_hand >= self._most:
            return True
        return bool(self.held) and self.held + size > self._room

    @staticmethod
    def _call(waiting: deque[Callable[[], None]], is_full: Callable[[], bool]) -> None:
        """Wake as many as there is room for; one for whom there isn't goes to the end again."""
        for _ in range(len(waiting)):
            if is_full():
                break
            before = len(waiting)
            waiting.popleft()()
            if len(waiting) >= before:
                break

    def _tally(self, agency: str) -> Tally:
        tally = self._tallies.get(agency)
        if tally is None:
            tally = self._tallies[agency] = Tally()
        given = self._allowance(agency) or self._usual
        if tally.given is not given:
            tally.allow(given, self._usual)
        return tally


def limits_of(settings: Settings, allowance: Callable[[str], Allowance | None]) -> Limits:
    """A process's limits by its settings; ``allowance`` tells what is an agency's own."""
    usual = Allowance(settings.agency_rate, settings.agency_burst, settings.agency_in_hand)
    return Limits(allowance, usual, settings.most_in_hand, ROOM * settings.message_limit)
