"""The sync comes before the AA: by what the kernel was asked, not by what the code says."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.faults.load import Journal, Senders
from tests.faults.test_kill import members
from tests.faults.trace import calls, early, traced
from tests.process import SERVE, Process

MESSAGES = int(os.environ.get("GATEWAY_SYNC_MESSAGES", "40"))


def _can_trace() -> bool:
    strace = shutil.which("strace")
    return (
        strace is not None and subprocess.run((strace, "true"), capture_output=True).returncode == 0
    )


pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(not _can_trace(), reason="strace isn't here, or may not trace"),
    pytest.mark.timeout(300),
]


def test_each_message_is_synced_before_its_aa_is_sent(tmp_path: Path) -> None:
    journal, out = asyncio.run(_served(tmp_path, SERVE))
    assert len(journal.acknowledged) >= MESSAGES
    assert early(list(calls(out)), journal.acknowledged) == []


def test_the_check_fails_on_a_build_that_acknowledges_before_it_commits(tmp_path: Path) -> None:
    broken = (sys.executable, str(Path(__file__).with_name("broken_build.py")), "serve")
    journal, out = asyncio.run(_served(tmp_path, broken))
    assert early(list(calls(out)), journal.acknowledged) != []


async def _served(folder: Path, serve: Sequence[str]) -> tuple[Journal, Path]:
    """Some clinics send to a gateway whose calls are told: the journal, and where they are told."""
    journal, out = Journal(), folder / "strace.txt"
    process = Process(folder, traced(out, serve), {"GATEWAY_TRANSLATORS": "0"})
    members(process, folder)
    await process.start()
    senders = Senders(process.mllp_port, 4, journal)
    async with asyncio.TaskGroup() as load:
        load.create_task(senders.run())
        while len(journal.acknowledged) < MESSAGES:
            await asyncio.sleep(0.05)
        senders.stop()
    assert await process.stop() == 0
    return journal, out
