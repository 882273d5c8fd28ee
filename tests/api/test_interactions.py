"""Conditional interactions, patch, delete, history and shapes over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from uuid import uuid4

import pytest

from gateway.api.examples import PATIENT
from tests.api.calls import FHIR, Caller, issue

JSON_PATCH = "application/json-patch+json"


def numbered(number: str = "", **more: Any) -> dict[str, Any]:
    """A Patient that no other test finds."""
    identifier = [{"system": "urn:x", "value": number or uuid4().hex}]
    return PATIENT | {"identifier": identifier} | more


def by(resource: dict[str, Any]) -> str:
    return f"identifier=urn:x|{resource['identifier'][0]['value']}"


def created(caller: Caller, resource: dict[str, Any]) -> dict[str, Any]:
    response = caller.post(f"/fhir/{resource['resourceType']}", resource)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


def observed(subject: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": subject},
        **more,
    }


def patched(caller: Caller, path: str, change: Any, kind: str, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    content = json.dumps(change).encode()
    return caller("PATCH", path, content=content, headers={"content-type": kind} | named)


# --- conditional ---------------------------------------------------------------------------------


def test_a_conditional_create_makes_one_and_then_answers_with_it(clinic: Caller) -> None:
    person = numbered()
    first = clinic.post("/fhir/Patient", person, if_none_exist=by(person))
    again = clinic.post("/fhir/Patient", person, if_none_exist=by(person))
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert again.headers["location"] == first.headers["location"]
    created(clinic, person)
    several = clinic.post("/fhir/Patient", person, if_none_exist=by(person))
    assert several.status_code == 412
    assert issue(several)["code"] == "multiple-matches"


def test_a_conditional_update_needs_no_id(clinic: Caller) -> None:
    person = numbered()
    first = clinic.put(f"/fhir/Patient?{by(person)}", person)
    second = clinic.put(f"/fhir/Patient?{by(person)}&_format=json", person | {"gender": "other"})
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.headers["location"].endswith(f"/Patient/{first.json()['id']}/_history/2")
    other = clinic.put(f"/fhir/Patient?{by(person)}", person | {"id": "another"})
    assert (other.status_code, issue(other)["expression"]) == (400, ["Patient.id"])


def test_a_put_that_must_make_is_refused_where_there_is_one(clinic: Caller) -> None:
    id = str(uuid4())
    path, person = f"/fhir/Patient/{id}", numbered(id=id)
    assert clinic.put(path, person, if_none_match="*").status_code == 201
    assert clinic.put(path, person | {"gender": "other"}, if_none_match="*").status_code == 412
    assert clinic.put(path, person, if_none_match='W/"1"').status_code == 400


def test_any_version_matches_where_its_asker_sees_one(clinic: Caller, pantry: Caller) -> None:
    there = created(clinic, numbered())
    url, some = f"/fhir/Patient/{there['id']}", {"if_match": "*"}
    assert clinic.put(url, there | {"gender": "other"}, **some).status_code == 200
    patch = [{"op": "add", "path": "/active", "value": False}]
    assert patched(clinic, url, patch, JSON_PATCH, **some).status_code == 200
    assert clinic.put(f"/fhir/Patient?{by(there)}", there, **some).status_code == 200
    none = {"resourceType": "Patient", "id": str(uuid4())}
    for caller, target, body in (
        (clinic, f"/fhir/Patient/{none['id']}", none),
        (pantry, url, there),
        (clinic, f"/fhir/Patient?{by(numbered())}", numbered()),
    ):
        refused = caller.put(target, body, **some)
        assert (refused.status_code, issue(refused)["code"]) == (412, "conflict")
        if caller is pantry:
            gone = caller("DELETE", target, headers={"if-match": "*"})
            assert gone.status_code == 412
    assert clinic("DELETE", url, headers={"if-match": "*"}).status_code == 204
    read = {"method": "GET", "url": "Organization/clinic", "ifNoneMatch": "*"}
    batch = {"resourceType": "Bundle", "type": "batch", "entry": [{"request": read}]}
    told = clinic.post("/fhir", batch).json()["entry"][0]["response"]
    assert told["status"].startswith("304")


def test_a_conditional_delete_takes_just_one(clinic: Caller) -> None:
    person = numbered()
    made = created(clinic, person)
    gone = clinic("DELETE", f"/fhir/Patient?{by(person)}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert clinic.get(f"/fhir/Patient/{made['id']}").status_code == 410
    for _ in range(2):
        created(clinic, person)
    assert clinic("DELETE", f"/fhir/Patient?{by(person)}").status_code == 412


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"if-none-match": 'W/"1"'}, 304),
        ({"if-none-match": 'W/"7", W/"1"'}, 304),
        ({"if-none-match": "*"}, 304),
        ({"if-none-match": 'W/"2"'}, 200),
        ({"if-modified-since": "hence"}, 304),
        ({"if-modified-since": "before"}, 200),
        ({"if-none-match": 'W/"2"', "if-modified-since": "hence"}, 200),
        ({"if-modified-since": "nonsense"}, 400),
    ],
)
def test_what_the_client_has_is_not_sent_again(
    clinic: Caller, headers: dict[str, str], status: int
) -> None:
    made = created(clinic, numbered())
    now = datetime.now(UTC)
    when = {"hence": now + timedelta(hours=1), "before": now - timedelta(hours=1)}
    asked = {
        name: format_datetime(when[value], usegmt=True) if value in when else value
        for name, value in headers.items()
    }
    answer = clinic("GET", f"/fhir/Patient/{made['id']}", headers=asked)
    assert answer.status_code == status
    if status == 304:
        assert answer.content == b""
        assert answer.headers["etag"] == 'W/"1"'


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/fhir/Patient/a?active=true"),
        ("POST", "/fhir/Patient?familly=x"),
        ("DELETE", "/fhir/Patient/a?active=true"),
        ("GET", "/fhir/Patient/a?active=true"),
        ("POST", "/fhir?active=true"),
        ("PUT", "/fhir/Patient"),
        ("PUT", "/fhir/Patient?familly=x"),
        ("PUT", "/fhir/Patient?_count=1"),
        ("PUT", "/fhir/Patient?_format=json"),
    ],
)
def test_no_criterion_is_ignored_and_none_is_too_few(
    clinic: Caller, method: str, path: str
) -> None:
    refused = clinic(method, path, json=PATIENT)
    assert refused.status_code == 400
    assert issue(refused)["severity"] == "error"


# --- patch ---------------------------------------------------------------------------------------

FHIRPATH = {
    "resourceType": "Parameters",
    "parameter": [
        {
            "name": "operation",
            "part": [
                {"name": "type", "valueCode": "replace"},
                {"name": "path", "valueString": "Observation.value.unit"},
                {"name": "value", "valueString": "g"},
            ],
        }
    ],
}
MERGE = {"valueQuantity": {"unit": "g"}}
STEPS = [{"op": "replace", "path": "/valueQuantity/unit", "value": "g"}]


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (JSON_PATCH, STEPS),
        ("application/json", STEPS),
        (f"{FHIR}; charset=utf-8; fhirVersion=4.0", FHIRPATH),
        ("application/json", FHIRPATH),
        ("application/merge-patch+json", MERGE),
        ("application/json", MERGE),
    ],
)
def test_each_kind_of_patch_changes_its_part_and_no_digit_else(
    clinic: Caller, kind: str, change: Any
) -> None:
    sent = b'{"resourceType":"Observation","status":"final","code":{"text":"w"},'
    sent += b'"valueQuantity":{"value":72.50,"unit":"kg"}}'
    made = clinic("POST", "/fhir/Observation", content=sent, headers={"content-type": FHIR}).json()
    path = f"/fhir/Observation/{made['id']}"
    answer = patched(clinic, path, change, kind, if_match='W/"1"')
    assert answer.status_code == 200, answer.text
    assert '"valueQuantity":{"value":72.50,"unit":"g"}' in answer.text
    assert answer.headers["etag"] == 'W/"2"'
    assert clinic.get(path).content == answer.content
    late = patched(clinic, path, [{"op": "remove", "path": "/none"}], JSON_PATCH, if_match='W/"1"')
    assert late.status_code == 412


@pytest.mark.parametrize(
    ("change", "kind", "status", "place"),
    [
        ([{"op": "test", "path": "/gender", "value": "male"}], JSON_PATCH, 422, None),
        ([{"op": "add", "path": "/gender", "value": "Rivera"}], JSON_PATCH, 400, "Patient.gender"),
        ([{"op": "add", "path": "/id", "value": "x"}], JSON_PATCH, 400, "Patient.id"),
        ({"gender": "male"}, JSON_PATCH, 400, None),
        ({"gender": "male"}, FHIR, 400, "resourceType"),
        ({"gender": "male"}, "application/xml-patch+xml", 415, None),
        ({"gender": "male"}, "", 415, None),
    ],
)
def test_a_patch_that_will_not_do_is_refused_at_its_place(
    clinic: Caller, change: Any, kind: str, status: int, place: str | None
) -> None:
    made = created(clinic, numbered())
    refused = patched(clinic, f"/fhir/Patient/{made['id']}", change, kind)
    assert refused.status_code == status, refused.text
    if place and place[0].isupper():
        assert place in issue(refused)["expression"]
    assert "Rivera" not in refused.text


def test_a_conditional_patch_changes_what_the_criteria_find(clinic: Caller) -> None:
    person = numbered()
    path = f"/fhir/Patient?{by(person)}"
    change = {"gender": "other"}
    assert patched(clinic, path, change, "application/merge-patch+json").status_code == 404
    created(clinic, person)
    done = patched(clinic, path, change, "application/merge-patch+json")
    assert (done.status_code, done.json()["gender"]) == (200, "other")
    created(clinic, person)
    assert patched(clinic, path, change, "application/merge-patch+json").status_code == 412


# --- delete --------------------------------------------------------------------------------------


def test_a_deletion_is_told_and_can_be_read_of_in_the_history(clinic: Caller) -> None:
    made = created(clinic, numbered())
    path = f"/fhir/Patient/{made['id']}"
    gone = clinic("DELETE", path)
    assert (gone.status_code, gone.headers["etag"]) == (204, 'W/"2"')
    assert issue(clinic.get(path))["code"] == "deleted"
    assert clinic.get(f"{path}/_history/2").status_code == 410
    assert clinic.get(f"{path}/_history/1").status_code == 200
    newest, _ = clinic.get(f"{path}/_history").json()["entry"]
    assert newest["request"] == {"method": "DELETE", "url": f"Patient/{made['id']}"}
    assert "resource" not in newest
    told = clinic("DELETE", path, headers={"prefer": "return=OperationOutcome"})
    assert (told.status_code, issue(told)["severity"]) == (200, "information")
    assert "entry" not in clinic.get(f"/fhir/Patient?_id={made['id']}").json()


def test_what_others_refer_to_is_not_deleted(clinic: Caller) -> None:
    made = created(clinic, numbered())
    note = created(clinic, observed(f"Patient/{made['id']}"))
    refused = clinic("DELETE", f"/fhir/Patient/{made['id']}")
    assert refused.status_code == 409
    found = refused.json()["issue"]
    assert found[1]["expression"] == ["Observation.subject"]
    assert note["id"] in found[1]["diagnostics"]


def test_anothers_is_deleted_by_nobody_and_looks_like_nothing(
    clinic: Caller, pantry: Caller
) -> None:
    made = created(clinic, numbered())
    path = f"/fhir/Patient/{made['id']}"
    free = pantry("DELETE", f"/fhir/Patient/{uuid4()}")
    theirs = pantry("DELETE", path)
    assert (theirs.status_code, theirs.content) == (free.status_code, free.content) == (204, b"")
    assert clinic.get(path).status_code == 200


# --- Bundles -------------------------------------------------------------------------------------


def test_a_batch_answers_each_entry_with_its_own_status(clinic: Caller) -> None:
    person = numbered()
    entries = [
        {"resource": person, "request": {"method": "POST", "url": "Patient"}},
        {
            "resource": person | {"gender": "Rivera"},
            "request": {"method": "POST", "url": "Patient"},
        },
        {"request": {"method": "GET", "url": f"Patient?{by(person)}&_elements=gender"}},
        {"request": {"method": "DELETE", "url": f"Patient?{by(person)}"}},
    ]
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": entries}
    answer = clinic.post("/fhir", bundle)
    assert answer.status_code == 200, answer.text
    made = answer.json()
    assert made["type"] == "batch-response"
    told = [each["response"] for each in made["entry"]]
    assert [each["status"] for each in told] == [
        "201 Created",
        "400 Bad Request",
        "200 OK",
        "204 No Content",
    ]
    assert told[0]["location"].startswith("http://gateway/fhir/Patient/")
    assert told[0]["etag"] == 'W/"1"'
    assert told[1]["outcome"]["issue"][0]["expression"] == ["Bundle.entry[1].resource.gender"]
    assert "Rivera" not in json.dumps(told[1])
    found = made["entry"][2]["resource"]
    assert (found["type"], found["total"]) == ("searchset", 1)
    assert set(found["entry"][0]["resource"]) == {"resourceType", "id", "meta", "gender"}
    assert made["entry"][0]["resource"]["id"] == found["entry"][0]["resource"]["id"]


def test_a_transactions_answer_is_as_long_as_is_preferred(clinic: Caller) -> None:
    entry = {"resource": numbered(), "request": {"method": "POST", "url": "Patient"}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    for wanted, keys in (
        ("minimal", {"response"}),
        ("representation", {"resource", "response"}),
        ("OperationOutcome", {"response"}),
    ):
        answer = clinic.post("/fhir", bundle, prefer=f"return={wanted}")
        (made,) = answer.json()["entry"]
        assert set(made) == keys
        assert ("outcome" in made["response"]) == (wanted == "OperationOutcome")


def test_a_bundle_that_asks_for_nothing_is_refused(clinic: Caller) -> None:
    refused = clinic.post("/fhir", {"resourceType": "Bundle", "type": "collection"})
    assert (refused.status_code, issue(refused)["expression"]) == (400, ["Bundle.type"])
    empty = clinic.post("/fhir", {"resourceType": "Bundle", "type": "transaction"})
    assert (empty.status_code, empty.json()["type"]) == (200, "transaction-response")
    assert "entry" not in empty.json()


# --- history -------------------------------------------------------------------------------------


def pages(caller: Caller, url: str) -> list[dict[str, Any]]:
    """Every entry but the directory's, which all see, from page to page."""
    found: list[dict[str, Any]] = []
    while url:
        bundle = caller.get(url).json()
        entries = bundle.get("entry", [])
        found += [each for each in entries if "/Organization/" not in each["fullUrl"]]
        url = {each["relation"]: each["url"] for each in bundle["link"]}.get("next", "")
    return found


