"""When who was asked must have answered, is reminded, and is passed by (`referral-protocol.md`, 5).

An urgent referral within hours, a routine one within working days: they end at the same time of
day in the community's own zone, and weekends don't count. All results are UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from gateway.settings import Settings

_SATURDAY: Final = 5


@dataclass(frozen=True, slots=True)
class Timing:
    """The community's patience.

    ``urgent``: what isn't routine (R4 request-priority) is answered within it. ``routine`` and
    ``waiting`` are working days: to answer, and from one look for somebody else to the next while
    a referral stands on a waiting list. ``pace`` divides every span, to play days in seconds.
    ``hops`` caps how many agencies are asked. ``navigator`` is the agency whose people take what
    nobody takes; "" the hub's own administrators.
    """

    urgent: timedelta = timedelta(hours=4)
    routine: int = 3
    waiting: int = 1
    pace: float = 1.0
    zone: str = "UTC"
    hops: int = 5
    navigator: str = ""

    @classmethod
    def of(cls, settings: Settings) -> Timing:
        """By the settings."""
        return cls(
            timedelta(seconds=settings.acknowledge_urgent),
            settings.acknowledge_routine,
            settings.waitlist_look,
            settings.referral_pace,
            settings.timezone,
            settings.referral_hops,
            settings.navigator,
        )

    def remind(self, priority: str, asked: datetime) -> datetime:
        """When an answer is due; who has given none is reminded then."""
        if priority in ("", "routine"):
            return self._paced(asked, self._working(asked, self.routine))
        return self._paced(asked, asked + self.urgent)

    def recall(self, priority: str, reminded: datetime) -> datetime:
        """When who was reminded is passed by: half the time again, a working day at least."""
        if priority in ("", "routine"):
            return self._paced(reminded, self._working(reminded, max(1, self.routine // 2)))
        return self._paced(reminded, reminded + self.urgent / 2)

    def look(self, since: datetime) -> datetime:
        """When somebody else is looked for again."""
        return self._paced(since, self._working(since, self.waiting))

    def _working(self, start: datetime, days: int) -> datetime:
        there = start.astimezone(ZoneInfo(self.zone))
        while days:
            there += timedelta(days=1)
            days -= there.weekday() < _SATURDAY
        return there.astimezone(UTC)

    def _paced(self, start: datetime, end: datetime) -> datetime:
        return (start + (end - start) / self.pace).astimezone(UTC)
