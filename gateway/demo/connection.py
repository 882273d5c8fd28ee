"""An HTTP connection of somebody's at an agency, closed when the ``async with`` around it ends."""

from __future__ import annotations

from typing import Self

import httpx


class Connection:
    """Who speaks HTTP, by ``http``."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()
