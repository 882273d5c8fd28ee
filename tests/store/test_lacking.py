from __future__ import annotations

import uuid

import pytest

from gateway.errors import StoreError
from gateway.model import Message, Receipt
from gateway.store import Hub, Lacking
from tests.store.samples import ADMIN, CLINIC, PANTRY
from tests.store.test_messages import came


def kept(hub: Hub, number: int) -> Message:
    message = came(b"MSH|%d" % number, f"C{number}")
    hub.write(lambda tx: tx.message(message, Receipt(message.id, "AA", (), b"")))
    return message


def asked(hub: Hub, code: str = "X") -> Lacking:
    task = str(uuid.uuid4())
    hub.write(lambda tx: tx.add_lack("cedar-general", "sex", code, task))
    with hub.read() as reader:
        found = reader.lack("cedar-general", "sex", code)
    assert found is not None
    assert found.task == task
    return found


def test_a_code_is_found_by_agency_table_and_itself(hub: Hub) -> None:
    lack = asked(hub)
    with hub.read() as reader:
        assert reader.lacking() == [lack]
        assert reader.lacks("cedar-general", "sex") == 1
        assert reader.lacks("food-bank", "sex") == 0
        assert reader.lack("food-bank", "sex", "X") is None
        assert reader.lack("cedar-general", "race", "X") is None
        assert reader.lack("cedar-general", "sex", "Y") is None


def test_a_code_is_in_no_text_of_it(hub: Hub) -> None:
    assert "SECRET" not in repr(asked(hub, "SECRET"))


def test_a_code_is_asked_for_once(hub: Hub) -> None:
    asked(hub)
    with pytest.raises(StoreError):  # of one kind or other, as the engine has it
        asked(hub)


def test_messages_wait_in_the_order_in_which_they_came(hub: Hub) -> None:
    first, second = asked(hub, "X"), asked(hub, "Y")
    messages = [kept(hub, number) for number in range(4)]
    for message, keys in zip(
        reversed(messages),
        ([first.key], [second.key], [first.key, second.key], [first.key]),
        strict=True,
    ):
        hub.write(lambda tx, m=message, k=keys: tx.waits(m.id, k, "accepted"))
    with hub.read() as reader:
        ids = [message.id for message in messages]
        assert reader.waiting_for([first.key, second.key]) == ids
        assert reader.waiting_for([second.key]) == [ids[1], ids[2]]
        assert [each.message.id for each in reader.waiting_messages(CLINIC, first.task)] == [
            ids[3],
            ids[1],
            ids[0],
        ]
        assert len(reader.waiting_messages(ADMIN, first.task, count=2)) == 2
        assert reader.waiting_messages(PANTRY, first.task) == []


def test_what_no_longer_lacks_a_code_has_its_outcome(hub: Hub) -> None:
    first, second = asked(hub, "X"), asked(hub, "Y")
    message, other = kept(hub, 1), kept(hub, 2)
    hub.write(lambda tx: tx.waits(message.id, [first.key, second.key], "accepted"))
    hub.write(lambda tx: tx.waits(other.id, [first.key], "accepted"))
    hub.write(lambda tx: tx.waits(message.id, [second.key], "failed"))
    with hub.read() as reader:
        assert reader.waiting_for([first.key]) == [other.id]
        assert reader.waiting_for([second.key]) == [message.id]
        assert reader.outcomes(first.key) == {"failed": 1, "": 1}
    hub.write(lambda tx: tx.waits(message.id, [first.key, second.key], "accepted"))
    with hub.read() as reader:
        assert reader.outcomes(first.key) == {"": 2}


def test_a_code_that_the_table_has_is_forgotten_with_all_that_waited(hub: Hub) -> None:
    lack, message = asked(hub), kept(hub, 1)
    hub.write(lambda tx: tx.waits(message.id, [lack.key], "accepted"))
    hub.write(lambda tx: tx.forget_lack(lack.key))
    with hub.read() as reader:
        assert reader.lacking() == []
        assert reader.waiting_for([lack.key]) == []
    assert asked(hub).task != lack.task


def test_another_task_may_ask(hub: Hub) -> None:
    lack = asked(hub)
    hub.write(lambda tx: tx.ask_anew(lack.key, "another"))
    with hub.read() as reader:
        assert [each.task for each in reader.lacking()] == ["another"]
