"""A search as a typed tree: what ``search.parse_query`` makes and ``store`` turns into SQL.

Criteria are joined by AND, the values of one by OR (R4 search, 3.1.1). What a row must be to
match a value is said with each class; ``search.matches`` is the same in Python.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["token", "string", "reference", "date", "number", "quantity", "uri"]
Modifier = Literal["", "exact", "contains", "missing", "not"]
Prefix = Literal["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"]


@dataclass(frozen=True, slots=True)
class TokenValue:
    """``system|code``. None matches anything; a system of "" only a row without one."""

    system: str | None
    code: str | None


@dataclass(frozen=True, slots=True)
class StringValue:
    """A text: ``value`` normalised, ``exact`` as asked.

    Without a modifier ``row.value`` starts with ``value``, with :contains it holds it, with :exact
    ``row.exact`` equals ``exact``.
    """

    value: str
    exact: str


@dataclass(frozen=True, slots=True)
class ReferenceValue:
    """``type`` and ``id`` (a type of "" matches any), or a ``url`` that the row's must equal."""

    type: str
    id: str
    url: str


@dataclass(frozen=True, slots=True)
class DateValue:
    """A prefix and what it is compared with, [low, high) as in DateRow. With row r:

    eq ``low <= r.low and r.high <= high``, ne not eq; gt ``r.high > high``, lt ``r.low < low``;
    ge ``r.low >= low or r.high > high``, le ``r.high <= high or r.low < low``;
    sa ``r.low >= high``, eb ``r.high <= low``; ap ``r.low < high and r.high > low``.
    """

    prefix: Prefix
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class NumberValue:
    """A prefix, the ``value`` asked for and, for eq, ne and ap, what it may mean. With row r:

    eq ``low <= r.low and r.high < high``, ne not eq; ap ``r.low <= high and r.high >= low``;
    gt ``r.high > value``, lt ``r.low < value``, ge ``r.high >= value``, le ``r.low <= value``;
    sa ``r.low > value``, eb ``r.high < value``.
    """

    prefix: Prefix
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class QuantityValue:
    """As NumberValue. ``system`` None matches any; ``code`` None any, else ``r.code`` equals it,
    or, where no system is asked for, ``r.unit`` does.
    """

    prefix: Prefix
    value: float
    low: float
    high: float
    system: str | None
    code: str | None


@dataclass(frozen=True, slots=True)
class UriValue:
    """A URI that ``row.value`` must equal."""

    value: str


Value = (
    TokenValue | StringValue | ReferenceValue | DateValue | NumberValue | QuantityValue | UriValue
)


@dataclass(frozen=True, slots=True)
class Criterion:
    """One parameter of a search: some row of ``param`` matches one of ``values``.

    With the modifier "not" no row of ``param`` does (none at all counts). With "missing",
    ``missing`` says whether there must be no row (True) or some (False), and ``values`` is empty.
    ``param`` "_id" (token values without a system) and "_lastUpdated" (dates; a resource's time t
    is the row [t, t+1000), as FHIR shows milliseconds) are columns.
    """

    param: str
    kind: Kind
    values: tuple[Value, ...]
    modifier: Modifier = ""
    missing: bool | None = None


@dataclass(frozen=True, slots=True)
class Sort:
    """An order by ``param`` ("_id", "_lastUpdated" or an indexed one), what lacks it last.

    Ascending by a parameter's least value, descending by its greatest: dates by ``low`` and
    ``high``, strings by ``value``, tokens by ``code``, references by ``type`` and ``id``.
    """

    param: str
    kind: Kind
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """A search of one type. ``count`` is the page's size (0: only the total, as _summary=count).

    ``total`` "accurate" (the default: right) or "none"; "estimate" is answered accurately.
    ``cursor`` is the store's own mark of where the page starts, from its last page's link.
    ``pairs`` are the parameters as asked, without the cursor: for the self and next links.
    """

    type: str
    criteria: tuple[Criterion, ...] = ()
    sort: tuple[Sort, ...] = ()
    count: int = 20
    total: Literal["accurate", "none"] = "accurate"
    cursor: str | None = None
    pairs: tuple[tuple[str, str], ...] = ()
