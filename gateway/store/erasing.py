"""A person let go for good: what tells of them, found; and their records, taken out of every table.

What stays of a resource is its row and one last version without a body (R4 http, 3.1.0.7: 410), so
that its id can't become another's. A delivery that told of a version tells of that one: a
subscriber's numbers have no gaps. What is found is found in small steps, each a snapshot of its
own (``scanning``); what goes, goes by key.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert  # SQLite words ON CONFLICT the same way

from gateway.model import Reference, Resource
from gateway.store.asides import aside
from gateway.store.decisions import decision
from gateway.store.dialects import later_than
from gateway.store.heads import Heads, Known, parts
from gateway.store.leaving import Leaving
from gateway.store.link import Statement
from gateway.store.passages import passage
from gateway.store.referrals import hop, pursuit, timer, unmet
from gateway.store.resources import RESOURCE, VERSION, Writing
from gateway.store.rows import row, row_by
from gateway.store.search import index, words
from gateway.store.session import microseconds
from gateway.store.tables import (
    delivery,
    grants,
    hub,
    mended,
    message,
    reference,
    resource,
    subscriber,
    uri,
    version,
    waiting,
)
from gateway.store.waiting import waiting_row

MARK: Final = "erase:"
"""What a begun erasure's row in ``hub`` is called by, before the Patient's reference."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """One that was begun: of which Patient, by whom, and when (UTC microseconds)."""

    patient: Reference
    agency: str
    client: str
    admin: bool
    at: int


_KEY: Final = sa.bindparam("key", type_=sa.BigInteger())
_ID: Final = sa.bindparam("id", type_=sa.Text())
_NUMBER: Final = sa.bindparam("number", type_=sa.Integer())

_BEGUN: Final = Statement(
    sa.select(hub.c.value).where(hub.c.name.like(sa.literal_column(f"'{MARK}%'")))
)
_ABOUT: Final = Statement(
    sa.select(resource.c.type, resource.c.id, resource.c.owner)
    .distinct()
    .where(
        reference.c.resource == resource.c.key,
        reference.c.target == sa.bindparam("target"),
        reference.c.type == sa.bindparam("of"),
        sa.not_(resource.c.deleted),
    )
    .order_by(resource.c.type, resource.c.id)
)
_BODIES: Final = Statement(
    sa.select(version.c.body)
    .join(resource, resource.c.key == version.c.resource)
    .where(resource.c.type == sa.bindparam("type"), resource.c.id == _ID)
    .order_by(version.c.version)
)
_LINKED_BY: Final = Statement(
    sa.select(resource.c.type, resource.c.id)
    .join(uri, uri.c.resource == resource.c.key)
    .where(
        uri.c.param == sa.bindparam("param", index.param_key("DocumentReference", "location")),
        uri.c.value == sa.bindparam("url"),
    )
)
_OF: Final = version.c.resource == _KEY
_HEARD: Final = sa.and_(
    subscriber.c.status == "active",
    subscriber.c.failing_since.is_(None),
    subscriber.c.channel != "websocket",
)
_UNHEARD: Final = Statement(
    sa.select(subscriber.c.id)
    .where(
        _HEARD,
        sa.or_(
            sa.exists().where(
                _OF,
                version.c.type == subscriber.c.type,
                later_than(
                    version.c.xid,
                    version.c.sequence,
                    subscriber.c.cursor_xid,
                    subscriber.c.cursor_sequence,
                ),
            ),
            sa.exists().where(
                _OF,
                delivery.c.sequence == version.c.sequence,
                delivery.c.subscriber == subscriber.c.id,
                delivery.c.settled.is_(None),
            ),
        ),
    )
    .limit(1)
)

_NOTE: Final = Statement(
    insert(hub)
    .values(name=sa.bindparam("name"), value=sa.bindparam("value"))
    .on_conflict_do_update(index_elements=[hub.c.name], set_={"value": sa.bindparam("value")})
)
_FORGET: Final = Statement(hub.delete().where(hub.c.name == sa.bindparam("name")))
_ROWS: Final = tuple(
    Statement(table.delete().where(table.c.resource == _KEY)) for table in index.TABLES
)
_GRANTS: Final = Statement(
    grants.delete().where(
        sa.or_(grants.c.resource == _KEY, grants.c.because == sa.bindparam("reason"))
    )
)
_PASSED: Final = Statement(
    passage.delete().where(passage.c.type == sa.bindparam("type"), passage.c.id == _ID)
)
_GOES: Final = sa.and_(version.c.resource == _KEY, version.c.version == _NUMBER)
_heir: Final = version.alias("heir")
_MOVE: Final = Statement(
    delivery.update()
    .where(delivery.c.sequence.in_(sa.select(version.c.sequence).where(_GOES)))
    .values(
        sequence=sa.select(_heir.c.sequence)
        .where(_heir.c.resource == _KEY, _heir.c.version == sa.bindparam("heir"))
        .scalar_subquery()
    )
)
_VERSION: Final = Statement(version.delete().where(_GOES))
_NUMBERS: Final = Statement(sa.select(version.c.version).where(_OF).order_by(version.c.version))
_TASK: Final = (
    Statement(pursuit.delete().where(pursuit.c.task == _ID)),
    Statement(hop.delete().where(hop.c.task == _ID)),
    Statement(hop.delete().where(hop.c.parent == _ID)),
    Statement(timer.delete().where(timer.c.task == _ID)),
    Statement(unmet.update().where(unmet.c.task == _ID).values(area="")),
)
_REQUEST: Final = (Statement(decision.delete().where(decision.c.request == _ID)),)
_BESIDE: Final = {"Task": _TASK, "ServiceRequest": _REQUEST}
"""What else the hub holds of a resource of the type, by its id. The ledger counts on, nowhere."""

_FATE: Final = Statement(
    sa.select(message.c.agency).where(
        message.c.id == _ID, message.c.status != sa.literal_column("'received'")
    )
)
_MESSAGE: Final = (
    Statement(waiting.delete().where(waiting.c.message == _ID)),
    Statement(mended.delete().where(mended.c.message == _ID)),
    Statement(message.delete().where(message.c.id == _ID)),
)
_SHEET: Final = sa.bindparam("of", type_=sa.BigInteger())
_ROW: Final = (
    Statement(waiting_row.delete().where(waiting_row.c.sheet == _SHEET, waiting_row.c.id == _ID)),
    Statement(row.delete().where(row.c.sheet == _SHEET, row.c.id == _ID)),
)
_ROW_BY: Final = Statement(
    row_by.delete().where(
        row_by.c.sheet == _SHEET,
        row_by.c.name == sa.bindparam("name"),
        row_by.c.value == sa.bindparam("value"),
        row_by.c.id == _ID,
    )
)
_ASIDE: Final = Statement(aside.delete().where(aside.c.key == _KEY))


class Told(Heads):
    """Reading what tells of a person."""

    def whose(self, target: Reference) -> str | None:
        """Whose a resource is, or was; None where there never was one."""
        head = self._head(target)
        return None if head is None else head.owner

    def says(self, target: Reference) -> Resource:
        """What a resource says now, whosesoever it is; empty where it isn't there."""
        known = self._known(target)
        return {} if known is None or known.head.deleted else known.read()

    def erasures(self) -> list[Erasure]:
        """Those that were begun and aren't done."""
        return [Erasure(**json.loads(value)) for (value,) in self.link.all(_BEGUN, {})]

    def about(self, target: Reference) -> list[tuple[Reference, str]]:
        """What refers to ``target``, as far as search parameters tell: each with its owner."""
        type_, id_ = parts(target)
        rows = self.link.all(_ABOUT, {"target": index.equal_text(id_), "of": type_})
        return [(f"{row[0]}/{row[1]}", row[2]) for row in rows]

    def bodies(self, target: Reference) -> list[bytes]:
        """All that a resource ever was, the oldest first; b"" for a deletion."""
        type_, id_ = parts(target)
        return [bytes(row[0]) for row in self.link.all(_BODIES, {"type": type_, "id": id_})]

    def documents_of(self, url: str) -> list[Reference]:
        """The DocumentReferences whose content lies there."""
        rows = self.link.all(_LINKED_BY, {"url": index.equal_text(url)})
        return [f"{row[0]}/{row[1]}" for row in rows]


