"""A gateway in a process of its own as whoever runs it sees it: numbers, log, traces."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from prometheus_client import Metric

from gateway.members import Members
from gateway.store import open_hub
from tests.agencies import small_library
from tests.deliver import sinks
from tests.faults.load import exchange, patient, referral
from tests.faults.scene import AGENCY, BANK, CLINIC
from tests.process import SERVE, Process
from tests.scrapes import Scrape

TRACE = "0af7651916cd43dd8448eb211c80319c"
OTHER = "4bf92f3577b34da6a3ce929d0e0e4736"
"""Of the calls that make a Patient and accept the referral."""

VALUES = ("CANARY", "Walkin", "MEMBER-77", "Rivera", "Food insecurity", "N-1", "N-2", "N-3")
"""Of records, and what their senders call them: names, numbers, reasons, control ids."""


@dataclass(frozen=True)
class Seen:
    """What was seen of one gateway that took three messages, wrote, refused and delivered."""

    numbers: str
    log: str
    notified: sinks.Request
    spans: list[Span]

    @property
    def scrape(self) -> Scrape:
        return Scrape(self.numbers)

    @property
    def deliveries(self) -> list[Span]:
        """In order."""
        found = (span for span in self.spans if span.name == "deliver")
        return sorted(found, key=lambda span: span.start_time_unix_nano)

    def linked(self, span: Span) -> list[Span]:
        """Those that it links to."""
        whole = {(each.trace_id, each.span_id): each for each in self.spans}
        return [whole[link.trace_id, link.span_id] for link in span.links]

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.splitlines()]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    return asyncio.run(_run(tmp_path_factory.mktemp("operated")))


async def _run(folder: Path) -> Seen:
    settings = {
        "GATEWAY_ENDPOINT_NETWORKS": "127.0.0.0/8",
        "GATEWAY_LOG_LEVEL": "info",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    (folder / CLINIC).mkdir()
    (folder / CLINIC / "agency.yaml").write_text(AGENCY)
    async with (
        sinks.http(sinks.status("200 OK")) as (endpoint, notices),
        sinks.http(sinks.status("200 OK")) as (collector, exports),
    ):
        process = Process(folder, SERVE, {**settings, "GATEWAY_OTEL_ENDPOINT": collector})
        clinic, bank = process.join(CLINIC, BANK, folder=folder / CLINIC)
        watcher = _metrics_key(process)
        try:
            await process.start()
            numbers = await _use(process, endpoint, notices, (clinic, bank, watcher))
            assert await process.stop() == 0
        finally:
            await process.kill()
        spans = [span for each in exports for span in _spans(each.body)]
    return Seen(numbers, process.log.read_text(), notices[0], spans)


async def _use(
    process: Process, endpoint: str, notices: list[sinks.Request], keys: tuple[str, ...]
) -> str:
    """Refer, be refused, write, be notified; then the numbers."""
    clinic, bank, watcher = ({"Authorization": f"Bearer {key}"} for key in keys)
    async with httpx.AsyncClient(base_url=process.root, trust_env=False) as client:
        hook = {"type": "rest-hook", "endpoint": endpoint, "payload": "application/fhir+json"}
        subscription = {
            "resourceType": "Subscription",
            "status": "requested",
            "reason": "referrals",
            "criteria": f"Task?owner=Organization/{BANK}",
            "channel": hook,
        }
        made = await client.post("/fhir/Subscription", json=subscription, headers=bank)
        assert made.status_code == 201, made.text
        stream = await asyncio.open_connection("127.0.0.1", process.mllp_port)
        codes = [await _code(stream, raw) for raw in _messages()]
        assert codes == ["AA", "AE", "AR"]
        stream[1].close()
        traced = {**clinic, "traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
        created = await client.post("/fhir/Patient", json=patient("MEMBER-77"), headers=traced)
        assert created.status_code == 201
        wrong = {**patient("MEMBER-77"), "gender": "CANARY"}
        assert (await client.post("/fhir/Patient", json=wrong, headers=clinic)).status_code == 400
        async with asyncio.timeout(20):
            while "gateway_delivery_attempts_total" not in (
                numbers := (await client.get("/metrics", headers=watcher)).text
            ):
                await asyncio.sleep(0.1)
        await _accept(client, {**bank, "traceparent": f"00-{OTHER}-00f067aa0ba902b7-01"})
        async with asyncio.timeout(20):
            while len(notices) < 2:
                await asyncio.sleep(0.05)
    return numbers


async def _accept(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    (found,) = (await client.get("/fhir/Task", headers=headers)).json()["entry"]
    task = {**found["resource"], "status": "accepted"}
    answer = await client.put(f"/fhir/Task/{task['id']}", json=task, headers=headers)
    assert answer.status_code == 200, answer.text


def _messages() -> list[bytes]:
    """One that is taken, one whose patient has no number, one of no event that we know."""
    good = referral("N-1").replace(b"319^", b"319^CANARY")
    nobody = referral("N-2").replace(b"MN-2^^^NORTH^MR", b"")
    return [good, nobody, referral("N-3").replace(b"REF^I12^REF_I12", b"ZZ1^Z99^ZZ1_Z99")]


async def _code(stream: tuple[asyncio.StreamReader, asyncio.StreamWriter], raw: bytes) -> str:
    answer = await exchange(*stream, raw)
    return answer.split(b"MSA|")[1][:2].decode()


def _metrics_key(process: Process) -> str:
    hub = open_hub(process.database)
    key = Members(hub, small_library()).add_metrics_key()
    hub.close()
    return key


def _spans(raw: bytes) -> list[Span]:
    sent = ExportTraceServiceRequest.FromString(raw)
    return [
        span
        for resource in sent.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def test_the_numbers_tell_what_happened(seen: Seen) -> None:
    found = seen.scrape
    assert found("gateway_messages_received_total", door="mllp") == 3
    for code in ("AA", "AE", "AR"):
        assert found("gateway_ack_seconds_count", door="mllp", code=code) == 1
        assert found("gateway_messages_total", agency=CLINIC, channel="mllp", code=code) == 1
    assert found("gateway_refusals_total", segment="PID") == 1
    assert found("gateway_refusals_total", segment="MSH") == 1
    requests = {"route": "/fhir/{resource_type}", "method": "POST"}
    assert found("gateway_http_requests_total", **requests, status="201") == 2
    assert found("gateway_http_requests_total", **requests, status="400") == 1
    attempts = {"channel": "rest-hook", "outcome": "delivered"}
    assert found("gateway_delivery_attempts_total", **attempts) == 1
    assert found("gateway_delivery_seconds_count", channel="rest-hook") == 1
    assert found("gateway_writes_acknowledged_total") == found("gateway_writes_stored_total") >= 5
    assert found("gateway_hub_messages_failed") == 2
    assert found("gateway_commit_failures_total") == 0
    assert found("process_resident_memory_bytes") > 1e6


def test_neither_numbers_nor_log_nor_traces_hold_what_the_records_hold(seen: Seen) -> None:
    traces = "\n".join(str(span) for span in seen.spans)
    for value in VALUES:
        assert value not in seen.numbers
        assert value not in seen.log
        assert value not in traces


def test_each_line_of_the_log_is_an_event(seen: Seen) -> None:
    events = [line["event"] for line in seen.lines]
    assert events.count("message.refused") == 2
    assert events.count("refused") == 1
    assert {"ready", "draining", "stopped"} <= set(events)
    assert [line for line in seen.lines if line["level"] == "error"] == []
    first = next(line for line in seen.lines if line["event"] == "message.refused")
    assert first["agency"] == CLINIC
    assert first["place"].startswith("PID")
    refused = next(line for line in seen.lines if line["event"] == "refused")
    assert len(refused["request"]) == 32
    assert refused["agency"] == CLINIC


def test_a_delivery_links_to_the_message_that_it_began_with(seen: Seen) -> None:
    journeys = [span for span in seen.spans if span.name == "message"]
    assert len(journeys) == 3
    parts = {span.name for span in seen.spans if span.parent_span_id == journeys[0].span_id}
    assert parts == {"understand", "store"}
    delivery, _ = seen.deliveries
    first, version = seen.linked(delivery)
    assert first in journeys
    assert seen.linked(version) == [first]
    told = seen.notified.headers["traceparent"]
    assert told.startswith(f"00-{delivery.trace_id.hex()}-{delivery.span_id.hex()}-")


def test_a_delivery_links_to_the_version_that_it_tells_of_and_that_to_the_call_that_wrote_it(
    seen: Seen,
) -> None:
    _, delivery = seen.deliveries
    _, version = seen.linked(delivery)
    (call,) = seen.linked(version)
    assert (call.name, call.trace_id.hex()) == ("PUT /fhir/{resource_type}/{id}", OTHER)
    said = {each.key: each.value for each in version.attributes}
    assert said["gateway.type"].string_value == "Task"
    assert said["gateway.version"].int_value == 2


def test_a_request_goes_on_with_its_callers_trace(seen: Seen) -> None:
    (span,) = (span for span in seen.spans if span.trace_id.hex() == TRACE)
    assert span.name == "POST /fhir/{resource_type}"
    assert span.parent_span_id.hex() == "b7ad6b7169203331"


def test_where_nobody_asks_for_traces_nothing_of_them_is_loaded() -> None:
    script = (
        "import sys, gateway.app\n"
        "from gateway import traces\n"
        "traces.begin('', '')()\n"
        "assert traces.journey('x') is traces.NOTHING and traces.traceparent() == ''\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry.sdk',"
        " 'opentelemetry.exporter', 'google.protobuf'))])"
    )
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_the_alarms_of_the_readme_ask_for_what_is_there(seen: Seen) -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    asked = set(re.findall(r"\bgateway_[a-z_]+(?=[\[{ )])", readme))
    told = {sample for family in seen.scrape.families for sample in _samples(family)}
    assert len(asked) > 10
    assert asked <= told


def _samples(family: Metric) -> set[str]:
    """The names that a family's samples may have."""
    ends = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}
    return {family.name + end for end in ends.get(family.type, [""])}
