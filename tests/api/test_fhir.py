from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from gateway.api.examples import PATIENT
from tests.api.calls import FHIR, Caller, issue

OBSERVATION = (
    '{"resourceType":"Observation","status":"final","code":{"text":"weight"},'
    '"valueQuantity":{"value":72.50,"unit":"kg"}}'
)


def created(caller: Caller, resource: dict[str, Any]) -> dict[str, Any]:
    response = caller.post(f"/fhir/{resource['resourceType']}", resource)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


def test_what_is_created_is_read_as_it_was_sent(clinic: Caller) -> None:
    response = clinic("POST", "/fhir/Observation", content=OBSERVATION, headers=ctype())
    assert response.status_code == 201
    assert '"value":72.50' in response.text.replace(" ", "")
    made = response.json()
    read = clinic.get(f"/fhir/Observation/{made['id']}")
    assert read.status_code == 200
    assert read.content == response.content
    assert read.headers["content-type"] == FHIR
    assert read.headers["cache-control"] == "no-store"


def ctype(type: str = FHIR) -> dict[str, str]:
    return {"content-type": type}


def test_a_write_names_its_version_and_where_it_is(clinic: Caller) -> None:
    response = clinic.post("/fhir/Patient", PATIENT)
    made = response.json()
    assert response.headers["etag"] == 'W/"1"'
    assert response.headers["last-modified"].endswith(" GMT")
    where = f"http://gateway/fhir/Patient/{made['id']}/_history/1"
    assert response.headers["location"] == where
    assert clinic.get(where).json() == made


def test_the_writer_says_what_it_wants_back(clinic: Caller) -> None:
    minimal = clinic.post("/fhir/Patient", PATIENT, prefer="return=minimal")
    assert (minimal.status_code, minimal.content) == (201, b"")
    assert "location" in minimal.headers
    told = clinic.post("/fhir/Patient", PATIENT, prefer="return=OperationOutcome")
    assert issue(told)["severity"] == "information"
    whole = clinic.post("/fhir/Patient", PATIENT, prefer="return=representation")
    assert whole.json()["resourceType"] == "Patient"


def test_an_update_makes_a_version_and_if_match_guards_it(clinic: Caller) -> None:
    made = created(clinic, PATIENT)
    path = f"/fhir/Patient/{made['id']}"
    second = clinic.put(path, made | {"gender": "other"}, if_match='W/"1"')
    assert second.status_code == 200
    assert second.headers["etag"] == 'W/"2"'
    late = clinic.put(path, made | {"gender": "male"}, if_match='W/"1"')
    assert late.status_code == 412
    assert issue(late)["code"] == "conflict"
    assert clinic.get(path).json()["gender"] == "other"


def test_a_put_to_a_free_id_creates(clinic: Caller) -> None:
    id = str(uuid4())
    first = clinic.put(f"/fhir/Patient/{id}", PATIENT | {"id": id})
    assert (first.status_code, first.json()["id"]) == (201, id)
    again = clinic.put(f"/fhir/Patient/{id}", PATIENT | {"id": id, "gender": "male"})
    assert again.status_code == 200


def test_every_version_stays_to_be_read(clinic: Caller) -> None:
    made = created(clinic, PATIENT)
    path = f"/fhir/Patient/{made['id']}"
    clinic.put(path, made | {"gender": "other"})
    assert clinic.get(f"{path}/_history/1").json()["gender"] == "female"
    assert clinic.get(f"{path}/_history/2").json()["gender"] == "other"
    for version in ("3", "0", "x", "99999999999999999999"):
        assert clinic.get(f"{path}/_history/{version}").status_code == 404
    bundle = clinic.get(f"{path}/_history").json()
    assert (bundle["type"], bundle["total"]) == ("history", 2)
    newest, oldest = bundle["entry"]
    assert newest["resource"]["meta"]["versionId"] == "2"
    assert newest["request"] == {"method": "PUT", "url": f"Patient/{made['id']}"}
    assert newest["response"]["etag"] == 'W/"2"'
    assert oldest["request"]["method"] == "POST"


