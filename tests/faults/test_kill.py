"""kill -9 under load: what was acknowledged is there, once, and was told in order."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

from tests.faults.check import Hub, delivered, faults
from tests.faults.load import Journal, Posters, Senders, receiver
from tests.process import SERVE, Process

pytestmark = pytest.mark.faults

KILLS = 25
BROKEN_KILLS = 5
SETTINGS = {
    "GATEWAY_ENDPOINT_NETWORKS": "127.0.0.0/8",
    "GATEWAY_RETRY_FIRST": "0.05",
    "GATEWAY_RETRY_LIMIT": "0.5",
    "GATEWAY_RECONCILE_EVERY": "1",
}
AGENCY = """\
agency: north
name: North Clinic
feeds: [{kind: hl7v2, timezone: America/Chicago, sending: {facility: NORTH}}]
authorities: {NORTH: "https://north.example/mrn"}
"""
BANK = "county-food-bank"


@pytest.fixture
def chance() -> random.Random:
    seed = int(os.environ.get("GATEWAY_FAULTS_SEED") or random.randrange(2**32))
    print(f"GATEWAY_FAULTS_SEED={seed}")
    return random.Random(seed)


@pytest.mark.timeout(600)
def test_what_is_acknowledged_survives_kill_9_once_and_in_order(
    tmp_path: Path, chance: random.Random
) -> None:
    journal, hub = asyncio.run(_suffer(tmp_path, SERVE, KILLS, chance))
    print(_summary(journal, hub))
    assert len(journal.acknowledged) > KILLS
    assert len(journal.created) > KILLS
    assert faults(journal, hub) == []


@pytest.mark.timeout(300)
def test_the_check_fails_on_a_build_that_acknowledges_before_it_commits(
    tmp_path: Path, chance: random.Random
) -> None:
    broken = (sys.executable, str(Path(__file__).with_name("broken_build.py")), "serve")
    journal, hub = asyncio.run(_suffer(tmp_path, broken, BROKEN_KILLS, chance))
    found = faults(journal, hub)
    print(_summary(journal, hub), *found[:5], sep="\n")
    assert any(fault.startswith("missing: ") for fault in found)


async def _suffer(
    folder: Path, serve: Sequence[str], kills: int, chance: random.Random
) -> tuple[Journal, Hub]:
    """Kill a gateway under load so many times; the journal, and the hub as it then is."""
    process = Process(folder, serve, SETTINGS)
    clinic_key, bank_key = members(process, folder)
    journal, api = Journal(), f"{process.root}/fhir"
    async with receiver(journal) as endpoint:
        try:
            await process.start()
            await _subscribe(api, bank_key, endpoint)
            senders = Senders(process.mllp_port, 4, journal)
            posters = Posters(api, clinic_key, 2, journal)
            async with asyncio.TaskGroup() as load:
                load.create_task(senders.run())
                load.create_task(posters.run())
                for _ in range(kills):
                    await asyncio.sleep(chance.uniform(0.02, 0.7))
                    await process.kill()
                    await process.start()
                senders.stop()
                posters.stop()
            hub = await Hub.read(api, clinic_key)
            await delivered(journal, hub)
            assert await process.stop() == 0
        finally:
            await process.kill()
    return journal, hub


def members(process: Process, folder: Path) -> tuple[str, str]:
    """A clinic and a food bank; their keys."""
    described = folder / "north"
    described.mkdir()
    (described / "agency.yaml").write_text(AGENCY)
    clinic_key, bank_key = process.join("north", BANK, folder=described)
    return clinic_key, bank_key


async def _subscribe(api: str, key: str, endpoint: str) -> None:
    subscription = {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "referrals",
        "criteria": f"Task?owner=Organization/{BANK}&status=requested",
        "channel": {
            "type": "rest-hook",
            "endpoint": endpoint,
            "payload": "application/fhir+json",
        },
    }
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(headers=headers, trust_env=False) as client:
        (await client.post(f"{api}/Subscription", json=subscription)).raise_for_status()


def _summary(journal: Journal, hub: Hub) -> str:
    return (
        f"{len(journal.acknowledged)} REF^I12 acknowledged, {len(journal.created)} Patients "
        f"created of {len(journal.posted)} posted; the hub has {len(hub.tasks)} Tasks; "
        f"{len(journal.arrivals)} notifications, "
        f"{len({arrival.delivery for arrival in journal.arrivals})} distinct"
    )
