"""An expression of words in the language of each engine's full text."""

from __future__ import annotations

from gateway.fhir.query import Asked


def for_fts5(asked: Asked) -> str:
    """As SQLite's FTS5 takes it."""
    if isinstance(asked, str):
        return f'"{asked}"'
    mark, parts = asked
    return f" {mark.upper()} ".join(f"({for_fts5(part)})" for part in parts)


def for_tsquery(asked: Asked) -> str:
    """As PostgreSQL's ``to_tsquery`` would write it."""
    if isinstance(asked, str):
        return f"'{asked}'"
    mark, parts = asked
    joined = {"and": " & ", "or": " | ", "not": " & !"}[mark]
    return joined.join(f"({for_tsquery(part)})" for part in parts)
