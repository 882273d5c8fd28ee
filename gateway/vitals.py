"""The gauges of ``/metrics``: how the hub and this process stand at the moment of asking.

What comes out of the hub is the same from every process over one database (its names begin with
``gateway_hub_``: take ``max``, never ``sum``), and read at most every ``FRESH`` seconds. The other
gauges, and all that ``meters`` counts, are a process's own.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric

from gateway import meters
from gateway.beside import Child
from gateway.errors import Unavailable
from gateway.messages.meaning import Outcome
from gateway.messages.understanding import Understanding
from gateway.store import Backlog, Disk, Hub, Standings

FRESH: Final = 5.0
"""Seconds for which what was read of the hub counts, however many ask."""

_PAGE: Final = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_WHOSE: Final = ("agency", "channel", "status")

Read = tuple[Standings, Disk | None]


class Vitals:
    """Reads the gauges; blocking, from any thread."""

    def __init__(self, hub: Hub, understanding: Understanding) -> None:
        self._hub = hub
        self._understanding = understanding
        self._lock = threading.Lock()
        self._read: Read | None = None
        self._at = -FRESH

    def collect(self) -> Iterator[Metric]:
        """All counters and gauges. Where the hub can't be read, ``gateway_hub_up`` is 0."""
        yield from meters.REGISTRY.collect()
        yield from self._own()
        read = self._standings()
        yield _gauge("gateway_hub_up", "Whether the hub can be read.", read is not None)
        if read is not None:
            yield from _of_hub(*read)

    def _own(self) -> Iterator[Metric]:
        yield _gauge(
            "gateway_writer_queue",
            "Units of work of this process that wait for a writer.",
            self._hub.waiting,
        )
        children = self._understanding.processes
        yield _gauge(
            "gateway_translators_ready",
            "Processes beside this one that have loaded their maps and live.",
            sum(child.ready for child in children),
        )
        yield _gauge(
            "gateway_translators_queue",
            "Messages that they haven't given back yet.",
            sum(child.waiting for child in children),
        )
        yield _gauge(
            "gateway_translators_resident_bytes",
            "What they hold in memory, pages that they share with others counted in.",
            _resident(children),
        )

    def _standings(self) -> Read | None:
        with self._lock:
            if time.monotonic() - self._at >= FRESH:
                self._read, self._at = self._asked(), time.monotonic()
            return self._read

    def _asked(self) -> Read | None:
        try:
            with self._hub.read() as reader:
                return reader.standings(), self._hub.disk()
        except Unavailable:
            return None


def _of_hub(found: Standings, disk: Disk | None) -> Iterator[Metric]:
    yield from _backlogs(found.backlogs)
    yield _gauge("gateway_hub_dead_letters", "Deliveries set aside (to 10000).", found.dead_letters)
    yield _gauge(
        "gateway_hub_messages_failed",
        "Kept messages that failed and weren't replayed with success (to 10000).",
        found.failed_messages,
    )
    yield _gauge(
        "gateway_hub_messages_unfinished",
        "Messages on disk of which nobody knows yet what they mean (to 10000).",
        found.unfinished_messages,
    )
    yield _gauge("gateway_hub_rows_aside", "Rows of files set aside (to 10000).", found.rows_aside)
    yield _labelled(
        "gateway_hub_tasks", "Tasks by status (each to 10000).", "status", found.tasks.items()
    )
    yield _labelled(
        "gateway_hub_referral_timers",
        "Referrals by what is due next: route, remind (to be answered yet), recall (overdue: "
        "reminded and still not answered). Of 10000 at most.",
        "step",
        found.timers.items(),
    )
    yield _gauge(
        "gateway_hub_timers_late_seconds",
        "How long ago the oldest timer was due that nobody has seen to.",
        found.overdue,
    )
    if disk is not None:
        named = (("file", disk.file), ("log", disk.log), ("free", disk.free))
        about = "The database file, its write-ahead log, and what is free beside them."
        yield _labelled("gateway_hub_disk_bytes", about, "of", named)


def _backlogs(found: Iterable[Backlog]) -> Iterator[Metric]:
    count = GaugeMetricFamily(
        "gateway_hub_subscribers", "Subscribers that aren't off.", labels=_WHOSE
    )
    waiting = GaugeMetricFamily(
        "gateway_hub_deliveries_waiting",
        "Deliveries from the oldest that isn't taken to the newest.",
        labels=_WHOSE,
    )
    oldest = GaugeMetricFamily(
        "gateway_hub_outbox_age_seconds",
        "Age of the oldest event that is queued and not delivered.",
        labels=_WHOSE,
    )
    unread = GaugeMetricFamily(
        "gateway_hub_unread_age_seconds",
        "Age of the oldest event that no drain has looked at for its subscriber.",
        labels=_WHOSE,
    )
    for each in found:
        whose = (each.agency, each.channel, each.status)
        count.add_metric(whose, each.subscribers)
        waiting.add_metric(whose, each.waiting)
        oldest.add_metric(whose, each.oldest)
        unread.add_metric(whose, each.unread)
    yield from (count, waiting, oldest, unread)


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(name, about, value=float(value))


def _labelled(name: str, about: str, label: str, values: Iterable[tuple[str, float]]) -> Metric:
    family = GaugeMetricFamily(name, about, labels=(label,))
    for said, value in values:
        family.add_metric((said,), value)
    return family


def _resident(children: Iterable[Child[Outcome]]) -> int:
    """Bytes, where the system tells (Linux); else 0."""
    total = 0
    for child in children:
        with contextlib.suppress(OSError, ValueError, IndexError):
            total += int(Path(f"/proc/{child.pid}/statm").read_text().split()[1]) * _PAGE
    return total
