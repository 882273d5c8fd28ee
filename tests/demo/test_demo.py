"""``gateway demo``, as the README starts it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from gateway.demo.county import SCENES
from gateway.demo.scenes import EVERYDAY
from tests.process import ROOT

DEMO = (sys.executable, "-m", "gateway", "demo")
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")},
    "PYTHONPATH": str(ROOT),
    "PYTHONUNBUFFERED": "1",
    "GATEWAY_PORT": "0",
    "GATEWAY_MLLP_PORT": "0",
}


@pytest.mark.timeout(200)
def test_the_demo_plays_its_scenes_once_and_every_loop_closes() -> None:
    played = subprocess.run(
        [*DEMO, "--once"],
        env=ENVIRONMENT,
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


@pytest.mark.timeout(200)
def test_the_demo_goes_on_until_it_is_interrupted() -> None:
    with subprocess.Popen(
        DEMO, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as playing:
        assert playing.stdout is not None
        told, after = [], -1
        for line in playing.stdout:
            told.append(line)
            if "loops closed." in line:
                after = len(told)
            if after >= 0 and EVERYDAY[0][0] in "".join(told[after:]):
                playing.send_signal(signal.SIGINT)
                break
        told += playing.stdout.readlines()
    assert playing.returncode == 0, "".join(told)
    assert "Traceback" not in "".join(told)
