"""Whatever a receiver does, and whenever it is asked anew: every event, in order, without gaps.

``GATEWAY_TEST_STEPS`` says how many steps a run has; its seed is printed.
"""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

from gateway.store import open_hub
from tests.deliver.sinks import Request, Writer, status
from tests.outgoing.test_subscriptions import BANK, Desk, events, kind, play

STEPS = int(os.environ.get("GATEWAY_TEST_STEPS", "60"))
ANSWERS = ("200 OK", "200 OK", "503 Unavailable", "410 Gone")


def test_every_event_is_told_at_least_once_in_order_and_without_gaps(tmp_path: Path) -> None:
    seed = int(os.environ.get("GATEWAY_TEST_SEED") or random.randrange(2**32))
    print(f"seed {seed}")
    chance = random.Random(seed)
    hub = open_hub(f"sqlite:///{tmp_path / 'gateway.sqlite'}")

    async def scene(desk: Desk) -> None:
        taken: list[int] = []  # the requests that were answered 2xx, by their place

        async def answered(request: Request, writer: Writer) -> None:
            line = chance.choice(ANSWERS)
            if line.startswith("2"):
                taken.append(len(desk.got) - 1)
            await status(line)(request, writer)

        desk.answer = answered
        content = chance.choice(["empty", "id-only", "full-resource"])
        id = desk.subscribe(content=content, most=chance.choice([1, 2, 7]))
        happened = 0
        for _ in range(STEPS):
            step = chance.random()
            if step < 0.4:
                desk.refer()
                happened += 1
            elif step < 0.8:
                await desk.drain(id)
            else:
                anew(desk, id, chance)
        desk.answer = status("200 OK")
        anew(desk, id, chance)
        before = len(desk.got)
        await desk.drain(id)
        taken += range(before, len(desk.got))
        every = desk.told
        told = [every[place] for place in taken]
        numbers = [
            int(each["event-number"])
            for one in told
            if kind(one) == "event-notification"
            for each in events(one)
        ]
        assert sorted(set(numbers)) == list(range(1, happened + 1))
        assert list(dict.fromkeys(numbers)) == list(range(1, happened + 1))
        assert desk.standing(id)["events-since-subscription-start"] == str(happened)

    play(hub, scene)
    hub.close()


def anew(desk: Desk, id: str, chance: random.Random) -> None:
    """The subscriber asks for it again, or for something else; nothing that waits is lost."""
    changes: dict[str, Any] = {"status": "requested"}
    if chance.random() < 0.3:
        changes = {"status": "off"}
        desk.change(BANK, f"Subscription/{id}", **changes)
        changes = {"status": "requested"}
    desk.change(BANK, f"Subscription/{id}", **changes)
