"""How the tests call the API: through ASGI, as one agency, errors of the app included."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

FHIR = "application/fhir+json"


class Caller:
    """An agency's client: each call runs to its end, errors of the app included."""

    def __init__(self, app: Any, runner: asyncio.Runner, secret: str | None) -> None:
        headers = {"authorization": f"Bearer {secret}"} if secret else {}
        transport = httpx.ASGITransport(app)
        self._runner = runner
        self._client = httpx.AsyncClient(
            transport=transport, base_url="http://gateway", headers=headers
        )

    def __call__(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        return self._runner.run(self._client.request(method, path, **kwargs))

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self("GET", path, headers=named(headers))

    def post(self, path: str, resource: Any, **headers: str) -> httpx.Response:
        return self("POST", path, json=resource, headers={"content-type": FHIR} | named(headers))

    def put(self, path: str, resource: Any, **headers: str) -> httpx.Response:
        return self("PUT", path, json=resource, headers={"content-type": FHIR} | named(headers))


def named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def issue(response: httpx.Response) -> dict[str, Any]:
    """The first issue of an OperationOutcome."""
    assert response.headers["content-type"] == FHIR, response.text
    outcome = response.json()
    assert outcome["resourceType"] == "OperationOutcome"
    found: dict[str, Any] = outcome["issue"][0]
    return found
