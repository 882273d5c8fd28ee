"""Rows and JSON over HTTP: files, forms and archives in; summaries and set-aside rows out."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import io
import json
import resource
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from gateway.api import build_api
from gateway.operations.jobs import PREFIX
from gateway.pipeline import Pipeline
from gateway.receive.arrival import as_message, take_in
from gateway.settings import Settings
from gateway.store import open_hub
from gateway.translate import load
from tests import feeds
from tests.api.calls import Caller, issue
from tests.feeds import CLIENTS, VISITS, client, table, visit
from tests.translate.test_records import RECORD, json_feed

CSV = {"content-type": "text/csv"}
SIGNED = "files: [{map: referral}]\nsigned: {by: hmac-sha256, header: X-Signature}\n"


@pytest.fixture(scope="module")
def settings(module_url: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        data_dir=tmp_path_factory.mktemp("hub"),
        database_url=module_url,
        message_limit=10_000,
        import_limit=1_000_000,
        translators=0,
        feed_secrets={"clinic/referrals": SecretStr("secret")},
    )


@pytest.fixture(scope="module")
def pipeline(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    folder = json_feed(feeds.maps(tmp_path_factory.mktemp("maps")))
    feed = folder / "referrals" / "feed.yaml"
    feed.write_text("feed: referrals\nkind: json\n" + SIGNED, encoding="utf-8")
    hub = open_hub(settings.database)
    pipeline = Pipeline(hub, load([folder]), settings, as_message)
    yield pipeline
    pipeline.loading.stop()
    hub.close()


@pytest.fixture(scope="module")
def app(pipeline: Pipeline, settings: Settings) -> Any:
    return build_api(pipeline, settings, take_in=take_in, ready=lambda: True)


def named(summary: dict[str, Any], file: str) -> dict[str, Any]:
    """A file's counts, without what is 0."""
    (found,) = [each for each in summary["files"] if each["file"] == file]
    return {key: value for key, value in found.items() if value and key != "file"}


def test_a_file_goes_in_by_its_name(clinic: Caller) -> None:
    rows = table(CLIENTS, client("1"), client("2", Sex="x"))
    answer = clinic("POST", "/intake/csv/shelter?file=clients.csv", content=rows, headers=CSV)
    assert answer.status_code == 200
    told = answer.json()
    assert named(told, "clients.csv").items() >= {"rows": 2, "new": 1, "aside": 1}.items()
    assert told["resources"]["Patient"]["created"] == 1
    assert told["aside"][0].items() >= {"file": "clients.csv", "row": 3, "column": "Sex"}.items()
    assert clinic.get(f"/intake/loads/{told['load']}").json()["load"] == told["load"]


def test_content_disposition_names_a_file_too(clinic: Caller) -> None:
    headers = CSV | {"content-disposition": 'attachment; filename="../../clients-x.csv"'}
    rows = table(CLIENTS, client("disposed"))
    told = clinic("POST", "/intake/csv/shelter", content=rows, headers=headers).json()
    assert named(told, "clients-x.csv")["new"] == 1


def test_a_form_brings_several_files(clinic: Caller) -> None:
    files = [
        ("file", ("visits.csv", table(VISITS, visit("form", "form")), "text/csv")),
        ("file", ("clients.csv", table(CLIENTS, client("form")), "text/csv")),
    ]
    answer = clinic("POST", "/intake/csv/shelter", files=files, data={"note": "let go"})
    assert answer.status_code == 200
    assert named(answer.json(), "visits.csv")["new"] == 1


def test_a_zip_brings_several_files(clinic: Caller) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("export/clients.csv", table(CLIENTS, client("zip")))
        archive.writestr("export/visits.csv", table(VISITS, visit("zip", "zip")))
    headers = {"content-type": "application/zip"}
    answer = clinic("POST", "/intake/csv/shelter", content=packed.getvalue(), headers=headers)
    assert named(answer.json(), "visits.csv")["new"] == 1


