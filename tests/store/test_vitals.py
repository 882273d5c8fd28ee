"""How the hub stands, in numbers, on both engines; each read by an index, or of few rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gateway.deliver.failure import Failure
from gateway.model import Message, Receipt, Stage
from gateway.store import Hub, Standings, Timer, vitals
from tests.store.plans import plan, watched
from tests.store.samples import CLINIC, advance, create, task
from tests.store.test_outbox import add, behind, due, every, subscriber

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)
SMALL = ("subscriber", "timer")
"""Tables that are read whole: of few rows, or up to a bound."""


def standings(hub: Hub) -> Standings:
    with hub.read() as reader:
        return reader.standings()


def test_an_empty_hub_stands_well(hub: Hub) -> None:
    found = standings(hub)
    assert found.backlogs == ()
    assert set(found.tasks.values()) == {0}
    assert (found.dead_letters, found.failed_messages, found.overdue) == (0, 0, 0.0)


def test_an_outbox_is_as_old_as_its_oldest_event_that_nobody_took(hub: Hub) -> None:
    add(hub, subscriber())
    add(hub, subscriber("t", type_="Patient"))
    create(hub, CLINIC, task("a"))
    create(hub, CLINIC, task("b"))
    (backlog,) = standings(hub).backlogs
    assert (backlog.agency, backlog.channel, backlog.status) == (
        CLINIC.agency,
        "rest-hook",
        "active",
    )
    assert (backlog.subscribers, backlog.waiting, backlog.oldest) == (2, 0, 0.0)
    assert 0 < backlog.unread < 60
    advance(hub, "s", every)
    (backlog,) = standings(hub).backlogs
    assert (backlog.waiting, backlog.unread) == (2, 0.0)
    assert 0 < backlog.oldest < 60
    taken = due(hub)
    hub.write(lambda unit: unit.delivered(taken, NOW))
    (backlog,) = standings(hub).backlogs
    assert (backlog.waiting, backlog.oldest) == (0, 0.0)


def test_dead_letters_and_subscriptions_in_error_are_counted(hub: Hub) -> None:
    add(hub, subscriber())
    create(hub, CLINIC, task("a"))
    create(hub, CLINIC, task("b"))
    advance(hub, "s", every)
    first, _ = due(hub)
    hub.write(lambda unit: unit.set_aside(first, Failure("400"), at=NOW, tried=True))
    hub.write(lambda unit: unit.mark("s", "error", "410"))
    found = standings(hub)
    (backlog,) = found.backlogs
    assert found.dead_letters == 1
    assert (backlog.status, backlog.waiting) == ("error", 1)


def test_messages_tasks_and_timers_are_counted_by_how_they_stand(hub: Hub) -> None:
    for number, status in enumerate(("requested", "requested", "accepted")):
        create(hub, CLINIC, task(f"t{number}", status))
    message = Message("m", CLINIC.agency, "mllp", "hl7v2", "1", b"raw", NOW)
    receipt = Receipt("m", "AE", (), b"")
    hub.write(lambda unit: unit.message(message, receipt, stage=Stage.PARSE))
    hub.write(lambda unit: unit.set_timer(Timer("t0", "", "remind", NOW + HOUR)))
    hub.write(lambda unit: unit.set_timer(Timer("t1", "", "recall", NOW - HOUR)))
    found = standings(hub)
    assert (found.tasks["requested"], found.tasks["accepted"], found.tasks["failed"]) == (2, 1, 0)
    assert (found.failed_messages, found.unfinished_messages) == (1, 0)
    assert found.timers == {"remind": 1, "recall": 1}
    passed = (datetime.now(UTC) - NOW).total_seconds()
    assert 3600 <= found.overdue <= 3600 + passed + 1


def test_a_count_ends_where_whoever_reads_it_has_to_look_anyway(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vitals, "_TASKS", vitals._count(*vitals.TASK_STATUS, most=2))
    for number in range(4):
        create(hub, CLINIC, task(f"t{number}"))
    assert standings(hub).tasks["requested"] == 2


def test_no_number_costs_a_whole_table(hub: Hub) -> None:
    add(hub, subscriber())
    create(hub, CLINIC, task("a"))
    advance(hub, "s", every)
    seen = watched(hub)
    standings(hub)
    behind(hub)
    lines = [
        line
        for statement, parameters in seen
        if statement.startswith("SELECT")
        for line in plan(hub, statement, parameters)
    ]
    assert lines
    if hub.shared:
        assert any("version_log" in line for line in lines)
    else:
        assert any("version_log (type=? AND xid=? AND sequence>?)" in line for line in lines)
    whole = [line for line in lines if _scans(line)]
    assert not whole, "\n".join(lines)


def _scans(line: str) -> bool:
    """Reads all of a table that may be large; an index of those that failed holds only these."""
    said = line.strip().removeprefix("->").strip()
    if not said.startswith(("SCAN ", "Seq Scan on ")):
        return False
    name = said.removeprefix("SCAN ").removeprefix("Seq Scan on ").split()[0]
    partial = any(f"INDEX {each}" in said for each in ("message_failed", "delivery_aside"))
    return not (name in SMALL or name.startswith(("anon", "CONSTANT", "(")) or partial)
