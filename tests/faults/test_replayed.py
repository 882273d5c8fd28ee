"""The power is cut at any moment of a recorded run: what the weakest disk keeps is opened."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.faults.load import Journal
from tests.faults.replayed import CALLS, Deed, deeds, leave
from tests.faults.scene import CALM, around, broken, seeded, size
from tests.faults.test_power import Cut, lost
from tests.faults.trace import SENDS, calls, cannot_trace, traced
from tests.process import SERVE, Process

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(bool(cannot_trace()), reason=cannot_trace()),
    pytest.mark.timeout(600),
]

CUTS = size("REPLAYED", 60)
MESSAGES = 20


def test_what_is_acknowledged_survives_a_power_cut_at_any_moment(tmp_path: Path) -> None:
    assert _found(tmp_path, SERVE) == []


def test_the_check_fails_on_a_build_that_does_not_sync(tmp_path: Path) -> None:
    assert _found(tmp_path, broken("unsynced_build.py")) != []


def _found(folder: Path, serve: Sequence[str]) -> list[str]:
    journal, out = asyncio.run(_served(folder, serve))
    did = list(deeds(calls(out)))
    told = _told(did, journal)
    assert len(told) >= MESSAGES
    found: list[str] = []
    for number, (line, chance) in enumerate(_moments(did, told, seeded())):
        data = folder / f"cut{number}"
        leave(folder / "before", folder / "data", did, line, data, chance)
        known = {name for name, at in told.items() if at < line}
        cut = Cut(
            data,
            [each for each in journal.acknowledged if each in known],
            {name: id for name, id in journal.created.items() if name in known},
        )
        url = {"GATEWAY_DATABASE_URL": f"sqlite:///{data / 'gateway.sqlite'}"}
        found += lost(url, cut)
        shutil.rmtree(data)
    return found


def _moments(
    did: Sequence[Deed], told: dict[str, int], chance: random.Random
) -> list[tuple[int, random.Random]]:
    """Half of them at any line once somebody was told something, half right after a telling."""
    ends = list(told.values())
    lines = [chance.randint(min(ends), did[-1].ended) for _ in range(CUTS // 2)]
    lines += [line + 1 for line in chance.choices(ends, k=CUTS - len(lines))]
    return [(line, random.Random(chance.randrange(2**32))) for line in lines]


def _told(did: Sequence[Deed], journal: Journal) -> dict[str, int]:
    """At which line the telling of each began."""
    sends = [deed for deed in did if deed.name in SENDS]
    answers = {each: (b"\x0bMSH", f"MSA|AA|{each}\r".encode()) for each in journal.acknowledged}
    answers |= {
        each: (b"HTTP/1.1 201", f"/{id}/_history/1".encode())
        for each, id in journal.created.items()
    }
    return {
        name: next(
            deed.begun for deed in sends if deed.data.startswith(head) and holds in deed.data
        )
        for name, (head, holds) in answers.items()
    }


async def _served(folder: Path, serve: Sequence[str]) -> tuple[Journal, Path]:
    """A run, recorded; ``before`` holds the files as they were when it began."""
    out = folder / "strace.txt"
    made = around(Process(folder, traced(out, serve, CALLS, exactly=True), CALM), folder)
    journal = made.journal
    shutil.copytree(folder / "data", folder / "before")
    await made.process.start()
    async with made.load(desks=1):
        while len(journal.acknowledged) < MESSAGES or not journal.created:
            await asyncio.sleep(0.05)
    assert await made.process.stop() == 0
    return journal, out
