"""Rows that waited for a code which their table has by now: which are to be taken again, and in
what order.

A kept row says all of what its map knows. So where a later row of its file made one of the same
resources (the visits of one person), that one is made again after it: newer stays newer.
"""

from __future__ import annotations

from collections.abc import Iterator

from gateway.model import Context, Reference
from gateway.store import Aside, Hub


def kept(hub: Hub, lack: int, sheet: int) -> Iterator[str]:
    """The ids of the kept rows of a file that are to be made again, in the order they came in."""
    after, touched = 0, set[Reference]()
    while True:
        with hub.read() as reader:
            found = reader.rows_came(lack, sheet, after)
        if not found:
            return
        for one in found:
            if one.waits or not touched.isdisjoint(one.made):
                touched.update(one.made)
                yield one.id
        after = found[-1].key


def aside(hub: Hub, context: Context, lack: int, sheet: int) -> Iterator[Aside]:
    """The rows of a file that are set aside and wait."""
    after = 0
    while True:
        with hub.read() as reader:
            found = reader.waiting_asides(lack, sheet, after)
            rows = [reader.row_aside(context, id_) for _, id_ in found]
        yield from rows
        if not found:
            return
        after = found[-1][0]
