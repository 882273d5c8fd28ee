"""The plans of what ships are compiled when a message asks for one, those of others at once."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from gateway.errors import MapError
from gateway.settings import shipped
from gateway.translate import load
from gateway.translate.plans import Plan

SHIPPED = shipped("mappings")
EVENT = "ADT^A08"


def test_a_plan_that_ships_is_compiled_once_whoever_asks_for_it() -> None:
    plans = load([SHIPPED])._plans
    assert EVENT in plans
    assert not plans._made
    found: list[Plan] = []
    threads = [threading.Thread(target=lambda: found.append(plans[EVENT])) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(found) == 4
    assert all(each is found[0] for each in found)
    assert list(plans._made) == [found[0].name]


def test_what_a_table_is_read_for_is_known_of_all_plans() -> None:
    library = load([SHIPPED])
    assert library.table_system("no-such-table") is None
    assert set(library._plans._made) == {plan.name for plan in library._plans.values()}


def test_another_folders_maps_are_compiled_before_they_are_in_force(tmp_path: Path) -> None:
    shutil.copytree(SHIPPED, tmp_path / "maps")
    wrong = tmp_path / "maps" / "hl7v2" / "segments" / "PID.yaml"
    wrong.write_text(wrong.read_text() + "\ncolour: {from: PID-1}\n")
    with pytest.raises(MapError, match="no element 'colour'"):
        load([tmp_path / "maps"])