def test_a_search_finds_by_get_and_by_post(clinic: Caller) -> None:
    family = f"Searched{uuid4().hex}"
    made = created(clinic, PATIENT | {"name": [{"family": family}]})
    by_get = clinic.get(f"/fhir/Patient?family={family}&_total=accurate").json()
    by_post = clinic("POST", "/fhir/Patient/_search", data={"family": family}).json()
    for bundle in (by_get, by_post):
        assert bundle["type"] == "searchset"
        (entry,) = bundle["entry"]
        assert entry["resource"] == made
        assert entry["fullUrl"] == f"http://gateway/fhir/Patient/{made['id']}"
        assert entry["search"] == {"mode": "match"}
    assert by_get["total"] == 1


def test_pages_lead_on_until_all_is_seen(clinic: Caller) -> None:
    family = f"Paged{uuid4().hex}"
    ids = {created(clinic, PATIENT | {"name": [{"family": family}]})["id"] for _ in range(5)}
    url, seen, pages = f"/fhir/Patient?family={family}&_count=2", [], 0
    while url:
        bundle = clinic.get(url).json()
        seen += [entry["resource"]["id"] for entry in bundle["entry"]]
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        assert family in links["self"]
        url, pages = links.get("next", ""), pages + 1
    assert (len(seen), set(seen), pages) == (5, ids, 3)


def test_a_search_that_finds_nothing_has_no_entries(clinic: Caller) -> None:
    bundle = clinic.get(f"/fhir/Patient?_id={uuid4()}&_total=accurate").json()
    assert bundle["total"] == 0
    assert "entry" not in bundle


def test_an_unknown_parameter_is_refused_with_the_known_ones(clinic: Caller) -> None:
    refused = clinic.get("/fhir/Patient?familly=Rivera")
    assert refused.status_code == 400
    assert "birthdate" in refused.text
    assert "Rivera" not in refused.text
    lenient = clinic.get("/fhir/Patient?familly=Rivera", prefer="handling=lenient")
    assert lenient.status_code == 200
    assert "familly" not in lenient.json()["link"][0]["url"]


def test_a_transaction_stores_all_or_nothing(clinic: Caller) -> None:
    family = f"Bundled{uuid4().hex}"
    patient = PATIENT | {"name": [{"family": family}]}
    request = {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "subject": {"reference": "urn:uuid:1"},
    }
    stored = clinic.post("/fhir", transaction(patient, request))
    assert stored.status_code == 200, stored.text
    bundle = stored.json()
    assert bundle["type"] == "transaction-response"
    assert [entry["response"]["status"][:3] for entry in bundle["entry"]] == ["201", "201"]
    found = clinic.get(f"/fhir/Patient?family={family}").json()["entry"][0]["resource"]
    by_patient = clinic.get(f"/fhir/ServiceRequest?patient=Patient/{found['id']}").json()
    assert len(by_patient["entry"]) == 1

    refused = clinic.post("/fhir/", transaction(patient, request | {"status": "bogus"}))
    assert refused.status_code == 400
    assert "entry[1]" in refused.text
    assert len(clinic.get(f"/fhir/Patient?family={family}").json()["entry"]) == 1


