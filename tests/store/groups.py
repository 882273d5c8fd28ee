"""Units that wait for the writer together, so that one group takes them all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from gateway.store import Hub, Transaction
from gateway.store.engine import open_engine
from gateway.store.link import Link
from gateway.store.session import Clock
from gateway.store.shared import SharedCommit

Work = Callable[[Transaction], Any]


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


class Writer:
    """One writer of PostgreSQL's, which is held until all that is given to it waits."""

    def __init__(self, url: str) -> None:
        self._engine = open_engine(url)
        self._committer = SharedCommit(self._engine, writers=1)
        self._clock = Clock()

    def together(self, *units: Work) -> list[Future[Any]]:
        """Ended futures of units that waited at the same time."""
        busy, release = threading.Event(), threading.Event()

        def hold(_: Link) -> None:
            busy.set()
            assert release.wait(30)

        self._committer.submit(hold)
        assert busy.wait(30)
        given = [self._committer.submit(self._unit(each)) for each in units]
        release.set()
        for future in given:
            future.exception(30)
        return given

    def _unit(self, work: Work) -> Callable[[Link], Any]:
        return lambda link: work(Transaction(link, self._clock, b"secret"))

    def close(self) -> None:
        self._committer.close()
        self._engine.close()
