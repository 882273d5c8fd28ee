"""A page of a search or history."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.model import Stored


@dataclass(frozen=True, slots=True)
class Page:
    """``total`` of all pages (None if it isn't known); ``next`` is the next one's cursor, and
    ``previous`` of a search that of the one before.

    ``included`` is what a search's page brings with it.
    """

    entries: tuple[Stored, ...]
    total: int | None
    next: str | None
    included: tuple[Stored, ...] = ()
    previous: str | None = None
