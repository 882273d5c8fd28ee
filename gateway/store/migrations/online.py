"""Steps that leave others at work on the table (PostgreSQL), for use in revisions."""

from __future__ import annotations

from alembic import op

from gateway.store.engine import PATIENCE


def make_index(name: str, on: str, *, where: str = "", unique: bool = False) -> None:
    """An index; ``on`` is its table and columns: "message (key)".

    On PostgreSQL it is built beside the writers, in no transaction; what an attempt that was cut
    off left goes first. It waits for transactions, and nobody waits for it: the limit on waiting
    for locks would end it for nothing. On SQLite writers wait meanwhile.
    """
    kind = "UNIQUE INDEX" if unique else "INDEX"
    rest = f"{name} ON {on}" + (f" WHERE {where}" if where else "")
    if op.get_context().dialect.name == "sqlite":
        op.execute(f"CREATE {kind} IF NOT EXISTS {rest}")
    else:
        _beside(f"DROP INDEX CONCURRENTLY IF EXISTS {name}", f"CREATE {kind} CONCURRENTLY {rest}")


def drop_index(name: str) -> None:
    """The same way back."""
    if op.get_context().dialect.name == "sqlite":
        op.execute(f"DROP INDEX IF EXISTS {name}")
    else:
        _beside(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")


def _beside(*statements: str) -> None:
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        for statement in statements:
            op.execute(statement)
        op.execute(f"SET lock_timeout = {PATIENCE}")
