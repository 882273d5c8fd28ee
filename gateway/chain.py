"""Futures: one after another, without a thread that waits; and of what is at hand."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")


def then(first: Future[S], step: Callable[[S], Future[T]]) -> Future[T]:
    """What ``step`` makes of what comes first; it can't be cancelled.

    ``step`` runs on the thread that ends ``first``, at once where that has ended. A failure of
    either is the failure of the whole.
    """
    last: Future[T] = Future()
    last.set_running_or_notify_cancel()

    def go_on(done: Future[S]) -> None:
        try:
            step(done.result()).add_done_callback(lambda ended: _hand_on(ended, last))
        except BaseException as fault:  # noqa: BLE001 - handed on to who waits
            last.set_exception(fault)

    first.add_done_callback(go_on)
    return last


def at_hand(value: T) -> Future[T]:
    """A future of what is known already."""
    future: Future[T] = Future()
    future.set_result(value)
    return future


def _hand_on(done: Future[T], to: Future[T]) -> None:
    fault = done.exception()
    if fault is None:
        to.set_result(done.result())
    else:
        to.set_exception(fault)
