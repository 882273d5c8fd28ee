"""Rows as segments, cells as nodes."""

from __future__ import annotations

import gc

from gateway.translate.cells import Row


def test_a_cell_says_where_it_stands() -> None:
    row = Row("row", 0, 1, "Client.csv:12", ("PersonalID", "DOB"), ("7", "2001-02-03"))
    (cell,) = row.repetitions(2)
    assert (cell.place, cell.text()) == ("Client.csv:12:DOB", "2001-02-03")
    assert row.repetitions(2)[0] is cell


def test_a_row_that_was_read_leaves_no_ring_for_the_collector() -> None:
    gc.collect()
    row = Row("row", 0, 1, "Client.csv:12", ("PersonalID",), ("7",))
    assert row.repetitions(1)
    del row
    assert gc.collect() == 0