@pytest.mark.parametrize(
    "path", ["/fhir/Basic/_history", "/fhir/_history", "/fhir/Basic/{}/_history"]
)
def test_a_history_leads_from_page_to_page_and_is_bounded(
    caller: Callable[..., Caller], path: str
) -> None:
    own = caller(f"past-{uuid4().hex[:8]}")
    basic = created(own, {"resourceType": "Basic", "code": {"text": "0"}})
    url = path.format(basic["id"])
    for n in range(1, 5):
        own.put(f"/fhir/Basic/{basic['id']}", basic | {"code": {"text": f"{n}"}})
    found = pages(own, f"{url}?_count=2")
    texts = [each["resource"]["code"]["text"] for each in found]
    assert texts == ["4", "3", "2", "1", "0"]
    times = [each["resource"]["meta"]["lastUpdated"] for each in found]
    since = [each["resource"]["code"]["text"] for each in pages(own, f"{url}?_since={times[2]}")]
    assert since[:2] == ["4", "3"]
    assert "1" not in since or times[3] == times[2]
    at = [each["resource"]["code"]["text"] for each in pages(own, f"{url}?_at={times[4][:10]}")]
    assert at == texts
    assert pages(own, f"{url}?_at=2001-01-01") == []
    text = pages(own, f"{url}?_elements=code&_count=1")[0]["resource"]
    assert text["meta"]["tag"][-1]["code"] == "SUBSETTED"
    whole = own.get(f"{url}?_count=1000").json()
    assert whole["total"] == len(whole["entry"]) >= len(texts)
    assert own.get(f"{url}?_since=2999-01-01").json()["total"] == 0


