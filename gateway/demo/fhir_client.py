"""FHIR R4 REST as a partner's software speaks it: a bearer key, JSON, and If-Match on updates."""

from __future__ import annotations

from typing import Any, Final

import httpx

from gateway.demo.connection import Connection

FHIR_JSON: Final = "application/fhir+json"


class RefusedError(Exception):
    """The gateway said no; the text is the status and the OperationOutcome's first finding."""

    def __init__(self, status: int, finding: str) -> None:
        super().__init__(f"{status}: {finding}")
        self.status = status


class FhirClient(Connection):
    """One agency's connection to ``api`` (``http://host:port/fhir``), bearing its ``key``."""

    def __init__(self, api: str, key: str) -> None:
        super().__init__(
            httpx.AsyncClient(
                base_url=f"{api}/",
                headers={"Authorization": f"Bearer {key}", "Accept": FHIR_JSON},
                timeout=10,
                trust_env=False,
            )
        )

    async def read(self, reference: str) -> dict[str, Any]:
        """The resource that a relative reference (``Patient/6f9…``) names."""
        return await self._send("GET", reference)

    async def search(self, query: str) -> list[dict[str, Any]]:
        """The matches of ``Task?owner=…`` (its first page)."""
        bundle = await self._send("GET", query)
        return [entry["resource"] for entry in bundle.get("entry", [])]

    async def create(self, resource: dict[str, Any]) -> dict[str, Any]:
        """POST it; as the server stored it."""
        return await self._send("POST", resource["resourceType"], resource)

    async def update(self, resource: dict[str, Any]) -> dict[str, Any]:
        """PUT it over the version that it was read as; ``RefusedError`` 412 if that has passed."""
        place = f"{resource['resourceType']}/{resource['id']}"
        return await self._send("PUT", place, resource, resource["meta"]["versionId"])

    async def _send(
        self,
        method: str,
        place: str,
        resource: dict[str, Any] | None = None,
        version: str | None = None,
    ) -> dict[str, Any]:
        headers = {"If-Match": f'W/"{version}"'} if version else {}
        if resource is not None:
            headers["Content-Type"] = FHIR_JSON
        answer = await self._http.request(method, place, json=resource, headers=headers)
        body: dict[str, Any] = answer.json()
        if answer.is_error:
            raise RefusedError(answer.status_code, _finding(body))
        return body


def _finding(outcome: dict[str, Any]) -> str:
    issue = (outcome.get("issue") or [{}])[0]
    return str(
        issue.get("diagnostics") or issue.get("details", {}).get("text") or "no reason given"
    )
