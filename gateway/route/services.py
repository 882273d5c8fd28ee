"""A HealthcareService and what it refers to, as a Candidate (R4; SDOH Clinical Care 3.0).

Beside R4's elements and the SDOH-CC capacity it reads this gateway's extensions (``codes.ROUTE``):

    receives-referrals   boolean, of HealthcareService: HMIS's ReceivesReferrals
    routing-weight       positiveInt, of HealthcareService: its share among equals
    coverage-radius      Quantity (km or [mi_i]), of a Location in coverageArea, around its position
    eligibility-age      Range in years, of HealthcareService.eligibility
    required-document    CodeableConcept, of HealthcareService: what it asks to see (HSDS's)

and R4's own ``location-boundary-geojson`` (outer rings: a hole in a shape isn't cut out). One whose
value is of another type says nothing.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from gateway.fhir import codes
from gateway.model import Agency, Reference, Resource
from gateway.route import places
from gateway.route.capacity import read_capacity
from gateway.route.concepts import codings, names, of_access, of_coverage
from gateway.route.facts import Area, Candidate, Circle, Coding, Eligibility, Opening, Point

GEOJSON: Final = "http://hl7.org/fhir/StructureDefinition/location-boundary-geojson"
KILOMETRES: Final = {"km": 1.0, "m": 0.001, "[mi_i]": 1.609344}
WEEK: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
GENDERS: Final = {"women": "female", "men": "male"}
HOUSEHOLDS: Final = frozenset({"without-children", "with-children", "only-children"})
TYPES: Final = {
    GEOJSON: "valueAttachment",
    codes.ROUTE + "receives-referrals": "valueBoolean",
    codes.ROUTE + "routing-weight": "valuePositiveInt",
    codes.ROUTE + "coverage-radius": "valueQuantity",
    codes.ROUTE + "eligibility-age": "valueRange",
    codes.ROUTE + "required-document": "valueCodeableConcept",
}
"""Where the value of an extension stands."""


@dataclass(frozen=True, slots=True)
class Beside:
    """What of a candidate stands outside its HealthcareService; ``locations`` by ``Type/id``.

    ``zone``: the community's, for an agency that tells none.
    """

    locations: Mapping[Reference, Resource]
    agreed: bool | None = None
    bars: frozenset[Reference] = frozenset()
    hearsay: bool = False
    zone: str = "UTC"


def candidate(service: Resource, agency: Agency, beside: Beside) -> Candidate:
    """The service of a member as routing sees it.

    Of a victim service provider's place nothing is read, whatever stands there (DESIGN §7).
    """
    zone = agency.timezone or beside.zone
    concepts = (service.get("type") or []) + (service.get("specialty") or [])
    return Candidate(
        service=f"HealthcareService/{service['id']}",
        agency=agency.id,
        name=str(service.get("name") or agency.name),
        active=service.get("active") is not False,
        receives=_value(service, "receives-referrals"),
        agreed=beside.agreed,
        confidential=agency.confidential,
        hearsay=beside.hearsay,
        bars=beside.bars,
        categories=codings(service.get("category") or []),
        codes=codings(concepts),
        area=Area() if agency.confidential else _area(service, beside.locations),
        eligibility=_eligibility(service.get("eligibility") or []),
        languages=frozenset(_languages(service.get("communication") or [])),
        accessible=of_access(service.get("characteristic") or []),
        papers=tuple(map(names, _values(service, "required-document"))),
        openings=tuple(_openings(service.get("availableTime") or [])),
        closed=tuple(_closed(service.get("notAvailable") or [], ZoneInfo(zone))),
        timezone=zone,
        capacity=read_capacity(service),
        weight=_value(service, "routing-weight") or 1,
    )


def point(location: Resource) -> Point | None:
    """Location.position."""
    position = location.get("position") or {}
    if "latitude" not in position or "longitude" not in position:
        return None
    return float(position["latitude"]), float(position["longitude"])


def language(code: str) -> str:
    """A language as it is compared: BCP 47's first part."""
    return code.partition("-")[0].lower()


def _languages(concepts: Iterable[Resource]) -> Iterator[str]:
    return (language(code) for _, code in codings(concepts))


# --- where ---------------------------------------------------------------------------------------


def _area(service: Resource, locations: Mapping[Reference, Resource]) -> Area:
    """What its coverageArea says, each Location by the narrowest that it tells."""
    named = (each.get("reference") or "" for each in service.get("coverageArea") or [])
    covered = [locations[each] for each in named if each in locations]
    circles = tuple(filter(None, map(_circle, covered)))
    shapes = tuple(ring for each in covered for ring in _rings(each))
    zips, counties, states = set(), set(), set()
    for location in covered:
        if _circle(location) or _value(location, GEOJSON):
            continue
        address = location.get("address") or {}
        state = places.state(address.get("state") or "")
        if code := places.zip_code(address.get("postalCode") or ""):
            zips.add(code)
        elif county := places.county(address.get("district") or ""):
            counties.add((state, county))
        elif state and not address.get("city"):
            states.add(state)
    return Area(frozenset(zips), frozenset(counties), frozenset(states), circles, shapes)


