"""The hub: versions, search, grants, messages and events in one transaction (DESIGN §2, §7, §8).

``open_hub(url)`` gives a ``Hub``: ``submit`` and ``write`` run units of work, ``read`` gives a
snapshot. Every call that touches resources takes a ``Context`` first, and the one predicate in
``grants.visible`` stands in each of their statements.

    engine      SQLite and PostgreSQL: the one place where they differ (dialects: in words)
    opening     a database made, brought forward or refused (migrations: how; its README: the rules)
    link        one connection, its statements and how its errors are told
    commit      units of work into transactions: group commit (shared: PostgreSQL's; units: both's)
    connecting  what a connection to PostgreSQL is set to (fate: what became of a COMMIT cut off)
    columns     many rows in one statement of PostgreSQL
    tables      the tables
    session     what the parts of a transaction share
    grants      who may see what
    resources   read, vread, put, delete
    past        what was, page by page
    leaving     what stands in the way of a deletion
    search      criteria to SQL, pages, totals
    messages    what arrived, and its answer (sequences: in which order)
    mended      failed ones tried again, and what was put in their place
    lacking     codes that tables lack, and the messages that wait for them (waiting: the rows)
    rows        rows of CSV and JSON as they came (asides: those that couldn't go in)
    referrals   who was asked, what is due, what need goes unmet
    decisions   why a referral went where it went
    outbox      from versions to numbered deliveries (subscribers: who is told)
    attempts    those that failed, were withheld or set aside (deliveries: how each stands)
    leases      one drain of a subscriber at a time, over processes
    workers     which processes live, and what one of them does alone (bell: word between them)
    links       signed links that have acted; passages: hubs that a version came through
    sought      messages found by what they are
    keys audit  who may call; who did what
    purging     what is old enough to go
    erasing     a person let go for good (scanning: what names them, by bytes)
    backup      a copy of a running SQLite hub, and a hub out of a copy
    vitals      how the hub stands, in numbers
    hub         all of it together
"""

from __future__ import annotations

from gateway.store.asides import Aside, Load
from gateway.store.audit import Audited
from gateway.store.decisions import Decided
from gateway.store.hub import Hub, Reader, Transaction, open_hub
from gateway.store.keys import Key, Listed, Member
from gateway.store.lacking import Lacking
from gateway.store.mended import Mended
from gateway.store.messages import Kept
from gateway.store.page import Page
from gateway.store.prepared import Packed, Prepared, packed, prepare, unpacked
from gateway.store.readying import Ready, readied, ready
from gateway.store.referrals import DUE, LIVE, Hop, Pursuit, Timer, Unmet
from gateway.store.resources import SHARED, Written
from gateway.store.rows import Header, KeptRow, NewRow, RowHead
from gateway.store.subscribers import Standing
from gateway.store.vitals import Backlog, Disk, Standings
from gateway.store.waiting import Waiting

__all__ = [
    "DUE",
    "LIVE",
    "SHARED",
    "Aside",
    "Audited",
    "Backlog",
    "Decided",
    "Disk",
    "Header",
    "Hop",
    "Hub",
    "Kept",
    "KeptRow",
    "Key",
    "Lacking",
    "Listed",
    "Load",
    "Member",
    "Mended",
    "NewRow",
    "Packed",
    "Page",
    "Prepared",
    "Pursuit",
    "Reader",
    "Ready",
    "RowHead",
    "Standing",
    "Standings",
    "Timer",
    "Transaction",
    "Unmet",
    "Waiting",
    "Written",
    "open_hub",
    "packed",
    "prepare",
    "readied",
    "ready",
    "unpacked",
]
