"""What an operation will cost among more resources than were measured. Pure.

An operation takes what it always takes, and for each way down a tree as many pages as that has
levels; a leaf that the database's buffers don't hold comes from the system's memory, one that this
doesn't hold from the disk. Trees grow as their rows do. Ways go to any leaf, but where a message
appends. A partition has a part of the rows; a statement pays for each that it goes through.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tests.bench.partitions import Partitioned
from tests.bench.touches import MESSAGE, Taken, Ways
from tests.bench.trees import Trees

TENANTS, MONTHS, SHARDS = 64, 36, 8
LOG: Final = ("version", "sqlite_autoindex_version", "message", "audit")
"""Tables that a row enters in the order of time, by the beginning of their trees' names."""

APPENDED: Final = (*LOG, "resource", "resource_pkey")
"""Where a message's own rows go to the last leaf."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Pages that the database's buffers and the machine hold, and the microseconds of one that
    comes from the machine's memory, and from its disk."""

    buffers: float
    machine: float
    from_machine: float
    from_disk: float


@dataclass(frozen=True, slots=True)
class Option:
    """A way to lay out the hub. ``share``: the part of the rows that stands in one partition, and
    of the log's; ``through``: partitions that a search goes through; ``nodes`` share the pages;
    ``trips``: further ones over the network that a statement, and a search, waits for.
    """

    name: str
    share: float = 1.0
    log: float = 1.0
    through: int = 1
    nodes: int = 1
    trips: tuple[float, float] = (0.0, 0.0)

    @property
    def is_partitioned(self) -> bool:
        return self.share < 1 or self.log < 1


UNPARTITIONED: Final = Option("unpartitioned")
OPTIONS: Final = (
    UNPARTITIONED,
    Option("by tenant, the SQL as it is", 1 / TENANTS, 1 / TENANTS, TENANTS),
    Option("by tenant, own and granted apart", 1 / TENANTS, 1 / TENANTS, 2),
    Option("by time, the log alone", 1.0, 1 / MONTHS),
    Option("by tenant and time", 1 / TENANTS, 1 / TENANTS / MONTHS, 2),
    Option("8 shards by tenant", 1 / SHARDS, 1 / SHARDS, 2, SHARDS, (1.0, 1.0)),
)


@dataclass(frozen=True, slots=True)
class Model:
    """``fixed`` and ``ways`` by operation, ``trees`` as they are among ``resources``, microseconds
    of a ``page`` that the buffers hold."""

    fixed: Mapping[str, float]
    ways: Mapping[str, Ways]
    statements: Mapping[str, float]
    trees: Trees
    resources: int
    page: float
    memory: Memory
    partitioned: Partitioned

    def cost(self, name: str, resources: float, option: Option = UNPARTITIONED) -> float:
        """Microseconds of processor time."""
        further = 0.0
        if option.is_partitioned:
            through = 1 if name == MESSAGE else option.through
            further = self.statements[name] * self.partitioned.named
            further += (through - 1) * self.partitioned.each
        return self.fixed[name] + self.varying(name, resources, option) + further

    def varying(self, name: str, resources: float, option: Option = UNPARTITIONED) -> float:
        """What hangs on how many there are."""
        missed = self._missed(resources, option)
        took = 0.0
        for tree, ways in self.ways[name].items():
            share = option.log if tree.startswith(LOG) else option.share
            here = self.trees[tree].times(resources / self.resources * share)
            took += ways * here.levels * self.page
            if name != MESSAGE or not tree.startswith(APPENDED):
                took += ways * missed
        return took

    def _missed(self, resources: float, option: Option) -> float:
        """What a leaf takes more for not being held, on average."""
        pages = sum(
            tree.leaves * (option.log if name.startswith(LOG) and not option.nodes > 1 else 1.0)
            for name, tree in self.trees.items()
        )
        pages *= resources / self.resources / option.nodes
        absent, away = (
            max(0.0, 1 - held / pages) for held in (self.memory.buffers, self.memory.machine)
        )
        return absent * self.memory.from_machine + away * self.memory.from_disk

    def waits(self, name: str, option: Option) -> float:
        """Trips over the network, beside what one machine waits for."""
        for_each, for_search = option.trips
        return for_each * self.statements[name] if name == MESSAGE else for_search


def fitted(
    found: Mapping[int, Mapping[str, Taken]],
    here: Trees,
    page: float,
    memory: Memory,
    partitioned: Partitioned,
) -> Model:
    """From what was measured at each number of resources; ``here``: the trees of the largest."""
    last = max(found)
    names = list(found[last])
    ways = {name: _mean([found[n][name].ways for n in found], here) for name in names}
    statements = {name: found[last][name].statements for name in names}
    bare = Model(dict.fromkeys(names, 0.0), ways, statements, here, last, page, memory, partitioned)
    fixed = {}
    for name in names:
        rest = [told[name].cost - bare.varying(name, n) for n, told in found.items()]
        fixed[name] = max(0.0, sum(rest) / len(rest))
    return Model(fixed, ways, statements, here, last, page, memory, partitioned)


def _mean(some: list[Ways], here: Trees) -> Ways:
    names = {name for one in some for name in one if name in here}
    return {name: sum(one.get(name, 0.0) for one in some) / len(some) for name in sorted(names)}
