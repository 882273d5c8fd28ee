"""A search's conditions as SQL over ``resource``, each resource on the way being one that is seen.

A condition is told in two ways: as the keys of all resources that meet it, to start from, and of
one resource that is at hand. A search starts from what usually finds least, and looks up the rest
for each. Rows that a grant doesn't show (``search_parameters.APART``) are read only where the
resource is the caller's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from gateway.fhir.query import (
    Chain,
    Compartment,
    Composite,
    Condition,
    Criterion,
    Has,
    Near,
    Sort,
    Words,
)
from gateway.fhir.search_parameters import APART, COLUMNS, filed, hides
from gateway.store import tables
from gateway.store.grants import owned, visible
from gateway.store.search import places, words
from gateway.store.search.choosing import breadth, chosen, is_of_a_moment, together
from gateway.store.search.comparisons import (
    among,
    any_of,
    date,
    short,
    updated_ends,
    values,
)
from gateway.store.search.index import TABLE, param_key, param_keys
from gateway.store.search.shapes import bind
from gateway.store.tables import resource

Sql = sa.ColumnElement[bool]
Keys = sa.Select[int] | sa.CompoundSelect[int]


@dataclass(frozen=True, slots=True)
class Looked:
    """A resource in a statement: of which types it may be, and its table or an alias of that."""

    types: tuple[str, ...]
    row: sa.FromClause = resource

    @property
    def is_of_type(self) -> Sql:
        """Whether it is of these types."""
        return among(self.row.c.type, self.types)

    @property
    def is_seen(self) -> Sql:
        """Whether it is there, and for the caller."""
        return sa.and_(sa.not_(self.row.c.deleted), visible(of=self.row))

    def keys(self, param: str) -> list[int]:
        """What a parameter's rows are filed under."""
        return [key for type in self.types for key in param_keys(type, param)]

    def apart(self, param: str) -> list[int]:
        """What those of its rows are filed under that only the owner's search reads."""
        return [
            param_key(type, APART + name)
            for type in self.types
            if hides(type, param)
            for name in filed(type, param)
        ]


def another(type: str) -> Looked:
    """Another resource in the same statement."""
    return Looked((type,), resource.alias())


def where(
    looked: Looked, conditions: Sequence[Condition], start: Condition | None = None
) -> list[Sql]:
    """All conditions: one to ``start`` from (or else the one to choose), the others to look up."""
    start = chosen(conditions) if start is None else start
    if start is None:
        return [looked.is_of_type, *(holds(looked, c) for c in conditions)]
    beside = together(looked.types, start, conditions)
    done = {id(c) for c in (start, *beside)} if _is_exact(looked, start) else set()
    rest = [holds(looked, c) for c in conditions if id(c) not in done]
    return [looked.row.c.key.in_(keys(looked, start, beside)), *rest]


def _is_exact(looked: Looked, condition: Condition) -> bool:
    """Whether ``keys`` are those alone: not of rows apart, of several values together, of cubes."""
    match condition:
        case Criterion():
            return not looked.apart(condition.param)
        case Composite():
            return all(len(each) == 1 for each in condition.alternatives)
        case Chain():
            return not looked.apart(condition.param)
        case Words():
            return not words.splits(looked.types)
        case Near():
            return False
    return True


def keys(looked: Looked, condition: Condition, beside: Sequence[Criterion] = ()) -> Keys:
    """The keys of the resources that meet a condition, and perhaps of more (``_is_exact``).

    ``beside`` is what else is asked of the same row.
    """
    match condition:
        case Criterion():
            rows = TABLE[condition.kind].alias()
            filed = [*looked.keys(condition.param), *looked.apart(condition.param)]
            asked = [values(one, rows) for one in (condition, *beside)]
            if is_of_a_moment(looked.types, condition):
                asked += [short(condition.values, rows)]
            return sa.select(rows.c.resource).where(among(rows.c.param, filed), *asked)
        case Composite():
            narrow = [min(each, key=breadth) for each in condition.alternatives]
            return sa.union_all(*(_simple(looked, one) for one in narrow))
        case Chain():
            return sa.union_all(*(_from_target(looked, condition, *t) for t in condition.targets))
        case Has():
            return _from_source(looked, condition)
        case Compartment():
            rows = tables.reference.alias()
            return sa.select(rows.c.resource).where(_in_compartment(condition, rows))
        case Words():
            return words.keys(looked.types, condition)
        case Near():
            return places.keys(looked.types, condition)


