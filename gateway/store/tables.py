"""The hub's tables. Times are UTC microseconds, JSON and messages are bytes as they came.

A version is its own event: its ``sequence`` orders the log that subscribers read. Search rows name
their resource by its integer key, and parameter and system by a 64-bit hash (``search.index``).
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    literal_column,
)

from gateway.store.dialects import BINARY, KEY, transaction_number

metadata: Final = MetaData()


def _must(name: str, kind: Any, *rest: Any, **more: Any) -> Column[Any]:
    return Column(name, kind, *rest, nullable=False, **more)


hub = Table(  # what the file says about itself: schema version, secret
    "hub",
    metadata,
    Column("name", Text, primary_key=True),
    _must("value", Text),
)

resource = Table(
    "resource",
    metadata,
    Column("key", KEY, primary_key=True),
    _must("type", BINARY),
    _must("id", BINARY),
    _must("version", Integer),
    _must("updated", BigInteger),
    _must("owner", Text),
    _must("deleted", Boolean),
    _must("kinds", Integer),  # a bit for each search table that holds rows of it
    _must("digest", LargeBinary),  # of the body without version and time
    Column("said", BigInteger),  # the time that the newest message about it bears
    UniqueConstraint("type", "id"),
)
Index("resource_updated", resource.c.type, resource.c.updated)
Index("resource_owner", resource.c.owner, resource.c.type)  # for who sees little, as is the next

version = Table(
    "version",
    metadata,
    Column("sequence", KEY, primary_key=True),
    _must("xid", BigInteger, server_default=transaction_number()),
    _must("resource", BigInteger, ForeignKey("resource.key")),
    _must("type", Text),
    _must("version", Integer),
    _must("interaction", Text),
    _must("at", BigInteger),
    _must("body", LargeBinary),
    UniqueConstraint("resource", "version"),
    sqlite_autoincrement=True,
)
Index("version_log", version.c.type, version.c.xid, version.c.sequence)

grants = Table(
    "grants",
    metadata,
    _must("resource", BigInteger, ForeignKey("resource.key")),
    _must("agency", Text),
    _must("because", Text),
    _must("since", Integer),  # the version from which on the history is seen
    Column("until", BigInteger),
    _must("rights", Text),
    Column("revoked", BigInteger),
    PrimaryKeyConstraint("resource", "agency", "because"),
    sqlite_with_rowid=False,
)
Index("grants_because", grants.c.because)
Index("grants_agency", grants.c.agency, grants.c.resource)


turn = Table(  # what writers that found nothing pass one after the other, on PostgreSQL
    "turn",
    metadata,
    Column("slot", Integer, primary_key=True, autoincrement=False),
    _must("taken", BigInteger),
)


def _rows(name: str, *columns: Column[Any], key: tuple[str, ...]) -> Table:
    """A search table: one tree to find by value, one to find a resource's own rows."""
    table = Table(
        name,
        metadata,
        _must("param", BigInteger),
        *columns,
        _must("resource", BigInteger),
        PrimaryKeyConstraint(*key),
        sqlite_with_rowid=False,
    )
    Index(f"{name}_resource", table.c.resource, table.c.param)
    return table


token = _rows(
    "token",
    _must("code", BINARY),
    _must("system", BigInteger),
    key=("param", "code", "resource", "system"),
)
string = _rows(
    "string",
    _must("value", BINARY),
    _must("exact", BigInteger),  # a hash: it is only ever compared for being equal
    key=("param", "value", "resource", "exact"),
)
reference = _rows(
    "reference",
    _must("target", BINARY),  # an id, or a URL
    _must("type", BINARY),
    # The target first: what a message makes points to few things, so it touches few pages.
    key=("target", "param", "resource", "type"),
)
date = _rows(
    "date",
    _must("low", BigInteger),
    _must("high", BigInteger),
    key=("param", "low", "high", "resource"),
)
number = _rows(
    "number",
    _must("low", Double),
    _must("high", Double),
    key=("param", "low", "high", "resource"),
)
quantity = _rows(
    "quantity",
    _must("low", Double),
    _must("high", Double),
    _must("system", BigInteger),
    _must("code", BINARY),
    _must("unit", BINARY),
    key=("param", "low", "high", "resource", "system", "code", "unit"),
)
uri = _rows("uri", _must("value", BINARY), key=("param", "value", "resource"))

late = Table(  # how far in the log the rows are made that wait for a search (``search.late``)
    "late",
    metadata,
    Column("name", Text, primary_key=True),
    _must("xid", BigInteger),
    _must("sequence", BigInteger),
)

