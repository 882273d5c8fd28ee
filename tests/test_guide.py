"""The guide of mappings/README.md, followed as it stands: from a spreadsheet to a passing test."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.__main__ import cli

README = Path(__file__).parents[1] / "mappings" / "README.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def steps() -> Iterator[tuple[str, str]]:
    """The blocks of the guide, in order: (language, text)."""
    text = README.read_text(encoding="utf-8")
    start = text.index("## From a spreadsheet to a passing test")
    section = text[start : text.index("\n## ", start + 1)]
    return ((match[1], match[2]) for match in BLOCK.finditer(section))


def test_the_guide_leads_from_a_spreadsheet_to_a_passing_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = []
    for kind, text in steps():
        if kind in ("csv", "yaml"):
            named = re.match(r"# (\S+/\S+)\n", text)
            path = tmp_path / (named[1] if named else "visits.csv")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text[named.end() :] if named else text, encoding="utf-8")
        for line in text.splitlines() if kind == "sh" else ():
            if line.startswith("export "):
                name, _, value = line.removeprefix("export ").partition("=")
                monkeypatch.setenv(name, value)
                continue
            program, *arguments = shlex.split(line)
            assert program == "gateway"
            result = CliRunner().invoke(cli, arguments)
            assert result.exit_code == 0, (line, result.output)
            ran.append(arguments[1])
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")}
    assert set(re.findall(r"^maps/\S+", listed(), re.MULTILINE)) <= written
    assert ran == ["new", "check", "test", "test", "explain"]
    made = json.loads(
        (tmp_path / "maps/agencies/corner-pantry/visits/samples/visits.expected.json").read_bytes()
    )
    assert [one["resourceType"] for one in made].count("Observation") == 3
    assert made[1]["type"][0]["coding"][0]["code"] == "710925007"


def listed() -> str:
    """The files that the guide says are written."""
    text = README.read_text(encoding="utf-8")
    (found,) = re.findall(r"^```\n(maps/.*?)^```", text, re.MULTILINE | re.DOTALL)
    return str(found)
