"""Notes of reads: beside the read, together, and never lost to a moment's trouble."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import Unavailable
from gateway.exchange import trail
from gateway.exchange.trail import Trail, foreign
from gateway.model import HUB, Context, Stored
from gateway.store import Hub, open_hub

BANK = Context("bank", "key")
AT = datetime(2026, 3, 2, tzinfo=UTC)


def stored(id: str, owner: str = "clinic") -> Stored:
    return Stored("Task", id, 1, AT, owner, b"{}")


def noted(hub: Hub) -> list[str]:
    hub.write(lambda tx: None)  # after what was submitted before
    with hub.read() as reader:
        return [each.target for each in reader.audited()]


def test_only_what_is_anothers_is_noted() -> None:
    seen = [stored("1"), stored("2", "bank"), stored("3", HUB)]
    assert foreign(BANK, seen) == ["Task/1"]


def test_notes_are_written_in_their_order_with_their_time(tmp_path: Path) -> None:
    hub = open_hub(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    notes = Trail(hub)
    before = datetime.now(UTC)
    for n in range(5):
        notes.note(BANK, "read", [stored(str(n))])
    while len(noted(hub)) < 5:
        pass
    assert noted(hub) == [f"Task/{n}" for n in range(5)]
    with hub.read() as reader:
        first = reader.audited()[0]
    assert (first.agency, first.client, first.action) == ("bank", "key", "read")
    assert before <= first.at <= datetime.now(UTC)
    hub.close()


def test_a_read_does_not_wait_for_a_busy_writer_and_what_came_meanwhile_goes_together(
    tmp_path: Path,
) -> None:
    hub = open_hub(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    notes, go_on, units = Trail(hub), threading.Event(), []
    real = hub.submit

    def counted(unit: Any) -> Future[Any]:
        units.append(unit)
        return real(unit)

    hub.submit = counted  # type: ignore[method-assign]
    real(lambda tx: go_on.wait(20))
    for n in range(100):
        notes.note(BANK, "read", [stored(str(n))])
    assert len(units) == 1
    go_on.set()
    while len(noted(hub)) < 100:
        pass
    assert len([each for each in units if each.__qualname__.startswith("Trail")]) <= 3
    hub.close()


def test_what_could_not_be_written_is_written_with_the_next(tmp_path: Path) -> None:
    hub = open_hub(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    notes, real = Trail(hub), hub.submit

    def failing(unit: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_exception(Unavailable("the disk is full"))
        return future

    hub.submit = failing  # type: ignore[method-assign]
    notes.note(BANK, "read", [stored("1")])
    hub.submit = real  # type: ignore[method-assign]
    notes.note(BANK, "read", [stored("2")])
    while len(noted(hub)) < 2:
        pass
    assert noted(hub) == ["Task/1", "Task/2"]
    hub.close()


def test_nobody_reads_what_can_not_be_accounted_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail, "MOST", 3)
    hub = open_hub(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    notes = Trail(hub)
    hub.submit = lambda unit: Future()  # type: ignore[method-assign,assignment]
    notes.note(BANK, "search", [stored(str(n)) for n in range(4)])
    with pytest.raises(Unavailable):
        notes.note(BANK, "read", [stored("5")])
    notes.note(BANK, "read", [stored("6", "bank")])
