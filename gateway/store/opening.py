"""Opening a database: made where nothing is, brought forward where it is behind, or refused."""

from __future__ import annotations

import logging
import secrets
from typing import Any, Final

import sqlalchemy as sa

from gateway.store.dialects import next_number
from gateway.store.engine import Engine
from gateway.store.migrations import BEFORE, SHIPPED, Scheme, check_schema, stamp
from gateway.store.tables import hub, late, metadata, subscriber, version

Said = dict[str, str]
"""What the database says of itself: the rows of ``hub``, and the revision it is of."""

_LAST: Final = 1000
_log = logging.getLogger(__name__)
_HUB: Final = sa.select(hub.c.name, hub.c.value)
_REVISION: Final = sa.select(sa.literal("revision"), stamp.c.version_num)


def prepare(engine: Engine, scheme: Scheme = SHIPPED) -> bytes:
    """Have the tables as this program needs them; the secret of the pages.

    Raises ``SettingError`` for a database that isn't one of ours, or that a newer release changed
    so that this one can't serve it.
    """
    with engine.writes.connect() as connection, connection.begin():
        said = look(connection)
        for setting in engine.careless(connection):
            _log.warning("the server has %s off: a power cut may take what is told", setting)
    if said is None or "secret" not in said:
        said = _made(engine, scheme)
    check_schema(said.get("schema"))
    revision = said.get("revision")
    if revision is not None and revision not in scheme.ids:
        scheme.check(revision, said.get("serves", ""))
    elif scheme.at_start(revision):
        from gateway.store.migrations.run import forward

        forward(engine, scheme)
    elif revision != scheme.newest:
        _log.warning("a contraction waits for: gateway migrate")
    _stay(engine)
    return bytes.fromhex(said["secret"])


def look(connection: sa.Connection) -> Said | None:
    """What the database says of itself; None where there is no hub in it."""
    tables = sa.inspect(connection)
    if not tables.has_table(hub.name):
        return None
    asked = _HUB.union_all(_REVISION) if tables.has_table(stamp.name) else _HUB
    return {row.name: row.value for row in connection.execute(asked)}


def _made(engine: Engine, scheme: Scheme) -> Said:
    """Make the tables, of the newest revision, where another process hasn't meanwhile."""
    with engine.alone() as connection:
        said = look(connection)
        if said is None:
            metadata.create_all(connection)
            for statement in engine.words:
                connection.exec_driver_sql(statement)
            stamp.create(connection)
            connection.execute(stamp.insert().values(version_num=scheme.newest))
            said = {"revision": scheme.newest, "serves": scheme.serves(scheme.newest)}
            _say(connection, {"serves": said["serves"]})
        if "secret" not in said:
            new = {"schema": BEFORE, "secret": secrets.token_hex(32)}
            _say(connection, new)
            said |= new
    return said


def _say(connection: sa.Connection, new: Said) -> None:
    connection.execute(hub.delete().where(hub.c.name.in_(new)))
    rows = [{"name": name, "value": value} for name, value in new.items()]
    connection.execute(hub.insert(), rows)


def _stay(engine: Engine) -> None:
    """Where the tables were brought to another server, have the log go on there.

    Versions and cursors bear numbers of the server's transactions (``version.xid``), and another
    server counts from the beginning: what is written there would come before what is there, and
    nobody would ever be told of it.
    """
    with engine.writes.connect() as connection, connection.begin():
        if _is_at_home(connection):
            return
    with engine.alone() as connection:
        if not _is_at_home(connection):
            _renumber(connection)


def _is_at_home(connection: sa.Connection) -> bool:
    """Whether no number is still to come. The highest is among the last, or nearly so."""
    last = sa.select(version.c.xid).order_by(version.c.sequence.desc()).limit(_LAST).subquery()
    highest = (sa.func.max(each) for each in (last.c.xid, subscriber.c.cursor_xid, late.c.xid))
    asked = [sa.select(sa.func.coalesce(each, 0)).scalar_subquery() for each in highest]
    here, *found = map(int, connection.execute(sa.select(next_number(), *asked)).one())
    return max(found) < here


def _renumber(connection: sa.Connection) -> None:
    """Put every number before those that are to come, in the same order."""
    _log.warning("the tables came from another server: the log is numbered anew")
    numbers: tuple[sa.Column[Any], ...] = (version.c.xid, subscriber.c.cursor_xid, late.c.xid)
    highest = max(connection.scalar(sa.select(sa.func.max(each))) or 0 for each in numbers)
    back = highest - int(connection.scalar(sa.select(next_number())) or 0) + 1
    for each in numbers:
        connection.execute(sa.update(each.table).values({each.name: each - back}))
