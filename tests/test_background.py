"""Background work of several processes on one hub: two pipelines stand for two of them."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gateway.coordination.timers import KEY
from gateway.deliver.websocket import Socket
from gateway.fhir.notification import CONTENT
from gateway.model import Context
from gateway.operations.jobs import PREFIX
from gateway.peers import Peers, Word
from gateway.pipeline import Pipeline
from gateway.receive.arrival import as_message
from gateway.settings import Settings
from gateway.store import Hub, Transaction, open_hub
from gateway.work import Work
from tests.agencies import admission, small_library
from tests.deliver.sinks import Request, Writer, http, status
from tests.test_peers import silence

CLINIC = Context("clinic", "test")
HANG = 30.0
TOPIC = "http://hl7.org/fhir/us/sdoh-clinicalcare/SubscriptionTopic/Task"


class Process:
    """A pipeline, its hub and its name. ``turns``: with background work, but no reconciler."""

    def __init__(self, url: str, folder: Path, *roles: str, turns: bool = False) -> None:
        about: dict[str, Any] = {"reconcile_every": 3600, **({"roles": roles} if roles else {})}
        settings = Settings(
            data_dir=folder, database_url=url, endpoint_networks=("127.0.0.0/8",), **about
        )
        self.hub = open_hub(url)
        self.peers = Peers(self.hub, works="work" in settings.roles)
        self.work = Work(settings, durable=False) if turns else None
        self.pipeline = Pipeline(
            self.hub, small_library(), settings, as_message, self.work, self.peers
        )
        if self.work is not None:
            self.peers.start(self.pipeline.heard)
            self.work.start(self.pipeline.drain, self.pipeline.behind, self.pipeline.close)

    def close(self) -> None:
        """End as a server does."""
        if self.work is not None:
            self.work.stop(5)
            self.peers.stop()
        self.hub.close()


Start = Callable[..., Process]


@pytest.fixture
def start(postgres_url: str, tmp_path: Path) -> Iterator[Start]:
    begun: list[Process] = []

    def started(*roles: str, turns: bool = False) -> Process:
        begun.append(Process(postgres_url, tmp_path, *roles, turns=turns))
        return begun[-1]

    yield started
    for each in begun:
        each.close()


def put(pipeline: Pipeline, resource: dict[str, Any]) -> None:
    raw = json.dumps(resource).encode()
    pipeline.update(CLINIC, resource["resourceType"], resource["id"], raw).result()


def subscribe(pipeline: Pipeline, endpoint: str) -> None:
    channel = {"type": "rest-hook", "endpoint": endpoint, "payload": "application/fhir+json"}
    about = {"status": "active", "reason": "test", "criteria": "Basic?", "channel": channel}
    put(pipeline, {"resourceType": "Subscription", "id": "s", **about})


def happen(pipeline: Pipeline, *names: str) -> None:
    for name in names:
        put(pipeline, {"resourceType": "Basic", "id": name, "code": {"text": name}})


def went(hub: Hub) -> list[tuple[str, str]]:
    with hub.read() as reader:
        return [(each.event.id, each.outcome) for each in reader.deliveries(subscriber="s")[::-1]]


def test_who_was_taken_for_dead_in_the_middle_of_an_attempt_sends_and_notes_nothing_more(
    start: Start,
) -> None:
    slow, quick = start(), start()
    slow.pipeline.add_agency("clinic", None)
    ok = status("200 OK")

    async def story() -> None:
        async with http(_first(lambda: _overtaken(slow, quick), ok)) as (address, got):
            subscribe(slow.pipeline, address)
            happen(slow.pipeline, "a", "b", "c", "d")
            await slow.pipeline.drain("s")
            names = [request.target.rpartition("/")[2] for request in got]
        assert names == ["a", "a", "b", "c", "d"], "the first, by its id, twice; then one sends"
        assert got[0].headers["webhook-id"] == got[1].headers["webhook-id"]
        await slow.pipeline.close()
        await quick.pipeline.close()

    asyncio.run(story())
    assert went(slow.hub) == [(name, "delivered") for name in "abcd"]


async def _overtaken(slow: Process, quick: Process) -> None:
    """The other is silent, and this one takes over and sends all there is."""
    await asyncio.to_thread(silence, slow.hub, slow.peers)
    await quick.pipeline.drain("s")


def _first(
    meanwhile: Callable[[], Awaitable[None]], then: Callable[[Request, Writer], Awaitable[None]]
) -> Callable[[Request, Writer], Awaitable[None]]:
    """Answers the first request only after ``meanwhile``."""
    came: list[Request] = []

    async def answer(request: Request, writer: Writer) -> None:
        came.append(request)
        if len(came) == 1:
            await meanwhile()
        await then(request, writer)

    return answer


def test_a_subscriber_that_a_living_process_drains_is_left_to_it(start: Start) -> None:
    one, other = start(), start()
    one.pipeline.add_agency("clinic", None)

    async def story() -> None:
        drain = other.pipeline.drain
        async with http(_first(lambda: drain("s"), status("200 OK"))) as (address, got):
            subscribe(one.pipeline, address)
            happen(one.pipeline, "a", "b")
            await one.pipeline.drain("s")
        assert [request.target.rpartition("/")[2] for request in got] == ["a", "b"]
        await one.pipeline.close()
        await other.pipeline.close()

    asyncio.run(story())


def test_a_message_that_was_only_received_is_taken_up_by_another_after_a_while(
    start: Start,
) -> None:
    made = start()
    made.pipeline.add_agency("clinic", None)
    for number, age in (("1", 11), ("2", 0)):
        message, _ = as_message("clinic", "mllp", admission("202603010900", number=number))
        came = replace(message, received=datetime.now(UTC) - timedelta(seconds=age))
        made.hub.write(partial(Transaction.message_received, message=came))
    made.pipeline.behind()
    with made.hub.read() as reader:
        left = reader.unfinished_message(0)
    assert left is not None
    assert left[0].control_id == "C2026030109002", "who received it may be about to understand it"


def test_what_is_due_is_done_by_one_at_a_time(start: Start) -> None:
    made, other = start(), start()
    inside = threading.Event()

    class Due:
        runs = 0

        def due(self) -> bool:
            return True

        def run(self) -> int:
            Due.runs += 1
            inside.set()
            if Due.runs == 1:
                asyncio.run(other.pipeline.drain(KEY))
            return 1

    for each in (made, other):
        each.pipeline._background._due = {KEY: Due()}
    asyncio.run(made.pipeline.drain(KEY))
    assert inside.is_set()
    assert Due.runs == 1
    asyncio.run(other.pipeline.drain(KEY))
    assert Due.runs == 2


def test_a_bulk_job_that_another_process_runs_is_left_to_it(start: Start, tmp_path: Path) -> None:
    made, other = start(), start()
    jobs = made.pipeline.operations.jobs
    (tmp_path / "in").write_bytes(b"")
    job = made.pipeline.operations.import_.start(CLINIC, tmp_path / "in", "/fhir/$import")
    with jobs.lock(job.id) as mine:  # type: ignore[union-attr]
        assert mine is not None
        asyncio.run(other.pipeline.drain(PREFIX + job.id))
        assert jobs.get(CLINIC, job.id, "import").status == "accepted"
    asyncio.run(other.pipeline.drain(PREFIX + job.id))
    assert jobs.get(CLINIC, job.id, "import").status == "completed"
    assert jobs.lock("0" * 32) is None


def test_a_process_that_does_not_work_sees_to_the_sockets_that_it_holds_and_tells_of_the_rest(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = start("api", "mllp")
    calls.pipeline.add_agency("clinic", None)
    subscribe(calls.pipeline, "http://127.0.0.1:9")
    happen(calls.pipeline, "a")
    assert calls.pipeline.behind() == []
    said: list[str] = []
    monkeypatch.setattr(calls.peers, "ring", lambda types=(), keys=(): said.extend(keys))
    asyncio.run(calls.pipeline.drain("s"))
    asyncio.run(calls.pipeline.drain(PREFIX + "1"))
    assert said == ["s", PREFIX + "1"]
    assert went(calls.hub) == []
    loop = asyncio.new_event_loop()
    calls.pipeline._outgoing.sockets.bind("s", Socket(loop, lambda _: asyncio.sleep(0)))
    assert calls.pipeline.behind() == ["s"]
    loop.close()


def test_what_another_process_writes_comes_over_a_socket_that_is_bound_here(
    start: Start,
) -> None:
    calls, works = start("api", turns=True), start("work", turns=True)
    works.pipeline.add_agency("clinic", None)
    payload = {"extension": [{"url": CONTENT, "valueCode": "id-only"}]}
    channel = {"type": "websocket", "payload": "application/fhir+json", "_payload": payload}
    about = {"status": "requested", "reason": "test", "criteria": TOPIC, "channel": channel}
    put(works.pipeline, {"resourceType": "Subscription", "id": "s", **about})

    async def story() -> None:
        said: asyncio.Queue[str] = asyncio.Queue()
        socket = Socket(asyncio.get_running_loop(), said.put)
        await asyncio.to_thread(calls.pipeline.bindings.bind, ["s"], socket)
        await both_live(calls, works)
        task = {"resourceType": "Task", "id": "t", "status": "draft", "intent": "order"}
        owner = {"requester": {"reference": "Organization/clinic"}}
        await asyncio.to_thread(put, works.pipeline, {**task, **owner})
        assert "Task/t" in await asyncio.wait_for(said.get(), HANG)

    asyncio.run(story())


async def both_live(*all_: Process) -> None:
    async with asyncio.timeout(HANG):
        while any(len(each.peers.living) < len(all_) for each in all_):
            await asyncio.sleep(0.01)


def test_words_wake_who_works_and_nobody_else(start: Start) -> None:
    works, calls = start("work"), start("api")
    assert _woken(works) == ["soon", "wake bulk:1", "look"]
    assert _woken(calls) == ["soon", "look"]


def _woken(each: Process) -> list[str]:
    """What two words ask of a process's work."""
    noted: Any = Noted()
    each.pipeline._background._work = each.pipeline._outgoing._work = noted
    each.pipeline.heard(Word("other", works=False, types=("Task",), keys=("bulk:1",)))
    each.pipeline.heard(Word(missed=True))
    return list(noted.said)


class Noted:
    """In the place of ``Work``: what it was asked."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def soon(self, call: object) -> bool:
        self.said.append("soon")
        return True

    def wake(self, key: str) -> None:
        self.said.append(f"wake {key}")

    def look(self) -> None:
        self.said.append("look")
