"""``map check``: all that keeps maps from loading, each with file and line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from gateway.errors import MapError
from gateway.translate.checking import problems


def check(folders: Sequence[Path]) -> list[MapError]:
    """What is wrong with the maps of some folders; [] where they load."""
    return problems(folders)


def as_json(found: Sequence[MapError]) -> dict[str, Any]:
    """Each with file, line and text."""
    return {"problems": [_line(one) for one in found]}


def _line(error: MapError) -> dict[str, Any]:
    file, line = _placed(error)
    return {"file": file, "line": line, "text": _text(error)}


def tables(found: Sequence[MapError]) -> list[Table]:
    """A line a problem."""
    title = f"{len(found)} problems" if found else "every map loads"
    table = Table("File", "Line", "What is wrong", title=title)
    for error in found:
        file, line = _placed(error)
        table.add_row(file, str(line or ""), _text(error))
    return [table]


def _placed(error: MapError) -> tuple[str, int | None]:
    """(file, line) of ``cedar/agency.yaml:12``; None for a file as a whole."""
    file, _, line = (error.place or "").rpartition(":")
    return (file, int(line)) if line.isdecimal() else (error.place or "", None)


def _text(error: MapError) -> str:
    return str(error).removeprefix(f"{error.place}: ")
