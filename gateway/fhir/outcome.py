"""OperationOutcome (R4, 2.41.4) from the findings of any stage."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gateway.errors import Issue
from gateway.model import Resource

_EXPRESSION = re.compile(r"[A-Z][A-Za-z]+(\.[A-Za-z]\w*(\[\d+\])?)*")


def outcome(issues: Iterable[Issue]) -> Resource:
    """An OperationOutcome with one issue each; with none, an "all is well" (information).

    A place that is a FHIR path ("Task.status") goes to ``expression``; another ("PID-5.1", a
    parameter's name) stands before the text.
    """
    found = [_issue(issue) for issue in issues]
    if not found:
        found = [{"severity": "information", "code": "informational"}]
    return {"resourceType": "OperationOutcome", "issue": found}


def noted(text: str) -> Resource:
    """An OperationOutcome that all is well, and what was done."""
    return outcome([Issue(text, code="informational", severity="information")])


def _issue(issue: Issue) -> Resource:
    out: Resource = {"severity": issue.severity, "code": issue.code}
    if issue.place and _EXPRESSION.fullmatch(issue.place):
        out["diagnostics"] = issue.text
        out["expression"] = [issue.place]
    else:
        out["diagnostics"] = f"{issue.place}: {issue.text}" if issue.place else issue.text
    return out
