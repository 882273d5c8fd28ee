"""The maps that ship, compiled once a test process: they take two seconds and never change."""

from __future__ import annotations

from functools import cache

from gateway.settings import Settings
from gateway.translate import Library, load


@cache
def library() -> Library:
    """As ``gateway serve`` loads them."""
    return load(Settings().folders)
