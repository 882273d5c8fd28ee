"""What search finds a resource by: one row for each value of each of its search parameters.

``search_parameters.extract`` makes them, ``store`` keeps them beside the current version, and
``search.matches`` reads them in memory: both must find the same. What a value lacks is "".
``_id`` and ``_lastUpdated`` have no rows: they are columns of the resource itself.
"""

from __future__ import annotations

from typing import Final, NamedTuple

BEGINNING: Final = -62_135_596_800_000_000
"""Where an open start of a period lies: 0001-01-01 in microseconds since 1970, UTC."""

END: Final = 253_402_300_800_000_000
"""Where an open end of a period lies: just after 9999-12-31."""


class TokenRow(NamedTuple):
    """A code, identifier, flag or contact: ``system`` is "" where it has none.

    A ``code`` bound to a value set of one system carries that system; a boolean is "true" or
    "false" of no system; a contact point is its value, of no system.
    """

    param: str
    system: str
    code: str


class StringRow(NamedTuple):
    """A text: ``value`` is normalised (see ``search_values.normalise``), ``exact`` as written."""

    param: str
    value: str
    exact: str


class ReferenceRow(NamedTuple):
    """A reference: ``type`` and ``id`` of a relative one, else ``url`` (absolute, canonical, urn).

    A canonical with a version gives two rows: ``url`` with it and without. A logical reference
    (identifier only) has its type, if it says so, and nothing else.
    """

    param: str
    type: str
    id: str
    url: str


class DateRow(NamedTuple):
    """A time or period as [low, high) in microseconds since 1970, UTC; see BEGINNING, END.

    A partial date spans all it may mean: "2024" is the year.
    """

    param: str
    low: int
    high: int


class NumberRow(NamedTuple):
    """A number, or a range with both ends in it; an open end is infinite."""

    param: str
    low: float
    high: float


class QuantityRow(NamedTuple):
    """As NumberRow, with the unit's ``system`` and ``code`` and its printed ``unit``."""

    param: str
    low: float
    high: float
    system: str
    code: str
    unit: str


class UriRow(NamedTuple):
    """A URI, as written."""

    param: str
    value: str


IndexRow = TokenRow | StringRow | ReferenceRow | DateRow | NumberRow | QuantityRow | UriRow
