"""The generated tables are what the generator writes: no hand has been at them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.corpora import needs_corpora
from tests.mappings.ig.generate import TABLES, write_all

pytestmark = [needs_corpora, pytest.mark.corpora]


def test_generated_tables_are_as_generated(tmp_path: Path) -> None:
    differing = [
        name
        for name in write_all(tmp_path)
        if (tmp_path / f"{name}.csv").read_bytes() != (TABLES / f"{name}.csv").read_bytes()
    ]
    assert not differing, "keep a table by hand by naming it in codes.KEPT"
