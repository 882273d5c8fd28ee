"""``map test``: what lies beside the maps is translated, and compared with what is expected."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from rich.table import Table

from gateway.bench.differences import Difference, differences
from gateway.bench.sources import Sample, content, owner
from gateway.errors import GatewayError, Issue, MapError, SettingError
from gateway.fhir import gates
from gateway.fhir.json import dumps
from gateway.model import Agency, Reference, Resource
from gateway.parse import PARSERS
from gateway.rows import lying, read
from gateway.translate import Library, merge, translate
from gateway.translate.source import block, read_list, text

_FINDING: Final = frozenset({"place", "severity", "condition"})
_SEVERITIES: Final = ("error", "warning")


@dataclass(frozen=True, slots=True)
class Finding:
    """A refusal ("error") or warning, as ``x.errors.yaml`` names it: what it is about, no text."""

    severity: str
    place: str
    condition: str


@dataclass(frozen=True, slots=True)
class Trial:
    """One sample tried. ``made`` is None where it was refused.

    ``differences`` are those to ``x.expected.json``; ``missing`` and ``unexpected`` the findings
    that ``x.errors.yaml`` names and didn't come, or came and it doesn't name; ``invalid`` what R4
    says against the resources; ``broken`` why it couldn't be tried at all.
    """

    sample: Sample
    made: tuple[Resource, ...] | None = None
    differences: tuple[Difference, ...] = ()
    missing: tuple[Finding, ...] = ()
    unexpected: tuple[Finding, ...] = ()
    invalid: tuple[Issue, ...] = ()
    broken: str = ""

    @property
    def passed(self) -> bool:
        """Whether all is as expected."""
        wrong = (*self.differences, *self.missing, *self.unexpected, *self.invalid)
        return not (wrong or self.broken)


def trials(library: Library, samples: Iterable[Sample]) -> Iterator[Trial]:
    """Try samples, each by the maps of the agency in whose folder it lies."""
    for sample in samples:
        try:
            yield _trial(library, sample)
        except (MapError, SettingError) as error:
            yield Trial(sample, broken=f"{error.place}: {error}")


def bless(library: Library, samples: Iterable[Sample]) -> Iterator[Path]:
    """Write what samples become now as what is expected of them; the files that changed.

    Read the difference before you commit it. What is refused is written beside it, too, and what is
    warned of where a sample's ``errors.yaml`` is there already.
    """
    for sample in samples:
        made, findings = _outcome(library, sample)
        if made is not None:
            yield from _written(sample.expected, listed(made))
        if sample.errors.is_file() or any(one.severity == "error" for one in findings):
            yield from _written(sample.errors, _noted(findings))


def listed(resources: Sequence[Resource]) -> str:
    """A list of resources as JSON, a line each, decimals to the digit."""
    lines = ",\n".join(dumps(resource).decode() for resource in resources)
    return f"[\n{lines}\n]\n" if lines else "[]\n"


def _trial(library: Library, sample: Sample) -> Trial:
    made, findings = _outcome(library, sample)
    named = _named(sample)
    wanted = [one for one in findings if named is not None or one.severity == "error"]
    missing = tuple(one for one in named or () if one not in wanted)
    unexpected = tuple(one for one in wanted if one not in (named or ()))
    expected = _expected(sample)
    differ = () if expected is None else tuple(differences(expected, made or ()))
    unsaid = expected is None and named is None
    broken = "nothing says what is expected of it" if unsaid and made is not None else ""
    invalid = _invalid(made or ())
    return Trial(sample, made, differ, missing, unexpected, invalid, broken)


def _outcome(library: Library, sample: Sample) -> tuple[tuple[Resource, ...] | None, list[Finding]]:
    """What a sample becomes (None where it is refused), and what was found, once each."""
    agency = owner(library, sample.path)
    if sample.feed:
        return _loaded(library, agency, sample)
    # A sample may be written with a line a segment.
    raw = content(sample.path).replace(b"\r\n", b"\r").replace(b"\n", b"\r")
    try:
        record = PARSERS["hl7v2"](raw, charset=agency.charset)
        translation = translate(library, agency, record)
    except GatewayError as error:
        return None, _findings(error.issues)
    made = tuple(entry.resource for entry in translation.entries)
    return made, _findings((*translation.warnings, *record.warnings))


def _loaded(
    library: Library, agency: Agency, sample: Sample
) -> tuple[tuple[Resource, ...] | None, list[Finding]]:
    """What rows or JSON records lead to, as a hub would have it that had nothing before."""
    made: dict[Reference, Resource] = {}
    issues: list[Issue] = []
    try:
        for row in read(library, agency, sample.feed, lying(sample.path)):
            issues += (row.issue,) if row.issue is not None else row.warnings
            for entry in row.entries:
                made[entry.reference] = merge(made.get(entry.reference), entry)
    except GatewayError as error:
        return None, _findings(error.issues)
    return tuple(made.values()), _findings(issues)


def _findings(issues: Iterable[Issue]) -> list[Finding]:
    found = (Finding(one.severity, one.place or "", one.condition) for one in issues)
    return list(dict.fromkeys(found))


def _expected(sample: Sample) -> list[Resource] | None:
    """What ``x.expected.json`` says; None where there is none. Raises SettingError."""
    if not sample.expected.is_file():
        return None
    try:
        expected = json.loads(content(sample.expected), parse_float=Decimal)
    except ValueError:
        expected = None
    if not isinstance(expected, list) or not all(isinstance(one, dict) for one in expected):
        raise SettingError("not a JSON list of resources", place=sample.expected.name)
    return expected


def _named(sample: Sample) -> list[Finding] | None:
    """What ``x.errors.yaml`` names; None where there is none. Raises MapError."""
    if not sample.errors.is_file():
        return None
    found = []
    for item in read_list(sample.errors, sample.errors.name):
        body = block(item, "a finding")
        body.refuse_unknown(_FINDING, "a finding")
        said = {key: text(value, key) for key, value in body.items.items()}
        if said.setdefault("severity", "error") not in _SEVERITIES:
            place = body.places["severity"]
            raise MapError(f"{place}: 'severity' is {' or '.join(_SEVERITIES)}", place=place)
        found.append(Finding(said["severity"], said.get("place", ""), said.get("condition", "")))
    return found


def _noted(findings: Sequence[Finding]) -> str:
    lines = (
        f'- {{severity: {one.severity}, place: "{one.place}", condition: "{one.condition}"}}'
        for one in findings
    )
    return "\n".join(lines) + "\n" if findings else "[]\n"


def _invalid(made: Sequence[Resource]) -> tuple[Issue, ...]:
    found: list[Issue] = []
    for resource in made:
        try:
            gates.check(resource, models=True)
        except GatewayError as error:
            found += error.issues
    return tuple(found)


def _written(file: Path, text: str) -> Iterator[Path]:
    if not file.is_file() or file.read_text(encoding="utf-8") != text:
        file.write_text(text, encoding="utf-8")
        yield file


# --- for programs, and for people -----------------------------------------------------------------


def as_json(tried: Sequence[Trial], *, values: bool = False) -> dict[str, Any]:
    """What was tried and how it went."""
    return {
        "passed": sum(one.passed for one in tried),
        "failed": sum(not one.passed for one in tried),
        "samples": [_line(one, values=values) for one in tried],
    }


def _line(one: Trial, *, values: bool) -> dict[str, Any]:
    return {
        "sample": shown(one.sample.path),
        "passed": one.passed,
        "broken": one.broken,
        "differences": [difference(each, values=values) for each in one.differences],
        "missing": [_finding(each) for each in one.missing],
        "unexpected": [_finding(each) for each in one.unexpected],
        "invalid": [{"place": each.place, "text": each.text} for each in one.invalid],
    }


def difference(one: Difference, *, values: bool = False) -> dict[str, Any]:
    """A difference; with its values only where they are asked for."""
    said = {"resource": one.reference, "path": one.path, "kind": one.kind}
    return said | ({"before": one.before, "after": one.after} if values else {})


def _finding(one: Finding) -> dict[str, str]:
    return {"severity": one.severity, "place": one.place, "condition": one.condition}


def shown(path: Path) -> str:
    """What a sample is called: its folder and name."""
    return "/".join(path.parts[-2:])


def tables(tried: Sequence[Trial], *, values: bool = False) -> list[Table]:
    """One line a sample, and of each that failed why."""
    passed = sum(one.passed for one in tried)
    table = Table("Sample", "", "Where", title=f"{passed} of {len(tried)} samples as expected")
    for name in ("Expected", "Made") if values else ():
        table.add_column(name)
    for one in tried:
        table.add_row(shown(one.sample.path), "passed" if one.passed else "FAILED")
        for kind, where, *both in _reasons(one):
            table.add_row("", kind, where, *(both if values else ()))
    return [table]


def _reasons(one: Trial) -> Iterator[tuple[str, str, str, str]]:
    if one.broken:
        yield "broken", one.broken, "", ""
    for each in one.differences:
        yield each.kind, each.path, _plain(each.before), _plain(each.after)
    for sign, found in (("missing", one.missing), ("unexpected", one.unexpected)):
        for finding in found:
            yield f"{sign} {finding.severity}", f"{finding.place} ({finding.condition})", "", ""
    for issue in one.invalid:
        yield "not R4", f"{issue.place}: {issue.text}", "", ""


def _plain(value: Any) -> str:
    return "" if value is None else dumps(value).decode()