def test_a_load_may_run_behind_its_answer(
    clinic: Caller, pantry: Caller, pipeline: Pipeline
) -> None:
    rows = table(CLIENTS, client("behind-1"), client("behind-2", Sex="x"))
    headers = CSV | {"prefer": "return=minimal, respond-async"}
    begun = clinic("POST", "/intake/csv/shelter?file=clients.csv", content=rows, headers=headers)
    assert begun.status_code == 202
    assert begun.headers["preference-applied"] == "respond-async"
    where = begun.headers["content-location"]
    assert where == f"http://gateway/intake/jobs/{begun.json()['job']}"
    waits = clinic.get(where)
    assert (waits.status_code, waits.content) == (202, b"")
    assert {"x-progress", "retry-after"} <= waits.headers.keys()
    asyncio.run(pipeline.drain(PREFIX + begun.json()["job"]))
    told = clinic.get(where)
    assert told.status_code == 200
    assert named(told.json(), "clients.csv").items() >= {"new": 1, "aside": 1}.items()
    (file,) = told.json()["files"]
    assert clinic.get(file["mend"]).status_code == 200
    assert pantry.get(where).status_code == 404
    assert pantry("DELETE", where).status_code == 404
    assert clinic("DELETE", where).status_code == 204
    assert clinic.get(where).status_code == 404


def test_what_cant_be_loaded_at_all_is_told_of_later_as_it_would_have_been(
    clinic: Caller, pipeline: Pipeline
) -> None:
    sent = {"content": b"PK\x03\x04rubbish", "headers": {"content-type": "application/zip"}}
    at_once = clinic("POST", "/intake/csv/shelter?file=x.zip", **sent)
    sent["headers"] |= {"prefer": "respond-async"}
    begun = clinic("POST", "/intake/csv/shelter?file=x.zip", **sent)
    asyncio.run(pipeline.drain(PREFIX + begun.json()["job"]))
    later = clinic.get(begun.headers["content-location"])
    assert (later.status_code, issue(later)) == (at_once.status_code, issue(at_once))


def test_rows_that_wait_for_a_code_are_listed(clinic: Caller) -> None:
    assert clinic.get("/intake/rows?task=none").json() == {"rows": []}
    assert clinic.get("/intake/rows").status_code == 400


def test_set_aside_rows_are_mended_and_sent_back(clinic: Caller, pantry: Caller) -> None:
    rows = table(CLIENTS, client("mend", Sex="x", SSN="078051120"))
    answer = clinic("POST", "/intake/csv/shelter?file=clients.csv", content=rows, headers=CSV)
    assert answer.status_code == 422
    (file,) = answer.json()["files"]
    mend = file["mend"].removeprefix("http://gateway")
    assert pantry.get(mend).status_code == 404
    raw = clinic.get(mend)
    assert raw.headers["content-type"].startswith("text/csv")
    assert b"078051120" not in raw.content
    assert b"#reason" in raw.content
    mended = raw.content.replace(b",x,", b",F,")
    told = clinic("POST", "/intake/csv/shelter?file=clients.csv", content=mended, headers=CSV)
    assert named(told.json(), "clients.csv")["new"] == 1


def test_set_aside_rows_are_listed_tried_again_and_given_up(
    clinic: Caller, pantry: Caller, admin: Caller
) -> None:
    rows = table(VISITS, visit("late", "late"), visit("never", "never"))
    clinic("POST", "/intake/csv/shelter?file=visits.csv", content=rows, headers=CSV)
    waiting = clinic.get("/intake/asides").json()["rows"]
    late, never = [each for each in waiting if each["place"].startswith("visits.csv")]
    assert pantry.get("/intake/asides").json() == {"rows": []}
    assert late["id"] in {each["id"] for each in admin.get("/intake/asides").json()["rows"]}
    assert clinic("POST", f"/intake/asides/{late['id']}/replay").status_code == 200
    clients = table(CLIENTS, client("late"))
    clinic("POST", "/intake/csv/shelter?file=clients.csv", content=clients, headers=CSV)
    left = {each["place"] for each in clinic.get("/intake/asides").json()["rows"]}
    again = next(e for e in clinic.get("/intake/asides").json()["rows"] if e["place"] in left)
    assert clinic("POST", f"/intake/asides/{again['id']}/replay").json()["files"][0]["rows"] == 1
    assert pantry("DELETE", f"/intake/asides/{never['id']}").status_code == 404
    assert clinic("DELETE", f"/intake/asides/{never['id']}").status_code == 204
    assert never["id"] not in {e["id"] for e in clinic.get("/intake/asides").json()["rows"]}


