"""SIGTERM under load: what is in hand is answered, nothing is lost, and it ends by itself."""

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

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]

TERMS = {"sqlite": size("TERMS", 4), "postgresql": size("TERMS", 2)}
BROKEN_TERMS = 4
DRAINED = 30.0
"""Seconds: ``GATEWAY_DRAIN_TIMEOUT`` as it is by itself."""

CALM = {"GATEWAY_TRANSLATORS": "0"}


@pytest.mark.parametrize("engine", TERMS)
def test_a_gateway_that_is_told_to_stop_loses_nothing(
    tmp_path: Path, engine: str, request: pytest.FixtureRequest
) -> None:
    url: str = request.getfixturevalue("postgres_url") if engine == "postgresql" else ""
    settings, terms = {"GATEWAY_DATABASE_URL": url}, TERMS[engine]
    journal, hub = asyncio.run(_suffer(tmp_path, SERVE, settings, terms, seeded()))
    print(summary(journal, hub))
    assert len(journal.acknowledged) > terms
    assert len(journal.created) > terms
    assert faults(journal, hub) == []


async def _suffer(
    folder: Path,
    serve: Sequence[str],
    settings: Mapping[str, str],
    terms: int,
    chance: random.Random,
) -> tuple[Journal, Hub]:
    """Stop a gateway under load so many times, each time to its end."""
    async with scene(folder, serve, {**CALM, **settings}, again=True) as made:
        async with made.load():
            for _ in range(terms):
                await asyncio.sleep(chance.uniform(0.02, 0.7))
                async with asyncio.timeout(DRAINED):
                    assert await made.process.stop() == 0
                await made.process.start()
        hub = await made.hub()
        assert await made.process.stop() == 0
    return made.journal, hub


def test_the_check_fails_on_a_build_that_ends_with_work_in_hand(tmp_path: Path) -> None:
    hasty = (sys.executable, str(Path(__file__).with_name("hasty_build.py")), "serve")
    journal, hub = asyncio.run(_suffer(tmp_path, hasty, {}, BROKEN_TERMS, seeded()))
    found = faults(journal, hub)
    print(summary(journal, hub), *found[:5], sep="\n")
    assert any(fault.startswith("missing: ") for fault in found)
