"""Which member a referral names: by reference, identifier or name, and never by guess."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.model import Agency
from gateway.route.directory import Directory, normal, performer, performers

NPI = "http://hl7.org/fhir/sid/us-npi"
AGENCIES = (
    Agency("food-bank", "County Food Bank", identifiers=((NPI, "1234567893"),)),
    Agency("harbor", "Harbor Shelter", aliases=("Harbour House", "Paul McWilliams")),
    Agency("east", "Eastside Pantry", aliases=("Pantry",), identifiers=(("", "PLN5010"),)),
    Agency("west", "Westside Pantry", aliases=("Pantry",)),
)
DIRECTORY = Directory(AGENCIES)


def found(request: dict[str, Any], *resources: dict[str, Any]) -> str | None:
    by_reference = {f"{each['resourceType']}/{each['id']}": each for each in resources}
    return performer(DIRECTORY, {"resourceType": "ServiceRequest", **request}, by_reference)


def asked(*references: str) -> dict[str, Any]:
    return {"performer": [{"reference": each} for each in references]}


def organization(id: str = "o1", **more: Any) -> dict[str, Any]:
    return {"resourceType": "Organization", "id": id, **more}


@pytest.mark.parametrize(
    "name",
    [
        "County Food Bank",
        "COUNTY  FOOD-BANK",
        "county food bank.",
        "C\u00f3unty Food Bank",
        "food-bank",
    ],
)
def test_a_name_is_the_same_but_for_case_accents_and_punctuation(name: str) -> None:
    assert found(asked("Organization/o1"), organization(name=name)) == "food-bank"


@pytest.mark.parametrize("name", ["County Food", "Food", "", "The County Food Bank", "Nobody"])
def test_nearly_is_not_the_same(name: str) -> None:
    assert found(asked("Organization/o1"), organization(name=name)) is None


def test_an_alias_on_either_side_will_do() -> None:
    assert found(asked("Organization/o1"), organization(name="HARBOUR HOUSE")) == "harbor"
    theirs = organization(name="Shelters Inc", alias=["Harbor Shelter"])
    assert found(asked("Organization/o1"), theirs) == "harbor"


def test_a_name_that_two_members_bear_chooses_none() -> None:
    assert found(asked("Organization/o1"), organization(name="Pantry")) is None


def test_the_directorys_own_entry_is_the_plainest_answer() -> None:
    assert found(asked("Organization/harbor")) == "harbor"
    named = organization("harbor", name="County Food Bank")
    assert found(asked("Organization/harbor"), named) == "harbor"


def test_every_member_that_is_asked_is_told_in_order() -> None:
    request = {"resourceType": "ServiceRequest", **asked("Organization/east", "Organization/o1")}
    request["performer"] += [{"display": "Harbor Shelter"}, {"display": "Nobody"}]
    named = {"Organization/o1": organization(name="Food-Bank")}
    assert performers(DIRECTORY, request, named) == ("east", "food-bank", "harbor")
    assert performers(DIRECTORY, {}, {}) == ()


@pytest.mark.parametrize(
    ("service", "agency"),
    [
        ({"providedBy": {"reference": "Organization/harbor"}}, "harbor"),
        ({"providedBy": {"reference": "Organization/o1"}}, "food-bank"),
        ({"providedBy": {"display": "Harbour House"}}, "harbor"),
        ({"name": "Harbor Shelter"}, None),
    ],
)
def test_a_service_stands_for_whoever_provides_it(
    service: dict[str, Any], agency: str | None
) -> None:
    asked_for = {"resourceType": "HealthcareService", "id": "s", **service}
    provider = organization(name="County Food Bank")
    assert found(asked("HealthcareService/s"), asked_for, provider) == agency


def test_an_identifier_goes_before_a_name_and_needs_its_system() -> None:
    numbered: dict[str, Any] = {
        "identifier": [{"system": NPI, "value": "1234567893"}],
        "name": "Harbor Shelter",
    }
    assert found(asked("Organization/o1"), organization(**numbered)) == "food-bank"
    other: dict[str, Any] = {"identifier": [{"system": "urn:oid:1.2", "value": "1234567893"}]}
    assert found(asked("Organization/o1"), organization(**other)) is None


def test_an_identifier_declared_without_system_fits_any() -> None:
    any_system: dict[str, Any] = {
        "identifier": [{"system": "urn:oid:1.2", "value": "PLN5010"}, {"use": "old"}]
    }
    assert found(asked("Organization/o1"), organization(**any_system)) == "east"


@pytest.mark.parametrize(
    "name",
    [
        {"family": "McWilliams", "given": ["Paul"]},
        {"family": "PAUL", "given": ["MCWILLIAMS"]},
        {"text": "Paul McWilliams"},
    ],
)
def test_a_practitioner_may_stand_for_an_agency_by_alias(name: dict[str, Any]) -> None:
    person = {"resourceType": "Practitioner", "id": "p1", "name": [name]}
    assert found(asked("Practitioner/p1"), person) == "harbor"


def test_a_role_leads_to_its_organization_and_its_practitioner() -> None:
    role = {
        "resourceType": "PractitionerRole",
        "id": "r1",
        "practitioner": {"reference": "Practitioner/p1"},
        "organization": {"reference": "Organization/o1"},
    }
    person = {"resourceType": "Practitioner", "id": "p1", "name": [{"family": "Powell"}]}
    named = organization(name="County Food Bank")
    assert found(asked("PractitionerRole/r1"), role, person, named) == "food-bank"
    numbered = person | {"identifier": [{"system": NPI, "value": "1234567893"}]}
    assert found(asked("PractitionerRole/r1"), role, numbered) == "food-bank"


def test_a_bare_display_or_identifier_will_do() -> None:
    assert found({"performer": [{"display": "Harbor shelter"}]}) == "harbor"
    logical = {"performer": [{"identifier": {"system": NPI, "value": "1234567893"}}]}
    assert found(logical) == "food-bank"


def test_among_equals_the_first_counts() -> None:
    both = [organization("o1", name="Harbor Shelter"), organization("o2", name="County Food Bank")]
    assert found(asked("Organization/o1", "Organization/o2"), *both) == "harbor"
    assert found(asked("Organization/o2", "Organization/o1"), *both) == "food-bank"


@pytest.mark.parametrize("request_", [{}, {"performer": []}, {"performer": [{}]}])
def test_a_referral_to_nobody_finds_nobody(request_: dict[str, Any]) -> None:
    assert found(request_) is None


def test_an_empty_name_matches_no_member_without_one() -> None:
    nameless = Directory([Agency("a", "")])
    assert nameless.by_name("") is None
    assert nameless.by_name("--") is None


def test_text_is_compared_without_its_dress() -> None:
    assert normal("  St. Brigid\u2019s NIGHTS\u00a0 ") == "st brigid s nights"
    assert normal("Stra\u00dfe") == "strasse"
