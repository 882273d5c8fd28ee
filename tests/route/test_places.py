"""ZIP, county, state, circles and shapes: what reaches, what doesn't, what isn't known."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.route.facts import Area, Circle, Place
from gateway.route.places import county, distance, inside, reach, state, zip_code

IOWA_CITY, CHICAGO = (41.6611, -91.5302), (41.8781, -87.6298)
WASHINGTON_IA = frozenset({("ia", "washington")})


def area(**more: Any) -> Area:
    return Area(**{name: frozenset(some) for name, some in more.items()})


@pytest.mark.parametrize(
    ("served", "place", "reached"),
    [
        (area(zips={"52240"}), Place(zip="52240"), "local"),
        (area(zips={"52240"}), Place(zip="52601"), "outside"),
        (area(zips={"52240"}), Place(county="johnson"), "unknown"),
        (area(zips={"52240"}, counties=WASHINGTON_IA), Place(zip="52601"), "unknown"),
        (
            area(zips={"52240"}, counties=WASHINGTON_IA),
            Place(zip="52601", county="des moines", state="ia"),
            "outside",
        ),
        (area(counties=WASHINGTON_IA), Place(county="washington", state="ia"), "local"),
        (area(counties=WASHINGTON_IA), Place(county="washington", state="or"), "outside"),
        (area(counties=WASHINGTON_IA), Place(county="washington"), "local"),
        (area(counties={("", "washington")}), Place(county="washington", state="or"), "local"),
        (area(states={"ia"}), Place(state="ia"), "regional"),
        (area(states={"ia"}), Place(state="il"), "outside"),
        (area(states={"ia"}), Place(zip="52240"), "unknown"),
        (area(states={"ia"}, zips={"61201"}), Place(zip="61201", state="il"), "local"),
        (Area(), Place(zip="52240"), "unknown"),
        (area(zips={"52240"}), Place(), "unknown"),
        (Area(circles=(Circle(IOWA_CITY, 10),)), Place(point=(41.70, -91.55)), "local"),
        (Area(circles=(Circle(IOWA_CITY, 10),)), Place(point=CHICAGO), "outside"),
    ],
)
def test_a_service_reaches(served: Area, place: Place, reached: str) -> None:
    assert reach(served, place) == reached


def test_distance_is_along_the_surface() -> None:
    assert distance(IOWA_CITY, CHICAGO) == pytest.approx(323.6, abs=1)
    assert distance(IOWA_CITY, IOWA_CITY) == 0
    assert distance((0, 0), (0, 180)) == pytest.approx(20015.1, abs=0.1)


def test_a_ring_holds_what_is_inside_whichever_way_it_runs() -> None:
    ell = ((0.0, 0.0), (0.0, 3.0), (1.0, 3.0), (1.0, 1.0), (3.0, 1.0), (3.0, 0.0))
    for ring in (ell, ell[::-1], (*ell, ell[0])):
        assert inside((0.5, 2.5), ring)
        assert inside((2.5, 0.5), ring)
        assert not inside((2.0, 2.0), ring)
        assert not inside((-1.0, 0.5), ring)


@pytest.mark.parametrize(
    ("text", "found"),
    [("52240", "52240"), ("52240-1234", "52240"), (" 52240", "52240"), ("5224", ""), ("ABCDE", "")],
)
def test_a_zip_is_its_five_digits(text: str, found: str) -> None:
    assert zip_code(text) == found


def test_names_of_counties_and_states_are_compared_plainly() -> None:
    assert county("Cedar County") == county("CEDAR") == "cedar"
    assert county("St. Mary Parish") == "st mary"
    assert state("IA") == state("ia ") == "ia"
