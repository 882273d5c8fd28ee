"""``gateway agency``, ``key`` and ``replay``: members, and what failed tried again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway import settings
from gateway.__main__ import cli, main
from gateway.errors import SettingError, Unauthenticated
from gateway.members import KEEPER
from gateway.model import HUB, Receipt
from gateway.pipeline import NOBODY, Pipeline
from gateway.receive.arrival import as_message
from gateway.settings import Settings
from gateway.store import open_hub
from tests.agencies import admission, small_library, small_maps


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for data, and small maps in the place of the shipped ones."""
    maps = small_maps(tmp_path / "maps")
    monkeypatch.setattr(settings, "shipped", lambda name: maps)
    monkeypatch.setenv("GATEWAY_DATA_DIR", str(tmp_path / "data"))
    return tmp_path


@pytest.fixture
def pipeline(data: Path) -> Iterator[Pipeline]:
    """Another process's, over the same file."""
    settings = Settings()
    settings.data_dir.mkdir()
    hub = open_hub(settings.database)
    pipeline = Pipeline(hub, small_library(), settings, as_message)
    pipeline.add_agency("clinic", None, "Clinic")
    pipeline.add_agency("other", None, "Other")
    yield pipeline
    hub.close()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


def replay(*arguments: str) -> Result:
    return run("replay", *arguments)


def fail(pipeline: Pipeline, at: str, agency: str = "clinic") -> Receipt:
    raw = admission(at).replace(b"7^^^CLINIC^MR", b"")
    receipt = pipeline.accept(*as_message(agency, "mllp", raw)).result()
    assert receipt.acknowledgement != "AA"
    return receipt


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("map new nearby --from away.csv", "gateway: No such file or directory (away.csv)"),
        ("map test away", "gateway: no such folder (away)"),
    ],
)
def test_a_file_that_is_not_there_is_told_in_a_line(
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    said: str,
) -> None:
    monkeypatch.chdir(data)
    monkeypatch.setattr("sys.argv", ["gateway", *command.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    assert (ended.value.code, capsys.readouterr().err.strip()) == (1, said)


def test_members_are_added_and_get_keys(pipeline: Pipeline, data: Path) -> None:
    described = data / "north"
    described.mkdir()
    (described / "agency.yaml").write_text("agency: north\nname: North Clinic\n")
    assert run("agency", "add", "north", "--folder", str(described)).exit_code == 0
    assert run("agency", "add", "bank", "--name", "County Bank").exit_code == 0
    assert {one.id: one.name for one in pipeline.members if one.id in ("north", "bank")} == {
        "north": "North Clinic",
        "bank": "County Bank",
    }
    for words, bearer in ((["bank"], "bank"), (["--admin"], HUB)):
        secret = run("key", "create", *words).stdout.split()[-1]
        context = pipeline.authenticate(secret)
        assert (context.agency, context.admin) == (bearer, bearer == HUB)


def test_a_key_is_listed_without_its_secret_and_revoked(pipeline: Pipeline) -> None:
    secret = run("key", "create", "other").stdout.split()[-1]
    kept = run("key", "create", "other", "--scope", "system/Task.r").stdout.split()[-1]
    listed = run("key", "list").stdout
    rows = [line.split("\t") for line in listed.splitlines()]
    assert [row[:3] for row in rows] == [
        [secret.split("_")[1], "other", "system/*.cruds"],
        [kept.split("_")[1], "other", "system/Task.r"],
    ]
    assert secret.split("_")[2] not in listed
    assert pipeline.authenticate(kept).agency == "other"
    assert run("key", "revoke", rows[0][0]).exit_code == 0
    with pytest.raises(Unauthenticated):
        pipeline.authenticate(secret)
    assert pipeline.authenticate(kept).agency == "other"
    again = run("key", "revoke", rows[0][0])
    assert isinstance(again.exception, SettingError)
    with pipeline._hub.read() as reader:
        noted = [(each.action, each.target) for each in reader.audited()]
    assert noted == [("revoke-key", rows[0][0])]


def test_it_lists_what_failed_without_a_value(pipeline: Pipeline) -> None:
    first, second = fail(pipeline, "202603011000"), fail(pipeline, "202603011100", "other")
    result = replay()
    assert result.exit_code == 0
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert [line[:2] for line in lines] == [[first.message, "clinic"], [second.message, "other"]]
    assert lines[0][3:5] == ["translate", "PID-3"]
    assert lines[0][5]
    assert "Novak" not in result.output
    assert [line.split("\t")[0] for line in replay("--agency", "other").stdout.splitlines()] == [
        second.message
    ]


def test_one_is_mended_and_goes_in(pipeline: Pipeline, data: Path) -> None:
    failed = fail(pipeline, "202603011000")
    again = replay(failed.message)
    assert again.exit_code == 1
    assert again.stdout.split("\t")[:3] == [failed.message, "AE", "PID-3"]
    mended = data / "mended.hl7"
    mended.write_bytes(admission("202603011000"))
    again = replay(failed.message, "--body", str(mended))
    assert (again.exit_code, again.stdout.split("\t")[:2]) == (0, [failed.message, "AA"])
    assert replay().stdout == ""


def test_all_are_tried_in_order_and_one_that_fails_stops_none(pipeline: Pipeline) -> None:
    failed = [fail(pipeline, f"2026030110{n}0") for n in range(3)]
    pipeline.replay(KEEPER, failed[1].message, body=admission("202603011010")).result()
    result = replay("--all")
    assert result.exit_code == 1
    tried = [line.split("\t")[0] for line in result.stdout.splitlines()]
    assert tried == [failed[0].message, failed[2].message]


def test_a_message_of_nobody_is_given_to_its_agency(pipeline: Pipeline) -> None:
    raw = admission("202603011000")
    lost = pipeline.accept(*as_message(NOBODY, "mllp", raw)).result()
    assert replay(lost.message).exit_code == 1
    assert replay(lost.message, "--as", "clinic").exit_code == 0


@pytest.mark.parametrize(
    "arguments", [["x", "--all"], ["--as", "clinic"], ["--body", "x"], ["x", "--agency", "clinic"]]
)
def test_what_does_not_go_together_is_refused(data: Path, arguments: list[str]) -> None:
    assert replay(*arguments).exit_code == 2


def test_what_is_not_there_fails(pipeline: Pipeline) -> None:
    result = replay("nosuch")
    assert (result.exit_code, result.stdout) == (1, "nosuch\t\t\tno such message\n")
