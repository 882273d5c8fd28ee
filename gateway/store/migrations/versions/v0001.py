"""The tables of schema 4, as they were when revisions began: v0001.<engine>.sql.

A hub that releases before made is taken up: only what lacks is made. There is no way back from
here.
"""

from __future__ import annotations

import re
from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables and indexes that aren't there."""
    here = op.get_context()
    there: set[str] = set() if here.as_sql else _names(op.get_bind())
    for statement in _statements(here.dialect.name):
        made = re.search(r'(?:TABLE|INDEX) IF NOT EXISTS "?(\w+)', statement)
        assert made is not None
        if made[1] not in there:  # asking for one that is there would lock its table all the same
            op.execute(statement)


def _statements(engine: str) -> list[str]:
    text = Path(__file__).with_name(f"v0001.{engine}.sql").read_text(encoding="utf-8")
    return [each.strip() for each in text.split(";\n") if each.strip()]


def _names(connection: sa.Connection) -> set[str]:
    inspector = sa.inspect(connection)
    tables = inspector.get_table_names()
    indexes = {each["name"] for found in inspector.get_multi_indexes().values() for each in found}
    return {*tables, *(name for name in indexes if name)}
