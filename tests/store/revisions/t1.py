"""A release to come, as tests imagine it: a column, a table and an index more."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.store.migrations import SHIPPED
from gateway.store.migrations.online import drop_index, make_index

revision = "t1"
down_revision = SHIPPED.newest


def upgrade() -> None:
    op.add_column("resource", sa.Column("hint", sa.Text()))
    op.create_table("remark", sa.Column("key", sa.BigInteger(), primary_key=True))
    make_index("resource_hint", "resource (hint)", where="hint IS NOT NULL")


def downgrade() -> None:
    drop_index("resource_hint")
    op.drop_table("remark")
    op.drop_column("resource", "hint")