def test_a_history_shows_nothing_of_anothers_and_a_page_is_its_askers(
    clinic: Caller, pantry: Caller
) -> None:
    for _ in range(3):
        created(clinic, numbered())
    mine = clinic.get("/fhir/Patient/_history?_count=1").json()
    links = {each["relation"]: each["url"] for each in mine["link"]}
    next_ = links["next"]
    assert clinic.get(links["first"]).json()["entry"] == mine["entry"]
    assert pantry.get(next_).status_code == 400
    assert clinic.get(next_).status_code == 200
    assert clinic.get(next_.replace("/Patient/", "/Task/")).status_code == 400
    theirs = {each["fullUrl"] for each in pages(pantry, "/fhir/_history?_count=50")}
    ours = {each["fullUrl"] for each in pages(clinic, "/fhir/Patient/_history")}
    assert not ours & theirs


@pytest.mark.parametrize(
    "query", ["_count=x", "_since=yesterday", "_at=x", "_sort=x", "_count=1&_count=2", "_cursor=x"]
)
def test_a_history_refuses_what_it_does_not_know(clinic: Caller, query: str) -> None:
    refused = clinic.get(f"/fhir/Patient/_history?{query}")
    assert refused.status_code == 400
    assert issue(refused)["severity"] == "error"


def test_scopes_bound_a_history(caller: Callable[..., Caller]) -> None:
    narrow = caller("clinic", scopes=("system/Patient.rs",))
    assert narrow.get("/fhir/Patient/_history").status_code == 200
    assert narrow.get("/fhir/Task/_history").status_code == 403
    assert narrow.get("/fhir/_history").status_code == 403


