"""A batch's messages taken in side by side, and never more of them than one connection may send.

A batch of ten megabytes may hold tens of thousands: all under way at once, each would be in memory
with all that it led to. Of one that has ended its code and its answer's bytes are left.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from typing import Final

from gateway.chain import at_hand, then
from gateway.model import Code, Receipt

Take = Callable[[bytes], Future[Receipt]]
Answers = list[tuple[Code, bytes]]


def abreast(messages: Iterator[bytes], take: Take, width: int) -> Future[Answers]:
    """Take all in, in their order, ``width`` of them under way at a time; their answers in order.

    Fails as the first of them that wasn't even kept, and takes no more after it.
    """
    taking = _Taking(messages, take, width)
    taking.go_on()
    return taking.whole


class _Taking:
    """How far it is. Whoever ends a message goes on with the next, on whatever thread."""

    def __init__(self, messages: Iterator[bytes], take: Take, width: int) -> None:
        self.whole: Final[Future[Answers]] = Future()
        self._left, self._take, self._width = enumerate(messages), take, width
        self._lock = threading.Lock()
        self._under_way = 0
        self._busy = False
        self._over = False
        self._fault: BaseException | None = None
        self._answers: dict[int, tuple[Code, bytes]] = {}

    def go_on(self, ended: int = 0) -> None:
        """``ended`` more have: take in as many. One thread does it, or they'd lose their order."""
        with self._lock:
            self._under_way -= ended
            if self._busy:
                return  # it looks again before it goes
            self._busy = True
        while self._may():
            number, message = next(self._left, (0, None))
            if message is None:
                self._over = True
                self.go_on(1)
            else:
                then(at_hand(message), self._take).add_done_callback(partial(self._ended, number))

    def _may(self) -> bool:
        """Whether one more may be taken; else this thread is done, and all is if none is left."""
        with self._lock:
            if not self._over and self._under_way < self._width:
                self._under_way += 1
                return True
            self._busy = False
            last = self._over and not self._under_way
        if last:
            self._finish()
        return False

    def _ended(self, number: int, done: Future[Receipt]) -> None:
        fault = done.exception()
        if fault is None:
            receipt = done.result()
            self._answers[number] = receipt.acknowledgement, receipt.answer
        else:
            self._fault = self._fault or fault
            self._over = True
        self.go_on(1)

    def _finish(self) -> None:
        if self._fault is not None:
            self.whole.set_exception(self._fault)
        else:
            self.whole.set_result([self._answers[number] for number in sorted(self._answers)])
