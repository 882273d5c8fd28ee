"""The processes that share a hub: who lives, who is told what, who does something alone.

Each says every second that it lives. One that was silent for ``workers.LIFE`` seconds is dead to
the others, who look at once for what it left. One that was only paused finds its own silence by a
clock of its own, and asks the hub again before it does anything by what it had (``holds``).
On SQLite there is one process, and none of this.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Final
from uuid import uuid4

import structlog

from gateway.errors import GatewayError, Unavailable
from gateway.store import Hub
from gateway.store.bell import LONGEST

BEAT: Final = 1.0
"""Seconds from one sign of life to the next."""

TRUST: Final = 3.0
"""Seconds after a sign of life for which this process takes itself for living: fewer than
``workers.LIFE``, so that it doubts before the others are sure."""

EMBEDDED: Final = "gateway"
"""The one process of a SQLite hub: what it left, the next of that name takes up."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Word:
    """What a process tells the others: types of which it wrote versions, keys of background work.

    ``works``: it sees itself to whoever these concern. ``missed``: nobody knows what was said.
    """

    by: str = ""
    works: bool = True
    types: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    missed: bool = False


class Peers:
    """This process among those of a hub. ``works``: it does background work."""

    def __init__(self, hub: Hub, *, works: bool = True) -> None:
        self._hub = hub
        self._works = works
        self.id = _name() if hub.shared else EMBEDDED
        self._beaten = self._since = float("-inf")
        self._living: frozenset[str] = frozenset({self.id})
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._told: Callable[[Word], None] = _nothing

    @property
    def living(self) -> Collection[str]:
        """The processes that live, this one among them."""
        return self._living

    def start(self, told: Callable[[Word], None]) -> None:
        """Live from now on; ``told`` is called for each word of another, and when one died.

        Raises Unavailable.
        """
        if not self._hub.shared:
            return
        self._told = told
        self._beat()
        listen = (self._heard, self._stopping)
        self._threads = [
            threading.Thread(target=self._pulse, name="peers", daemon=True),
            threading.Thread(target=self._hub.bell.listen, args=listen, name="ear", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End: what it holds is free at once, or in a while where the hub can't be told."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        if self._threads:
            try:
                self._hub.at_once(lambda tx: tx.die(self.id))
            except GatewayError as error:
                log.warning("peers.unsaid", **error.log())
        self._threads = []

    # --- what is told ----------------------------------------------------------------------------

    def ring(self, types: Sequence[str] = (), keys: Sequence[str] = ()) -> None:
        """Tell the others, if there are any. Blocks; what gets lost the reconciler finds."""
        if len(self._living) < 2:
            return
        words = [Word(self.id, self._works, types=each) for each in _parts(types)]
        words += [Word(self.id, self._works, keys=each) for each in _parts(keys)]
        self._hub.bell.ring(*(json.dumps(asdict(each)) for each in words))

    def _heard(self, text: str) -> None:
        """On the listener's thread. What isn't one of our words is as good as a missed one."""
        try:
            said = json.loads(text)
            types, keys = tuple(said.pop("types")), tuple(said.pop("keys"))
            word = Word(types=types, keys=keys, **said)
        except (ValueError, TypeError, KeyError, AttributeError):
            word = Word(missed=True)
        if word.by != self.id:
            self._told(word)

    # --- who lives -------------------------------------------------------------------------------

    def _pulse(self) -> None:
        while not self._stopping.wait(BEAT):
            try:
                self._beat()
            except Unavailable as error:  # the next beat tries again
                log.warning("peers.silent", **error.log())
            except Exception as error:  # noqa: BLE001 - recorded; a process must go on living
                log.warning("peers.fault", error=type(error).__name__)

    def _beat(self) -> None:
        began = _clock()
        living = self._hub.at_once(lambda tx: tx.beat(self.id))
        if began - self._beaten > TRUST:
            self._since = began
        self._beaten = began
        gone, self._living = self._living - living, living
        if gone:
            log.info("peers.gone", count=len(gone))
            self._told(Word(missed=True))

    def holds(self, since: float) -> bool:
        """Whether what was this process's own at ``since`` (``now``) is so without a question."""
        return self._since <= since and _clock() - self._beaten < TRUST

    def now(self) -> float:
        """Seconds of the clock that ``holds`` goes by; a machine's sleep counts."""
        return _clock()

    # --- what one does alone ---------------------------------------------------------------------

    @contextmanager
    def alone(self, name: str) -> Iterator[bool]:
        """Whether nobody else is at it; then nobody else begins it meanwhile. Blocks.

        Who is taken for dead meanwhile isn't alone any more, so what is done must bear that.
        """
        if not self._hub.shared:
            yield True
            return
        mine = self._hub.write(lambda tx: self._lives(tx.beat) and tx.take_duty(name, self.id))
        try:
            yield mine
        finally:
            if mine:
                self._hub.write(lambda tx: tx.leave_duty(name, self.id))

    def _lives(self, beat: Callable[[str], object]) -> bool:
        """A process that hasn't said so lately says so now."""
        if not self.holds(self._since):
            beat(self.id)
        return True


def _parts(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Names, as many together as a word may hold."""
    some: list[str] = []
    for name in names:
        if some and sum(len(each) + 4 for each in some) + len(name) > LONGEST - 200:
            yield tuple(some)
            some = []
        some.append(name)
    if some:
        yield tuple(some)


def _name() -> str:
    """Nobody else's, whatever the hosts and ports are called."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:12]}"


def _clock() -> float:
    return time.clock_gettime(_BOOT)


_BOOT: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def _nothing(_: Word) -> None:
    """Nobody is to be told yet."""
