"""kill -9 under load: what was acknowledged is there, once, and was told to each in order."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.faults.check import Hub, faults
from tests.faults.load import Journal
from tests.faults.scene import scene, seeded, size, summary
from tests.process import SERVE

KILLS = {"sqlite": size("KILLS", 25), "postgresql": size("KILLS", 6)}
pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800 + 30 * max(KILLS.values()))]
BROKEN_KILLS = 5
ENGINES = pytest.mark.parametrize("engine", KILLS)


@ENGINES
def test_what_is_acknowledged_survives_kill_9_once_and_in_order(
    tmp_path: Path, engine: str, request: pytest.FixtureRequest
) -> None:
    url: str = request.getfixturevalue("postgres_url") if engine == "postgresql" else ""
    settings, kills = {"GATEWAY_DATABASE_URL": url}, KILLS[engine]
    journal, hub = asyncio.run(_suffer(tmp_path, SERVE, settings, kills, seeded()))
    print(summary(journal, hub))
    assert len(journal.acknowledged) > kills
    assert len(journal.created) > kills
    assert faults(journal, hub) == []


def test_the_check_fails_on_a_build_that_acknowledges_before_it_commits(tmp_path: Path) -> None:
    broken = (sys.executable, str(Path(__file__).with_name("broken_build.py")), "serve")
    journal, hub = asyncio.run(_suffer(tmp_path, broken, {}, BROKEN_KILLS, seeded()))
    found = faults(journal, hub)
    print(summary(journal, hub), *found[:5], sep="\n")
    assert any(fault.startswith("missing: ") for fault in found)


async def _suffer(
    folder: Path,
    serve: Sequence[str],
    settings: Mapping[str, str],
    kills: int,
    chance: random.Random,
) -> tuple[Journal, Hub]:
    """Kill a gateway under load so many times; the journal, and the hub as it then is."""
    async with scene(folder, serve, settings) as made:
        async with made.load():
            for _ in range(kills):
                await asyncio.sleep(chance.uniform(0.02, 0.7))
                await made.process.kill()
                await made.process.start()
        hub = await made.hub()
        assert await made.process.stop() == 0
    return made.journal, hub
