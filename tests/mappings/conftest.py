"""The maps that are asked."""

from __future__ import annotations

import pytest

from gateway.translate import Library
from tests import shipped


@pytest.fixture(scope="session")
def library() -> Library:
    """Those that ship."""
    return shipped.library()
