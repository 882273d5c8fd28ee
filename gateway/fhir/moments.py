"""Which search parameters are about one moment at most, as R4's definitions say.

An index holds rows in the order of their beginnings. Where a row is known to be short, and to be a
resource's only one, a search need not look at all that began before.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from gateway.fhir.elements import element, resource_types
from gateway.fhir.search_parameters import parameters

YEAR: Final = 366 * 86_400_000_000
"""The longest that a date can be, said as vaguely as it may be: microseconds."""

_PLAIN: Final = re.compile(r"[A-Z]\w+(\.\w+)+")
_DATES: Final = {"date", "dateTime", "instant"}


@lru_cache(4096)
def is_moment(type: str, param: str) -> bool:
    """Whether a resource of ``type`` has one row of ``param`` at most, no longer than YEAR."""
    if type not in resource_types() or param not in parameters(type):
        return False
    branches = [one.strip() for one in parameters(type)[param].expression.split("|")]
    mine = [one for one in branches if one.startswith((f"{type}.", "("))]
    return len(mine) == 1 and _PLAIN.fullmatch(mine[0]) is not None and _is_one_date(mine[0])


def _is_one_date(path: str) -> bool:
    steps = path.split(".")
    on_the_way = [element(".".join(steps[:n])) for n in range(2, len(steps) + 1)]
    last = on_the_way[-1]
    return (
        last is not None
        and set(last.types) <= _DATES
        and all(one is not None and not one.is_list for one in on_the_way)
    )
