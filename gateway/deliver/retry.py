"""When a failed delivery is tried again: doubling delays with jitter, up to an end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.settings import Settings


@dataclass(frozen=True, slots=True)
class Policy:
    """Seconds: the first delay, the longest between two attempts, and when to give up."""

    first: float
    limit: float
    give_up: float

    @classmethod
    def of(cls, settings: Settings) -> Policy:
        """The policy that the settings give."""
        return cls(settings.retry_first, settings.retry_limit, settings.retry_give_up)


def delay(policy: Policy, attempts: int, chance: float) -> float:
    """Seconds to wait after ``attempts`` failures (from 1); ``chance`` is drawn from [0, 1).

    Between half of the doubled delay and the whole of it, so that receivers that failed together
    don't come back together.
    """
    doubled = policy.first * 2.0 ** min(attempts - 1, 62)
    return min(policy.limit, doubled) * (0.5 + chance / 2)


def next_attempt(
    policy: Policy,
    attempts: int,
    first_attempt: datetime,
    now: datetime,
    chance: float,
    retry_after: float | None = None,
) -> datetime | None:
    """When to try again, or None to give up: the next attempt would come after the end.

    A receiver's ``retry_after`` (seconds) can put it off, never bring it forward, and no further
    than the end itself: then one last attempt is made there.
    """
    end = first_attempt + timedelta(seconds=policy.give_up)
    planned = now + timedelta(seconds=delay(policy, attempts, chance))
    if planned > end or now >= end:
        return None
    asked = min(retry_after or 0.0, policy.give_up)
    return min(max(planned, now + timedelta(seconds=asked)), end)