message = Table(
    "message",
    metadata,
    Column("key", KEY, primary_key=True),
    _must("id", Text, unique=True),
    _must("agency", Text),
    _must("channel", Text),
    _must("kind", Text),
    _must("control_id", Text),
    _must("event", Text),
    _must("digest", LargeBinary),
    _must("received", BigInteger),
    _must("status", Text),
    _must("stage", Text),
    _must("place", Text),
    _must("reason", Text),
    _must("reused", Boolean),  # its control id came before with another body
    _must("acknowledgement", Text),
    _must("answer", LargeBinary),
    _must("raw", LargeBinary),
)
Index(
    "message_once",
    message.c.agency,
    message.c.control_id,
    message.c.digest,
    unique=True,
    sqlite_where=message.c.control_id != "",
    postgresql_where=message.c.control_id != "",
)

for _name, _status in (("message_received", "received"), ("message_failed", "failed")):
    _where = message.c.status == literal_column(f"'{_status}'")
    Index(_name, message.c.key, sqlite_where=_where, postgresql_where=_where)

sequence = Table(  # the number that a sender's next message must bear; -1: any
    "sequence",
    metadata,
    _must("agency", Text),
    _must("link", Text),
    _must("expected", BigInteger),
    PrimaryKeyConstraint("agency", "link"),
)

mended = Table(  # what somebody put in a kept message's place, to be tried; what came stays
    "mended",
    metadata,
    Column("sequence", KEY, primary_key=True),
    _must("message", Text),
    _must("at", BigInteger),
    _must("client", Text),
    _must("raw", LargeBinary),
    sqlite_autoincrement=True,
)
Index("mended_message", mended.c.message, mended.c.sequence)

lacking = Table(  # a code that an agency sends and its table lacks, and the Task that asks for it
    "lacking",
    metadata,
    Column("key", KEY, primary_key=True),
    _must("agency", Text),
    _must("name", Text),
    _must("code", Text),
    _must("task", Text),
    UniqueConstraint("agency", "name", "code"),
)

waiting = Table(  # the messages that hold it; outcome "" until they were tried without that lack
    "waiting",
    metadata,
    _must("lacking", BigInteger, ForeignKey("lacking.key")),
    _must("message", Text, ForeignKey("message.id")),
    _must("outcome", Text),
    PrimaryKeyConstraint("lacking", "message"),
    sqlite_with_rowid=False,
)
Index("waiting_message", waiting.c.message)

agency = Table(
    "agency",
    metadata,
    Column("id", Text, primary_key=True),
    _must("name", Text),
    _must("folder", Text),
    _must("added", BigInteger),
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", Text, primary_key=True),
    _must("hash", Text, unique=True),
    _must("agency", Text),
    _must("admin", Boolean),
    _must("scopes", Text),  # SMART v2 system scopes, blanks between
    _must("created", BigInteger),
)

audit = Table(
    "audit",
    metadata,
    Column("sequence", KEY, primary_key=True),
    _must("at", BigInteger),
    _must("agency", Text),
    _must("client", Text),
    _must("action", Text),
    _must("target", Text),
    _must("purpose", Text),
    _must("outcome", Text),
    sqlite_autoincrement=True,
)

subscriber = Table(
    "subscriber",
    metadata,
    Column("id", Text, primary_key=True),
    _must("agency", Text),
    _must("channel", Text),
    _must("endpoint", Text),
    _must("criteria", Text),
    _must("type", Text),
    _must("payload", Text),
    _must("headers", Text),
    _must("status", Text),
    _must("error", Text),
    _must("cursor_xid", BigInteger),
    _must("cursor_sequence", BigInteger),
    _must("next_number", BigInteger),
    _must("fence", BigInteger),
    Column("failing_since", BigInteger),
    Column("retry_at", BigInteger),
    _must("holder", Text),  # of its lease: the process that drains it, "" where none does
    _must("leased_until", BigInteger),
    _must("topic", Text),
    _must("content", Text),
    _must("heartbeat", BigInteger),  # seconds, as is the next
    _must("timeout", BigInteger),
    _must("most", BigInteger),
    Column("until", BigInteger),
    _must("told", BigInteger),  # when it was last sent anything, or began
)

delivery = Table(
    "delivery",
    metadata,
    Column("id", Text, primary_key=True),
    _must("subscriber", Text, ForeignKey("subscriber.id")),
    _must("number", BigInteger),
    _must("sequence", BigInteger, ForeignKey("version.sequence")),
    _must("attempts", Integer),
    Column("first_attempt", BigInteger),
    Column("settled", BigInteger),
    _must("outcome", Text),  # "" while it is pending; delivered, withheld, aside
    UniqueConstraint("subscriber", "number"),
)
Index("delivery_event", delivery.c.sequence)
for _name, _where in (
    ("delivery_pending", delivery.c.settled.is_(None)),
    ("delivery_aside", delivery.c.outcome == literal_column("'aside'")),
):
    Index(
        _name,
        delivery.c.subscriber,
        delivery.c.number,
        sqlite_where=_where,
        postgresql_where=_where,
    )
