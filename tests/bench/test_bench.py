"""The bench itself: one command measures all that it names, and says what stands beside it."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.bench import __main__ as command
from tests.bench import engines, machine
from tests.bench.model import OPTIONS, UNPARTITIONED, Memory, Model, Option, fitted
from tests.bench.partitions import Partitioned
from tests.bench.plot import Axis, Plot
from tests.bench.report import Report
from tests.bench.run import FULL, QUICK, SIZES, TINY
from tests.bench.table import Figure, markdown
from tests.bench.touches import MESSAGE, Taken
from tests.bench.trees import Tree

SVG = "{http://www.w3.org/2000/svg}"


def run(out: Path, *arguments: str) -> Report:
    report = command.main(["--tiny", "--out", str(out), *arguments])
    assert not report.failed
    told = json.loads((out / "bench.json").read_text(encoding="utf-8"))
    assert len(told["figures"]) == len(report.figures)
    for figure in report.figures:
        assert figure.value > 0, figure
        assert math.isfinite(figure.ratio), figure
        assert figure.beside, figure
        assert (figure.met is None) == (not figure.budget)
    written = (out / "bench.md").read_text(encoding="utf-8")
    assert all(figure.work in written for figure in report.figures)
    return report


def test_pure_work_and_the_hub_are_measured_beside_their_floors(tmp_path: Path) -> None:
    report = run(tmp_path, "--engine", "sqlite", "--only", "er7", "check", "store", "match")
    budgets = [figure.budget for figure in report.figures if figure.budget]
    assert budgets == ["≤ 100", "≤ 10", "≤ 120", "≤ 1", "≤ 1", "≤ 1"]
    assert {figure.engine for figure in report.figures} == {"", "SQLite"}
    assert report.machine["cores"]
    assert report.machine["commit"]


def test_messages_are_sent_to_a_gateway_and_to_the_ceiling(tmp_path: Path) -> None:
    report = run(tmp_path, "--engine", "sqlite", "--only", "mllp")
    assert [figure.budget for figure in report.figures] == ["≥ 300", "≤ 100", "≥ 1000", "≤ 100"]


def test_the_model_is_checked_on_a_hub_and_told(tmp_path: Path) -> None:
    report = run(tmp_path, "--engine", "sqlite", "--only", "scale")
    checked, told = report.tables
    assert [row[0] for row in checked.rows] == [
        "message",
        "search by number",
        "search, a page of 20",
    ]
    assert {row[0] for row in told.rows} == {"unpartitioned", "measured"}
    ElementTree.parse(tmp_path / "scale-sqlite.svg")


def test_postgresql_syncs_and_is_measured_the_same_way(tmp_path: Path) -> None:
    report = run(tmp_path, "--engine", "postgresql", "--only", "store", "scale")
    assert {figure.engine for figure in report.figures} == {"PostgreSQL"}
    _, told = report.tables
    assert {row[0] for row in told.rows} == {"measured", *(option.name for option in OPTIONS)}


def test_every_budget_has_a_part_and_every_part_a_name() -> None:
    assert set(SIZES) == {"tiny", "quick", "full", "large"}
    assert not set(command.PURE) & set(command.OF_A_HUB)
    assert set(command.UNASKED) < set(command.OF_A_HUB)
    for size in (TINY, QUICK, FULL):
        assert size.growth[-1] == size.resources
        assert len(size.scale) > 2


def test_an_engine_that_nobody_knows_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--engine", "oracle"])
    said = capsys.readouterr().err
    assert all(name in said for name in engines.NAMES)


@pytest.mark.parametrize(
    ("figure", "ratio", "met"),
    [
        (Figure("a", 50, "µs", 25, "floor", "≤ 100"), 2.0, 2.0),
        (Figure("a", 50, "/s", 100, "floor", "≥ 100"), 2.0, 0.5),
        (Figure("a", 50, "ms", 100, "peer"), 0.5, None),
    ],
)
def test_a_figure_is_compared_the_way_that_its_unit_says(
    figure: Figure, ratio: float, met: float | None
) -> None:
    assert (figure.ratio, figure.met) == (ratio, met)


def test_a_table_holds_what_would_end_a_cell() -> None:
    assert markdown(("a",), [("b|c",)]) == "| a |\n| --- |\n| b\\|c |\n"


def test_a_plot_is_well_formed_and_within_its_frame() -> None:
    plot = Plot("a < b & c", Axis("x", is_log=True), Axis("y"))
    plot.add("one & two", [(1, 0), (10, 5), (1000, 9)])
    plot.add("three", [(5, 2.5)])
    root = ElementTree.fromstring(plot.svg())
    assert root.findtext(f"{SVG}title") == "a < b & c"
    texts = [one.text for one in root.iter(f"{SVG}text")]
    assert {"one & two", "three", "x", "y", "1k"} <= set(texts)
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for circle in root.iter(f"{SVG}circle"):
        assert 0 < float(circle.attrib["cx"]) < width
        assert 0 < float(circle.attrib["cy"]) < height


@pytest.mark.parametrize("values", [[1.0], [0.3, 0.4], [1, 10], [7, 12000]])
@pytest.mark.parametrize("is_log", [True, False])
def test_ticks_hold_all_values(values: list[float], is_log: bool) -> None:
    axis = Axis("x", is_log)
    ticks = axis.ticks(values)
    assert 2 <= len(ticks) <= 8
    assert all(0 <= axis.place(value, ticks) <= 1 for value in values)


def test_a_tree_is_as_high_as_its_leaves_ask() -> None:
    assert [Tree(leaves, 100).levels for leaves in (1, 100, 101, 10_000, 10_001)] == [1, 2, 3, 3, 4]
    assert Tree(10**9, 0).levels == 1
    assert Tree(50, 100).times(0.001).levels == 1


def model(memory: Memory | None = None) -> Model:
    ways = {MESSAGE: {"token": 10.0, "version": 2.0}, "search": {"token": 1.0}}
    trees = {"token": Tree(1000, 100), "version": Tree(500, 100)}
    roomy = memory or Memory(1e12, 1e12, 5, 100)
    parted = Partitioned(10, 2, {})
    statements = {MESSAGE: 4.0, "search": 1.0}
    return Model(
        {MESSAGE: 1000, "search": 100}, ways, statements, trees, 10_000, 0.5, roomy, parted
    )


def test_costs_grow_with_levels_and_with_what_memory_lacks() -> None:
    assert model().cost("search", 10_000) == 100 + 3 * 0.5
    assert model().cost("search", 10**7) == 100 + 4 * 0.5
    small = model(Memory(750, 1e12, 5, 100))
    assert small.cost("search", 10_000) == pytest.approx(100 + 3 * 0.5 + 0.5 * 5)
    starved = model(Memory(0, 0, 5, 100))
    appended = 1000 + (10 * 3 + 2 * 3) * 0.5 + 10 * 105
    assert starved.cost(MESSAGE, 10_000) == pytest.approx(appended)


def test_a_layout_pays_for_its_partitions_and_trips() -> None:
    whole = model().cost("search", 10_000)
    all_ = Option("all", 1 / 64, 1 / 64, 64)
    assert model().cost("search", 10_000, all_) == pytest.approx(whole + 10 + 63 * 2 - 0.5)
    far = Option("far", trips=(1.0, 1.0))
    assert (model().waits(MESSAGE, far), model().waits("search", far)) == (4.0, 1.0)
    assert model().waits(MESSAGE, UNPARTITIONED) == 0


def test_a_model_fits_what_it_was_made_of() -> None:
    trees = {"token": Tree(1000, 100)}
    found = {n: {MESSAGE: Taken(500.0, {"token": 10.0}, 3)} for n in (1000, 10_000)}
    made = fitted(found, trees, 0.5, Memory(1e9, 1e9, 1, 1), Partitioned(0, 0, {}))
    assert made.cost(MESSAGE, 10_000) == pytest.approx(500, rel=0.01)


def test_processor_time_and_memory_of_a_process_are_told() -> None:
    me = os.getpid()
    before = machine.spent(me)
    sum(range(300_000))
    assert machine.spent(me) > before
    assert sum(machine.memory(me)) > 10
    assert machine.spent(0) == 0
