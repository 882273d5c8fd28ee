"""A ServiceRequest as a Referral: the need, the person, and what Consents say."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.fhir import codes
from gateway.route.facts import Permission, Place
from gateway.route.requests import (
    DISABILITY,
    GEOLOCATION,
    HOUSEHOLD,
    VETERAN,
    Around,
    in_force,
    permissions,
    referral,
)
from tests.route.samples import FOOD, NOW, SHELTER

ICD10 = "http://hl7.org/fhir/sid/icd-10-cm"


def coded(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def request(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "ServiceRequest",
        "id": "r",
        "subject": {"reference": "Patient/p"},
        **more,
    }


def who(reference: str) -> str | None:
    return {"Organization/pantry": "pantry"}.get(reference)


def made(request_: dict[str, Any], category: str = "", **around: Any) -> Any:
    return referral(request_, "clinic", Around(**around), who, NOW, category=category)


def person(**patient: Any) -> Any:
    return made(request(), patient={"resourceType": "Patient", **patient}).person


def permitted(**consent: Any) -> list[Permission]:
    return list(permissions({"status": "active", **consent}, who))


Z59 = {"code": coded(ICD10, "Z59.41")}


@pytest.mark.parametrize(
    ("request_", "reasons", "needs"),
    [
        (request(category=[coded(*FOOD)]), (), {FOOD}),
        (request(category=[coded(*SHELTER)]), (Z59,), {SHELTER}),
        (request(), (Z59,), {FOOD}),
        (request(reasonCode=[coded(ICD10, "Z59.41")]), (), {FOOD}),
        (request(category=[coded("urn:x", "Soc")]), (Z59,), {("urn:x", "Soc"), FOOD}),
        (request(code=coded(codes.SNOMED, "733423003")), (), {FOOD}),
        (request(), (), set()),
    ],
)
def test_the_need_is_the_requests_own_or_what_its_reasons_tell(
    request_: Any, reasons: Any, needs: Any
) -> None:
    assert made(request_, reasons=reasons).categories == needs


def test_one_of_its_needs_is_a_referral_of_its_own() -> None:
    both = request(category=[coded(*FOOD), coded(*SHELTER)])
    assert made(both).categories == {FOOD, SHELTER}
    part = made(both, "homelessness")
    assert part.categories == {SHELTER}
    assert part.id != made(both).id


@pytest.mark.parametrize(
    ("birth", "age"),
    [
        ("1992-11-23", 34),
        ("1992-11-24", 33),
        ("1992-11", 34),
        ("1992-12", 33),
        ("1992", None),
        ("2026-11-23", 0),
        (None, None),
    ],
)
def test_age_is_in_full_years(birth: str | None, age: int | None) -> None:
    assert person(birthDate=birth).age == age


def test_the_home_address_says_where_the_person_is() -> None:
    there = {"use": "old", "postalCode": "60601"}
    work = {"use": "work", "postalCode": "52601"}
    home = {
        "use": "home",
        "postalCode": "52240-1",
        "district": "Johnson County",
        "state": "IA",
        "extension": [
            {
                "url": GEOLOCATION,
                "extension": [
                    {"url": "latitude", "valueDecimal": 41.5},
                    {"url": "longitude", "valueDecimal": -91.5},
                ],
            }
        ],
    }
    found = Place("52240", "johnson", "ia", (41.5, -91.5))
    assert person(address=[there, work, home]).place == found
    assert person(address=[there, work]).place == Place("52601")
    assert person(address=[there]).place == Place()
    assert person().place == Place()


def test_preferred_languages_come_first() -> None:
    english = {"language": coded("urn:ietf:bcp:47", "en-US")}
    spanish = {"language": coded("urn:ietf:bcp:47", "es"), "preferred": True}
    assert person(communication=[english, spanish]).languages == ("es", "en")


@pytest.mark.parametrize(
    ("value", "veteran"),
    [
        ({"valueBoolean": True}, True),
        ({"valueBoolean": False}, False),
        ({"valueCodeableConcept": coded("http://loinc.org", "LA33-6")}, True),
        ({"valueCodeableConcept": coded(codes.SNOMED, "373067005")}, False),
        ({"valueCodeableConcept": coded("urn:hud", "8")}, None),
        ({}, None),
    ],
)
def test_military_service_is_an_observation(value: Any, veteran: bool | None) -> None:
    observation = {"code": coded(*VETERAN), **value}
    other = {"code": coded("http://loinc.org", "1-1"), "valueBoolean": True}
    assert made(request(), observations=(other, observation)).person.veteran is veteran


def test_the_newest_word_on_military_service_counts() -> None:
    def said(year: int, value: bool) -> dict[str, Any]:
        when = f"{year}-01-01"
        return {"code": coded(*VETERAN), "effectiveDateTime": when, "valueBoolean": value}

    assert made(request(), observations=(said(2020, False), said(2024, True))).person.veteran


def test_a_household_is_a_groups_characteristic() -> None:
    value = coded(codes.ELIGIBILITY, "with-children")
    family = {"characteristic": [{"code": coded(*HOUSEHOLD), "valueCodeableConcept": value}]}
    assert made(request(), groups=({}, family)).person.household == "with-children"
    assert made(request(), groups=({},)).person.household == ""


HERON = {"resourceType": "Patient", "id": "p", "name": [{"use": "anonymous", "text": "heron"}]}
WHY = {"resourceType": "Condition", "id": "c", "subject": {"reference": "Patient/p"}}


@pytest.mark.parametrize(
    ("asked", "along", "pseudonymous"),
    [
        ({}, [], True),
        ({"subject": {"reference": "Patient/p", "display": "Elena Novak"}}, [], False),
        ({"text": {"status": "generated"}}, [], False),
        ({"reasonReference": [{"reference": "Condition/c"}]}, [WHY], True),
        (
            {"supportingInfo": [{"reference": "Condition/c"}]},
            [{**WHY, "contained": [HERON]}],
            False,
        ),
        (
            {"supportingInfo": [{"reference": "Coverage/c"}]},
            [{**WHY, "resourceType": "Coverage"}],
            False,
        ),
        ({}, [{**WHY, "resourceType": "Encounter"}], True),
        (
            {"reasonReference": [{"reference": "Condition/c"}]},
            [{**WHY, "subject": {"reference": "Patient/q"}}],
            False,
        ),
    ],
)
def test_it_goes_under_a_pseudonym_where_nothing_that_goes_along_says_more(
    asked: Any, along: Any, pseudonymous: bool
) -> None:
    made_ = made(request(**asked), patient=HERON, others=along)
    assert made_.person.pseudonymous is pseudonymous


def test_of_whom_nobody_knows_the_record_nobody_knows_that_it_tells_nothing() -> None:
    assert not made(request()).person.pseudonymous
    assert not made(request(), patient={**HERON, "birthDate": "1990"}).person.pseudonymous


@pytest.mark.parametrize("code", ["42CFRPart2", "R"])
@pytest.mark.parametrize("where", ["request", "reasons", "others"])
def test_a_label_restricts_wherever_it_stands(code: str, where: str) -> None:
    labelled = {"meta": {"security": [{"code": code}]}}
    if where == "request":
        assert made(request(**labelled)).restricted
    else:
        assert made(request(), **{where: (labelled,)}).restricted
    assert not made(request(meta={"security": [{"code": "N"}]})).restricted


TO_PANTRY = {"reference": {"reference": "Organization/pantry"}}
TO_STRANGER = {"reference": {"reference": "Organization/x"}}
PERMIT_PANTRY = {"type": "permit", "actor": [TO_PANTRY]}


@pytest.mark.parametrize(
    ("consent", "found"),
    [
        ({}, [Permission(True)]),
        ({"status": "draft"}, []),
        ({"status": "entered-in-error"}, []),
        ({"status": "inactive"}, [Permission(False)]),
        ({"status": "rejected"}, [Permission(False)]),
        ({"provision": {"type": "deny"}}, [Permission(False)]),
        (
            {"provision": PERMIT_PANTRY},
            [Permission(True, recipients=frozenset({"pantry"}))],
        ),
        (
            {"provision": {"type": "permit", "actor": [TO_STRANGER]}},
            [Permission(True, recipients=frozenset({"Organization/x"}))],
        ),
        (
            {"provision": {"type": "permit", "actor": [{"reference": {"display": "somebody"}}]}},
            [Permission(True, recipients=frozenset({"?"}))],
        ),
        (
            {"provision": {"type": "deny", "provision": [PERMIT_PANTRY]}},
            [Permission(True, recipients=frozenset({"pantry"}))],
        ),
        (
            {
                "provision": {
                    "type": "permit",
                    "provision": [{"type": "deny", "actor": [TO_PANTRY]}],
                }
            },
            [Permission(True), Permission(False, recipients=frozenset({"pantry"}))],
        ),
        (
            {"provision": {"purpose": [{"code": "COC"}], "code": [coded(*FOOD)]}},
            [
                Permission(
                    True,
                    purposes=frozenset({"COC", "TREAT"}),
                    categories=frozenset({FOOD}),
                )
            ],
        ),
        (
            {"provision": {"purpose": [{"code": "HMARKT"}]}},
            [Permission(True, purposes=frozenset({"HMARKT"}))],
        ),
    ],
)
def test_a_consent_says(consent: dict[str, Any], found: list[Permission]) -> None:
    assert permitted(**consent) == found


def test_a_consents_period_ends_with_its_last_day() -> None:
    (one,) = permitted(provision={"period": {"start": "2026-01-01", "end": "2026-11-23"}})
    assert one.start == datetime(2026, 1, 1, tzinfo=UTC)
    assert one.end is not None
    assert one.end > datetime(2026, 11, 23, 23, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("period", "holds"),
    [
        (None, True),
        ({}, True),
        ({"end": "2026-11-23"}, True),
        ({"end": "2026-11-22"}, False),
        ({"start": "2026-11-24"}, False),
        ({"start": "2026-11-23T16:00:00Z", "end": "2026-11-23T18:00:00Z"}, True),
    ],
)
def test_a_period_holds_now(period: Any, holds: bool) -> None:
    assert in_force(period, NOW) is holds


def coverage(code: str, **more: Any) -> dict[str, Any]:
    return {"status": "active", "type": coded("https://nahdo.org/sopt", code), **more}


def test_insurance_is_what_is_in_force_by_whatever_name_its_system_has() -> None:
    old = {"type": {"coding": [{"system": "urn:oid:2.16.840.1.113883.3.221.5", "code": "81"}]}}
    held = (
        coverage("2"),
        coverage("1", period={"end": "2020-01-01"}),
        coverage("5", status="cancelled"),
        coverage("9") | old,
        coverage("x") | {"type": coded("urn:payer", "x")},
        coverage("x") | {"type": coded(codes.BASE + "CodeSystem/hmis-element", "VHAServices")},
    )
    found = made(request(), coverages=held).person.insurances
    assert found == {("https://nahdo.org/sopt", each) for each in ("2", "81", "32")}


def test_what_somebody_needs_to_use_a_service_is_told_by_the_request_or_the_record() -> None:
    ramp, signs = (coded(codes.ACCESSIBILITY, each) for each in ("wheelchair", "sign-language"))
    disability = {"url": DISABILITY, "valueCodeableConcept": signs}
    asked = request(orderDetail=[ramp, {"text": "x"}])
    found = made(asked, patient={"resourceType": "Patient", "extension": [disability]})
    assert {code for _, code in found.person.needs} == {"wheelchair", "sign-language"}


def test_documents_are_known_by_code_and_by_word_while_they_stand() -> None:
    lease = {"type": {"text": "Lease Agreement"}, "category": [coded("urn:x", "housing")]}
    found = made(
        request(),
        documents=(
            {"status": "current", **lease},
            {"status": "superseded", "type": {"text": "Photo ID"}},
        ),
    )
    assert found.person.papers == {("", "lease agreement"), ("urn:x", "housing")}
