"""One process at a time has a file locked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway import app
from gateway.errors import SettingError
from gateway.settings import Settings
from gateway.sole import sole
from gateway.store import open_hub

HOLDING = """
import sys, time
from pathlib import Path
from gateway.sole import sole
mine = sole(Path(sys.argv[1]))
print(mine is not None, flush=True)
time.sleep(3600)
"""


def test_it_is_one_holders_until_it_is_closed(tmp_path: Path) -> None:
    first = sole(tmp_path / "lock")
    assert first is not None
    assert sole(tmp_path / "lock") is None
    first.close()
    first.close()
    with sole(tmp_path / "lock") as second:  # type: ignore[union-attr]
        assert second is not None
    assert sole(tmp_path / "lock") is not None


def test_a_process_that_is_killed_lets_go_of_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDING, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"True\n"
        assert sole(tmp_path / "lock") is None
        child.kill()
        child.wait()
    assert sole(tmp_path / "lock") is not None


def test_a_file_is_served_by_one_process_that_works(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    first = app._alone(open_hub(settings.database), settings)
    with pytest.raises(SettingError, match="another process serves this file"):
        app._alone(open_hub(settings.database), settings)
    assert first is not None
    first.close()
    idle = Settings(data_dir=tmp_path, roles=("api", "mllp"))
    with pytest.raises(SettingError, match="must work"):
        app._alone(open_hub(settings.database), idle)
    again = app._alone(open_hub(settings.database), settings)
    assert again is not None
    again.close()


@pytest.mark.parametrize(
    ("said", "roles"), [("", ("api", "mllp", "work")), ("api, work", ("api", "work"))]
)
def test_roles_are_some_of_three(
    said: str, roles: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    if said:
        monkeypatch.setenv("GATEWAY_ROLES", said)
    assert Settings().roles == roles


@pytest.mark.parametrize("said", ["", ",", "api,worker"])
def test_others_are_refused_at_the_start(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_ROLES", said)
    with pytest.raises(ValidationError, match="some of api, mllp, work"):
        Settings()
