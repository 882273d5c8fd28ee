"""Where people are and where services reach: ZIP, county, state, circles and shapes.

What isn't known on either side is told apart from what doesn't fit.
"""

from __future__ import annotations

from math import asin, cos, radians, sin, sqrt
from typing import Literal

from gateway.fhir.near import EARTH
from gateway.route.directory import normal
from gateway.route.facts import Area, Place, Point

Reach = Literal["local", "regional", "outside", "unknown"]


def reach(area: Area, place: Place) -> Reach:
    """Whether a service reaches a place: as a neighbour, as the whole state's, not, or unknown.

    One measure that fits will do. "outside" needs every measure to say so: a service that names
    counties says nothing about a person of whom only the ZIP is known.
    """
    said = _local(area, place)
    if True in said:
        return "local"
    if area.states:
        said.append(place.state in area.states if place.state else None)
        if said[-1]:
            return "regional"
    return "unknown" if None in said or not said else "outside"


def _local(area: Area, place: Place) -> list[bool | None]:
    """What each measure that the service uses says; None where the place doesn't tell."""
    said: list[bool | None] = []
    if area.zips:
        said.append(place.zip in area.zips if place.zip else None)
    if area.counties:
        said.append(_in_county(area.counties, place) if place.county else None)
    if area.circles or area.shapes:
        said.append(_holds(area, place.point) if place.point else None)
    return said


def distance(one: Point, other: Point) -> float:
    """Kilometres along the surface between two points (haversine)."""
    (lat, long), (lat2, long2) = (tuple(map(radians, each)) for each in (one, other))
    half = sin((lat2 - lat) / 2) ** 2 + cos(lat) * cos(lat2) * sin((long2 - long) / 2) ** 2
    return 2 * EARTH * asin(sqrt(min(1.0, half)))


def inside(point: Point, ring: tuple[Point, ...]) -> bool:
    """Whether a ring of points holds a point (even-odd rule; no ring crosses the antimeridian)."""
    y, x = point
    crossed = False
    for (y1, x1), (y2, x2) in zip(ring, ring[1:] + ring[:1], strict=True):
        if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
            crossed = not crossed
    return crossed


def zip_code(text: str) -> str:
    """The five digits of a ZIP or ZIP+4; "" where that isn't one."""
    digits = text.strip()[:5]
    return digits if len(digits) == 5 and digits.isascii() and digits.isdigit() else ""


def state(text: str) -> str:
    """A state as it is compared."""
    return normal(text)


def county(text: str) -> str:
    """A county's name as it is compared: "Cedar County" is "cedar"."""
    return normal(text).removesuffix(" county").removesuffix(" parish")


def _in_county(counties: frozenset[tuple[str, str]], place: Place) -> bool:
    """By name, and by state where both tell it: there are thirty-one Washington Counties."""
    return any(
        name == place.county and (not of or not place.state or of == place.state)
        for of, name in counties
    )


def _holds(area: Area, point: Point) -> bool:
    near = any(distance(point, each.centre) <= each.radius for each in area.circles)
    return near or any(inside(point, ring) for ring in area.shapes)
