"""Units of work on their way into a transaction: what each way of committing shares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Generic, Protocol, TypeVar

import sqlalchemy as sa

from gateway import meters
from gateway.store.link import Link

T = TypeVar("T")


class Committer(Protocol):
    """Runs units in transactions.

    ``refusing``: the database didn't take the last one. ``orderly``: none overtakes another.
    """

    refusing: bool
    orderly: bool

    def submit(self, unit: Callable[[Link], T]) -> Future[T]:
        """The unit's value or error, once its transaction is on disk or rolled back."""

    def expect(self, first: Future[Any]) -> None:
        """A unit is submitted when this ends: it may be worth a moment's waiting."""

    def at_once(self, unit: Callable[[Link], T]) -> T:
        """Run a short unit and wait; on PostgreSQL nothing that waits comes before it."""

    @property
    def waiting(self) -> int:
        """How many units were submitted and nobody has begun."""

    def close(self) -> None:
        """Finish what was submitted, then take no more."""


class Pending(Generic[T]):
    """A unit, and what became of it: told (``resolve``) once that is so on disk."""

    __slots__ = ("error", "future", "promised", "unit", "value")

    def __init__(self, unit: Callable[[Link], T]) -> None:
        self.unit = unit
        self.future: Future[T] = Future()
        self.value: Any = None
        self.error: BaseException | None = None
        self.promised = False

    def resolve(self) -> None:
        """Tell who waits."""
        if self.error is None:
            self.future.set_result(self.value)
        else:
            self.future.set_exception(self.error)


def undertake(link: Link, waiting: Pending[Any], mark: Callable[[str], None]) -> None:
    """Run one of several units of a transaction so that its error leaves the others.

    ``mark``: how the link begins a savepoint for it.
    """
    waiting.error = None
    link.promised = False
    mark("unit")
    try:
        waiting.value = waiting.unit(link)
        link.check()
        link.release("unit")
    except BaseException as error:  # noqa: BLE001 - told to its sender after the commit
        waiting.error = error
        link.roll_back_to("unit")
    waiting.promised = link.promised


def count(group: Sequence[Pending[Any]], seconds: float) -> None:
    """A transaction is on disk: before anybody is told so."""
    meters.GROUP_UNITS.observe(len(group))
    meters.COMMIT_SECONDS.observe(seconds)
    meters.STORED.inc(sum(each.promised and each.error is None for each in group))


def origin(error: BaseException) -> BaseException:
    """The driver's error of one of SQLAlchemy's."""
    return error.orig or error if isinstance(error, sa.exc.DBAPIError) else error
