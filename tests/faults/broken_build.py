"""A gateway that acknowledges before it commits: what ``test_kill`` must catch.

No part of the product. The hub's future is resolved while the unit's transaction is still open,
on a disk whose fsync takes as long as a slow one's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from gateway.__main__ import main
from gateway.store.hub import Hub

FSYNC = 0.02

submit = Hub.submit


def submit_and_promise(self: Hub, unit: Callable[[Any], Any]) -> Future[Any]:
    """As ``Hub.submit``, but the sender is told before the commit."""
    promised: Future[Any] = Future()

    def eager(transaction: Any) -> Any:
        value = unit(transaction)
        promised.set_result(value)
        time.sleep(FSYNC)
        return value

    def fail(done: Future[Any]) -> None:
        if done.exception() and not promised.done():
            promised.set_exception(done.exception())

    submit(self, eager).add_done_callback(fail)
    return promised


if __name__ == "__main__":
    Hub.submit = submit_and_promise  # type: ignore[method-assign]
    main()
