"""schemathesis against a running gateway, from the checked-in specification: no 5xx, and no answer
that the specification doesn't have, by a member's key and by a keeper's.

``GATEWAY_SCHEMATHESIS_SECONDS`` says for how long: 6 s by default, 60 in CI.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from gateway.settings import shipped
from tests.process import ROOT, Process

SECONDS = int(os.environ.get("GATEWAY_SCHEMATHESIS_SECONDS", "6"))
SPECIFICATION = shipped("openapi") / "openapi.json"
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
)


@pytest.mark.timeout(SECONDS + 180)
def test_the_running_gateway_is_as_its_specification_says(tmp_path: Path) -> None:
    asyncio.run(_fuzz(tmp_path))


async def _fuzz(folder: Path) -> None:
    gateway = Process(folder, (sys.executable, "-m", "gateway", "serve"), {})
    keys = [gateway.join("cedar-general", "food-bank")[0], gateway.keeper()]
    await gateway.start()
    try:
        for key in keys:
            code, told = await _run(gateway.root, key, max(1, SECONDS // len(keys)), folder)
            print(told[:40_000] if code else told[-2000:])
            assert code == 0, gateway.log.read_text()[-2000:]
    finally:
        await gateway.stop()


async def _run(root: str, key: str, seconds: int, folder: Path) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "run", str(SPECIFICATION), "--url", root),
        *("--header", f"Authorization: Bearer {key}", "--max-time", str(seconds)),
        *("--checks", ",".join(CHECKS), "--continue-on-failure", "--request-timeout", "20"),
        "--suppress-health-check=all",  # how hard an input is to make says nothing of the gateway
        cwd=folder,
        env=os.environ | {"SCHEMATHESIS_HOOKS": "tests.api.serializers", "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return process.returncode, out.decode()
