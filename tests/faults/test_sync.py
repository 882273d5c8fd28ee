"""The sync comes before the AA and the 201: by what the kernel was asked, not by the code."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.faults.load import Journal
from tests.faults.scene import CALM, around, broken
from tests.faults.trace import acknowledged, calls, cannot_trace, created, early, traced
from tests.process import SERVE, Process

MESSAGES = int(os.environ.get("GATEWAY_SYNC_MESSAGES", "40"))

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(bool(cannot_trace()), reason=cannot_trace()),
    pytest.mark.timeout(300 + MESSAGES),
]


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_each_message_is_on_disk_before_its_answer_is_sent(
    tmp_path: Path, engine: str, url: str
) -> None:
    journal, out = asyncio.run(_served(tmp_path, SERVE, url))
    assert len(journal.acknowledged) >= MESSAGES
    assert len(journal.created) >= MESSAGES // 4
    assert _early(journal, out) == []


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_the_check_fails_on_a_build_that_acknowledges_before_it_commits(
    tmp_path: Path, engine: str, url: str
) -> None:
    journal, out = asyncio.run(_served(tmp_path, broken("broken_build.py"), url))
    found = set(_early(journal, out))
    assert found & set(journal.acknowledged)
    assert found & set(journal.created.values())


def _early(journal: Journal, out: Path) -> list[str]:
    ids = list(journal.created.values())
    names = [*journal.acknowledged, *ids]
    told = [*map(acknowledged, journal.acknowledged), *map(created, ids)]
    return early(list(calls(out)), told, names)


async def _served(folder: Path, serve: Sequence[str], url: str) -> tuple[Journal, Path]:
    """Clinics and desks send to a gateway whose calls are told: the journal, and where they are."""
    out = folder / "strace.txt"
    settings = {**CALM, "GATEWAY_DATABASE_URL": url}
    made = around(Process(folder, traced(out, serve), settings), folder)
    journal = made.journal
    await made.process.start()
    async with made.load():
        while len(journal.acknowledged) < MESSAGES or len(journal.created) < MESSAGES // 4:
            await asyncio.sleep(0.05)
    assert await made.process.stop() == 0
    return journal, out
