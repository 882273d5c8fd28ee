"""Places near a point: ``Location?near=latitude|longitude|distance|units`` (R4 Location, 8.7.6).

A place is kept as the point on a ball of radius 1 that it is (``near:x``, ``:y``, ``:z``): two are
within a distance along the surface if the line between them is short enough, which any database
can reckon without a sine, and neither poles nor the antimeridian are anything special. To find
them by an index it is also kept with the cubes that hold it, of sides from 4 (all of the Earth)
down to 3 km, each half of the one before: what is near lies in at most eight of one size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import cos, floor, isfinite, pi, radians, sin
from typing import Any, Final

from gateway.errors import InvalidSearch
from gateway.fhir.elements import Element
from gateway.fhir.indexing import Maker
from gateway.fhir.operands import plain, split, wrong
from gateway.fhir.query import Late, Near, NearValue
from gateway.fhir.rows import IndexRow, NumberRow, TokenRow

EARTH: Final = 6371.0088
"""The mean radius of the Earth in kilometres (IUGG)."""

DISTANCE: Final = 50.0
"""Kilometres that are near where nobody says how far."""

AXES: Final = ("x", "y", "z")
ROWS: Final = ("near", *(f"near:{axis}" for axis in AXES))
SIDES: Final = tuple(2.0**-n for n in range(-2, 12))
UNITS: Final[Mapping[str, float]] = {
    "": 1,
    "km": 1,
    "m": 0.001,
    "mi": 1.609344,
    "[mi_i]": 1.609344,
    "[mi_us]": 1609.347 / 1000,
    "[ft_i]": 0.0003048,
}
"""Kilometres of a unit (UCUM's, and a plain mile)."""

_SLACK: Final = 1e-12
"""More than what is lost in reckoning, and less than a hundredth of a millimetre."""


def point(latitude: float, longitude: float) -> tuple[float, float, float] | None:
    """A place on the ball; None where there is none."""
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        return None
    up, round_ = radians(latitude), radians(longitude)
    return cos(up) * cos(round_), cos(up) * sin(round_), sin(up)


def _position(param: str, value: Any, _: Element | None) -> list[IndexRow]:
    at = point(float(value["latitude"]), float(value["longitude"]))
    if at is None:
        return []
    axes = [NumberRow(f"{param}:{axis}", n, n) for axis, n in zip(AXES, at, strict=True)]
    cubes = (_cubes(side, at, at) for side in SIDES)
    return [*axes, *(TokenRow(param, "", cube) for each in cubes for cube in each)]


MAKERS: Final[Mapping[str, Maker]] = {"BackboneElement": _position}
"""By type of value (a position is a part of a Location), its rows."""


def condition(param: str, late: Late | None, text: str) -> Near:
    """What is near one of the points between commas. Raises InvalidSearch."""
    return Near(param, tuple(_value(param, part) for part in split(text, ",")), late)


def _value(param: str, text: str) -> NearValue:
    parts = [plain(part).strip() for part in split(text, "|")]
    if not 2 <= len(parts) <= 4:
        raise _wrong(param)
    latitude, longitude, distance, unit = (*parts, "", "")[:4]
    at = point(_number(param, latitude), _number(param, longitude))
    far = _number(param, distance) * UNITS.get(unit, -1) if distance else DISTANCE
    if at is None or far < 0:
        raise _wrong(param)
    chord = 2 * sin(min(far / EARTH, pi) / 2)
    wide = chord + _SLACK
    side = min(each for each in SIDES if each >= 2 * wide or each == SIDES[0])
    cubes = _cubes(side, [n - wide for n in at], [n + wide for n in at])
    return NearValue(*at, chord * chord, tuple(cubes))


def _cubes(side: float, lows: Sequence[float], highs: Sequence[float]) -> Iterator[str]:
    """The names of the cubes of a size that a box touches."""
    along = (
        range(floor(low / side), floor(high / side) + 1)
        for low, high in zip(lows, highs, strict=True)
    )
    return (f"{SIDES.index(side)}:{x}:{y}:{z}" for x, y, z in product(*along))


def _number(param: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise _wrong(param) from None
    if not isfinite(number):
        raise _wrong(param)
    return number


def _wrong(param: str) -> InvalidSearch:
    units = ", ".join(filter(None, UNITS))
    return wrong(param, f"latitude|longitude|distance|units, the last two left out or of {units}")
