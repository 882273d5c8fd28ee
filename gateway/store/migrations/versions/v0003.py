"""Processes that share a hub say that they live, and what one of them does alone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Two small tables that programs before it don't look into."""
    op.create_table(
        "worker",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("seen", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "duty",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("holder", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """They hold nothing that outlives a process."""
    op.drop_table("duty")
    op.drop_table("worker")
