"""What the hub keeps of referrals: who was asked, what is due, what need goes unmet."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from gateway.errors import Denied
from gateway.store import DUE, Hop, Hub, Pursuit, Timer, Transaction, Unmet

AT = datetime(2026, 3, 2, 15, 4, 5, 123456, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_a_pursuit_a_hop_and_a_timer_are_kept_to_the_microsecond(hub: Hub) -> None:
    parts = [Pursuit("t1", part, "clinic", AT) for part in ("food", "home")]
    hop = Hop("c1", "t1", "food", 1, "pantry", "HealthcareService/s1", AT)
    timer = Timer("c1", "", "remind", AT)

    def unit(tx: Transaction) -> None:
        for each in parts:
            tx.pursue(each)
        tx.asked(hop)
        tx.set_timer(timer)

    hub.write(unit)
    with hub.read() as reader:
        assert reader.pursuits("t1") == parts
        assert reader.hops("t1") == [hop]
        assert (reader.hop("c1"), reader.hop("c2")) == (hop, None)
        assert reader.timers("c1") == [timer]


def test_what_is_said_again_takes_the_place_of_what_was(hub: Hub) -> None:
    one = Pursuit("t1", "", "clinic", AT)
    for each in (one, replace(one, stage="waiting", list="l1"), replace(one, stage="ended")):
        hub.write(lambda tx, each=each: tx.pursue(each))
    hub.write(lambda tx: tx.set_timer(Timer("t1", "", "route", AT)))
    hub.write(lambda tx: tx.set_timer(Timer("t1", "", "recall", AT + HOUR)))
    with hub.read() as reader:
        assert reader.pursuits("t1") == [replace(one, stage="ended")]
        assert reader.open_pursuits() == []
        assert reader.timers("t1") == [Timer("t1", "", "recall", AT + HOUR)]


def test_what_is_due_comes_in_its_order_and_the_rest_waits(hub: Hub) -> None:
    for n in (3, 1, 2):
        hub.write(lambda tx, n=n: tx.set_timer(Timer(f"t{n}", "", "route", AT + n * HOUR)))
    with hub.read() as reader:
        assert [each.task for each in reader.due_timers(AT + 2 * HOUR)] == ["t1", "t2"]
        assert [each.task for each in reader.due_timers(AT + 2 * HOUR, count=1)] == ["t1"]
    hub.write(lambda tx: tx.unset_timer("t1"))
    with hub.read() as reader:
        assert [each.task for each in reader.due_timers(AT + 9 * HOUR)] == ["t2", "t3"]


def test_a_timer_that_is_due_at_once_wakes_somebody_and_another_doesnt(hub: Hub) -> None:
    def touched(due: datetime) -> bool:
        def unit(tx: Transaction) -> bool:
            tx.set_timer(Timer("t1", "", "route", due))
            return DUE in tx.touched

        return hub.write(unit)

    now = datetime.now(UTC)
    assert [touched(now), touched(now + HOUR)] == [True, False]


def test_a_need_stands_in_the_ledger_once_until_it_is_closed(hub: Hub) -> None:
    need = Unmet("t1", "", "homelessness", "52240", "nobody is left", 2, AT)
    for _ in range(2):
        hub.write(lambda tx: tx.note_unmet(need))
    with hub.read() as reader:
        assert reader.unmet() == reader.unmet_of("t1") == [need]
    hub.write(lambda tx: tx.close_unmet("t1", "", "met", AT + HOUR))
    hub.write(lambda tx: tx.note_unmet(replace(need, opened=AT + 2 * HOUR)))
    with hub.read() as reader:
        assert [each.outcome for each in reader.unmet()] == [""]
        assert [each.outcome for each in reader.unmet(closed=True)] == ["", "met"]
        cells = reader.unmet_cells(AT, AT + HOUR)
    assert cells == [("homelessness", "52240", "nobody is left", "met", 1)]


def test_what_is_rolled_back_was_never_asked(hub: Hub) -> None:
    def unit(tx: Transaction) -> None:
        with contextlib.suppress(Denied), tx.savepoint():
            tx.asked(Hop("c1", "t1", "", 1, "pantry", "", AT))
            refuse()
        tx.set_timer(Timer("t1", "", "route", AT))

    hub.write(unit)
    with hub.read() as reader:
        assert (reader.hops("t1"), len(reader.timers("t1"))) == ([], 1)


def refuse() -> None:
    raise Denied("no")
