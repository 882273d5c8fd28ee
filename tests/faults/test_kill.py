"""kill -9 under load: what was acknowledged is there, once, and was told to each in order."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.faults.check import faults
from tests.faults.scene import Scene, broken, size, suffer, summary
from tests.process import SERVE

KILLS = {"sqlite": size("KILLS", 25), "postgresql": size("KILLS", 6)}
pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800 + 30 * max(KILLS.values()))]
BROKEN_KILLS = 5
ENGINES = pytest.mark.parametrize("engine", KILLS)


@ENGINES
def test_what_is_acknowledged_survives_kill_9_once_and_in_order(
    tmp_path: Path, engine: str, url: str
) -> None:
    settings, kills = {"GATEWAY_DATABASE_URL": url}, KILLS[engine]
    journal, hub = asyncio.run(suffer(tmp_path, SERVE, settings, kills, _killed))
    print(summary(journal, hub))
    assert len(journal.acknowledged) > kills
    assert len(journal.created) > kills
    assert faults(journal, hub) == []


def test_the_check_fails_on_a_build_that_acknowledges_before_it_commits(tmp_path: Path) -> None:
    journal, hub = asyncio.run(
        suffer(tmp_path, broken("broken_build.py"), {}, BROKEN_KILLS, _killed)
    )
    found = faults(journal, hub)
    print(summary(journal, hub), *found[:5], sep="\n")
    assert any(fault.startswith("missing: ") for fault in found)


async def _killed(made: Scene) -> None:
    await made.process.kill()
    await made.process.start()
