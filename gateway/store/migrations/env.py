"""What Alembic runs: the revisions, on the connection that ``run`` gives it, or as SQL text.

Not to be imported: Alembic runs this file by its path.
"""

from __future__ import annotations

from typing import Any

from alembic import context

from gateway.store.migrations import Scheme
from gateway.store.tables import metadata

given = context.config.attributes
scheme: Scheme = given["scheme"]


def applied(ctx: Any, step: Any, heads: Any, run_args: Any) -> None:
    """After a step: which is the oldest revision whose programs may use what it left."""
    (revision,) = heads
    ctx.execute("DELETE FROM hub WHERE name = 'serves'")
    ctx.execute(f"INSERT INTO hub (name, value) VALUES ('serves', '{scheme.serves(revision)}')")


where = (
    {"dialect_name": given["dialect"], "literal_binds": True}
    if context.is_offline_mode()
    else {"connection": given["connection"]}
)
context.configure(
    **where,
    target_metadata=metadata,
    on_version_apply=applied,
    # On PostgreSQL each step is a transaction; on SQLite the connection is in one for all of them.
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
