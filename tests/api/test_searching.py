"""Search over HTTP: links, modes, compartments, the system, custom parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.api.calls import Caller, issue

Find = Callable[..., Caller]


def put(caller: Caller, *resources: dict[str, Any]) -> None:
    for resource in resources:
        response = caller.put(f"/fhir/{resource['resourceType']}/{resource['id']}", resource)
        assert response.status_code in (200, 201), response.text


def bundle(caller: Caller, path: str, **headers: str) -> dict[str, Any]:
    response = caller.get(path, **headers)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def ids(found: dict[str, Any], mode: str = "match") -> list[str]:
    return [
        each["resource"]["id"] for each in found.get("entry", []) if each["search"]["mode"] == mode
    ]


def links(found: dict[str, Any]) -> dict[str, str]:
    return {each["relation"]: each["url"] for each in found["link"]}


PATIENT = {
    "resourceType": "Patient",
    "id": "s-p",
    "name": [{"family": "Searched"}],
    "birthDate": "1980-02-03",
    "extension": [{"url": "http://e.org/pronoun", "valueString": "they"}],
}


def observation(id: str, code: str = "a") -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": id,
        "status": "final",
        "code": {"coding": [{"system": "urn:s", "code": code, "display": f"Finding {code}"}]},
        "subject": {"reference": "Patient/s-p"},
    }


@pytest.fixture(scope="module")
def clinic(caller: Find) -> Caller:
    found = caller("cedar-general")
    put(found, PATIENT, *(observation(f"s-o{n}") for n in range(5)), observation("s-b", "b"))
    return found


def test_what_a_page_brings_with_it_says_so_and_is_not_counted(clinic: Caller) -> None:
    found = bundle(clinic, "/fhir/Observation?code=urn:s|b&_include=Observation:subject")
    assert (ids(found), ids(found, "include"), found["total"]) == (["s-b"], ["s-p"], 1)
    found = bundle(clinic, "/fhir/Patient?family=searched&_revinclude=Observation:patient")
    assert len(ids(found, "include")) == 6
    assert all(each["fullUrl"].startswith("http://gateway/fhir/") for each in found["entry"])


@pytest.mark.parametrize(
    "path",
    [
        "/fhir/Observation?patient.family=searched&_count=2",
        "/fhir/Patient/s-p/Observation?_count=2",
        "/fhir?_type=Observation&_count=2",
        "/fhir/Observation?_sort=-code,_id&_count=2",
        "/fhir/Observation?_content=finding&_count=2",
    ],
)
def test_links_lead_through_all_pages_and_to_the_first(
    clinic: Caller, caller: Find, path: str
) -> None:
    whole = ids(bundle(clinic, path.replace("_count=2", "_count=50")))
    found = bundle(clinic, path)
    first, seen = found, ids(found)
    assert "previous" not in links(found)
    while "next" in links(found):
        found = followed(clinic, caller, found, "next")
        seen += ids(found)
        assert found["total"] == 6
        assert links(found)["first"] == links(first)["first"]
    assert seen == whole
    assert len(seen) == 6
    back = ids(found)
    while "previous" in links(found):
        found = followed(clinic, caller, found, "previous")
        back = ids(found) + back
    assert (back, ids(found)) == (whole, ids(first))


def followed(clinic: Caller, caller: Find, found: dict[str, Any], link: str) -> dict[str, Any]:
    """The page that a link leads its asker to, and nobody else."""
    url = links(found)[link].removeprefix("http://gateway")
    assert caller("food-bank").get(url).status_code in (400, 404)
    return bundle(clinic, url)


def test_places_near_and_names_alike_are_found_by_who_sees_them(
    clinic: Caller, caller: Find
) -> None:
    at = {"latitude": 41.9, "longitude": -91.6}
    put(clinic, {"resourceType": "Location", "id": "s-l", "position": at})
    for path, id in (
        ("/fhir/Location?near=41.95|-91.6|10|km", "s-l"),
        ("/fhir/Patient?phonetic=sercht", "s-p"),
    ):
        found = bundle(clinic, path)
        assert (ids(found), found["total"]) == ([id], 1), path
        assert ids(bundle(caller("food-bank"), path)) == []
    told = bundle(clinic, "/fhir/metadata")["rest"][0]["resource"]
    types = {
        (each["type"], one["name"]): one["type"]
        for each in told
        for one in each.get("searchParam", ())
    }
    assert types["Location", "near"] == "special"
    assert types["Patient", "phonetic"] == "string"
    refused = issue(clinic.get("/fhir/Patient?_query=match"))
    assert "named queries" in refused["diagnostics"]
    assert issue(clinic.get("/fhir/Patient?_contained=both"))["code"] == "not-supported"


def test_a_search_by_post_is_the_same_on_every_level(clinic: Caller) -> None:
    for path in ("/fhir", "/fhir/Observation", "/fhir/Patient/s-p/Observation"):
        form = {"code": "urn:s|b"} if path != "/fhir" else {"_type": "Observation", "_id": "s-b"}
        response = clinic("POST", f"{path}/_search", data=form)
        assert response.status_code == 200, response.text
        assert ids(response.json()) == ["s-b"]


def test_a_compartment_is_searched_by_who_sees_whose_it_is(clinic: Caller, caller: Find) -> None:
    everything = bundle(clinic, "/fhir/Patient/s-p/*")
    assert len(ids(everything)) == 7
    assert ids(bundle(clinic, "/fhir/Patient/s-p/Observation?code=b")) == ["s-b"]
    assert ids(bundle(clinic, "/fhir/Patient/s-p/*?_type=Patient")) == ["s-p"]
    for path, status in (
        ("/fhir/Patient/nobody/Observation", 404),
        ("/fhir/Patient/s-p/Organization", 400),
        ("/fhir/Patient/s-p/Nothing", 404),
        ("/fhir/Organization/1/Observation", 404),
    ):
        assert clinic.get(path).status_code == status, path
    assert caller("food-bank").get("/fhir/Patient/s-p/Observation").status_code == 404


def test_scopes_bound_what_is_tested_on_the_way_and_brought_along(
    clinic: Caller, caller: Find
) -> None:
    narrow = caller("cedar-general", scopes=["system/Observation.rs"])
    assert len(ids(bundle(narrow, "/fhir/Observation"))) == 6
    for path in (
        "/fhir/Observation?patient.family=searched",
        "/fhir/Observation?subject:Patient.family=searched",
        "/fhir/Patient?_has:Observation:patient:code=b",
        "/fhir?_type=Patient,Observation",
        "/fhir/Patient/s-p/Condition",
    ):
        assert narrow.get(path).status_code in (400, 403), path
    found = bundle(narrow, "/fhir/Observation?_include=Observation:subject")
    assert ids(found, "include") == []
    assert ids(bundle(narrow, "/fhir?_count=100")) == ids(bundle(narrow, "/fhir/Observation"))


def test_a_summary_is_of_all_that_a_page_shows(clinic: Caller) -> None:
    found = bundle(clinic, "/fhir/Observation?_summary=count")
    assert (found["total"], "entry" in found) == (6, False)
    found = bundle(clinic, "/fhir/Patient?family=searched&_elements=name")
    assert "birthDate" not in found["entry"][0]["resource"]


def test_lenient_handling_lets_the_unknown_fall_and_says_so_in_its_link(clinic: Caller) -> None:
    path = "/fhir/Observation?colour=red&code=b"
    assert issue(clinic.get(path))["code"] == "not-supported"
    found = bundle(clinic, path, prefer="handling=lenient")
    assert ids(found) == ["s-b"]
    assert links(found)["self"] == "http://gateway/fhir/Observation?code=b"


def test_lenient_handling_lets_fall_what_gives_no_order(clinic: Caller) -> None:
    lenient = {"prefer": "handling=lenient"}
    for order, left in (("nothing", None), ("-nothing,-family,_text", "-family")):
        page = clinic.get(f"/fhir/Patient?_sort={order}", **lenient)
        assert page.status_code == 200, page.text
        links = {each["relation"]: each["url"] for each in page.json()["link"]}
        said = parse_qs(urlsplit(links["self"]).query).get("_sort")
        assert said == (None if left is None else [left])
    assert clinic.get("/fhir/Patient?_sort=nothing").status_code == 400


def test_a_slash_before_a_query_makes_no_other_path(clinic: Caller) -> None:
    for path in ("Patient/?_count=1", "metadata/?mode=full", "Patient/_history/?_count=1"):
        assert clinic.get(f"/fhir/{path}").status_code == 200
    for path in ("nothing/?_count=1", "Patient/"):
        assert clinic.get(f"/fhir/{path}").status_code == 404


def test_a_reference_by_our_own_address_is_found_as_a_relative_one(clinic: Caller) -> None:
    own = "http://gateway/fhir/Patient/s-p"
    put(clinic, observation("s-own") | {"subject": {"reference": own}})
    for asked in ("Patient/s-p", own):
        found = bundle(clinic, f"/fhir/Observation?subject={asked}&_count=50")
        assert "s-own" in ids(found)
        assert len(ids(found)) == 7
    assert clinic("DELETE", "/fhir/Observation/s-own").status_code in (200, 204)


# --- parameters of one's own ---------------------------------------------------------------------


def parameter(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "SearchParameter",
        "id": "pronoun",
        "url": "http://e.org/SearchParameter/pronoun",
        "name": "Pronoun",
        "status": "active",
        "description": "What a person is spoken of as",
        "code": "pronoun",
        "base": ["Patient"],
        "type": "string",
        "expression": "Patient.extension('http://e.org/pronoun').value.ofType(string)",
        **more,
    }


def test_a_parameter_of_ones_own_finds_what_was_there_and_what_comes(
    clinic: Caller, caller: Find
) -> None:
    admin = caller("admin")
    assert clinic.get("/fhir/Patient?pronoun=they").status_code == 400
    put(clinic, parameter())
    assert ids(bundle(clinic, "/fhir/Patient?pronoun=they")) == ["s-p"]
    assert ids(bundle(clinic, "/fhir/Patient?pronoun:exact=They")) == []
    assert ids(bundle(clinic, "/fhir/Observation?patient.pronoun=they&code=b")) == ["s-b"]
    later = PATIENT | {"id": "s-q"}
    put(clinic, later)
    assert ids(bundle(clinic, "/fhir/Patient?pronoun=they&_sort=-pronoun")) == ["s-q", "s-p"]
    put(clinic, {name: value for name, value in later.items() if name != "extension"})
    assert ids(bundle(clinic, "/fhir/Patient?pronoun=they")) == ["s-p"]
    assert caller("food-bank").get("/fhir/Patient?pronoun=they").status_code == 400
    assert clinic.post("/fhir/$reindex", None).status_code == 403
    done = admin("POST", "/fhir/$reindex")
    assert done.status_code == 200, done.text
    assert ids(bundle(clinic, "/fhir/Patient?pronoun=they")) == ["s-p"]
    put(clinic, parameter(expression="Patient.name.family"))
    assert ids(bundle(clinic, "/fhir/Patient?pronoun=they")) == []
    assert ids(bundle(clinic, "/fhir/Patient?pronoun=searched&_sort=_id")) == ["s-p", "s-q"]
    put(clinic, parameter(status="retired"))
    assert clinic.get("/fhir/Patient?pronoun=they").status_code == 400


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("Observation?whose.family=searched&code=b", ["s-b"]),
        ("Patient?_has:Observation:whose:code=b", ["s-p"]),
    ],
)
def test_a_reference_of_ones_own_leads_on_at_the_first_search(
    clinic: Caller, asked: str, found: list[str]
) -> None:
    expression = f"Observation.subject | Observation.subject.where(type = '{found[0]}')"  # its own
    made = parameter(
        id="whose",
        url="http://e.org/SearchParameter/whose",
        code="whose",
        base=["Observation"],
        type="reference",
        target=["Patient"],
        expression=expression,
    )
    put(clinic, made)
    assert ids(bundle(clinic, f"/fhir/{asked}")) == found


def test_an_administrators_parameter_is_everybodys(clinic: Caller, caller: Find) -> None:
    put(caller("admin"), parameter(id="shared", code="spoken-of"))
    assert ids(bundle(clinic, "/fhir/Patient?spoken-of=they&_count=1")) == ["s-p"]
    assert ids(bundle(caller("food-bank"), "/fhir/Patient?spoken-of=they")) == []


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"expression": "Patient.name.select(family)"}, "SearchParameter.expression"),
        ({"expression": "Patient.nome"}, "SearchParameter.expression"),
        ({"expression": "Patient.name["}, "SearchParameter.expression"),
        ({"expression": "''"}, "SearchParameter.expression"),
        ({"expression": "Patient.birthDate"}, "SearchParameter.expression"),
        ({"code": "family"}, "SearchParameter.code"),
        ({"code": "phonetic"}, "SearchParameter.code"),
        ({"type": "composite"}, "SearchParameter.type"),
        ({"base": ["Resource"]}, "SearchParameter.base[0]"),
    ],
)
def test_a_parameter_that_cannot_be_searched_by_is_refused_when_it_is_posted(
    clinic: Caller, change: dict[str, Any], place: str
) -> None:
    refused = clinic.put("/fhir/SearchParameter/bad", parameter(id="bad", **change))
    assert refused.status_code == 422, refused.text
    assert issue(refused)["expression"] == [place]
    kept = clinic.put("/fhir/SearchParameter/draft", parameter(id="draft", status="draft"))
    assert kept.status_code in (200, 201)