# --- shapes and headers --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "there", "not_there"),
    [
        ("_summary=true", {"identifier", "name", "gender"}, {"text", "communication"}),
        ("_summary=text", {"text"}, {"name", "gender"}),
        ("_summary=data", {"name", "communication"}, {"text"}),
        ("_summary=false", {"text", "communication"}, set()),
        ("_elements=gender", {"gender"}, {"name", "text"}),
        ("_elements=gender,Patient.name", {"gender", "name"}, {"text"}),
    ],
)
def test_a_part_is_shown_where_a_part_is_asked_for(
    clinic: Caller, query: str, there: set[str], not_there: set[str]
) -> None:
    div = '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'
    person = numbered(
        text={"status": "generated", "div": div},
        communication=[{"language": {"text": "Spanish"}}],
    )
    made = created(clinic, person)
    whole = query == "_summary=false"
    version = clinic.get(f"/fhir/Patient/{made['id']}/_history/1?{query}").json()
    read = clinic.get(f"/fhir/Patient/{made['id']}?{query}").json()
    found = clinic.get(f"/fhir/Patient?{by(person)}&{query}").json()["entry"][0]["resource"]
    for part in (version, read, found):
        assert there | {"resourceType", "id", "meta"} <= set(part)
        assert not not_there & set(part)
        assert ("tag" in part["meta"]) is not whole


