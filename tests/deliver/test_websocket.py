"""Binding tokens, and which sockets a notification goes out on."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from gateway.deliver import Doors, Outfit
from gateway.deliver.endpoint import Guard
from gateway.deliver.failure import Failure
from gateway.deliver.notice import Notice
from gateway.deliver.websocket import LIFE, Binding, Socket, Sockets, binding, read, token
from gateway.model import Context
from tests.deliver.sinks import subscriber

ROOT = b"the hub's secret"
BANK = Context("food-bank", "key")
MADE = binding(BANK, ["s1", "s2"], 1000.0)


def test_a_token_says_whose_it_is_and_what_for() -> None:
    assert read(ROOT, token(ROOT, MADE), 1000.0 + LIFE - 1) == MADE
    assert Binding("food-bank", "key", ("s1", "s2"), 1000 + LIFE) == MADE
    assert MADE.context.agency == "food-bank"


def test_a_token_ends_and_is_good_for_its_own_hub_alone() -> None:
    made = token(ROOT, MADE)
    assert read(ROOT, made, 1000.0 + LIFE) is None
    assert read(b"another", made, 1000.0) is None


def test_a_token_that_was_changed_is_none() -> None:
    made = token(ROOT, MADE)
    other = token(ROOT, replace(MADE, agency="food-bane"))
    assert read(ROOT, made[:44] + other[44:], 1000.0) is None
    for wrong in ("", "x", made[:-2], made[1:], "é", made + "!"):
        assert read(ROOT, wrong, 1000.0) is None


class Client:
    """What an open socket was sent; one that is closed takes nothing."""

    def __init__(self, *, closed: bool = False) -> None:
        self.got: list[str] = []
        self._closed = closed

    async def take(self, text: str) -> None:
        if self._closed:
            raise RuntimeError("closed")
        self.got.append(text)


def test_a_notification_goes_to_every_socket_that_is_bound_and_to_no_other() -> None:
    async def run() -> list[list[str]]:
        sockets = Sockets()
        doors = Doors(Guard(), Outfit(sockets=sockets))
        clients = [Client(), Client(), Client(closed=True), Client()]
        loop = asyncio.get_running_loop()
        opened = [Socket(loop, each.take) for each in clients]
        for one in opened[:3]:
            sockets.bind("s1", one)
        sockets.bind("another", opened[3])
        told = subscriber("", channel="websocket")
        await doors.send(told, Notice("1", b"one"), secret="")
        sockets.unbind(opened[0])
        await doors.send(told, Notice("2", b"two"), secret="")
        sockets.unbind(opened[1])
        with pytest.raises(Failure, match="nobody is bound"):
            await doors.send(told, Notice("3", b"three"), secret="")
        sockets.unbind(opened[2])
        assert sockets.bound("s1") == []
        return [each.got for each in clients]

    assert asyncio.run(run()) == [["one"], ["one", "two"], [], []]