def _simple(looked: Looked, criterion: Criterion) -> sa.Select[int]:
    found = keys(looked, criterion)
    assert isinstance(found, sa.Select)
    return found


def _from_target(looked: Looked, chain: Chain, type: str, meets: Condition) -> sa.Select[int]:
    """From what meets the condition back to what refers to it."""
    to, rows = another(type), tables.reference.alias()
    filed = [*looked.keys(chain.param), *looked.apart(chain.param)]
    return (
        sa.select(rows.c.resource)
        .select_from(to.row.join(rows, _refers(rows, to, chain.base)))
        .where(among(rows.c.param, filed), *where(to, [meets]), to.is_seen)
        .correlate(None)
    )


def _refers(rows: sa.FromClause, to: Looked, base: str) -> Sql:
    """Whether a reference's row points to a resource, by its id or this server's own address."""
    (type,) = to.types
    if not base:
        return sa.and_(rows.c.target == to.row.c.id, rows.c.type == type)
    absolute = sa.literal(f"{base}/{type}/") + to.row.c.id
    return sa.and_(rows.c.target.in_([to.row.c.id, absolute]), among(rows.c.type, [type, ""]))


def _from_source(looked: Looked, has: Has) -> Keys:
    """From what meets the condition on to what it refers to, a type at a time."""
    return sa.union_all(*(_referred(type, has) for type in looked.types))


def _referred(type: str, has: Has) -> sa.Select[int]:
    source, rows, to = another(has.type), tables.reference.alias(), another(type)
    filed = param_keys(has.type, has.param)
    return (
        sa.select(to.row.c.key)
        .select_from(
            source.row.join(rows, rows.c.resource == source.row.c.key).join(
                to.row, _points(rows, to, has.base)
            )
        )
        .where(
            *where(source, [has.meets]),
            source.is_seen,
            _referring(source, rows, filed, has.param),
        )
        .correlate(None)
    )


def _referring(source: Looked, rows: sa.FromClause, filed: list[int], param: str) -> Sql:
    """Whether a row is of the parameter, and for the caller to read."""
    apart = source.apart(param)
    if not apart:
        return among(rows.c.param, filed)
    return sa.or_(
        among(rows.c.param, filed), sa.and_(among(rows.c.param, apart), owned(source.row))
    )


def _points(rows: sa.FromClause, to: Looked, base: str) -> Sql:
    """``_refers``, from the row's side: the id is made of what stands there."""
    (type,) = to.types
    own = f"{base}/{type}/"
    relative = (rows.c.type == type, rows.c.target)
    absolute = (
        sa.and_(rows.c.type == "", sa.func.substr(rows.c.target, 1, len(own)) == own),
        sa.func.substr(rows.c.target, len(own) + 1),
    )
    id = sa.case(relative, absolute) if base else sa.case(relative)
    return sa.and_(to.row.c.type == type, to.row.c.id == id)


def _in_compartment(one: Compartment, rows: sa.FromClause) -> Sql:
    id = bind(one.id, "equal")
    target: Sql = sa.and_(rows.c.target == id, rows.c.type == one.type)
    if one.url:
        target = sa.and_(
            rows.c.target.in_([id, bind(one.url, "equal")]),
            among(rows.c.type, [one.type, ""]),
        )
    filed = {key for type, param in one.params for key in param_keys(type, param)}
    return sa.and_(target, among(rows.c.param, sorted(filed)))


# --- of one resource -----------------------------------------------------------------------------


