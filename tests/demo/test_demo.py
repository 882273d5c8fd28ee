"""``gateway demo --once``, as the README starts it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from gateway.demo.scenes import SCENES
from tests.process import ROOT


@pytest.mark.timeout(200)
def test_the_demo_plays_its_scenes_and_every_loop_closes() -> None:
    played = subprocess.run(
        [sys.executable, "-m", "gateway", "demo", "--once"],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "GATEWAY_PORT": "0",
            "GATEWAY_MLLP_PORT": "0",
        },
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    told = played.stdout
    assert played.returncode == 0, told + played.stderr
    assert f"{len(SCENES)} of {len(SCENES)} loops closed." in told
    for title, _ in SCENES:
        assert title in told
    for said in ("FHIR API", "API docs", "mllp://127.0.0.1:", "How the loop closed"):
        assert said in told
    assert "did not come" not in told
