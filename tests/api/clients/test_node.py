"""The clients of Node's world, each in its own script: they print "closed" once the loop is.

``npm install --no-audit --no-fund --ignore-scripts --prefix . PACKAGE`` in a folder of the cache
(``tests/node.py``) is all that is installed.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.api.clients import referral
from tests.api.clients.referral import Place
from tests.node import node_modules

CLIENTS = {"kit": "fhir-kit-client@2.0.3", "medplum": "@medplum/core@4.5.2"}


@pytest.mark.parametrize("client", CLIENTS)
def test_it_drives_a_referral_by_its_own_habits(client: str, place: Place) -> None:
    folder = node_modules(CLIENTS[client])
    resources = {
        "patient": referral.patient(referral.number()),
        "request": referral.request("Patient/"),
        "task": referral.task("Patient/", "ServiceRequest/"),
        "procedure": referral.procedure("Patient/", "ServiceRequest/"),
        "output": referral.output("Procedure/"),
        "transaction": referral.transaction(referral.number()),
    }
    # As its standard input the script finds what is installed where it runs.
    done = subprocess.run(
        ["node", "--input-type=module", "-", json.dumps({**asdict(place), "resources": resources})],
        cwd=folder,
        input=Path(__file__).with_name(f"{client}.mjs").read_text(encoding="utf-8"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "closed\n"), done.stderr
