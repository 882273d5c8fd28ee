"""``/metrics``: counters that are right, gauges of the hub, and nobody's name."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any
from uuid import uuid4

import pytest

from gateway import meters
from gateway.errors import Unavailable
from gateway.model import Receipt
from gateway.pipeline import Pipeline
from gateway.receive.arrival import as_message
from gateway.settings import Settings
from gateway.store.hub import Hub
from tests.api.calls import Caller, issue
from tests.api.test_intake import HL7, adt
from tests.scrapes import Scrape


@pytest.fixture
def scrape(admin: Caller) -> Callable[[], Scrape]:
    def read() -> Scrape:
        answer = admin.get("/metrics")
        assert answer.status_code == 200, answer.text
        return Scrape(answer.text)

    return read


def ahead() -> float:
    """How many writes were acknowledged that aren't stored."""
    return float(meters.ACKNOWLEDGED._value.get() - meters.STORED._value.get())


def test_who_may_read_the_numbers(
    clinic: Caller, nobody: Caller, admin: Caller, caller: Any, pipeline: Pipeline
) -> None:
    assert admin.get("/metrics").status_code == 200
    assert nobody.get("/metrics").status_code == 401
    assert clinic.get("/metrics").status_code == 403
    key = {"authorization": f"Bearer {pipeline.members.add_metrics_key()}"}
    assert nobody("GET", "/metrics", headers=key).status_code == 200
    for path in ("/fhir/Patient", "/fhir/Organization", "/intake/messages", "/admin/messages"):
        assert nobody("GET", path, headers=key).status_code == 403, path
    assert nobody("POST", "/intake/hl7v2", content=adt("X"), headers=HL7 | key).status_code == 403