class Erasing(Leaving, Writing, Told):
    """Taking it out. Each call may be repeated."""

    def begin_erasure(self, one: Erasure) -> None:
        """From now on it is owed, whatever crashes."""
        self.link.run(_NOTE, {"name": MARK + one.patient, "value": json.dumps(asdict(one))})

    def end_erasure(self, patient: Reference) -> None:
        """It is done."""
        self.link.run(_FORGET, {"name": MARK + patient})

    def is_untold(self, target: Reference) -> bool:
        """Whether a subscriber that can be reached hasn't heard yet how a resource stands.

        Sockets aside: while nobody is bound, events wait, perhaps for ever.
        """
        head = self._head(target)
        return head is not None and self.link.one(_UNHEARD, {"key": head.key}) is not None

    def erase(self, target: Reference) -> bool:
        """All versions of a resource go but a last one without a body; whether anything was left.

        Search rows, rights to it, rights because of it, and what is beside it go with it.
        """
        known = self._known(target)
        if known is None:
            return False
        type_, id_ = parts(target)
        values = {"key": known.head.key, "type": type_, "id": id_, "reason": target}
        self._bare(values)
        if not known.head.deleted:
            self._end(type_, id_, known)
        numbers = [each for (each,) in self.link.all(_NUMBERS, values)]
        self._drop(known.head.key, numbers[:-1], numbers[-1])
        return len(numbers) > 1

    def erase_versions(self, target: Reference, numbers: Iterable[int]) -> None:
        """Some versions of a resource that goes on; the current one stays."""
        head = self._head(target)
        if head is not None:
            self._drop(head.key, [each for each in numbers if each != head.version], head.version)

    def erase_messages(self, agencies: Collection[str], ids: Iterable[str]) -> int:
        """Messages of these agencies, what was put in their place and what they waited for.

        Those that are still to be understood stay. How many went.
        """
        gone = 0
        for id_ in ids:
            fate = self.link.one(_FATE, {"id": id_})
            if fate is not None and fate[0] in agencies:
                for each in _MESSAGE:
                    self.link.run(each, {"id": id_})
                gone += 1
        return gone

    def erase_rows(
        self, sheet: int, ids: Iterable[str], by: Iterable[tuple[str, str, str]]
    ) -> None:
        """Kept rows of a file, what they waited for, and (column, text, id) they are found by."""
        for name, value, id_ in by:
            self.link.run(_ROW_BY, {"of": sheet, "name": name, "value": value, "id": id_})
        for id_ in ids:
            for each in _ROW:
                self.link.run(each, {"of": sheet, "id": id_})

    def erase_asides(self, keys: Iterable[int]) -> None:
        """Rows that were set aside."""
        for key in keys:
            self.link.run(_ASIDE, {"key": key})

    def settle_words(self, *, first: bool) -> bool:
        """Have the full text forget the words of what was erased; whether more is to be done."""
        self.link.flush()
        return self.link.engine.settle_words(self.link.connection, first=first)

    def _bare(self, values: dict[str, object]) -> None:
        """Nothing is found by it, nobody has a right to it, nothing is beside it."""
        self.flush()
        for each in (*_ROWS, _GRANTS, _PASSED, *_BESIDE.get(str(values["type"]), ())):
            self.link.run(each, values)
        key = int(str(values["key"]))
        self.link.run(words.DELETE, {"whole": 2 * key, "part": 2 * key + 1})

    def _end(self, type_: str, id_: str, was: Known) -> None:
        head = was.head
        later = max(self.clock(), head.updated + 1)
        gone = head._replace(
            version=head.version + 1, updated=later, deleted=True, kinds=0, digest=b"", said=None
        )
        key, number, updated, *rest = gone
        self.link.later(RESOURCE, [(key, type_, id_, number, updated, *rest)])
        self.link.later(VERSION, [(key, type_, number, "delete", updated, b"")])
        self.link.known[f"{type_}/{id_}"] = Known(gone, b"", fresh=True)
        self.touched.add(type_)

    def _drop(self, key: int, numbers: Sequence[int], heir: int) -> None:
        for number in numbers:
            values = {"key": key, "number": number, "heir": heir}
            self.link.run(_MOVE, values)
            self.link.run(_VERSION, values)


def began(patient: Reference, agency: str, client: str, *, admin: bool, at: datetime) -> Erasure:
    """An erasure that begins."""
    return Erasure(patient, agency, client, admin, microseconds(at))