def transaction(*resources: dict[str, Any], type: str = "transaction") -> dict[str, Any]:
    entries = [
        {
            "fullUrl": f"urn:uuid:{number}",
            "resource": resource,
            "request": {"method": "POST", "url": resource["resourceType"]},
        }
        for number, resource in enumerate(resources, 1)
    ]
    return {"resourceType": "Bundle", "type": type, "entry": entries}


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (json.dumps(PATIENT | {"gendre": "female"}), "Patient"),
        (json.dumps(PATIENT | {"gender": "unknown-code"}), "Patient.gender"),
        (json.dumps(PATIENT | {"birthDate": "1984-13-40"}), "Patient.birthDate"),
        ("[]", ""),
        ("{", ""),
        ('{"resourceType":"Patient","active":true,"active":true}', ""),
        ('{"resourceType":"Patient","multipleBirthInteger":NaN}', ""),
        ('{"resourceType":"Task"}', ""),
        ("[" * 5000, ""),
        ('{"resourceType":"Patient","language":"\\ud83d"}', ""),
        ("", ""),
    ],
)
def test_what_is_not_r4_is_refused_at_its_place(clinic: Caller, body: str, place: str) -> None:
    refused = clinic("POST", "/fhir/Patient", content=body.encode(), headers=ctype())
    assert refused.status_code == 400, refused.text
    found = issue(refused)
    if place:
        assert any(path.startswith(place) for path in found["expression"])
    assert "unknown-code" not in refused.text
    assert "1984" not in refused.text


def test_the_body_names_the_same_resource_as_the_url(clinic: Caller) -> None:
    assert clinic.put("/fhir/Patient/a", PATIENT | {"id": "b"}).status_code == 400
    assert clinic.put("/fhir/Patient/a", PATIENT).status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/fhir/Patient/none", 404),
        ("GET", "/fhir/Patient/not_an_id", 404),
        ("GET", f"/fhir/Patient/{'x' * 65}", 404),
        ("GET", "/fhir/Patient/none/_history", 404),
        ("GET", "/fhir/Pashent/1", 404),
        ("GET", "/fhir/Pashent?x=y", 404),
        ("GET", "/fhir/patient/1", 404),
        ("GET", "/fhir/Patient/1/2/3/4", 404),
        ("GET", "/fhir/Pashent/_history", 404),
        ("GET", "/fhir/Patient/", 404),
        ("GET", "/nowhere", 404),
        ("DELETE", "/fhir/Patient", 400),
        ("PATCH", "/fhir/Patient", 400),
        ("PUT", "/fhir/Patient", 400),
        ("DELETE", "/fhir", 405),
        ("POST", "/fhir/Patient/1", 405),
        ("PUT", "/fhir/Patient/1/_history", 405),
    ],
)
def test_every_refusal_is_an_outcome(clinic: Caller, method: str, path: str, status: int) -> None:
    refused = clinic(method, path)
    assert refused.status_code == status
    assert issue(refused)["severity"] == "error"


def test_a_wrong_method_hears_of_all_the_right_ones(clinic: Caller) -> None:
    instance = clinic("POST", "/fhir/Patient/1").headers["allow"]
    assert instance == "DELETE, GET, HEAD, PATCH, PUT"
    assert "GET, HEAD" in clinic("PUT", "/fhir/Patient/1/_history").headers["allow"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (ctype("application/fhir+xml"), 415),
        (ctype("text/plain"), 415),
        (ctype() | {"content-encoding": "gzip"}, 415),
        (ctype() | {"accept": "application/fhir+xml"}, 406),
        (ctype("application/json; charset=utf-8") | {"accept": "application/json"}, 201),
    ],
)
def test_only_json_is_spoken(clinic: Caller, headers: dict[str, str], status: int) -> None:
    response = clinic("POST", "/fhir/Patient", content=json.dumps(PATIENT), headers=headers)
    assert response.status_code == status
    assert response.headers["content-type"] == FHIR


def test_format_in_the_query_is_heard_and_is_no_search_parameter(clinic: Caller) -> None:
    assert clinic.get("/fhir/Patient?_format=json&_count=1").status_code == 200
    assert clinic.get("/fhir/Patient?_format=xml").status_code == 406


def test_a_body_above_the_limit_is_refused(clinic: Caller) -> None:
    large = PATIENT | {"name": [{"family": "x" * 250_000}]}
    refused = clinic.post("/fhir/Patient", large)
    assert refused.status_code == 413
    assert issue(refused)["code"] == "too-long"


