"""What the two engines word differently: kinds of columns, and functions in statements."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

KEY: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")
"""An integer key that numbers itself: SQLite does so only for INTEGER."""

BEFORE_ALL: Final = -(2**62)
"""Of transactions, a number before each of them: some are negative (``opening``)."""

BINARY: Final = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
"""A text that is compared byte by byte, as SQLite compares every text."""


class transaction_number(FunctionElement[int]):
    """The number of the running transaction; 0 on SQLite, where the sequence alone orders."""

    type = sa.BigInteger()
    inherit_cache = True


class settled_below(FunctionElement[int]):
    """Every transaction with a smaller number is over; none will add to the log any more."""

    type = sa.BigInteger()
    inherit_cache = True


class later_than(FunctionElement[Any]):
    """Whether a place in the log comes after another: xid and sequence of the one, of the other.

    SQLite compares pairs by an index on their first column alone, and there all of the log's have
    one number: looking at what is new would read all that is old.
    """

    inherit_cache = True


class next_number(FunctionElement[int]):
    """No transaction that was seen to end has this number or a higher one."""

    type = sa.BigInteger()
    inherit_cache = True


@compiles(transaction_number, "postgresql")
def _number_postgresql(element: object, compiler: object, **_: object) -> str:
    return "(pg_current_xact_id()::text::bigint)"


@compiles(transaction_number, "sqlite")
def _number_sqlite(element: object, compiler: object, **_: object) -> str:
    return "0"


@compiles(settled_below, "postgresql")
def _settled_postgresql(element: object, compiler: object, **_: object) -> str:
    return "(pg_snapshot_xmin(pg_current_snapshot())::text::bigint)"


@compiles(settled_below, "sqlite")
@compiles(next_number, "sqlite")
def _settled_sqlite(element: object, compiler: object, **_: object) -> str:
    return "1"


@compiles(later_than, "postgresql")
def _later_postgresql(element: later_than, compiler: Any, **more: Any) -> str:
    xid, sequence, *than = (compiler.process(each, **more) for each in element.clauses)
    return f"({xid}, {sequence}) > ({than[0]}, {than[1]})"


@compiles(later_than, "sqlite")
def _later_sqlite(element: later_than, compiler: Any, **more: Any) -> str:
    xid, sequence, _, than = element.clauses
    here, there = compiler.process(sequence, **more), compiler.process(than, **more)
    return f"({compiler.process(xid, **more)} = 0 AND {here} > {there})"


@compiles(next_number, "postgresql")
def _next_postgresql(element: object, compiler: object, **_: object) -> str:
    return "(pg_snapshot_xmax(pg_current_snapshot())::text::bigint)"


class moment_here(FunctionElement[int]):
    """UTC microseconds by the database's clock, whenever the transaction began."""

    type = sa.BigInteger()
    inherit_cache = True


@compiles(moment_here, "postgresql")
def _here_postgresql(element: object, compiler: object, **_: object) -> str:
    return "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"


@compiles(moment_here, "sqlite")
def _here_sqlite(element: object, compiler: object, **_: object) -> str:
    return "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)"


class holds(FunctionElement[bool]):
    """Whether bytes stand among others: those, and what is looked for."""

    type = sa.Boolean()
    inherit_cache = True


@compiles(holds, "postgresql")
def _holds_postgresql(element: holds, compiler: Any, **more: Any) -> str:
    whole, part = (compiler.process(each, **more) for each in element.clauses)
    return f"(position({part} IN {whole}) > 0)"


@compiles(holds, "sqlite")
def _holds_sqlite(element: holds, compiler: Any, **more: Any) -> str:
    whole, part = (compiler.process(each, **more) for each in element.clauses)
    return f"(instr({whole}, {part}) > 0)"


class says(FunctionElement[Any]):
    """Whether a row of ``words`` meets an expression.

    Its clauses: the row as FTS5 knows it, its column, the expression for FTS5 and as a tsquery.
    It has no type, or it would be written "MATCH ? = 1", for which FTS5 can't use its index.
    """

    type = sa.types.NULLTYPE
    inherit_cache = True


class word_list(FunctionElement[str]):
    """Words with blanks between, as ``words`` holds them."""

    type = sa.Text()
    inherit_cache = True


@compiles(says, "sqlite")
def _says_sqlite(element: says, compiler: Any, **more: Any) -> str:
    row, _, expression, _ = element.clauses
    return f"{compiler.process(row, **more)} MATCH {compiler.process(expression, **more)}"


@compiles(says, "postgresql")
def _says_postgresql(element: says, compiler: Any, **more: Any) -> str:
    _, column, _, expression = element.clauses
    asked = compiler.process(expression, **more)
    return f"{compiler.process(column, **more)} @@ CAST({asked} AS tsquery)"


@compiles(word_list, "sqlite")
def _words_sqlite(element: word_list, compiler: Any, **more: Any) -> str:
    return str(compiler.process(element.clauses, **more))


@compiles(word_list, "postgresql")
def _words_postgresql(element: word_list, compiler: Any, **more: Any) -> str:
    listed = compiler.process(element.clauses, **more)
    return f"array_to_tsvector(string_to_array({listed}, ' '))"
