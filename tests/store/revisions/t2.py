"""And the release after it, which takes away what the one before it needed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "t2"
down_revision = "t1"


def upgrade() -> None:
    op.drop_table("remark")


def downgrade() -> None:
    op.create_table("remark", sa.Column("key", sa.BigInteger(), primary_key=True))