def holds(looked: Looked, condition: Condition) -> Sql:
    """Whether a resource meets a condition, looked up for each."""
    match condition:
        case Criterion():
            return _criterion(looked, condition)
        case Composite():
            found = sa.or_(
                *(sa.and_(*(holds(looked, c) for c in each)) for each in condition.alternatives)
            )
            return sa.not_(found) if condition.missing else found
        case Chain():
            return sa.or_(*(_has_target(looked, condition, *each) for each in condition.targets))
        case Has():
            # The subject's own row first, then what points there: the index is by target.
            return sa.or_(*(_has_source(looked, type, condition) for type in looked.types))
        case Compartment():
            return _is_inside(looked, condition)
        case Words():
            return words.found(looked.row, looked.types, condition)
        case Near():
            return places.found(looked.row, looked.types, condition)


def _criterion(looked: Looked, criterion: Criterion) -> Sql:
    if criterion.param in COLUMNS:
        return _of_column(looked, criterion)
    rows = TABLE[criterion.kind].alias()
    conditions = [rows.c.resource == looked.row.c.key, readable(looked, criterion.param, rows)]
    if criterion.values:
        conditions.append(values(criterion, rows))
    found = _exists(rows, conditions, looked)
    absent = criterion.modifier == "not" or criterion.missing is True
    return sa.not_(found) if absent else found


def readable(looked: Looked, param: str, rows: sa.FromClause) -> Sql:
    """Whether a row is of a parameter, and for the caller to read."""
    return _referring(looked, rows, looked.keys(param), param)


def _exists(rows: sa.FromClause, conditions: Iterable[Sql], looked: Looked) -> Sql:
    return (
        sa.select(sa.literal_column("1"))
        .select_from(rows)
        .where(*conditions)
        .correlate(looked.row)
        .exists()
    )


def _of_column(looked: Looked, criterion: Criterion) -> Sql:
    asked: tuple[Any, ...] = criterion.values
    if criterion.param == "_id":
        found: Sql = looked.row.c.id.in_([bind(value.code or "", "as_is") for value in asked])
    else:
        ends = updated_ends(looked.row.c.updated)
        found = any_of([date(value, ends) for value in asked])
    return sa.not_(found) if criterion.modifier == "not" else found


def _has_target(looked: Looked, chain: Chain, type: str, meets: Condition) -> Sql:
    to, rows = another(type), tables.reference.alias()
    joined = rows.join(to.row, _points(rows, to, chain.base))
    conditions = [
        rows.c.resource == looked.row.c.key,
        readable(looked, chain.param, rows),
        to.is_seen,
        holds(to, meets),
    ]
    return _exists(joined, conditions, looked)


def _has_source(looked: Looked, type: str, has: Has) -> Sql:
    source, rows = another(has.type), tables.reference.alias()
    here = Looked((type,), looked.row)
    joined = rows.join(source.row, rows.c.resource == source.row.c.key)
    conditions = [
        looked.row.c.type == type,
        _refers(rows, here, has.base),
        readable(source, has.param, rows),
        source.is_seen,
        holds(source, has.meets),
    ]
    return _exists(joined, conditions, looked)


def _is_inside(looked: Looked, one: Compartment) -> Sql:
    rows = tables.reference.alias()
    conditions = [rows.c.resource == looked.row.c.key, _in_compartment(one, rows)]
    inside = _exists(rows, conditions, looked)
    if not one.itself:
        return inside
    itself = sa.and_(looked.row.c.type == one.type, looked.row.c.id == bind(one.id, "as_is"))
    return sa.or_(inside, itself)


def sorted_by(looked: Looked, sort: Sort) -> tuple[sa.FromClause, Sql]:
    """The rows of a parameter that a resource is sorted by, and which of them."""
    rows = TABLE[sort.kind].alias()
    mine = sa.and_(rows.c.resource == looked.row.c.key, readable(looked, sort.param, rows))
    return rows, mine