def test_a_setting_opens_them_to_everybody(
    nobody: Caller, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = next(route.endpoint for route in app.routes if getattr(route, "path", "") == "/metrics")
    settings = door._api.settings
    monkeypatch.setitem(settings.__dict__, "metrics_public", True)
    assert nobody.get("/metrics").status_code == 200
    assert nobody.get("/fhir/Patient").status_code == 401


def test_messages_are_counted_by_what_they_were_answered(
    clinic: Caller, scrape: Callable[[], Scrape]
) -> None:
    before = scrape()
    number = uuid4().hex[:16]
    clinic("POST", "/intake/hl7v2", content=adt(number), headers=HL7)
    clinic("POST", "/intake/hl7v2", content=adt(f"{number}E").replace(b"PID|1||", b"PID|1||^^^^X~"))
    bad = adt(f"{number}R").replace(b"ADT^A08^ADT_A01", b"ZZZ^Z99^ZZZ_Z99")
    clinic("POST", "/intake/hl7v2", content=bad, headers=HL7)
    after = scrape()

    def more(name: str, **labels: str) -> float:
        return after(name, **labels) - before(name, **labels)

    codes = {code: more("gateway_messages_total", agency="clinic", code=code) for code in CODES}
    acks = {code: more("gateway_ack_seconds_count", door="http", code=code) for code in CODES}
    assert codes == acks
    assert sum(codes.values()) == more("gateway_messages_received_total", door="http") == 3
    assert codes["AA"] >= 1
    assert codes["AR"] == 1
    assert more("gateway_refusals_total", segment="MSH") == 1


CODES = ("AA", "AE", "AR")


def test_writes_that_are_refused_are_neither_acknowledged_nor_stored(
    clinic: Caller, scrape: Callable[[], Scrape]
) -> None:
    before = scrape()
    assert clinic.post("/fhir/Patient", {"resourceType": "Patient"}).status_code == 201
    assert clinic.post("/fhir/Patient", {"resourceType": "Patient", "x": 1}).status_code == 400
    assert clinic.get("/fhir/Patient/nobody-is-here").status_code == 404
    after = scrape()
    for name in ("gateway_writes_acknowledged_total", "gateway_writes_stored_total"):
        assert after(name) - before(name) == 1
    statuses = {
        status: after("gateway_http_requests_total", route=route, status=status)
        - before("gateway_http_requests_total", route=route, status=status)
        for route, status in (
            ("/fhir/{resource_type}", "201"),
            ("/fhir/{resource_type}", "400"),
            ("/fhir/{resource_type}/{id}", "404"),
        )
    }
    assert statuses == {"201": 1, "400": 1, "404": 1}
    name = "gateway_refusals_total"
    assert after(name, stage="store") - before(name, stage="store") == 2
    assert not any("nobody-is-here" in each for each in after.labels(ROUTES))


ROUTES = {"route", "method", "status", "segment", "stage", "agency"}


def test_no_value_of_a_message_becomes_a_label(
    clinic: Caller, scrape: Callable[[], Scrape], admin: Caller
) -> None:
    number = uuid4().hex[:16]
    for raw in (
        adt(f"CTRL{number}", "MRN-CANARY"),
        adt(f"CTRL{number}B").replace(b"ADT^A08", b"CAN^ARY"),
        adt(f"CTRL{number}C").replace(b"PV1|", b"RIV|"),
        b"CANARY" * 9,
    ):
        clinic("POST", "/intake/hl7v2", content=raw, headers=HL7)
    clinic.get("/fhir/Patient?family=CANARY&x=CANARY")
    clinic.get("/fhir/Patient/CANARY")
    clinic("GET", "/CANARY")
    clinic("CANARY", "/fhir/Patient")
    text = admin.get("/metrics").text
    for value in ("CANARY", "Rivera", "19840719", number, "A08", "ZZZ"):
        assert value not in text
    assert scrape()("gateway_hub_up") == 1


def test_the_gauges_of_the_hub_are_there_and_the_process_has_a_size(
    scrape: Callable[[], Scrape], pipeline: Pipeline
) -> None:
    found = scrape()
    names = {sample.name for sample in found.samples}
    assert {
        "gateway_hub_dead_letters",
        "gateway_hub_tasks",
        "gateway_writer_queue",
        "process_resident_memory_bytes",
        "process_cpu_seconds_total",
        "gateway_sync_seconds_count",
        "gateway_commit_units_bucket",
    } <= names
    if pipeline._hub.disk() is not None:
        assert found("gateway_hub_disk_bytes", of="free") > 0
    assert not any(name.endswith("_created") for name in names)


def test_a_scraper_that_asks_for_openmetrics_gets_it(admin: Caller) -> None:
    answer = admin.get("/metrics", accept="application/openmetrics-text; version=1.0.0")
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")
    assert Scrape(answer.text, strict=True)("gateway_hub_up") == 1


def test_numbers_are_told_where_the_hub_is_gone(
    admin: Caller, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin.get("/metrics")  # its key is known from then on

    def away() -> Any:
        raise Unavailable("the database can't be reached")

    monkeypatch.setattr(pipeline.vitals, "_at", -1000.0)
    monkeypatch.setattr(pipeline.vitals._hub, "read", away)
    found = Scrape(admin.get("/metrics").text)
    assert found("gateway_hub_up") == 0
    assert found("gateway_writes_stored_total") >= 0
    assert "gateway_hub_tasks" not in {sample.name for sample in found.samples}
    monkeypatch.setattr(pipeline.vitals, "_at", -1000.0)


def told(pipeline: Pipeline) -> float:
    """How far what is acknowledged is ahead of what is stored, when a sender is told AA."""
    pipeline.add_agency("clinic", None)
    seen: list[float] = []
    rest = ahead()
    taken: Future[Receipt] = pipeline.accept(
        *as_message("clinic", "mllp", adt(uuid4().hex[:20], uuid4().hex))
    )
    taken.add_done_callback(lambda _: seen.append(ahead() - rest))
    assert taken.result().acknowledgement == "AA"
    pipeline._hub.write(lambda _: None)  # its commit is over, too
    return seen[0]


def test_what_is_acknowledged_is_counted_as_stored_before(pipeline: Pipeline) -> None:
    assert told(pipeline) == 0


def test_a_build_that_acknowledges_before_it_commits_is_seen(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.faults.broken_build import submit_and_promise

    monkeypatch.setattr(Hub, "submit", submit_and_promise)
    assert told(pipeline) == 1


def test_a_request_has_an_id_in_its_answer(clinic: Caller) -> None:
    own = clinic.get("/livez").headers["x-request-id"]
    assert len(own) == 32
    uuid = "0f5e2c1a-3c6f-4e4b-9f3d-6f1f5b1c9a10"
    assert clinic.get("/fhir/Patient", x_request_id=uuid).headers["x-request-id"] == uuid
    assert clinic.get("/nowhere", x_request_id=uuid).headers["x-request-id"] == uuid
    answer = clinic.get("/livez", x_request_id="about Ana Rivera".replace(" ", "_"))
    assert answer.headers["x-request-id"] != "about_Ana_Rivera"
    assert answer.headers["x-correlation-id"] == "about_Ana_Rivera"


def test_a_gateway_that_starts_is_no_error(
    nobody: Caller, ready: list[bool], capsys: pytest.CaptureFixture[str], settings: Settings
) -> None:
    ready[0] = False
    answer = nobody.get("/readyz")
    ready[0] = True
    assert answer.status_code == 503
    assert issue(answer)["code"] == "transient"
    told_ = capsys.readouterr()
    assert "refused" not in told_.out + told_.err
