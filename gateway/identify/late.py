"""An older message that comes after a newer one: it may add what is missing, and change nothing.

A resource bears the time that the newest message about it bears (EVN-2, else MSH-7). Pure.
"""

from __future__ import annotations

from typing import Final

from gateway.errors import Issue
from gateway.fhir.elements import children
from gateway.identify.merge import heir
from gateway.model import Entry, Resource

OLDER: Final = Issue(
    "newer messages came before this one: only what they lack was taken from it",
    "MSH-7",
    severity="warning",
)


def filled(current: Resource, entry: Entry) -> Resource:
    """``current`` and those elements of ``entry`` that it has in no form.

    That two records are one is no fact that ages: a Patient's links always count.
    """
    members = children(current["resourceType"])
    held = {members[name].choice for name in current if name in members} - {None}
    body = dict(current)
    for name, value in entry.resource.items():
        plain = name.removeprefix("_")
        choice = members[plain].choice if plain in members else None
        if plain not in current and f"_{plain}" not in current and choice not in held:
            body[name] = value
    if "link" in entry.resource and current["resourceType"] == "Patient":
        body["link"] = entry.resource["link"]
        if heir(entry.resource):
            body["active"] = False
    return body
