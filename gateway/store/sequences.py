"""Which sequence number is expected of a sender next (HL7 v2.8.2 §2.10.1), by agency and link."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert  # SQLite words ON CONFLICT the same way

from gateway.store.link import Statement
from gateway.store.search.index import clean
from gateway.store.session import Session
from gateway.store.tables import sequence

_EXPECTED: Final = Statement(
    sa.select(sequence.c.expected).where(
        sequence.c.agency == sa.bindparam("agency"), sequence.c.link == sa.bindparam("link")
    ),
    apart=True,
)
_NEW: Final = insert(sequence).values({c: sa.bindparam(c.name) for c in sequence.columns})
_EXPECT: Final = Statement(
    _NEW.on_conflict_do_update(
        index_elements=list(sequence.primary_key), set_={"expected": _NEW.excluded.expected}
    ),
    apart=True,
)


class Sequences(Session):
    """Reads and writes what is expected. Two units of one link don't both get their number."""

    def expected(self, agency: str, link: str) -> int | None:
        """The next number, -1 for any; None where the link was never started."""
        row = self.link.one(_EXPECTED, {"agency": agency, "link": clean(link)})
        return None if row is None else int(row[0])

    def expect(self, agency: str, link: str, number: int) -> None:
        """From this unit's commit on, ``number`` is the next; -1: any."""
        values = {"agency": agency, "link": clean(link), "expected": number}
        self.link.run(_EXPECT, values)
