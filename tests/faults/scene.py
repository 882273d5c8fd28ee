"""What every fault is tried on: a gateway, a clinic, a food bank, five subscribers, and load."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from tests.faults.check import Hub, delivered
from tests.faults.load import Journal, Posters, Senders, receiver
from tests.process import Process

SETTINGS: Final = {
    "GATEWAY_ENDPOINT_NETWORKS": "127.0.0.0/8",
    "GATEWAY_RETRY_FIRST": "0.05",
    "GATEWAY_RETRY_LIMIT": "0.5",
    "GATEWAY_RECONCILE_EVERY": "1",
}
CALM: Final = {"GATEWAY_TRANSLATORS": "0"}
"""No process beside the gateway: it starts in half the time, and nothing else is to be stopped."""

AGENCY: Final = """\
agency: north
name: North Clinic
feeds: [{kind: hl7v2, timezone: America/Chicago, sending: {facility: NORTH}}]
authorities: {NORTH: "https://north.example/mrn"}
"""
CLINIC: Final = "north"
BANK: Final = "county-food-bank"

SUBSCRIBERS: Final = {
    "desk": (BANK, f"Task?owner=Organization/{BANK}&status=requested"),
    "pantry": (BANK, f"Task?owner=Organization/{BANK}&intent=order"),
    "board": (BANK, "Task?status=requested"),
    "ehr": (CLINIC, f"Task?requester=Organization/{CLINIC}"),
    "audit": (CLINIC, f"Task?owner=Organization/{BANK}"),
}
"""Who hears of every Task: by name, whose it is and what it asks for."""

CLINICS, DESKS = 4, 2


def seeded() -> random.Random:
    """Chance, its seed told; the environment may set it again."""
    seed = int(os.environ.get("GATEWAY_FAULTS_SEED") or random.randrange(2**32))
    print(f"GATEWAY_FAULTS_SEED={seed}")
    return random.Random(seed)


def size(name: str, default: int) -> int:
    """How often: ``GATEWAY_FAULTS_<name>``, else what CI has the time for."""
    return int(os.environ.get(f"GATEWAY_FAULTS_{name}") or default)


def broken(build: str) -> tuple[str, ...]:
    """A build that is broken on purpose (a file beside this one), to serve in ``SERVE``'s place."""
    return sys.executable, str(Path(__file__).with_name(build)), "serve"


@dataclass(kw_only=True)
class Reached:
    """Gateways as the outside reaches them: where, the keys of their members, and what it knows.

    ``again``: AE and 503 are no faults, and what is answered so is sent again.
    """

    api: str
    mllp_port: int
    keys: Mapping[str, str]
    journal: Journal = field(default_factory=lambda: Journal(subscribers=tuple(SUBSCRIBERS)))
    again: bool = False

    @asynccontextmanager
    async def load(self, desks: int = DESKS) -> AsyncIterator[None]:
        """Clinics send and desks post meanwhile; at the end each message has its AA."""
        journal, again = self.journal, self.again
        senders = Senders(self.mllp_port, CLINICS, journal, again=again)
        posters = Posters(self.api, self.keys[CLINIC], desks, journal, again=again)
        async with asyncio.TaskGroup() as running:
            running.create_task(senders.run())
            running.create_task(posters.run())
            yield
            senders.stop()
            posters.stop()

    async def subscribe(self, endpoint: str) -> None:
        """Everybody of ``SUBSCRIBERS``, each at a path of its own below that endpoint."""
        for name, (whose, criteria) in SUBSCRIBERS.items():
            await _subscribe(self.api, self.keys[whose], f"{endpoint}/{name}", criteria)

    async def hub(self) -> Hub:
        """What the hub has, once everybody has heard of it."""
        hub = await Hub.read(self.api, self.keys[CLINIC])
        await delivered(self.journal, hub)
        return hub


@dataclass(kw_only=True)
class Scene(Reached):
    """A gateway, and the outside."""

    process: Process

    async def ready(self) -> int:
        """What readyz answers; 0: nobody does."""
        async with httpx.AsyncClient(trust_env=False) as client:
            try:
                return (await client.get(f"{self.process.root}/readyz")).status_code
            except httpx.TransportError:
                return 0


@asynccontextmanager
async def scene(
    folder: Path,
    serve: Sequence[str],
    settings: Mapping[str, str] | None = None,
    *,
    again: bool = False,
) -> AsyncIterator[Scene]:
    """A started gateway on a folder, with members and subscribers. It is killed at the end."""
    process = Process(folder, serve, {**SETTINGS, **(settings or {})})
    made = around(process, folder, again=again)
    async with receiver(made.journal) as endpoint:
        try:
            await process.start()
            await made.subscribe(endpoint)
            yield made
        finally:
            await process.kill()


async def suffer(
    folder: Path,
    serve: Sequence[str],
    settings: Mapping[str, str],
    times: int,
    blow: Callable[[Scene], Awaitable[None]],
    *,
    again: bool = False,
) -> tuple[Journal, Hub]:
    """A gateway under load is dealt a blow so many times, and goes on after each.

    The journal, and the hub as it then is.
    """
    chance = seeded()
    async with scene(folder, serve, settings, again=again) as made:
        async with made.load():
            for _ in range(times):
                await asyncio.sleep(chance.uniform(0.02, 0.7))
                await blow(made)
        hub = await made.hub()
        assert await made.process.stop() == 0
    return made.journal, hub


def around(process: Process, folder: Path, *, again: bool = False) -> Scene:
    """The scene of a gateway that isn't started yet, its members made."""
    return Scene(
        process=process,
        api=f"{process.root}/fhir",
        mllp_port=process.mllp_port,
        keys=members(process, folder),
        again=again,
    )


def members(process: Process, folder: Path) -> dict[str, str]:
    """A clinic and a food bank; their keys."""
    described = folder / CLINIC
    described.mkdir()
    (described / "agency.yaml").write_text(AGENCY)
    keys = process.join(CLINIC, BANK, folder=described)
    return dict(zip((CLINIC, BANK), keys, strict=True))


async def _subscribe(api: str, key: str, endpoint: str, criteria: str) -> None:
    """A rest-hook to that endpoint, with the resource in it."""
    subscription = {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "referrals",
        "criteria": criteria,
        "channel": {
            "type": "rest-hook",
            "endpoint": endpoint,
            "payload": "application/fhir+json",
        },
    }
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(headers=headers, trust_env=False, timeout=30) as client:
        (await client.post(f"{api}/Subscription", json=subscription)).raise_for_status()


def summary(journal: Journal, hub: Hub) -> str:
    """What happened, in a line."""
    return (
        f"{len(journal.acknowledged)} REF^I12 acknowledged, {len(journal.created)} Patients "
        f"created of {len(journal.posted)} posted, {len(journal.put_off)} put off; the hub has "
        f"{len(hub.tasks)} Tasks; {len(journal.arrivals)} notifications, "
        f"{len({(it.subscriber, it.delivery) for it in journal.arrivals})} distinct"
    )
