"""What is let go and what stays, on both engines, with a clock that the test sets forward."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway.errors import NotFound
from gateway.members import KEEPER, Members
from gateway.model import Message, Receipt, Subscriber
from gateway.receive.arrival import as_message
from gateway.retention import EVERY, Retention
from gateway.settings import Settings
from gateway.store import Aside, Hub, Load, Transaction
from gateway.store.asides import State
from gateway.store.session import microseconds
from tests.shipped import library
from tests.store.samples import ADMIN, CLINIC, advance, create, task, update
from tests.store.test_messages import came, repeated
from tests.store.test_outbox import add, every, fail, subscriber
from tests.test_closing import FOOD, County, run, sample

DAY = timedelta(days=1)


def retention(hub: Hub, days: float = 31, **keep: float) -> Retention:
    """As of so many days from now."""
    then = datetime.now(UTC) + days * DAY
    return Retention(hub, Members(hub, library()), Settings.model_validate(keep), lambda: then)


def kept(hub: Hub, id: str) -> bool:
    with hub.read() as reader:
        try:
            reader.kept(ADMIN, id)
        except NotFound:
            return False
    return True


def arrived(hub: Hub, raw: bytes, code: str = "AA") -> Message:
    message = came(raw, control_id=raw.decode())
    receipt = Receipt(message.id, code, (), b"answer")  # type: ignore[arg-type]
    hub.write(lambda tx: tx.message(message, receipt))
    return message


def trail(hub: Hub) -> list[str]:
    with hub.read() as reader:
        return [line.target for line in reader.audited() if line.action == "purge"]


def test_without_a_setting_all_is_kept(hub: Hub) -> None:
    arrived(hub, b"1")
    assert not retention(hub, 9999).due()
    assert retention(hub, 9999)(dry=False) == {}


@pytest.mark.parametrize("name", ["keep_messages", "keep_failed", "keep_deliveries"])
def test_what_is_still_asked_for_cant_be_set_to_go(name: str) -> None:
    with pytest.raises(ValidationError, match="7 days"):
        Settings.model_validate({name: 3})


def test_messages_go_after_their_time_and_what_failed_or_waits_stays(hub: Hub) -> None:
    good, bad = arrived(hub, b"good"), arrived(hub, b"bad", "AE")
    waits = came(b"waits", control_id="waits")
    hub.write(lambda tx: tx.message_received(waits))
    hub.write(lambda tx: tx.mend(KEEPER, bad.id, b"mended"))
    assert retention(hub, -250, keep_messages=30)(dry=False)["messages"] == 0
    then = retention(hub, keep_messages=30)
    assert then(dry=True)["messages"] == 1
    assert kept(hub, good.id)
    assert repeated(hub, good) is not None
    assert then(dry=False)["messages"] == 1
    assert [kept(hub, each.id) for each in (good, bad, waits)] == [False, True, True]
    assert repeated(hub, good) is None
    assert trail(hub) == ["1 messages"]
    assert retention(hub, keep_failed=30)(dry=False)["messages"] == 1
    assert [kept(hub, each.id) for each in (bad, waits)] == [False, True]
    with hub.read() as reader:
        assert reader.mended(bad.id) == []


def test_what_was_mended_is_as_old_as_its_mending(hub: Hub) -> None:
    message = arrived(hub, b"1")
    hub.write(lambda tx: tx.mend(KEEPER, message.id, b"mended"))
    early = retention(hub, 20, keep_messages=30)
    assert early(dry=False)["messages"] == 0  # it came months ago, and was mended today
    assert retention(hub, 31, keep_messages=30)(dry=False)["messages"] == 1


def test_hundreds_go_in_small_units(hub: Hub) -> None:
    for number in range(230):
        arrived(hub, b"%d" % number)
    units = 0
    submit = hub.submit

    def counted(unit):  # type: ignore[no-untyped-def]
        nonlocal units
        units += 1
        return submit(unit)

    hub.submit = counted  # type: ignore[method-assign]
    assert retention(hub, keep_messages=30).run() == 230
    assert units == 6  # five of fifty at most, and the note


def test_a_referral_s_message_stays_until_it_has_ended_and_its_asker_was_told(
    hub: Hub, tmp_path: Path
) -> None:
    async def story(county: County) -> None:
        await county.ask(sample(FOOD))

        def gone(days: float) -> int:
            return retention(hub, days, keep_messages=30)(dry=True)["messages"]

        assert gone(400) == 0
        for status in ("accepted", "in-progress", "completed"):
            county.move(status=status)
        assert gone(400) == 0  # it has ended, and nobody has told its asker
        assert await county.told("cedar-general")
        assert not await county.told("cedar-general")  # that it was told is an event, too
        assert gone(20) == 0
        assert gone(400) == 1

    run(hub, tmp_path, story)


def test_a_message_whose_sender_asks_for_no_answers_needn_t_stay(hub: Hub) -> None:
    pipeline_of(hub)
    assert retention(hub, 400, keep_messages=30)(dry=True)["messages"] == 1


def pipeline_of(hub: Hub) -> None:
    from gateway.pipeline import Pipeline

    pipeline = Pipeline(hub, library(), Settings(), as_message)
    pipeline.add_agency("food-bank", None)
    raw = sample(FOOD)
    pipeline.add_agency("clinic", None)
    assert pipeline.accept(*as_message("clinic", "mllp", raw)).result(30).acknowledgement == "AA"
    asyncio.run(pipeline.close())


def test_the_trail_goes_after_its_time_and_says_so(hub: Hub) -> None:
    for number in range(3):
        hub.write(
            partial(Transaction.audit, context=CLINIC, action="create", target=f"Task/{number}")
        )
    assert retention(hub, 20, keep_audit=30)(dry=False)["audit"] == 0
    assert retention(hub, keep_audit=30)(dry=False)["audit"] == 3
    with hub.read() as reader:
        (line,) = reader.audited()
    assert (line.action, line.target, line.outcome) == ("purge", "3 audit", "success")


def told(hub: Hub, count: int) -> list[str]:
    """A subscriber with so many deliveries; their ids."""
    add(hub, subscriber())
    for number in range(count):
        create(hub, CLINIC, task(f"t{number}"))
    advance(hub, "s", every)
    with hub.read() as reader:
        return [each.id for each in reader.due("s", datetime.now(UTC))]


def test_deliveries_go_once_they_went_and_those_that_wait_or_are_aside_stay(hub: Hub) -> None:
    ids = told(hub, 4)
    now = datetime.now(UTC)
    with hub.read() as reader:
        due = reader.due("s", now)
    fail(hub, due[0], now)
    hub.write(lambda tx: tx.delivered([due[0]], now))
    hub.write(lambda tx: tx.withheld(due[1], now))
    hub.write(lambda tx: tx.set_aside(due[2], NotFound("x"), at=now, tried=True))
    assert retention(hub, 20, keep_deliveries=30)(dry=False)["deliveries"] == 0
    assert retention(hub, keep_deliveries=30)(dry=False)["deliveries"] == 2
    with hub.read() as reader:
        assert [each.id for each in reader.deliveries()] == [ids[3], ids[2]]
        assert reader.attempts(ids[0]) == []
        standing = reader.standing("s")
    assert standing is not None
    assert standing.next_number == 5


def versions(hub: Hub, id: str = "t") -> list[int]:
    with hub.read() as reader:
        page = reader.history(CLINIC, "Task", id)
        return [each.version for each in page.entries]


def test_versions_go_once_others_followed_and_every_subscriber_is_past_them(hub: Hub) -> None:
    add(hub, subscriber())
    create(hub, CLINIC, task("t"))
    for status in ("accepted", "in-progress", "completed"):
        update(hub, CLINIC, task("t", status))
    assert retention(hub, 31, keep_history=30)(dry=False)["versions"] == 0  # nobody was told
    assert advance(hub, "s", lambda event, _: event.version == 3) == 4
    assert retention(hub, 20, keep_history=30)(dry=False)["versions"] == 0
    assert retention(hub, 31, keep_history=30)(dry=False)["versions"] == 1
    assert versions(hub) == [4, 3, 2]  # the third is being told of, compared with the second
    with hub.read() as reader:
        (due,) = reader.due("s", datetime.now(UTC))
    hub.write(lambda tx: tx.delivered([due], datetime.now(UTC)))
    later = retention(hub, 31, keep_history=30, keep_deliveries=30)
    assert later(dry=False) == {"deliveries": 1, "versions": 2}
    assert versions(hub) == [4]
    with hub.read() as reader:
        assert reader.read(CLINIC, "Task", "t").version == 4


def test_a_version_that_was_kept_longer_than_its_successors_goes_in_its_time(hub: Hub) -> None:
    add(hub, subscriber())
    first = create(hub, CLINIC, task("t"))
    for status in ("accepted", "in-progress", "completed"):
        update(hub, CLINIC, task("t", status))
    advance(hub, "s", lambda event, _: event.version == 1)  # which is being told of, for a while
    assert retention(hub, 31, keep_history=30)(dry=False)["versions"] == 2
    assert versions(hub) == [4, 1]
    at = microseconds(first.updated)
    with hub.read() as reader:
        then = reader.history(CLINIC, "Task", "t", at=(at, at + 1)).entries
        now = reader.history(CLINIC, "Task", "t", at=(at + 10**15, at + 10**15 + 1)).entries
        (due,) = reader.due("s", datetime.now(UTC))
    assert [each.version for each in then] == [1]
    assert [each.version for each in now] == [4]
    hub.write(lambda tx: tx.delivered([due], datetime.now(UTC)))
    retention(hub, 31, keep_history=30, keep_deliveries=30)(dry=False)
    assert versions(hub) == [4]


def test_one_that_is_off_holds_up_nothing(hub: Hub) -> None:
    add(hub, Subscriber("s", "x", "rest-hook", "", "Task", status="off"))
    create(hub, CLINIC, task("t"))
    update(hub, CLINIC, task("t", "accepted"))
    assert retention(hub, 31, keep_history=30)(dry=False)["versions"] == 1


def test_rows_that_were_mended_and_loads_that_are_done_go_and_open_ones_stay(hub: Hub) -> None:
    at = int(datetime.now(UTC).timestamp() * 1e6)
    for name, summary in (("done", b"{}"), ("runs", b""), ("open", b"{}")):
        found = Load(name, "clinic", "shelter", "http", at, summary)
        hub.write(partial(Transaction.begin_load, found=found))
    hub.write(lambda tx: _aside(tx, "mended", "done", at))
    hub.write(lambda tx: _aside(tx, "open", "open", at))
    assert retention(hub, 20, keep_messages=30)(dry=True)["loads"] == 0
    gone = retention(hub, keep_messages=30)(dry=False)
    assert (gone["mended rows"], gone["loads"]) == (1, 1)
    gone = retention(hub, keep_failed=30, keep_messages=30)(dry=False)
    assert (gone["rows set aside"], gone["loads"]) == (1, 1)
    with hub.read() as reader:
        assert reader.one_load(ADMIN, "runs").id == "runs"


def _aside(tx: Transaction, state: State, load: str, at: int) -> None:
    found = Aside(
        id=state,
        agency="clinic",
        feed="shelter",
        file="clients.csv",
        load=load,
        row=state,
        head=0,
        line=2,
        stage="translate",
        place="clients.csv:2",
        reason="a reason",
        raw=b"",
        at=at,
        state=state,
    )
    tx.set_row_aside(tx.sheet_of("clinic", "shelter", "clients.csv"), found)


def test_it_is_looked_for_once_an_hour_by_one_process(hub: Hub) -> None:
    now = [datetime.now(UTC) + 31 * DAY]
    members, settings = Members(hub, library()), Settings(keep_messages=30)
    one, other = (Retention(hub, members, settings, lambda: now[0]) for _ in range(2))
    assert one.due()
    assert other.due()
    one.run()
    assert not one.due()
    assert not other.due()
    now[0] += EVERY + timedelta(seconds=1)
    assert other.due()
    now[0] -= 365 * DAY  # a clock that was set right again
    assert one.due()


def test_what_a_message_was_made_into_is_not_touched(hub: Hub) -> None:
    pipeline_of(hub)
    with hub.read() as reader:
        before = reader.events_after(0, ["Patient", "Task", "Provenance"], limit=1000)
    assert retention(hub, 400, keep_messages=30, keep_audit=30)(dry=False)["messages"] == 1
    with hub.read() as reader:
        assert reader.events_after(0, ["Patient", "Task", "Provenance"], limit=1000) == before
