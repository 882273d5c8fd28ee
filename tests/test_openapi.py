"""The checked-in specification is the one that the server serves."""

from __future__ import annotations

import json

from gateway import app
from gateway.settings import shipped

CHECKED_IN = shipped("openapi") / "openapi.json"
RENEW = "openapi/openapi.json is old: python -m gateway openapi --out openapi/openapi.json"


def test_the_checked_in_specification_is_the_running_servers() -> None:
    assert json.loads(CHECKED_IN.read_text()) == json.loads(app.openapi()), RENEW
