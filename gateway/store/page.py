"""A page of a search or history."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.model import Stored


@dataclass(frozen=True, slots=True)
class Page:
    """``total`` of all pages (None if it wasn't asked for); ``next`` is the next one's cursor."""

    entries: tuple[Stored, ...]
    total: int | None
    next: str | None
