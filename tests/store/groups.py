"""Units that wait for the writer together, so that one group takes them all."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from gateway.store import Hub, Transaction


@contextmanager
def held(hub: Hub) -> Iterator[None]:
    """Inside, the SQLite writer is busy with a unit, whose group what is submitted joins."""
    busy, release = threading.Event(), threading.Event()

    def hold(_: Transaction) -> None:
        busy.set()
        assert release.wait(30)

    done = hub.submit(hold)
    assert busy.wait(30)
    yield
    release.set()
    done.exception()


def outcome(future: Future[Any]) -> str:
    error = future.exception()
    return type(error).__name__ if error else "done"
