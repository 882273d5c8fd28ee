"""A referral finds its door: who is asked becomes the Task's owner.

Both Task.owner and ServiceRequest.performer then name the member's own entry in the directory,
which is what grants, subscriptions and the state machine go by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from gateway.model import Entry, Reference, Resource
from gateway.route.directory import Directory, performer


def assign(entries: tuple[Entry, ...], directory: Directory) -> tuple[Entry, ...]:
    """The entries of one translation, each unowned referral Task given to whom it names.

    A Task is a referral's when its ``focus`` is a ServiceRequest among the entries. One whose
    performer no member answers to stays as it is: without owner, or with one that the sender keeps
    an entry of (HMIS's Organization.csv). The owner set here is the hub's to keep, and how the
    referral stands the owner's, so that a resend can't take it away or turn it back. Pure.
    """
    if not any(_is_open(entry.resource, directory) for entry in entries):
        return entries
    resources = {entry.reference: entry.resource for entry in entries}
    owners: dict[Reference, Reference] = {}
    routed = [_task(entry, resources, directory, owners) for entry in entries]
    return tuple(_request(entry, owners) for entry in routed) if owners else entries


_OWNERS: Final = frozenset({"owner", "status", "statusReason", "businessStatus", "output"})


def _is_open(resource: Resource, directory: Directory) -> bool:
    """Whether it is a Task that no member has yet. What is over needs no owner found."""
    if resource["resourceType"] != "Task":
        return False
    owner = (resource.get("owner") or {}).get("reference") or ""
    unknown = resource.get("status") == "requested" and directory.by_reference(owner) is None
    return "owner" not in resource or unknown


def _task(
    entry: Entry,
    resources: Mapping[Reference, Resource],
    directory: Directory,
    owners: dict[Reference, Reference],
) -> Entry:
    """The entry with its owner, if it is a referral's Task; notes who was asked in ``owners``."""
    task = entry.resource
    if not _is_open(task, directory):
        return entry
    focus = (task.get("focus") or {}).get("reference", "")
    request = resources.get(focus)
    if request is None or request["resourceType"] != "ServiceRequest":
        return entry
    agency = performer(directory, request, resources)
    if agency is None:
        return entry
    owners[focus] = f"Organization/{agency}"
    owned = {**task, "owner": {"reference": owners[focus]}}
    kept = _OWNERS if "owner" in task else {"owner"}
    return replace(entry, resource=owned, keep=entry.keep | kept)


def _request(entry: Entry, owners: Mapping[Reference, Reference]) -> Entry:
    """The entry with the member among its performers, if it is a routed ServiceRequest."""
    owner = owners.get(entry.reference)
    asked = entry.resource.get("performer") or []
    if owner is None or any(each.get("reference") == owner for each in asked):
        return entry
    return replace(entry, resource={**entry.resource, "performer": [*asked, {"reference": owner}]})
