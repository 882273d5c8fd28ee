"""Places near a point: from the cubes that hold what is near to the exact distance.

``gateway.fhir.near`` says how places are filed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from gateway.fhir.near import AXES
from gateway.fhir.query import Near, NearValue
from gateway.store import tables
from gateway.store.search.comparisons import among, any_of
from gateway.store.search.index import param_key
from gateway.store.search.shapes import bind


def keys(types: Sequence[str], asked: Near) -> sa.Select[int]:
    """The keys of what lies in a cube that holds something near."""
    rows = tables.token.alias()
    filed = [param_key(type, asked.param) for type in types]
    cubes = [bind(cube, "equal") for value in asked.values for cube in value.cubes]
    return sa.select(rows.c.resource).where(among(rows.c.param, filed), rows.c.code.in_(cubes))


def found(row: sa.FromClause, types: Sequence[str], asked: Near) -> sa.ColumnElement[bool]:
    """Whether a resource is near enough: by the line through the ball, which is its square root."""
    sides = [tables.number.alias() for _ in AXES]
    mine = [
        sa.and_(
            each.c.resource == row.c.key,
            among(each.c.param, [param_key(type, f"{asked.param}:{axis}") for type in types]),
        )
        for each, axis in zip(sides, AXES, strict=True)
    ]
    one: sa.Select[Any] = sa.select(sa.literal_column("1")).select_from(*sides)
    near = any_of([_is_near(value, sides) for value in asked.values])
    return one.where(*mine, near).correlate(row).exists()


def _is_near(value: NearValue, sides: Sequence[sa.FromClause]) -> sa.ColumnElement[bool]:
    off = [
        each.c.low - bind(at, "number")
        for each, at in zip(sides, (value.x, value.y, value.z), strict=True)
    ]
    return sum((each * each for each in off[1:]), off[0] * off[0]) <= bind(value.chord, "number")
