"""A search as a typed tree: what ``search.parse_query`` makes and ``store`` turns into SQL.

Conditions are joined by AND, the values of one by OR (R4 search, 3.1.1). What a row must be to
match a value is said with each class; ``search.matches`` is the same in Python, for those
conditions that ask of one resource alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from gateway.fhir.rows import IndexRow
from gateway.model import Resource

Kind = Literal["token", "string", "reference", "date", "number", "quantity", "uri"]
Modifier = Literal["", "exact", "contains", "missing", "not", "below"]
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
    """``type`` and ``id`` (a type of "" matches any), or a ``url`` that the row's must equal.

    With type and id, ``url`` is the same place by this server's own address ("" if unknown): a
    reference that was written absolutely is found, too.
    """

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
    """A URI that ``row.value`` must equal; with :below it must begin so."""

    value: str


Value = (
    TokenValue | StringValue | ReferenceValue | DateValue | NumberValue | QuantityValue | UriValue
)


@dataclass(frozen=True, slots=True)
class Late:
    """Rows that aren't made when a resource is written, but before the first search for them.

    ``name`` is what the store keeps its place in the log under; the rows are of resources of
    ``type``. ``rows`` makes them, of ``kinds`` and by one of ``params``; where it is None, they
    are the words of the whole resource.
    """

    name: str
    type: str
    rows: Callable[[Resource], list[IndexRow]] | None = None
    params: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = ()


@dataclass(frozen=True, slots=True)
class Criterion:
    """One parameter of a search: some row of ``param`` matches one of ``values``.

    With the modifier "not" no row of ``param`` does (none at all counts). With "missing",
    ``missing`` says whether there must be no row (True) or some (False), and ``values`` is empty.
    ``param`` "_id" (token values without a system) and "_lastUpdated" (dates; a resource's time t
    is the row [t, t+1000), as FHIR shows milliseconds) are columns. Where its rows are made late,
    ``late`` says by what.
    """

    param: str
    kind: Kind
    values: tuple[Value, ...]
    modifier: Modifier = ""
    missing: bool | None = None
    late: Late | None = None


@dataclass(frozen=True, slots=True)
class Composite:
    """Several values that belong together: all criteria of one of ``alternatives`` are met.

    With ``missing``, whether none or some of them are (each asks whether there are any rows).
    """

    param: str
    alternatives: tuple[tuple[Criterion, ...], ...]
    missing: bool | None = None


@dataclass(frozen=True, slots=True)
class Chain:
    """By ``param`` it refers to a resource that the caller sees and that meets a condition.

    ``targets`` are the types that it may be of, each with the condition in that type's terms.
    ``base`` is this server's own address, "" if unknown; ``late`` as a Criterion's.
    """

    param: str
    targets: tuple[tuple[str, Condition], ...]
    base: str = ""
    late: Late | None = None


@dataclass(frozen=True, slots=True)
class Has:
    """A resource of ``type`` that the caller sees refers to it by ``param`` and meets ``meets``."""

    type: str
    param: str
    meets: Condition
    base: str = ""
    late: Late | None = None


@dataclass(frozen=True, slots=True)
class Compartment:
    """It is in the compartment of ``type``/``id``: one of its ``params`` (type, code) refers there.

    ``itself``: so is that resource. ``url`` as in ReferenceValue.
    """

    type: str
    id: str
    params: tuple[tuple[str, str], ...]
    itself: bool = False
    url: str = ""


@dataclass(frozen=True, slots=True)
class Words:
    """Its narrative, or all that it says (``narrative`` False), meets the expression ``asked``."""

    narrative: bool
    asked: Asked
    late: tuple[Late, ...]


@dataclass(frozen=True, slots=True)
class NearValue:
    """A point on a ball of radius 1, how far from it at most (``chord`` squared), and the cubes
    in which that is (``gateway.fhir.near``).
    """

    x: float
    y: float
    z: float
    chord: float
    cubes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Near:
    """It is at a place near one of ``values``."""

    param: str
    values: tuple[NearValue, ...]
    late: Late | None = None


Asked = str | tuple[str, tuple["Asked", ...]]
"""A word, or ("and" | "or" | "not", parts); "not": the first and none of the rest."""

Condition = Criterion | Composite | Chain | Has | Compartment | Words | Near


@dataclass(frozen=True, slots=True)
class Sort:
    """An order by ``param`` ("_id", "_lastUpdated" or an indexed one), what lacks it last.

    Ascending by a parameter's least value, descending by its greatest: dates by ``low`` and
    ``high`` (what can't be a period by ``low`` both ways), strings by ``value``, tokens by
    ``code``, references by ``type`` and ``id``. What is alike comes as it was created, or in
    reverse where the last order descends.
    """

    param: str
    kind: Kind
    descending: bool = False
    late: Late | None = None


@dataclass(frozen=True, slots=True)
class Include:
    """More for the page: what resources of ``type`` refer to by ``param``, or (``reverse``) which.

    ``param`` "*": by any. ``target`` "": of any type. ``again``: of what was included, too.
    """

    type: str
    param: str
    target: str = ""
    again: bool = False
    reverse: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """A search. ``type`` is where it was asked, "" for all; ``types`` what is looked for (R4
    search, 3.1.1.1), all of them having each parameter.

    ``count`` is the page's size (0: only the total, as _summary=count). ``total``: "accurate" is
    right however long it takes, "none" isn't given, and "cheap" (the default) is right or, where
    there are very many, not given. ``cursor`` is the store's own mark of where the page starts,
    from its last page's link. ``pairs`` are the parameters as asked, without the cursor: for the
    self and next links. ``base`` is this server's own address, "" if unknown.
    """

    type: str
    criteria: tuple[Condition, ...] = ()
    sort: tuple[Sort, ...] = ()
    count: int = 20
    total: Literal["accurate", "cheap", "none"] = "cheap"
    cursor: str | None = None
    pairs: tuple[tuple[str, str], ...] = ()
    types: tuple[str, ...] = ()
    includes: tuple[Include, ...] = ()
    base: str = ""

    @property
    def looks_for(self) -> tuple[str, ...]:
        """The types that it finds."""
        return self.types or (self.type,)
