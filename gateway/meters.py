"""What a process counts of itself, for Prometheus. No record's value is ever a label.

As with loggers, what is counted is the process's own and not one object's: stages count where they
stand, and only ``/metrics`` reads (``gateway.api.metrics``, with ``gateway.vitals`` for what the
hub itself shows). Labels come from lists of ours (doors, codes, stages, routes, channels), and
agencies from the members; what a sender may choose is bounded here. Per message all of it costs
some 5 microseconds.
"""

from __future__ import annotations

import re
from collections import Counter as Tally
from collections.abc import Iterable
from functools import cache, lru_cache
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

disable_created_metrics()  # type: ignore[no-untyped-call]  # a series beside each counter, of which nobody asks anything

REGISTRY: Final = CollectorRegistry()
"""Of this process alone; prometheus-client's global one stays empty."""

AGENCIES: Final = 1000
"""So many agencies have series of their own: a certificate may name what is no member."""

OTHER: Final = "other"

SECONDS: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip
_AGES: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0, 3600.0, 86400.0)
_UNITS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)

_NAMES: Final = (
    "ACC AIG AIL AIP AIS AL1 APR ARV AUT BHS BTS CTD CTI DB1 DG1 DRG EVN FHS FT1 FTS GOL GT1 IAM "
    "IN1 IN2 IN3 IPC MRG MSA MSH NK1 NTE OBR OBX ODS ODT ORC PD1 PID PR1 PRB PRD PRT PTH PV1 PV2 "
    "QAK QPD RF1 RGS ROL RXA RXC RXD RXE RXG RXO RXR SAC SCH SFT SPM TQ1 TQ2 TXA UAC VAR"
)
SEGMENTS: Final = frozenset(_NAMES.split())
"""HL7 v2 segments that a refusal may be told by; others, among them a sender's own, are OTHER."""

_SEGMENT: Final = re.compile(r"[A-Z][A-Z0-9]{2}(?=[-\[]|\Z)")

# The difference of these two is what must never be above 0. They are read in this order, so that
# what is acknowledged between the two readings can't look like what was acknowledged too early.
ACKNOWLEDGED: Final = Counter(
    "gateway_writes_acknowledged",
    "Units of work (messages, FHIR interactions, batches of rows) whose caller was told that they "
    "are on disk.",
    registry=REGISTRY,
)
STORED: Final = Counter(
    "gateway_writes_stored",
    "The same units of work, counted where their transaction is on disk.",
    registry=REGISTRY,
)

RECEIVED: Final = Counter(
    "gateway_messages_received",
    "HL7 v2 messages and batches that came in whole, by door (mllp, http).",
    ["door"],
    registry=REGISTRY,
)
MESSAGES: Final = Counter(
    "gateway_messages",
    "HL7 v2 messages by sending agency, channel and what became of them: AA, AE, AR; lost where "
    "the hub could not even keep one.",
    ["agency", "channel", "code"],
    registry=REGISTRY,
)
ACK_SECONDS: Final = Histogram(
    "gateway_ack_seconds",
    "From a whole message to its acknowledgement on the way back, by door and code.",
    ["door", "code"],
    buckets=SECONDS,
    registry=REGISTRY,
)
REFUSALS: Final = Counter(
    "gateway_refusals",
    "What was refused or failed, by stage of its journey and, of HL7 v2, by segment.",
    ["stage", "segment"],
    registry=REGISTRY,
)
CONNECTIONS: Final = Gauge(
    "gateway_mllp_connections", "Open MLLP connections of this process.", registry=REGISTRY
)

GROUP_UNITS: Final = Histogram(
    "gateway_commit_units",
    "Units of work that one transaction committed together.",
    buckets=_UNITS,
    registry=REGISTRY,
)
COMMIT_SECONDS: Final = Histogram(
    "gateway_commit_seconds",
    "From the first unit of a transaction to its being on disk.",
    buckets=SECONDS,
    registry=REGISTRY,
)
SYNC_SECONDS: Final = Histogram(
    "gateway_sync_seconds",
    "How long the disk took to sync the write-ahead log (SQLite).",
    buckets=SECONDS,
    registry=REGISTRY,
)
COMMIT_FAILURES: Final = Counter(
    "gateway_commit_failures",
    "Units of work that the database could not take: disk full or failing, locked, server gone.",
    registry=REGISTRY,
)
COMMIT_RETRIES: Final = Counter(
    "gateway_commit_retries",
    "Transactions on PostgreSQL that met another or lost their connection, and were run again.",
    registry=REGISTRY,
)

REQUESTS: Final = Counter(
    "gateway_http_requests",
    "HTTP requests by route template, method and status.",
    ["route", "method", "status"],
    registry=REGISTRY,
)
REQUEST_SECONDS: Final = Histogram(
    "gateway_http_request_seconds",
    "From a request's headers to the beginning of its answer, by route template.",
    ["route", "method"],
    buckets=SECONDS,
    registry=REGISTRY,
)

ATTEMPTS: Final = Counter(
    "gateway_delivery_attempts",
    "Deliveries attempted by channel and outcome: delivered, withheld (the right had ended), "
    "failed (tried again), aside (a dead letter), ended (its subscription is in error).",
    ["channel", "outcome"],
    registry=REGISTRY,
)
DELIVERY_SECONDS: Final = Histogram(
    "gateway_delivery_seconds",
    "From an event to its receiver having it, by channel.",
    ["channel"],
    buckets=_AGES,
    registry=REGISTRY,
)
ROWS: Final = Counter(
    "gateway_rows",
    "Rows of files by what became of them: new, changed, unchanged, older, deleted, aside.",
    ["fate"],
    registry=REGISTRY,
)
CHILDREN_LOST: Final = Counter(
    "gateway_translators_lost",
    "Processes beside the writer that died and were replaced.",
    registry=REGISTRY,
)
WORK_FAILURES: Final = Counter(
    "gateway_work_failures",
    "Background work that ended by a fault; the reconciler comes back to it.",
    registry=REGISTRY,
)

ProcessCollector(registry=REGISTRY)

received = cache(RECEIVED.labels)
attempted = cache(ATTEMPTS.labels)
delivered_after = cache(DELIVERY_SECONDS.labels)
answered_after = cache(ACK_SECONDS.labels)
requested = cache(REQUESTS.labels)
requested_for = cache(REQUEST_SECONDS.labels)
"""Each gives the series of its labels; looking one up anew costs as much as counting."""

_senders: Final[set[str]] = set()


@lru_cache(4096)
def message(agency: str, channel: str, code: str) -> Counter:
    """The series of what became of an agency's messages ("" is nobody's)."""
    return MESSAGES.labels(_bounded(agency) or "nobody", channel, code)


def refused(stage: str, place: str | None) -> None:
    """Count a refusal by its stage and, where its place is in a segment, by that."""
    found = _SEGMENT.match(place or "")
    segment = "" if found is None else found[0] if found[0] in SEGMENTS else OTHER
    REFUSALS.labels(stage, segment).inc()


def rows(fates: Iterable[str]) -> None:
    """Count what became of rows."""
    for fate, count in Tally(fates).items():
        ROWS.labels(fate).inc(count)


def _bounded(agency: str) -> str:
    if agency not in _senders:
        if len(_senders) >= AGENCIES:
            return OTHER
        _senders.add(agency)
    return agency