@pytest.mark.parametrize(
    "body",
    [
        b'{"id": "1", "client": {"id": "one"}}',
        b'[{"id": "2", "client": {"id": "two"}}]',
        b'{"id": "3", "client": {"id": "three"}}\n{"id": "4", "client": {"id": "four"}}\n',
    ],
)
def test_json_comes_as_an_object_an_array_or_lines(clinic: Caller, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    answer = clinic("POST", "/intake/json/referrals", content=body, headers=headers)
    assert answer.status_code == 200
    counts = named(answer.json(), "referrals.json")
    assert counts["new"] == counts["rows"] == len(body.strip().splitlines())


def test_a_json_record_that_is_set_aside_comes_back_mended(clinic: Caller) -> None:
    body = b'{"id": "9", "client": {"name": {"last": "X"}}}'
    headers = {"content-type": "application/json"}
    told = clinic("POST", "/intake/json/referrals", content=body, headers=headers).json()
    assert told["aside"][0]["reason"].startswith("nothing says which Patient")
    raw = clinic.get(told["files"][0]["mend"].removeprefix("http://gateway")).content
    record = json.loads(raw)
    assert record["#row"] == "1"
    record["client"]["id"] = "nine"
    mended = json.dumps(record).encode()
    told = clinic("POST", "/intake/json/referrals", content=mended, headers=headers).json()
    assert named(told, "referrals.json")["new"] == 1


def test_a_webhook_is_let_in_by_its_signature_alone(nobody: Caller, clinic: Caller) -> None:
    body = b'{"id": "hook", "client": {"id": "hook"}}'
    signature = hmac.new(b"secret", body, hashlib.sha256).hexdigest()
    answer = nobody(
        "POST", "/hooks/clinic/referrals", content=body, headers={"x-signature": signature}
    )
    assert answer.status_code == 200
    assert named(answer.json(), "referrals.json")["new"] == 1
    for path in ("clinic/referrals", "clinic/shelter", "pantry/referrals", "nobody/referrals"):
        refused = nobody("POST", f"/hooks/{path}", content=body, headers={"x-signature": "0" * 64})
        assert refused.status_code == 401
    empty = {"x-signature": hmac.new(b"secret", b"", hashlib.sha256).hexdigest()}
    answer = nobody("POST", "/hooks/clinic/referrals", content=b"", headers=empty)
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("/intake/csv/nobody", b"a\n1\n", CSV, 404),
        ("/intake/csv/referrals", b"a\n1\n", CSV, 404),
        ("/intake/json/shelter", b"{}", {"content-type": "application/json"}, 404),
        ("/intake/csv/shelter", b"", CSV, 400),
        ("/intake/csv/shelter", b"a\n", {"content-type": "image/png"}, 415),
        ("/intake/csv/shelter", b"a\n", CSV | {"content-encoding": "gzip"}, 415),
        ("/intake/csv/shelter", b"x" * 1_000_001, CSV, 413),
        ("/intake/csv/shelter", b"PK\x03\x04xx", CSV, 400),
        ("/intake/csv/shelter", b"--x", {"content-type": "multipart/form-data"}, 400),
    ],
)
def test_what_cant_be_taken_is_refused_and_leaves_nothing(
    clinic: Caller, settings: Settings, path: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    answer = clinic("POST", path, content=body, headers=headers)
    assert answer.status_code == status
    assert issue(answer)["severity"] == "error"
    assert list((settings.data_dir / "loads").iterdir()) == []


def test_a_key_without_the_right_to_create_loads_nothing(caller: Any) -> None:
    reader = caller("reader", scopes=("system/*.rs",))
    answer = reader("POST", "/intake/csv/shelter", content=b"a\n", headers=CSV)
    assert answer.status_code == 403


def test_rows_and_records_convert_and_nothing_is_kept(clinic: Caller, pipeline: Pipeline) -> None:
    rows = table(CLIENTS, client("converted"), client("bad", Sex="x"))
    path = "/fhir/$convert?feed=shelter&file=clients.csv&findings=true"
    told = clinic("POST", path, content=rows, headers=CSV).json()
    parts = {each["name"]: each["resource"] for each in told["parameter"]}
    (entry,) = parts["return"]["entry"]
    assert entry["resource"]["name"] == [{"family": "Lconverted", "given": ["Ada"]}]
    assert parts["outcome"]["issue"][0]["diagnostics"].startswith("clients.csv:3:Sex: ")
    record = b'{"id": "c", "client": {"id": "converted"}}'
    ndjson = {"content-type": "application/x-ndjson"}
    bundle = clinic("POST", "/fhir/$convert?feed=referrals", content=record, headers=ndjson).json()
    (made,) = bundle["entry"]
    assert clinic.get(f"/fhir/{made['request']['url']}").status_code == 404
    unnamed = clinic("POST", "/fhir/$convert", content=rows, headers=CSV)
    assert issue(unnamed)["code"] == "required"


def test_rows_lead_back_to_their_cells_before_they_are_sent(clinic: Caller) -> None:
    rows = table(CLIENTS, client("asked", dob="1/2/1990"))
    path = "/maps/explain?feed=shelter&file=clients.csv&path=Patient.birthDate"
    (told,) = clinic("POST", path, content=rows, headers=CSV).json()["elements"]
    assert told["read"] == [{"place": "clients.csv:2:Date of birth"}]
    assert told["rules"][0].startswith("shelter/records/client.yaml:")
    assert "value" not in told
    path = "/maps/explain?feed=referrals&file=r.json&path=Patient.name.family"
    (told,) = clinic("POST", path, content=json.dumps(RECORD).encode()).json()["elements"]
    assert told["read"] == [{"place": "r.json:/0/client/name/last"}]
    assert clinic("POST", "/maps/explain?feed=none", content=b"x").status_code == 422
    assert clinic("POST", "/maps/explain?feed=shelter", content=b"").status_code == 400


def test_what_no_rule_reads_of_rows(clinic: Caller, pantry: Caller, admin: Caller) -> None:
    sheet = table((*CLIENTS, "Shoe"), client("covered", Shoe="42"))
    path = "/maps/coverage?feed=shelter&file=clients.csv"
    told = clinic("POST", path, content=sheet, headers=CSV).json()
    assert told["files"]["clients.csv"]["Shoe"] == {"there": 1, "read": 0}
    assert told["files"]["clients.csv"]["First"] == {"there": 1, "read": 1}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("in/clients.csv", sheet)
        archive.writestr("in/README.txt", "a,b")
    path = "/maps/coverage?feed=shelter&file=export.zip"
    assert clinic("POST", path, content=packed.getvalue(), headers=CSV).json() == told
    loaded = clinic("POST", "/intake/csv/shelter?file=clients.csv", content=sheet, headers=CSV)
    assert loaded.status_code == 200
    for told in (
        clinic.get("/maps/coverage?feed=shelter&count=1").json(),
        admin.get("/maps/coverage?feed=shelter&count=1&agency=clinic").json(),
    ):
        assert told["files"]["clients.csv"]["Shoe"] == {"there": 1, "read": 0}
    assert pantry.get("/maps/coverage?feed=shelter").json() == {"records": 0, "files": {}}
    assert pantry.get("/maps/coverage?feed=shelter&agency=clinic").status_code == 404
    assert clinic.get("/maps/coverage?feed=none").status_code == 404


def test_what_no_rule_reads_of_json_records(clinic: Caller) -> None:
    body = json.dumps(RECORD | {"shoe": {"size": 42}}).encode()
    told = clinic("POST", "/maps/coverage?feed=referrals&file=r.json", content=body).json()
    assert told["files"]["r.json"]["/shoe/size"] == {"there": 1, "read": 0}


def test_a_body_that_the_disk_has_no_room_for_is_to_be_sent_again(clinic: Caller) -> None:
    rows = table(CLIENTS, *(client(str(number)) for number in range(700, 800)))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (512, hard))
    try:
        refused = clinic("POST", "/intake/csv/shelter?file=clients.csv", content=rows, headers=CSV)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert refused.status_code == 503
    assert "the disk" in refused.text
    taken = clinic("POST", "/intake/csv/shelter?file=clients.csv", content=rows, headers=CSV)
    assert taken.status_code == 200