def test_a_count_is_a_searchs_alone(clinic: Caller) -> None:
    person = numbered()
    made = created(clinic, person)
    counted = clinic.get(f"/fhir/Patient?{by(person)}&_summary=count").json()
    assert counted["total"] == 1
    assert "entry" not in counted
    assert clinic.get(f"/fhir/Patient/{made['id']}?_summary=count").status_code == 400
    assert clinic.get(f"/fhir/Patient/{made['id']}?_summary=most").status_code == 400
    assert clinic.get(f"/fhir/Patient/{made['id']}?_elements=gendre").status_code == 400


def test_pretty_is_the_same_with_its_digits(clinic: Caller) -> None:
    sent = b'{"resourceType":"Observation","status":"final","code":{"text":"w"},'
    sent += b'"valueQuantity":{"value":72.50}}'
    made = clinic("POST", "/fhir/Observation", content=sent, headers={"content-type": FHIR}).json()
    path = f"/fhir/Observation/{made['id']}"
    pretty = clinic.get(f"{path}?_pretty=true")
    assert '\n    "value": 72.50' in pretty.text
    assert pretty.json() == clinic.get(path).json()
    assert pretty.headers["etag"] == 'W/"1"'
    assert pretty.headers["content-length"] == str(len(pretty.content))
    assert clinic.get("/fhir/Patient?family=%ff&_pretty=true").status_code == 400


