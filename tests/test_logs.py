"""Log lines: JSON, one an event, whoever said it; and never what a record holds."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway import logs
from gateway.errors import Denied, Full, GatewayError, Throttled, Unavailable

SAID = """
import asyncio, logging, sys, threading, warnings
import structlog
from gateway import logs
from gateway.errors import Unavailable, InvalidResource

logs.configure("info", {form!r})
log = structlog.get_logger()
value = "Ana CANARY"

def fails(name):
    local = name
    raise ValueError(f"no such person: {{local}}")

log.info("ready", port=1)
log.debug("never said")
structlog.contextvars.bind_contextvars(request="r1")
logs.refusal(log, "refused", InvalidResource("wrong", place="Patient.name"), agency="clinic")
logs.refusal(log, "refused", Unavailable("full"))
structlog.contextvars.clear_contextvars()
try:
    fails(value)
except ValueError as error:
    log.error("fault", **logs.about(error))
    log.exception("fault.by_exception")
    log.error("fault.by_value", of=error)
    logging.getLogger("dbos").error(f"it failed: {{error}}", exc_info=True)
    logging.getLogger("sqlalchemy.pool").warning("lost %s", error)
    logging.getLogger("uvicorn.error").error('%s - "WebSocket %s" 403', value, value)
    about = {{"stage": "store"}}
    logging.getLogger("gateway.work").error("a drain failed", extra={{"about": about}})
    logging.getLogger("gateway.store").warning("the server has %s off", "fsync")
    logging.getLogger("hl7apy").info("quiet")
warnings.warn(value)
thread = threading.Thread(target=fails, args=(value,))
thread.start()
thread.join()

async def lost():
    asyncio.get_running_loop().call_soon(fails, value)
    await asyncio.sleep(0)

asyncio.run(lost())
fails(value)
"""


def said(form: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SAID.format(form=form)],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == ""
    assert done.returncode == 1
    return done.stderr


def test_each_event_is_a_json_line_and_none_quotes_what_it_is_about() -> None:
    text = said("auto")
    assert "CANARY" not in text
    lines: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()]
    now = datetime.now(UTC)
    for line in lines:
        assert line["level"] in {"info", "warning", "error", "critical"}
        assert now - datetime.fromisoformat(line["timestamp"]) < timedelta(minutes=1)
        assert line["timestamp"].endswith("Z")
    ready, wrong, full, *faults = lines
    assert (ready["event"], ready["port"], ready["level"]) == ("ready", 1, "info")
    assert wrong.items() >= {"place": "Patient.name", "agency": "clinic", "request": "r1"}.items()
    assert (wrong["level"], full["level"]) == ("info", "error")
    events = [line["event"] for line in faults]
    assert events == [
        "fault",
        "fault.by_exception",
        "fault.by_value",
        "dbos",
        "sqlalchemy",
        '%s - "WebSocket %s" 403',
        "a drain failed",
        "the server has fsync off",
        "py",
        "uncaught",
        "asyncio",
        "uncaught",
    ]
    kinds = [line.get("error") for line in faults]
    assert kinds.count("ValueError") == 6
    assert all("<string>:" in line["where"][-1] for line in faults if "where" in line)
    assert faults[2]["of"] == "ValueError"
    assert faults[6]["stage"] == "store"


def test_the_console_form_quotes_nothing_either() -> None:
    text = said("console")
    assert "CANARY" not in text
    assert "a drain failed" in text


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (Denied("no"), "info"),
        (Throttled("too much", 1.0), "warning"),
        (Full("too much in hand"), "warning"),
        (Unavailable("the disk can't take it now"), "error"),
    ],
)
def test_only_what_the_hub_cant_do_wakes_somebody(error: GatewayError, level: str) -> None:
    class Recorded:
        def __init__(self) -> None:
            self.levels: list[str] = []

        def __getattr__(self, name: str) -> Any:
            return lambda event, **_: self.levels.append(name)

    log = Recorded()
    logs.refusal(log, "refused", error)
    assert log.levels == [level]
