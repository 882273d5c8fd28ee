"""Routing over a hub: what is read of the directory and of the person, and what is kept of it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway import routing
from gateway.errors import RouteError
from gateway.fhir import codes
from gateway.members import KEEPER, Members
from gateway.model import HUB, Agency, Resource
from gateway.route import Decision
from gateway.route.facts import Candidate
from gateway.route.services import Beside
from gateway.routing import candidates
from gateway.store import Hub
from tests.routing.county import (
    BARRED,
    FOOD,
    PANTRY,
    REQUEST,
    county,
    hide,
    join,
    patient,
    put,
    request,
    service,
    task,
)

NOW = datetime(2026, 11, 23, 17, tzinfo=UTC)


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One engine: what differs between them is the store's, and ``test_each_engine`` asks both."""
    return sqlite_url


@pytest.fixture
def members(hub: Hub) -> Members:
    return county(hub)


def explained(hub: Hub, members: Members, *asked: str, **more: Any) -> Decision:
    with hub.read() as reader:
        return routing.explain(reader, members, REQUEST, asked, now=NOW, **more)


def standing(hub: Hub, members: Members, *asked: str) -> dict[str, str]:
    decision = explained(hub, members, *asked)
    return {each.candidate.service.partition("/")[2]: each.standing for each in decision.verdicts}


def said(hub: Hub, members: Members, service_: str, rule: str) -> str:
    verdicts = {each.candidate.service: each for each in explained(hub, members).verdicts}
    findings = verdicts[f"HealthcareService/{service_}"].findings
    return next((each.says for each in findings if each.rule == rule), "")


def test_a_request_finds_a_service_of_a_member(hub: Hub, members: Members) -> None:
    first = explained(hub, members)
    assert first.outcome == "ask"
    assert first.chosen is not None
    assert set(standing(hub, members).values()) == {"chosen", "next"}
    second = explained(hub, members, first.chosen.agency)
    assert second.chosen is not None
    assert second.chosen.agency == ({"pantry", "bank"} - {first.chosen.agency}).pop()
    assert explained(hub, members, "pantry", "bank").outcome == "nobody"


def test_the_same_referral_falls_the_same_way(hub: Hub, members: Members) -> None:
    assert explained(hub, members) == explained(hub, members)


def test_there_must_be_a_request(hub: Hub, members: Members) -> None:
    with hub.read() as reader, pytest.raises(RouteError):
        routing.explain(reader, members, "ServiceRequest/none", ())
    with hub.read() as reader, pytest.raises(RouteError):
        routing.explain(reader, members, "Patient/p", ())


def test_the_persons_own_choice_comes_first(hub: Hub, members: Members) -> None:
    for agency in ("pantry", "bank"):
        put(hub, "clinic", request(performer=[{"reference": f"Organization/{agency}"}]))
        assert standing(hub, members)[f"{agency}-food"] == "chosen"
        by_service = {"reference": f"HealthcareService/{agency}-food"}
        put(hub, "clinic", request(performer=[by_service]))
        put(hub, agency, service(f"{agency}-food", agency))
        assert standing(hub, members)[f"{agency}-food"] == "chosen"


@pytest.mark.parametrize("status", ["accepted", "in-progress", "completed"])
def test_who_serves_the_person_already_comes_first(hub: Hub, members: Members, status: str) -> None:
    for agency, other in (("pantry", "bank"), ("bank", "pantry")):
        put(hub, "clinic", task("t", agency, status))
        put(hub, "clinic", task("u", other, "rejected"))
        assert standing(hub, members)[f"{agency}-food"] == "chosen"


def test_where_the_service_reaches_is_read_with_it(hub: Hub, members: Members) -> None:
    zips = {"near": "52240", "away": "52601"}
    for id, zip_code in zips.items():
        put(
            hub, "bank", {"resourceType": "Location", "id": id, "address": {"postalCode": zip_code}}
        )
    for id, says in (("near", "for"), ("away", "out"), ("lost", "confirm")):
        covered = [{"reference": f"Location/{id}"}]
        put(hub, "bank", service("bank-food", coverageArea=covered))
        assert said(hub, members, "bank-food", "area") == says
    # another agency's Location isn't this one's to cover
    put(hub, "pantry", service("pantry-food", coverageArea=[{"reference": "Location/away"}]))
    assert said(hub, members, "pantry-food", "area") == "confirm"


