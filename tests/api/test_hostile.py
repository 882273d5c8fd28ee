"""Every endpoint under hostile input: an OperationOutcome, a right status, and nothing inside out.

No answer holds a stack, SQL, a name of a module, or what was sent; a fault of a body's is named by
``expression``. The same for every row of the tables: a new endpoint is tried without being named.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from gateway.api.application import ENDPOINTS
from gateway.api.endpoint import Endpoint
from gateway.api.requests import FHIR, FORM
from gateway.settings import Settings
from tests.agencies import small_maps
from tests.api.calls import Caller

SECRET = "Zebulon-Xk7"
INSIDE = re.compile(
    r"Traceback|File \"|\.py\b|sqlite|psycopg|sqlalchemy|SELECT |INSERT |UPDATE \w+ SET|"
    r"FROM \w+ WHERE|Error\(|<class|object at 0x|NoneType|KeyError|ValueError|"
    r"gateway\.(api|fhir|store)"
)
SEED = random.randrange(2**32)


class Small(Settings):
    """Small maps alone: some endpoints load all that there are at each call."""

    @property
    def folders(self) -> tuple[Path, ...]:
        return (self.data_dir / "maps",)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    made = Small(data_dir=tmp_path_factory.mktemp("hub"), message_limit=200_000)
    small_maps(made.data_dir / "maps")
    return made


class Attack(NamedTuple):
    """What is sent, and the statuses that may answer it."""

    name: str
    query: str = ""
    body: bytes | None = None
    media: str = FHIR
    headers: tuple[tuple[str, str], ...] = ()


def attacks(method: str) -> Iterator[Attack]:
    yield Attack("sql in the query", "_id=1'%20OR%20'1'='1&zebu=1;DROP%20TABLE%20resources")
    yield Attack("not UTF-8", "name=%ff%fe&%80=%81")
    yield Attack("a nul", f"_id=%00{SECRET}")
    yield Attack("a huge number", "_count=99999999999999999999999&_offset=-1")
    yield Attack("many parameters", "&".join(f"a{n}={SECRET}" for n in range(1500)))
    yield Attack("a wrong format", "_format=xml")
    yield Attack("a date that isn't", f"_lastUpdated=ge{SECRET}&_since={SECRET}&date=9999-99-99")
    yield Attack("a chain too deep", ".".join(["subject:Patient"] * 50) + f"={SECRET}")
    yield Attack("a false cursor", f"_cursor={SECRET}")
    for name, value in (
        ("if-match", SECRET),
        ("if-none-match", f"W/{SECRET}"),
        ("if-modified-since", SECRET),
        ("if-none-exist", f"{SECRET}=%ff"),
        ("prefer", f"return={SECRET}, handling={SECRET}"),
        ("accept", f"application/{SECRET}"),
        ("accept", "text/html;q=abc"),
    ):
        yield Attack(f"{name}", headers=((name, value),))
    if method in ("POST", "PUT", "PATCH"):
        yield from bodies()


def bodies() -> Iterator[Attack]:
    patient = f'{{"resourceType":"Patient","name":[{{"family":"{SECRET}"}}],'
    for name, body in {
        "empty": "",
        "not JSON": f"{{{SECRET}",
        "a list": f'["{SECRET}"]',
        "null": "null",
        "deep": "[" * 100_000,
        "deep objects": '{"a":' * 5000 + "1" + "}" * 5000,
        "twice": f'{patient}"gender":"male","gender":"{SECRET}"}}',
        "unknown element": f'{patient}"{SECRET}":1}}',
        "unknown code": f'{patient}"gender":"{SECRET}"}}',
        "a bad date": f'{patient}"birthDate":"{SECRET}"}}',
        "not a number": f'{patient}"multipleBirthInteger":NaN}}',
        "a lone surrogate": f'{patient}"language":"\\ud800"}}',
        "no such type": f'{{"resourceType":"{SECRET}"}}',
        "a type that is a number": '{"resourceType":1}',
        "a bundle of nonsense": f'{{"resourceType":"Bundle","type":"batch","entry":["{SECRET}"]}}',
        "a bundle that asks for hell": json.dumps(bundle()),
        "parameters of nonsense": json.dumps(
            {"resourceType": "Parameters", "parameter": [{"name": SECRET}]}
        ),
        "huge number": '{"resourceType":"Patient","multipleBirthInteger":1e999999999}',
    }.items():
        yield Attack(name, body=body.encode())
    yield Attack("bytes", body=random.Random(SEED).randbytes(500))
    yield Attack("of another kind", body=SECRET.encode(), media=f"text/{SECRET}")
    yield Attack("a form of nonsense", body=f"{SECRET}=%ff%zz".encode(), media=FORM)
    yield Attack("compressed", body=b"\x1f\x8b\x00", headers=(("content-encoding", "gzip"),))
    for kind in ("json-patch", "merge-patch"):
        for body in (f'[{{"op":"{SECRET}","path":"/{SECRET}"}}]', f'"{SECRET}"', '[{"op":"test"}]'):
            yield Attack(kind, body=body.encode(), media=f"application/{kind}+json")


def bundle() -> dict[str, Any]:
    urls = (f"{SECRET}/../..", "Patient?" + SECRET, "http://169.254.169.254/", f"$reindex?{SECRET}")
    entries = [{"request": {"method": "GET", "url": url}} for url in urls]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def path(endpoint: Endpoint, id: str) -> str:
    named = {"resource_type": "Patient", "member": "Observation", "version_id": "1", "id": id}
    return re.sub(r"\{(\w+)\}", lambda one: named.get(one[1], "x"), endpoint.path)


FHIR_ROUTES = [each for each in ENDPOINTS if each.path.startswith("/fhir")]
OTHERS = [each for each in ENDPOINTS if each not in FHIR_ROUTES and each.docs.tag]


@pytest.mark.parametrize("endpoint", FHIR_ROUTES, ids=lambda each: each.name)
def test_hostile_input_is_answered_by_an_outcome(
    clinic: Caller, admin: Caller, endpoint: Endpoint
) -> None:
    print(f"seed {SEED}")
    patient = {"resourceType": "Patient", "name": [{"family": "Rivera"}]}
    id = clinic.post("/fhir/Patient", patient).json()["id"]
    caller = admin if endpoint.policy.name == "ADMIN" else clinic
    for attack in attacks(endpoint.method):
        answer = sent(caller, endpoint.method, path(endpoint, id), attack)
        check(answer, attack, outcome=True)
    for odd in (f"{SECRET}%00", "..%2f..%2fetc", "%ff", "a" * 5000, "1;DROP", "$$$"):
        answer = sent(caller, endpoint.method, path(endpoint, odd), Attack("path"))
        check(answer, Attack(f"path {odd[:20]}"), outcome=True)


@pytest.mark.parametrize("endpoint", OTHERS, ids=lambda each: each.name)
def test_hostile_input_elsewhere_brings_nothing_inside_out(
    clinic: Caller, admin: Caller, endpoint: Endpoint
) -> None:
    caller = admin if endpoint.policy.name == "ADMIN" else clinic
    for attack in attacks(endpoint.method):
        check(sent(caller, endpoint.method, path(endpoint, "x"), attack), attack, outcome=False)


def sent(caller: Caller, method: str, path: str, attack: Attack) -> httpx.Response:
    headers = dict(attack.headers)
    if attack.body is not None:
        headers["content-type"] = attack.media
    url = f"{path}?{attack.query}" if attack.query else path
    return caller(method, url, content=attack.body, headers=headers)


def check(answer: httpx.Response, attack: Attack, *, outcome: bool) -> None:
    about = (attack.name, answer.status_code, answer.text[:500])
    assert answer.status_code < 500, about
    if answer.status_code < 400:
        return
    assert not INSIDE.search(answer.text), about
    assert SECRET not in answer.text, about
    if outcome:
        assert answer.headers["content-type"] == FHIR, about
        found = answer.json()
        assert found["resourceType"] == "OperationOutcome", about
        for issue in found["issue"]:
            assert issue["severity"] == "error", about
            assert issue.get("expression") or issue.get("diagnostics"), about


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"gender": SECRET}, "Patient.gender"),
        ({"birthDate": SECRET}, "Patient.birthDate"),
        ({"name": [{"family": 1}]}, "Patient.name[0].family"),
        ({"contact": [{"gender": SECRET}]}, "Patient.contact[0].gender"),
        (
            {"managingOrganization": {"reference": "Organization/none"}},
            "Patient.managingOrganization",
        ),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "transaction"])
def test_a_fault_in_a_body_is_named_by_its_expression(
    clinic: Caller, body: dict[str, Any], place: str, method: str
) -> None:
    patient = {"resourceType": "Patient", "id": "faulty", **body}
    refused = WAYS[method](clinic, patient)
    assert refused.status_code in (400, 409), refused.text
    (issue,) = refused.json()["issue"]
    assert any(each.endswith(place.removeprefix("Patient")) for each in issue["expression"])
    assert SECRET not in refused.text


def transacted(caller: Caller, patient: dict[str, Any]) -> httpx.Response:
    entry = {"resource": patient, "request": {"method": "PUT", "url": "Patient/faulty"}}
    return caller.post("/fhir", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]})


WAYS: dict[str, Callable[[Caller, dict[str, Any]], httpx.Response]] = {
    "POST": lambda caller, patient: caller.post("/fhir/Patient", patient),
    "PUT": lambda caller, patient: caller.put("/fhir/Patient/faulty", patient),
    "transaction": transacted,
}


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/fhir/$convert", "POST"),
        ("/fhir/metadata", "GET, HEAD"),
        ("/fhir/Patient/_history", "GET, HEAD"),
        ("/fhir/Patient/_search", "POST"),
        ("/fhir/Patient/$match", "POST"),
        ("/fhir/Patient/a/$meta-add", "POST"),
    ],
)
def test_no_name_of_the_apis_is_taken_for_a_type_or_an_id(
    clinic: Caller, path: str, allowed: str
) -> None:
    refused = clinic.put(path, {"resourceType": "Patient"})
    assert (refused.status_code, refused.headers["allow"]) == (405, allowed)