def test_a_large_body_within_the_limit_is_stored(clinic: Caller) -> None:
    large = PATIENT | {"name": [{"family": f"{n}", "text": "x" * 90} for n in range(900)]}
    assert clinic.post("/fhir/Patient", large).status_code == 201


def test_without_a_valid_key_there_is_no_entry(nobody: Caller, caller: Callable[..., Any]) -> None:
    for path in ("/fhir/Patient/1", "/fhir/Pashent/1", "/fhir/Task?status=requested"):
        refused = nobody.get(path)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"].startswith("Bearer")
        assert issue(refused)["code"] == "login"
    for secret in ("cg_000000000000_" + "0" * 40, "nonsense", "é"):
        header = f"Bearer {secret}".encode()
        assert (
            nobody("GET", "/fhir/Patient/1", headers={"authorization": header}).status_code == 401
        )


def test_a_keys_scopes_bound_what_it_does(caller: Callable[..., Caller]) -> None:
    narrow = caller("clinic", scopes=("system/Patient.rs",))
    assert narrow.get("/fhir/Patient?_count=1").status_code == 200
    for refused in (
        narrow.get("/fhir/Task?status=requested"),
        narrow.get("/fhir/Task/1"),
        narrow.get("/fhir/Task/1/_history"),
        narrow.get("/fhir/Task/1/_history/1"),
        narrow.post("/fhir/Patient", PATIENT),
        narrow.put("/fhir/Patient/a", PATIENT | {"id": "a"}),
        narrow.post("/fhir", transaction(PATIENT)),
        narrow("POST", "/intake/hl7v2", content=b"MSH|"),
    ):
        assert refused.status_code == 403, refused.text
        assert issue(refused)["code"] == "forbidden"


def test_anothers_resource_is_as_if_it_were_not_there(clinic: Caller, pantry: Caller) -> None:
    made = created(clinic, PATIENT)
    path, none = f"/fhir/Patient/{made['id']}", f"/fhir/Patient/{uuid4()}"
    for suffix in ("", "/_history", "/_history/1"):
        theirs, free = pantry.get(path + suffix), pantry.get(none + suffix)
        assert theirs.status_code == free.status_code == 404
        assert theirs.json() == free.json()
    assert "entry" not in pantry.get(f"/fhir/Patient?_id={made['id']}").json()
    taken = pantry.put(path, PATIENT | {"id": made["id"], "gender": "male"})
    assert taken.status_code in (403, 404, 409)
    assert clinic.get(path).json() == made


def test_the_directory_is_everyones_to_read(clinic: Caller, pantry: Caller) -> None:
    assert pantry.get("/fhir/Organization/clinic").status_code == 200
    assert clinic.get("/fhir/Organization/pantry").status_code == 200


def test_the_capability_statement_lists_what_there_is_and_needs_no_key(nobody: Caller) -> None:
    statement = nobody.get("/fhir/metadata").json()
    assert (statement["resourceType"], statement["fhirVersion"]) == ("CapabilityStatement", "4.0.1")
    rest = statement["rest"][0]
    system = {each["code"] for each in rest["interaction"]}
    assert {"transaction", "batch", "history-system"} <= system
    task = next(each for each in rest["resource"] if each["type"] == "Task")
    assert (task["conditionalRead"], task["conditionalDelete"]) == ("full-support", "single")
    assert task["conditionalCreate"] is task["conditionalUpdate"] is task["updateCreate"] is True
    assert {each["code"] for each in task["interaction"]} == {
        "read",
        "vread",
        "update",
        "patch",
        "delete",
        "history-instance",
        "history-type",
        "create",
        "search-type",
    }
    assert {"owner", "requester", "status", "focus", "patient", "code"} <= {
        each["name"] for each in task["searchParam"]
    }