def test_a_service_that_cant_be_understood_stops_nobody_elses(
    hub: Hub, members: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = candidates.candidate

    def odd(service: Resource, agency: Agency, beside: Beside) -> Candidate:
        if service["id"] == "bank-food":
            raise OverflowError
        return whole(service, agency, beside)

    before = set(standing(hub, members))
    monkeypatch.setattr(candidates, "candidate", odd)
    assert set(standing(hub, members)) == before - {"bank-food"}


def test_another_agencys_record_of_a_person_tells_nothing(hub: Hub, members: Members) -> None:
    put(hub, "bank", {"resourceType": "Location", "id": "l", "address": {"postalCode": "52240"}})
    put(hub, "bank", service("bank-food", coverageArea=[{"reference": "Location/l"}]))
    assert said(hub, members, "bank-food", "area") == "for"
    put(hub, "pantry", patient(id="q"))
    put(hub, "clinic", request(subject={"reference": "Patient/q"}))
    assert said(hub, members, "bank-food", "area") == "confirm"


def test_a_consent_that_the_request_names_bounds_it(hub: Hub, members: Members) -> None:
    assert said(hub, members, "bank-food", "consent") == "confirm"
    put(hub, "clinic", consent())
    put(hub, "clinic", request(supportingInfo=[{"reference": "Consent/c"}]))
    assert said(hub, members, "bank-food", "consent") == "for"
    put(hub, "clinic", consent(provision=to("pantry")))
    assert said(hub, members, "bank-food", "consent") == "out"
    assert said(hub, members, "pantry-food", "consent") == "for"
    put(hub, "clinic", consent(status="inactive"))
    assert said(hub, members, "pantry-food", "consent") == "out"


def test_a_denial_of_the_patients_counts_wherever_it_stands(hub: Hub, members: Members) -> None:
    put(hub, "clinic", consent(provision={**to("bank"), "type": "deny"}))
    assert said(hub, members, "bank-food", "consent") == "out"
    assert said(hub, members, "pantry-food", "consent") == "confirm"
    put(hub, "clinic", consent(status="inactive"))
    assert said(hub, members, "bank-food", "consent") == "confirm"
    # nobody denies in another agency's name
    put(hub, "pantry", {**consent(provision={**to("bank"), "type": "deny"}), "id": "c2"})
    assert said(hub, members, "bank-food", "consent") == "confirm"


def test_what_needs_a_consent_goes_nowhere_without(hub: Hub, members: Members) -> None:
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "42CFRPart2"}
    condition = {
        "resourceType": "Condition",
        "id": "k",
        "meta": {"security": [label]},
        "subject": {"reference": "Patient/p"},
    }
    put(hub, "clinic", condition)
    put(hub, "clinic", request(reasonReference=[{"reference": "Condition/k"}]))
    assert explained(hub, members).outcome == "nobody"
    put(hub, "clinic", consent())
    assert explained(hub, members).outcome == "ask"


def test_a_bar_list_is_by_flags(hub: Hub, members: Members) -> None:
    put(hub, "bank", flag("f"))
    assert standing(hub, members) == {"pantry-food": "chosen", "bank-food": "out"}
    put(hub, "bank", flag("f", status="inactive"))
    assert "out" not in standing(hub, members).values()
    put(hub, "clinic", flag("g", author={"reference": "Organization/pantry"}))
    assert standing(hub, members) == {"pantry-food": "out", "bank-food": "chosen"}
    # nobody bars a person from another agency
    put(hub, "clinic", flag("g", code={"text": "fragile"}))
    put(hub, "bank", flag("h", author={"reference": "Organization/pantry"}))
    assert standing(hub, members) == {"pantry-food": "chosen", "bank-food": "out"}


def test_a_bar_on_an_agencys_own_record_counts(hub: Hub, members: Members) -> None:
    phone = [{"system": "phone", "value": "319-555-0142"}]
    put(hub, "bank", patient(id="theirs", gender="female", telecom=phone))
    put(hub, "clinic", patient(gender="female", telecom=phone))
    put(hub, "bank", flag("f", subject={"reference": "Patient/theirs"}))
    assert standing(hub, members) == {"pantry-food": "chosen", "bank-food": "out"}
    # a namesake isn't the person
    put(hub, "bank", patient(id="theirs", birthDate="1951-01-02"))
    assert "out" not in standing(hub, members).values()


def test_an_agreement_is_a_contract_that_the_hub_keeps(hub: Hub, members: Members) -> None:
    put(hub, "pantry", contract("revoked"))
    assert said(hub, members, "bank-food", "agreement") == ""
    put(hub, HUB, {**contract("executed"), "id": "k2"})
    assert said(hub, members, "bank-food", "agreement") == "for"
    over = {"applies": {"end": "2026-01-01"}}
    put(hub, HUB, {**contract("executed"), "id": "k2", **over})
    assert said(hub, members, "bank-food", "agreement") == "out"
    assert said(hub, members, "pantry-food", "agreement") == ""


def test_another_directory_counts_where_the_agency_says_nothing(hub: Hub, members: Members) -> None:
    members = join(hub, "211", "harbor")
    put(hub, "211", service("harbor-food", "harbor"))
    put(hub, "211", service("bank-told", "bank"))
    put(hub, "211", service("stranger", "nobody"))
    found = standing(hub, members)
    assert set(found) == {"pantry-food", "bank-food", "harbor-food"}
    assert said(hub, members, "harbor-food", "directory") == "confirm"
    put(hub, HUB, service("kept-by-hub", "harbor"))
    assert said(hub, members, "kept-by-hub", "directory") == ""


