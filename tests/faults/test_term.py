"""SIGTERM under load: what is in hand is answered, nothing is lost, and it ends by itself."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.faults.check import faults
from tests.faults.scene import CALM, Scene, broken, size, suffer, summary
from tests.process import SERVE

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]

TERMS = {"sqlite": size("TERMS", 4), "postgresql": size("TERMS", 2)}
BROKEN_TERMS = 4
DRAINED = 30.0
"""Seconds: ``GATEWAY_DRAIN_TIMEOUT`` as it is by itself."""


@pytest.mark.parametrize("engine", TERMS)
def test_a_gateway_that_is_told_to_stop_loses_nothing(
    tmp_path: Path, engine: str, url: str
) -> None:
    settings, terms = {**CALM, "GATEWAY_DATABASE_URL": url}, TERMS[engine]
    journal, hub = asyncio.run(suffer(tmp_path, SERVE, settings, terms, _stopped, again=True))
    print(summary(journal, hub))
    assert len(journal.acknowledged) > terms
    assert len(journal.created) > terms
    assert faults(journal, hub) == []


def test_the_check_fails_on_a_build_that_ends_with_work_in_hand(tmp_path: Path) -> None:
    journal, hub = asyncio.run(
        suffer(tmp_path, broken("hasty_build.py"), CALM, BROKEN_TERMS, _stopped, again=True)
    )
    found = faults(journal, hub)
    print(summary(journal, hub), *found[:5], sep="\n")
    assert any(fault.startswith("missing: ") for fault in found)


async def _stopped(made: Scene) -> None:
    """To its end, and begun again."""
    async with asyncio.timeout(DRAINED):
        assert await made.process.stop() == 0
    await made.process.start()
