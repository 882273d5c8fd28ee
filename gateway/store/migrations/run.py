"""Moving a database from revision to revision, while others may be using it.

One process at a time does it (``Engine.migrating``). A step that can't have its lock at once lets
the traffic pass and is tried again: on PostgreSQL whoever waits for a table holds up all who come
after.
"""

from __future__ import annotations

import io
import logging
import random
import time
from collections.abc import Callable
from typing import Final

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from gateway.errors import SettingError, Unavailable
from gateway.store.engine import Engine
from gateway.store.migrations import SHIPPED, Scheme, check_schema, known
from gateway.store.opening import Said, look

LONGEST: Final = 60.0
"""Seconds after which a database counts as too busy to migrate."""

_log = logging.getLogger(__name__)

Moved = tuple[str | None, str | None]
"""From which revision to which; None: from before the first."""


def forward(engine: Engine, scheme: Scheme = SHIPPED) -> Moved:
    """Bring a database as far as a start does, unless another process was first."""

    def target(revision: str | None) -> str | None:
        ours = revision is None or revision in scheme.ids
        return scheme.at_start(revision) if ours else None

    return _patiently(engine, target, scheme)


def move(engine: Engine, to: str = "head", scheme: Scheme = SHIPPED) -> Moved:
    """Bring a database to a revision, forward or back.

    Raises ``SettingError`` where there is no such revision or database, or the database is of a
    newer release; ``Unavailable`` where it is too busy.
    """
    return _patiently(engine, lambda _: known(scheme, to), scheme)


def sql(engine: Engine, to: str = "head", scheme: Scheme = SHIPPED) -> str:
    """What ``move`` would do, as SQL; of an empty database, what makes the tables."""
    said = _said(engine)
    revision = None if said is None else said.get("revision")
    written = io.StringIO()
    settings = _config(scheme, written)
    settings.attributes["dialect"] = engine.writes.dialect.name
    _step(settings, scheme, revision, known(scheme, to), as_sql=True)
    return written.getvalue()


def _patiently(engine: Engine, target: Callable[[str | None], str | None], scheme: Scheme) -> Moved:
    patience = time.monotonic() + LONGEST
    while time.monotonic() < patience:
        try:
            with engine.migrating() as connection:
                return _moved(connection, _said(engine), target, scheme)
        except (sa.exc.DBAPIError, engine.error) as error:
            if not engine.locked(error.orig if isinstance(error, sa.exc.DBAPIError) else error):
                raise
            _log.info("a migration waits for a lock")
            time.sleep(random.uniform(0.1, 1.0))
    raise Unavailable("the database is too busy to migrate", place="GATEWAY_DATABASE_URL")


def _said(engine: Engine) -> Said | None:
    """By a connection of its own: the one that migrates may not be in a transaction yet."""
    with engine.reads.connect() as connection, connection.begin():
        return look(connection)


def _moved(
    connection: sa.Connection,
    said: Said | None,
    target: Callable[[str | None], str | None],
    scheme: Scheme,
) -> Moved:
    if said is None:
        raise SettingError("there is no hub yet: a start makes it", place="GATEWAY_DATABASE_URL")
    check_schema(said.get("schema"))
    revision = said.get("revision")
    to = target(revision)
    if to is None or to == revision:
        return revision, revision
    if revision is not None and revision not in scheme.ids:
        raise SettingError(
            f"a newer release made the database (revision {revision}): that one moves it",
            place="GATEWAY_DATABASE_URL",
        )
    settings = _config(scheme)
    settings.attributes["connection"] = connection
    _step(settings, scheme, revision, to, as_sql=False)
    _log.info("the database went from revision %s to %s", revision, to)
    return revision, to


def _step(settings: Config, scheme: Scheme, revision: str | None, to: str, *, as_sql: bool) -> None:
    order = scheme.ids
    back = revision is not None and order.index(to) < order.index(revision)
    way = command.downgrade if back else command.upgrade
    span = f"{revision or 'base'}:{to}" if as_sql else to
    if not (as_sql and revision == to):
        way(settings, span, sql=as_sql)


def _config(scheme: Scheme, written: io.StringIO | None = None) -> Config:
    """Alembic's settings, without its file. A percent sign is its own there."""
    settings = Config(output_buffer=written)
    here, *_ = SHIPPED.folders
    for name, value in (
        ("script_location", str(here.parent)),
        ("path_separator", "newline"),
        ("version_locations", "\n".join(map(str, scheme.folders))),
    ):
        settings.set_main_option(name, value.replace("%", "%%"))
    settings.attributes["scheme"] = scheme
    return settings