def test_head_is_get_without_its_body(clinic: Caller, nobody: Caller) -> None:
    made = created(clinic, numbered())
    for path in (f"/fhir/Patient/{made['id']}", "/fhir/Patient?_count=1", "/fhir/metadata"):
        got, head = clinic.get(path), clinic("HEAD", path)
        assert head.status_code == got.status_code == 200
        assert head.content == b""
        assert head.headers["content-length"] == got.headers["content-length"]
    assert nobody("HEAD", f"/fhir/Patient/{made['id']}").status_code == 401


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("*/*", 200),
        (None, 200),
        ("", 200),
        ("json", 200),
        ("application/json", 200),
        ("application/fhir+json; charset=utf-8; fhirVersion=4.0", 200),
        ("application/fhir+json, */*; q=0.1", 200),
        ("application/fhir+xml;q=1.0, application/fhir+json;q=0.9", 200),
        ("application/fhir+json;q=1.0, application/json+fhir;q=0.9", 200),
        ("application/fhir+xml", 406),
        ("application/fhir+json; fhirVersion=5.0", 406),
        ("application/fhir+json;q=0", 406),
    ],
)
def test_the_clients_that_there_are_get_their_answer(
    clinic: Caller, accept: str | None, status: int
) -> None:
    headers = {} if accept is None else {"accept": accept}
    answer = clinic("GET", "/fhir/Patient?_count=1", headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == FHIR


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/fhir+json; charset=utf-8; fhirVersion=4.0", 201),
        ("application/json;charset=UTF-8", 201),
        (None, 201),
        ("application/fhir+json; fhirVersion=3.0", 415),
        ("application/fhir+json; charset=latin-1", 415),
        ("application/x-www-form-urlencoded", 415),
    ],
)
def test_a_body_is_taken_as_clients_send_it(clinic: Caller, kind: str | None, status: int) -> None:
    headers = {} if kind is None else {"content-type": kind}
    answer = clinic(
        "POST", "/fhir/Patient", content=json.dumps(numbered()).encode(), headers=headers
    )
    assert answer.status_code == status, answer.text


def test_a_subscription_to_xml_is_refused_at_its_payload(clinic: Caller) -> None:
    channel = {"type": "rest-hook", "endpoint": "https://clinic.example/hook"}
    asked = {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "news",
        "criteria": "Task?status=completed",
        "channel": {**channel, "payload": "application/fhir+xml"},
    }
    refused = clinic.post("/fhir/Subscription", asked)
    assert refused.status_code == 400
    told = issue(refused)
    assert told["code"] == "not-supported"
    assert told["expression"] == ["Subscription.channel.payload"]
    assert "application/fhir+json" in told["diagnostics"]