def test_a_large_directory_is_narrowed_to_the_need(
    hub: Hub, members: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = {"system": FOOD["system"], "code": "homelessness"}
    put(hub, "bank", service("bank-beds", category=[{"coding": [other]}]))
    put(hub, "bank", {**service("bank-any"), "category": []} | {"category": [{"text": "all"}]})
    assert set(standing(hub, members)) == {"pantry-food", "bank-food", "bank-beds", "bank-any"}
    monkeypatch.setattr(candidates, "WHOLE", 1)
    monkeypatch.setattr(candidates, "PAGE", 1)
    narrowed = set(standing(hub, members))
    assert {"pantry-food", "bank-food"} <= narrowed
    assert "bank-any" in narrowed
    assert "bank-beds" not in narrowed
    put(hub, "clinic", {**request(), "category": [{"text": "help"}]})
    assert "bank-beds" in standing(hub, members)


def test_a_victim_service_provider_takes_and_gives_pseudonyms_alone(
    hub: Hub, members: Members, tmp_path: Path
) -> None:
    hide(members, "bank", tmp_path)
    assert said(hub, members, "bank-food", "pseudonym") == "out"
    put(hub, "clinic", {"resourceType": "Patient", "id": "p"})
    assert said(hub, members, "bank-food", "pseudonym") == "for"
    put(hub, "clinic", patient())
    hide(members, "clinic", tmp_path)
    assert said(hub, members, "pantry-food", "pseudonym") == "out"


def test_the_requesters_own_word_on_insurance_and_documents_counts(
    hub: Hub, members: Members
) -> None:
    sopt = "https://nahdo.org/sopt"
    asks = {"url": codes.ROUTE + "required-document", "valueCodeableConcept": {"text": "Photo ID"}}
    medicaid = {"code": {"coding": [{"system": sopt, "code": "2"}]}}
    put(hub, "pantry", service("pantry-food", eligibility=[medicaid], extension=[asks]))
    held = {
        "resourceType": "Coverage",
        "status": "active",
        "beneficiary": {"reference": "Patient/p"},
        "payor": [{"display": "the state"}],
        "type": {"coding": [{"system": sopt, "code": "21"}]},
    }
    paper = {
        "resourceType": "DocumentReference",
        "status": "current",
        "subject": {"reference": "Patient/p"},
        "type": {"text": "photo-ID"},
        "content": [{"attachment": {"title": "x"}}],
    }
    for owner, said_so in (("bank", "confirm"), ("clinic", "for")):
        put(hub, owner, {**held, "id": f"c-{owner}"})
        put(hub, owner, {**paper, "id": f"d-{owner}"})
        assert said(hub, members, "pantry-food", "insurance") == said_so
        assert said(hub, members, "pantry-food", "documents") == said_so


def test_only_one_of_its_needs_may_be_asked_about(hub: Hub, members: Members) -> None:
    beds = {"system": FOOD["system"], "code": "homelessness"}
    put(hub, "bank", service("bank-food", category=[{"coding": [beds]}]))
    put(hub, "clinic", request(category=[{"coding": [FOOD]}, {"coding": [beds]}]))
    assert set(standing(hub, members).values()) == {"chosen", "next"}
    for need, agency in (("food-insecurity", "pantry"), ("homelessness", "bank")):
        chosen = explained(hub, members, category=need).chosen
        assert chosen is not None
        assert chosen.agency == agency


def test_the_keeper_alone_reads_everything_to_decide(hub: Hub, members: Members) -> None:
    """Neither side sees more than before for having been routed."""
    hub.write(lambda tx: routing.route(tx, members, REQUEST, (), now=NOW))
    with hub.read() as reader:
        assert reader.visible(KEEPER, "Patient/p")
        assert not reader.visible(PANTRY, "Patient/p")
        assert not reader.visible(PANTRY, REQUEST)


def consent(**more: Any) -> dict[str, Any]:
    scope = "http://terminology.hl7.org/CodeSystem/consentscope"
    return {
        "resourceType": "Consent",
        "id": "c",
        "status": "active",
        "scope": {"coding": [{"system": scope, "code": "patient-privacy"}]},
        "category": [{"coding": [{"code": "IDSCL"}]}],
        "patient": {"reference": "Patient/p"},
        "policyRule": {"text": "hipaa-auth"},
        **more,
    }


def to(agency: str) -> dict[str, Any]:
    reference = {"reference": f"Organization/{agency}"}
    return {"type": "permit", "actor": [{"role": {"text": "IRCP"}, "reference": reference}]}


def flag(id: str, **more: Any) -> dict[str, Any]:
    subject = {"reference": "Patient/p"}
    return {
        "resourceType": "Flag",
        "id": id,
        "status": "active",
        "code": BARRED,
        "subject": subject,
        **more,
    }


def contract(status: str) -> dict[str, Any]:
    party = {"reference": "Organization/bank"}
    return {"resourceType": "Contract", "id": "k1", "status": status, "subject": [party]}
