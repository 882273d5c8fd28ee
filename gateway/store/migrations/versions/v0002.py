"""Messages that failed are listed and replayed without reading all that were accepted."""

from __future__ import annotations

from gateway.store.migrations.online import drop_index, make_index

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """An index of them alone: most messages cost it nothing."""
    make_index("message_failed", "message (key)", where="status = 'failed'")


def downgrade() -> None:
    """Without it they are still found."""
    drop_index("message_failed")
