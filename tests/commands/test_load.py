"""``gateway load``: files from the command line, what became of them, and what can be mended."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway import settings
from gateway.__main__ import cli
from tests import feeds
from tests.feeds import CLIENTS, VISITS, client, table, visit


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Small maps in the place of the shipped ones, which take seconds to load."""
    maps = feeds.maps(tmp_path / "maps")
    (maps / "topics").mkdir()
    monkeypatch.setattr(settings, "shipped", lambda name: maps)
    monkeypatch.setenv("GATEWAY_DATA_DIR", str(tmp_path / "data"))
    assert run("agency", "add", "harbor", "--name", "Harbor").exit_code == 0
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


def test_a_folder_is_loaded_and_told_of(folder: Path) -> None:
    files = {
        "clients.csv": table(CLIENTS, client("1"), client("2", First="SECRET", Sex="x")),
        "visits.csv": table(VISITS, visit("v", "1")),
    }
    put = feeds.put(folder / "export", files)
    result = run("load", "harbor/shelter", str(put), "--aside", str(folder / "aside"))
    assert result.exit_code == 1
    assert "set aside clients.csv:3:Sex: a code that the table 'sex' lacks" in result.output
    assert "SECRET" not in result.output
    aside = folder / "aside" / "clients.csv"
    assert aside.stat().st_mode & 0o077 == 0
    aside.write_bytes(aside.read_bytes().replace(b",x,", b",M,"))
    assert run("load", "harbor/shelter", str(aside)).exit_code == 0
    again = run("load", "harbor/shelter", str(put), "--json")
    told = json.loads(again.output.splitlines()[-1])
    assert {file["file"]: file["unchanged"] for file in told["files"]} == {
        "clients.csv": 1,
        "visits.csv": 1,
    }


def test_rows_that_are_kept_nowhere_are_told_of_and_no_file_of_them_is_written(
    folder: Path,
) -> None:
    rows = {"visits.csv": table(VISITS, visit("v", "1", Kind="secret"))}
    put = feeds.put(folder / "export", rows)
    result = run("load", "harbor/shelter", str(put), "--aside", str(folder / "aside"))
    assert result.exit_code == 1
    assert "set aside visits.csv:2:Kind: secret visits stay out (not kept)" in result.output
    assert list((folder / "aside").iterdir()) == []


def test_what_is_set_aside_is_tried_again(folder: Path) -> None:
    visits = feeds.put(folder / "a", {"visits.csv": table(VISITS, visit("v", "1"))})
    clients = feeds.put(folder / "b", {"clients.csv": table(CLIENTS, client("1"))})
    assert run("load", "harbor/shelter", str(visits)).exit_code == 1
    assert run("load", "harbor/shelter", str(clients)).exit_code == 0
    assert run("load", "harbor/shelter", "--again").exit_code == 0


@pytest.mark.parametrize(
    "arguments", [["harbor"], ["harbor/shelter"], ["harbor/shelter", "x", "--again"]]
)
def test_what_it_cant_do_is_said_before_it_is_done(folder: Path, arguments: list[str]) -> None:
    assert run("load", *arguments).exit_code == 2
