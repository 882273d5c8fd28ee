"""How much a run does: three sizes, and what each part of it is given."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from tempfile import mkdtemp

from tests.bench.engines import Engine

BATCHES = 4


@dataclass(frozen=True, slots=True)
class Size:
    """Counts. ``repeats`` of what takes microseconds; the rest says what it counts."""

    name: str
    repeats: int
    messages: int
    requests: int
    resources: int
    clients: int
    deliveries: int
    knocks: int
    starts: int
    remembered: int
    """Messages after which memory is looked at."""
    people: int
    """How many are matched, one after another."""
    connections: tuple[int, ...]
    growth: tuple[int, ...]
    """How many resources there are when the cost of each is taken."""
    scale: tuple[int, ...]
    """The same, for the model: it is fitted to all but the last, and checked there."""


TINY = Size(
    "tiny", 1, 8, 8, 200, 2, 10, 4, 1, 24, 4, (1, 2), (100, 200), (200, 400, 800)
)  # fmt: skip
QUICK = Size(
    "quick", 20, 1500, 1000, 10_000, 100, 500, 60, 2, 5_000, 100,
    (1, 2, 4, 8, 16, 32, 64), (1_000, 10_000), (1_000, 3_000, 10_000, 30_000),
)  # fmt: skip
FULL = Size(
    "full", 50, 6000, 4000, 1_000_000, 1_000, 2_000, 200, 5, 100_000, 400,
    (1, 2, 4, 8, 16, 32, 64), (1_000, 10_000, 100_000, 1_000_000),
    (1_000, 3_000, 10_000, 30_000, 100_000),
)  # fmt: skip
LARGE = replace(FULL, name="large", scale=(*FULL.scale, 1_000_000))
SIZES = {size.name: size for size in (TINY, QUICK, FULL, LARGE)}


def of_a_server(size: Size) -> Size:
    """As much as a database server is given in the time: a tenth of a million, unless asked for."""
    if size is not FULL:
        return size
    return replace(size, resources=100_000, growth=(1_000, 10_000, 100_000), remembered=20_000)


@dataclass(frozen=True, slots=True)
class Run:
    """One engine, one size, and a folder that lasts as long as the run."""

    engine: Engine
    size: Size
    folder: Path
    shared: dict[str, tuple[str, int]] = field(default_factory=dict)
    """The databases that parts share, by name: a URL, and how many resources were filled in."""

    def began(self) -> float:
        """A moment of processor time, this process's and its database's, for ``took``."""
        spent = self.engine.spent()
        return spent + time.process_time()

    def took(self, began: float) -> float:
        """Seconds of processor time since; not those that looking takes."""
        now = time.process_time()
        return now + self.engine.spent() - began

    def each(self, work: Callable[[int], object], numbers: Sequence[int]) -> float:
        """Microseconds of processor time of one: of the cheapest of some batches, since what else
        runs only ever adds.
        """
        size = -(-len(numbers) // BATCHES)
        best = inf
        for at in range(0, len(numbers), size):
            some = numbers[at : at + size]
            began = self.began()
            for number in some:
                work(number)
            best = min(best, self.took(began) / len(some))
        return best * 1e6

    def room(self, name: str) -> Path:
        """A new folder in it."""
        return Path(mkdtemp(prefix=f"{name}-", dir=self.folder))
