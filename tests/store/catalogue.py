"""A database's schema as its own catalogue tells it: what two that are the same have alike."""

from __future__ import annotations

import re

import sqlalchemy as sa

from gateway.store.engine import open_engine

Schema = dict[str, list[str]]
"""By what it is about, one line a thing."""

_POSTGRESQL = {
    "columns": """
        SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
               l.collname, pg_get_expr(d.adbin, d.adrelid)
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        LEFT JOIN pg_collation l ON l.oid = a.attcollation
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0
          AND NOT a.attisdropped""",
    "indexes": """
        SELECT pg_get_indexdef(i.indexrelid), i.indisvalid FROM pg_index i
        JOIN pg_class c ON c.oid = i.indrelid WHERE c.relnamespace = 'public'::regnamespace""",
    "constraints": """
        SELECT conrelid::regclass, conname, contype, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace""",
    "sequences": """
        SELECT sequencename, data_type, start_value, increment_by, cache_size FROM pg_sequences
        WHERE schemaname = 'public'""",
}
_SQLITE = {
    "columns": """
        SELECT m.name, m.type, c.name, c.type, c."notnull", c.dflt_value, c.pk, c.hidden
        FROM sqlite_master m, pragma_table_xinfo(m.name) c""",
    "indexes": """
        SELECT m.name, i.name, i."unique", i.origin, i.partial, x.seqno, x.name, x.coll
        FROM sqlite_master m, pragma_index_list(m.name) i, pragma_index_xinfo(i.name) x""",
    "constraints": """
        SELECT m.name, f."table", f."from", f."to", f.on_delete
        FROM sqlite_master m, pragma_foreign_key_list(m.name) f""",
    "words": "SELECT type, name, tbl_name, sql FROM sqlite_master",
}


def schema(url: str) -> Schema:
    """All that the catalogue knows, in no order of making."""
    engine = open_engine(url)
    asked = _SQLITE if engine.grouped else _POSTGRESQL
    with engine.reads.connect() as connection:
        found = {
            about: sorted(_line(row) for row in connection.exec_driver_sql(statement))
            for about, statement in asked.items()
        }
    engine.close()
    return found


def _line(row: sa.Row[tuple[object, ...]]) -> str:
    """SQLite keeps a statement as it was written: quotes and blanks say nothing."""
    text = " | ".join(str(each) for each in row).replace('"', "")
    return re.sub(r" ?([(),]) ?", r"\1", " ".join(text.split()))
