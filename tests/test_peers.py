"""Processes that share a hub: who lives, who is told, who does something alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from queue import SimpleQueue

import pytest
import sqlalchemy as sa

from gateway import peers
from gateway.peers import Peers, Word
from gateway.store import Hub, open_hub
from gateway.store.link import Statement
from gateway.store.workers import LIFE, worker

Started = Callable[[bool], tuple[Peers, "SimpleQueue[Word]"]]


@pytest.fixture
def start(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Started]:
    """Starts another process, as it were: on a hub of its own, with what it was told."""
    monkeypatch.setattr(peers, "BEAT", 0.05)
    begun: list[tuple[Hub, Peers]] = []

    def started(works: bool = True) -> tuple[Peers, SimpleQueue[Word]]:
        hub, told = open_hub(postgres_url), SimpleQueue[Word]()
        made = Peers(hub, works=works)
        begun.append((hub, made))
        made.start(told.put)
        assert told.get(timeout=30).missed, "what was said before it listened"
        return made, told

    yield started
    for hub, made in begun:
        made.stop()
        hub.close()


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "it didn't happen in time"
        time.sleep(0.01)


def both(*all_: Peers) -> Callable[[], bool]:
    return lambda: all(len(each.living) == len(all_) for each in all_)


def test_on_sqlite_there_is_one_process_which_does_all_alone(sqlite_url: str) -> None:
    hub = open_hub(sqlite_url)
    only = Peers(hub)
    only.start(lambda _: None)
    only.ring(["Task"])
    with only.alone("beds") as mine:
        assert mine
    assert (only.id, set(only.living)) == ("gateway", {"gateway"})
    only.stop()
    hub.close()


def test_each_has_a_name_of_its_own_and_hears_what_the_others_say(start: Started) -> None:
    (first, heard), (second, other) = start(True), start(False)
    assert first.id != second.id
    until(both(first, second))
    second.ring(["Task", "Subscription"], ["bulk:1"])
    said = [heard.get(timeout=30), heard.get(timeout=30)]
    assert said == [
        Word(second.id, works=False, types=("Task", "Subscription")),
        Word(second.id, works=False, keys=("bulk:1",)),
    ]
    first.ring(["Patient"])
    assert other.get(timeout=30) == Word(first.id, works=True, types=("Patient",))
    assert heard.empty()


def test_what_is_too_long_for_a_word_is_said_in_several(start: Started) -> None:
    (first, heard), (second, _) = start(True), start(True)
    until(both(first, second))
    keys = [f"{number:064}" for number in range(500)]
    second.ring(keys=keys)
    came: list[str] = []
    while len(came) < len(keys):
        came += heard.get(timeout=30).keys
    assert came == keys


def test_a_word_that_nobody_understands_counts_as_missed(start: Started, postgres_url: str) -> None:
    _, heard = start(True)
    hub = open_hub(postgres_url)
    for text in ("", "7", "[]", '{"types": 1}', '{"types": [], "keys": [], "new": 1}'):
        hub.bell.ring(text)
        assert heard.get(timeout=30) == Word(missed=True)
    hub.close()


def test_who_ends_is_missed_at_once_and_who_is_silent_in_a_while(
    start: Started, postgres_url: str
) -> None:
    (first, heard), (second, _) = start(True), start(True)
    until(both(first, second))
    second.stop()
    assert heard.get(timeout=30) == Word(missed=True)
    hub = open_hub(postgres_url)
    dead = Peers(hub)
    hub.write(lambda tx: tx.beat(dead.id))
    until(lambda: dead.id in first.living)
    silence(hub, dead)
    assert heard.get(timeout=30) == Word(missed=True)
    assert set(first.living) == {first.id}
    hub.close()


def test_one_does_something_alone_until_it_ends_or_dies(postgres_url: str) -> None:
    hub = open_hub(postgres_url)
    one, other = Peers(hub), Peers(hub)
    with one.alone("beds") as mine, other.alone("beds") as too, other.alone("referrals") as else_:
        assert (mine, too, else_) == (True, False, True)
    with other.alone("beds") as mine:
        assert mine
        silence(hub, other)
        with one.alone("beds") as too:
            assert too
    hub.close()


def test_what_was_its_own_is_doubted_after_a_silence(
    start: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, _ = start(True)
    since = made.now()
    assert made.holds(since)
    monkeypatch.setattr(peers, "TRUST", 0.0)
    assert not made.holds(since)
    time.sleep(0.2)
    monkeypatch.setattr(peers, "TRUST", 3.0)
    assert made.holds(made.now())
    assert not made.holds(since), "it may have been lost meanwhile"


def silence(hub: Hub, who: Peers) -> None:
    """As if it had died a while ago."""
    since = worker.c.seen - int(LIFE * 1_000_000)
    quiet = Statement(worker.update().where(worker.c.id == sa.bindparam("of")).values(seen=since))
    hub.write(lambda tx: tx.link.run(quiet, {"of": who.id}))