def _circle(location: Resource) -> Circle | None:
    radius = _value(location, "coverage-radius") or {}
    centre = point(location)
    unit = KILOMETRES.get(radius.get("code") or radius.get("unit") or "")
    if centre is None or unit is None or "value" not in radius:
        return None
    return Circle(centre, float(radius["value"]) * unit)


def _rings(location: Resource) -> Iterator[tuple[Point, ...]]:
    """The outer rings of a GeoJSON Polygon or MultiPolygon (RFC 7946: longitude first)."""
    text = (_value(location, GEOJSON) or {}).get("data")
    try:
        shape = json.loads(base64.b64decode(text)) if text else {}
        shape = shape.get("geometry") or shape
        several = [shape["coordinates"]] if shape.get("type") == "Polygon" else None
        for polygon in several or (shape.get("coordinates") or []):
            yield tuple((float(y), float(x)) for x, y, *_ in polygon[0])
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError):
        return  # not a shape: the area stays unknown, and is to be confirmed


# --- whom ----------------------------------------------------------------------------------------


def _eligibility(conditions: Iterable[Resource]) -> Eligibility:
    """By this gateway's codes and ages; what says anything else is counted."""
    low: float | None = None
    high: float | None = None
    known: set[str] = set()
    insured: set[Coding] = set()
    others = 0
    for condition in conditions:
        ages = _value(condition, "eligibility-age")
        low = _number(ages, "low", low)
        high = _number(ages, "high", high)
        said = {
            code
            for system, code in codings([condition.get("code") or {}])
            if system == codes.ELIGIBILITY
        }
        covered = of_coverage([condition.get("code") or {}])
        known |= said
        insured |= covered
        others += not ages and not said and not covered
    return Eligibility(
        youngest=low,
        oldest=high,
        genders=frozenset(GENDERS[each] for each in known & set(GENDERS)),
        households=HOUSEHOLDS & known,
        veterans_only="veterans" in known,
        insurances=frozenset(insured),
        others=others + len(known - set(GENDERS) - HOUSEHOLDS - {"veterans"}),
    )


def _number(ages: Resource | None, end: str, otherwise: float | None) -> float | None:
    value = ((ages or {}).get(end) or {}).get("value")
    return otherwise if value is None else float(value)


# --- when ----------------------------------------------------------------------------------------

_EVER: Final = datetime.max.replace(tzinfo=UTC)


def _openings(times: Iterable[Resource]) -> Iterator[Opening]:
    for each in times:
        days = frozenset(WEEK.index(d) for d in each.get("daysOfWeek") or WEEK if d in WEEK)
        start, end = each.get("availableStartTime"), each.get("availableEndTime")
        if each.get("allDay") or (start is None and end is None):
            yield Opening(days, time(0), time(0))
        else:
            yield Opening(days, _clock(start), _clock(end))


def _clock(text: str | None) -> time:
    """A FHIR time to the minute; where absent, midnight: the day's beginning or end.

    To the second Python would read it but for a leap second, which FHIR has.
    """
    return time.fromisoformat(text[:5]) if text else time(0)


def _closed(periods: Iterable[Resource], zone: ZoneInfo) -> Iterator[tuple[datetime, datetime]]:
    """When it isn't available: from the first moment of ``start`` to the last of ``end``."""
    for each in periods:
        during = each.get("during") or {}
        start, end = (_ends(during.get(name), zone) for name in ("start", "end"))
        if start or end:
            first = start[0] if start else datetime.min.replace(tzinfo=UTC)
            yield first, end[1] if end else _EVER


def _ends(text: str | None, zone: ZoneInfo) -> tuple[datetime, datetime] | None:
    """The first and last moment of a FHIR dateTime; of a month or a year, of its first day."""
    if not text:
        return None
    if "T" in text:
        at = datetime.fromisoformat(text.replace(":60", ":59"))  # a leap second
        at = at if at.tzinfo else at.replace(tzinfo=zone)
        return at, at
    day = date.fromisoformat((text + "-01-01")[:10])
    first = datetime.combine(day, time(0), zone)
    return first, _EVER if day == date.max else first + timedelta(days=1)


def _value(element: Resource, name: str) -> Any:
    """The value of an extension: this gateway's by its short name, another by its URL."""
    return next(_values(element, name), None)


def _values(element: Resource, name: str) -> Iterator[Any]:
    url = name if ":" in name else codes.ROUTE + name
    for each in element.get("extension") or []:
        if each.get("url") == url and TYPES[url] in each:
            yield each[TYPES[url]]
