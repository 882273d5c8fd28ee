"""Several processes on PostgreSQL: one is killed, or paused, and nobody outside can tell."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from pathlib import Path

import httpx
import pytest

from tests.faults.check import Hub, faults
from tests.faults.cluster import ALL, HANG, Cluster, cluster
from tests.faults.load import Journal, referral
from tests.faults.scene import seeded, size, summary
from tests.process import Process

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800)]

ROUNDS = size("PROCESS_ROUNDS", 1)


def test_of_two_processes_one_is_killed_or_paused_and_the_other_goes_on_where_it_was(
    tmp_path: Path, postgres_url: str
) -> None:
    roles = [ALL, ALL]
    journal, hub = asyncio.run(_suffer(tmp_path, postgres_url, roles, seeded(), pauses=1))
    print(summary(journal, hub))
    assert len(journal.acknowledged) > ROUNDS
    assert len(journal.created) > ROUNDS
    assert faults(journal, hub) == []


def test_so_does_one_of_two_that_work_where_others_take_the_calls(
    tmp_path: Path, postgres_url: str
) -> None:
    roles = ["api,mllp", "work", "work"]
    journal, hub = asyncio.run(_suffer(tmp_path, postgres_url, roles, seeded()))
    print(summary(journal, hub))
    assert len(journal.acknowledged) > ROUNDS
    assert faults(journal, hub) == []


def test_a_process_without_a_role_does_without_it_and_wakes_who_has_it(
    tmp_path: Path, postgres_url: str
) -> None:
    asyncio.run(_told(tmp_path, postgres_url))


async def _suffer(
    folder: Path, url: str, roles: list[str], chance: random.Random, pauses: int = 0
) -> tuple[Journal, Hub]:
    """Kill one that works, ``ROUNDS`` times; then pause one, so many times."""
    async with cluster(folder, url, roles) as made:
        working = [it for it, each in zip(made.processes, roles, strict=True) if "work" in each]
        async with made.load():
            for _ in range(ROUNDS):
                await asyncio.sleep(chance.uniform(0.2, 1.0))
                await _taken_over(made, chance.choice(working))
            for _ in range(pauses):
                await _overtaken(made, chance.choice(working))
        hub = await made.hub()
        for each in made.processes:
            assert await each.stop() == 0
    return made.journal, hub


async def _taken_over(made: Cluster, victim: Process) -> None:
    """Kill a process that drains; its subscribers are drained and its workflows done by others."""
    held = "SELECT id, holder FROM subscriber WHERE holder LIKE %s"
    drained = await made.until(held, f"%-{victim.pid}-%")
    await victim.kill()
    subscriber, dead = drained[0]
    (said,) = made.ask("SELECT seen FROM worker WHERE id = %s", dead)[0]
    on = "SELECT 1 WHERE NOT EXISTS (SELECT FROM subscriber WHERE holder = %s)"
    await made.until(on, dead)
    sent = """SELECT min(settled) FROM delivery WHERE subscriber = %s AND settled > %s
              HAVING count(*) > 0"""
    ((first,),) = await made.until(sent, subscriber, said + 1_000_000)
    print(f"taken over {(first - said) / 1e6:.1f} s after its last sign of life")
    left = """SELECT 1 WHERE NOT EXISTS (SELECT FROM dbos.workflow_status
              WHERE executor_id = %s AND status = 'PENDING')"""
    await made.until(left, dead)
    await victim.start()


async def _overtaken(made: Cluster, victim: Process) -> None:
    """Pause a process that drains until its subscriber is far ahead by another; let it go on."""
    held = "SELECT id, fence FROM subscriber WHERE holder LIKE %s"
    whose, fence = (await made.until(held, f"%-{victim.pid}-%"))[0]
    os.kill(victim.pid, signal.SIGSTOP)
    try:
        await made.until("SELECT 1 FROM subscriber WHERE id = %s AND fence > %s", whose, fence)
        (heard,) = made.ask("SELECT count(*) FROM delivery WHERE outcome = 'delivered'")[0]
        on = "SELECT 1 FROM delivery WHERE outcome = 'delivered' HAVING count(*) > %s"
        await made.until(on, heard + 20)
    finally:
        os.kill(victim.pid, signal.SIGCONT)
    await made.until(held, f"%-{victim.pid}-%")


async def _told(folder: Path, url: str) -> None:
    """Without the reconciler's help: only the word from one process to the other wakes it."""
    alone = {"GATEWAY_RECONCILE_EVERY": "3600"}
    async with cluster(folder, url, ["api,mllp", "work"], alone) as made:
        calls, works = made.processes
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(f"{works.root}/livez")).status_code == 200
            assert (await client.get(f"{works.root}/fhir/metadata")).status_code == 404
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", works.mllp_port)
        for number in range(5):
            heard = len(made.journal.arrivals)
            reader, writer = await asyncio.open_connection("127.0.0.1", calls.mllp_port)
            writer.write(b"\x0b" + referral(f"S0-{number:05d}") + b"\x1c\r")
            await reader.readuntil(b"\x1c\r")
            writer.close()
            async with asyncio.timeout(HANG):
                while len(made.journal.arrivals) < heard + len(made.journal.subscribers):
                    await asyncio.sleep(0.01)
        took = "SELECT first_attempt - version.at FROM delivery JOIN version USING (sequence)"
        milliseconds = sorted(row[0] / 1000 for row in made.ask(took))
        print("from a change to the note that it was taken, ms:", milliseconds)
        assert made.ask("SELECT DISTINCT executor_id FROM dbos.workflow_status") != [("local",)]
