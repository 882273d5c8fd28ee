"""Messages of a batch side by side: in order, so many at a time, and all or a fault."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from gateway.chain import at_hand
from gateway.errors import Unavailable
from gateway.model import Receipt
from gateway.receive.abreast import abreast


def receipt(message: bytes) -> Receipt:
    return Receipt("", "AA", (), message)


class Hub:
    """Takes messages in, and ends them when it is told to."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.futures: list[Future[Receipt]] = []

    def take(self, message: bytes) -> Future[Receipt]:
        self.asked.append(message)
        self.futures.append(Future())
        return self.futures[-1]

    def end(self, number: int) -> None:
        self.futures[number].set_result(receipt(self.asked[number]))


def test_so_many_are_under_way_and_the_next_follows_whichever_ends() -> None:
    hub = Hub()
    whole = abreast(iter([b"0", b"1", b"2", b"3"]), hub.take, 2)
    assert hub.asked == [b"0", b"1"]
    hub.end(1)
    assert hub.asked == [b"0", b"1", b"2"]
    hub.end(0)
    hub.end(3)
    assert not whole.done()
    hub.end(2)
    assert whole.result() == [("AA", b"0"), ("AA", b"1"), ("AA", b"2"), ("AA", b"3")]


def test_thousands_that_end_at_once_are_no_deeper_than_one() -> None:
    messages = [str(number).encode() for number in range(5000)]
    whole = abreast(iter(messages), lambda message: at_hand(receipt(message)), 2)
    assert [answer for _, answer in whole.result()] == messages


def test_none_is_no_message() -> None:
    assert abreast(iter(()), Hub().take, 2).result() == []


def test_after_one_that_was_not_kept_no_other_is_taken() -> None:
    hub = Hub()
    whole = abreast(iter([b"0", b"1", b"2", b"3"]), hub.take, 2)
    hub.futures[0].set_exception(Unavailable("the hub is closed"))
    assert not whole.done()
    hub.end(1)
    assert hub.asked == [b"0", b"1"]
    with pytest.raises(Unavailable):
        whole.result()


def test_a_hub_that_refuses_at_once_is_told_of() -> None:
    def closed(_: bytes) -> Future[Receipt]:
        raise Unavailable("the hub is closed")

    with pytest.raises(Unavailable):
        abreast(iter([b"0", b"1"]), closed, 2).result()
