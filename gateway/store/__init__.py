"""The hub: versions, search, grants, messages and events in one transaction (DESIGN §2, §7, §8).

``open_hub(url)`` gives a ``Hub``: ``submit`` and ``write`` run units of work, ``read`` gives a
snapshot. Every call that touches resources takes a ``Context`` first, and the one predicate in
``grants.visible`` stands in each of their statements.

    engine      SQLite and PostgreSQL: the one place where they differ
    link        one connection, its statements and how its errors are told
    commit      units of work into transactions: group commit, or each its own
    tables      the tables
    session     what the parts of a transaction share
    grants      who may see what
    resources   read, vread, put, delete
    past        what was, page by page
    leaving     what stands in the way of a deletion
    search      criteria to SQL, pages, totals
    messages    what arrived, and its answer (sequences: in which order)
    mended      failed ones tried again, and what was put in their place
    lacking     codes that tables lack, and the messages that wait for them
    outbox      from versions to numbered deliveries (subscribers: who is told)
    keys audit  who may call; who did what
    hub         all of it together
"""

from __future__ import annotations

from gateway.store.audit import Audited
from gateway.store.hub import Hub, Reader, Transaction, open_hub
from gateway.store.keys import Key, Member
from gateway.store.lacking import Lacking
from gateway.store.mended import Mended
from gateway.store.messages import Kept
from gateway.store.page import Page
from gateway.store.prepared import Prepared, packed, prepare, unpacked
from gateway.store.resources import SHARED, Written
from gateway.store.subscribers import Standing

__all__ = [
    "SHARED",
    "Audited",
    "Hub",
    "Kept",
    "Key",
    "Lacking",
    "Member",
    "Mended",
    "Page",
    "Prepared",
    "Reader",
    "Standing",
    "Transaction",
    "Written",
    "open_hub",
    "packed",
    "prepare",
    "unpacked",
]
