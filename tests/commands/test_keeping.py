"""``gateway migrate``, ``purge``, ``backup``, ``restore``: what the database's keeper is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.__main__ import cli
from gateway.members import KEEPER
from gateway.settings import Settings
from gateway.store import open_hub
from gateway.store.migrations import SHIPPED
from tests.shipped import library


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of a hub."""
    folder = tmp_path / "data"
    monkeypatch.setenv("GATEWAY_DATA_DIR", str(folder))
    open_hub(Settings().database).close()
    return folder


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


def test_the_tables_go_back_and_forth_and_what_would_be_done_is_shown(data: Path) -> None:
    newest = SHIPPED.newest
    assert run("migrate").stdout == f"the tables are of revision {newest}\n"
    back = run("migrate", "--to", "0001")
    assert back.stdout == f"the tables are of revision 0001, were of {newest}\n"
    shown = run("migrate", "--sql").stdout
    assert "CREATE INDEX IF NOT EXISTS message_failed" in shown
    assert "CREATE TABLE IF NOT EXISTS resource" not in shown
    assert run("migrate").stdout == f"the tables are of revision {newest}, were of 0001\n"
    assert run("migrate", "--sql").stdout == ""
    assert "no such revision" in str(run("migrate", "--to", "9999").exception)


def test_a_backup_is_made_and_restored_and_told_of(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    made = run("backup", str(out))
    assert made.exit_code == 0
    assert made.stdout.startswith("backed up: 1 files, ")
    assert made.stdout.endswith(f"revision {SHIPPED.newest}; sound\n")
    assert "--replace" in str(run("restore", str(out)).exception)
    again = run("restore", str(out), "--replace")
    assert again.stdout == made.stdout.replace("backed up", "restored")
    assert len(list(data.glob("before-*"))) == 1


def test_what_is_old_goes_when_it_is_said_how_old(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.app.load", lambda _: library())  # compiled once a test process
    assert run("purge").stdout.startswith("all is kept for ever")
    hub = open_hub(Settings().database)
    long_ago = datetime.now(UTC) - timedelta(days=400)
    hub.write(lambda tx: tx.audit(KEEPER, "read", "Task/t", at=long_ago))
    monkeypatch.setenv("GATEWAY_KEEP_AUDIT", "365")
    assert run("purge", "--dry-run").stdout == "audit\t1\n"
    assert run("purge").stdout == "audit\t1\n"
    with hub.read() as reader:
        assert [line.target for line in reader.audited()] == ["1 audit"]
    hub.close()
    monkeypatch.setenv("GATEWAY_KEEP_MESSAGES", "1")
    assert run("purge").exit_code == 2
