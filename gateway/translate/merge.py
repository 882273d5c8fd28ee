"""An entry meets what the hub has: HL7 v2's snapshot semantics (v2.8.2 §2.5.3)."""

from __future__ import annotations

from gateway.model import Entry, Resource


def merge(current: Resource | None, entry: Entry) -> Resource:
    """The resource as it is after ``entry``.

    What the entry has replaces, what it removes goes, what it doesn't mention stays. Of ``keep``,
    what the hub has stays whatever the entry says. Neither argument is changed.
    """
    if current is None:
        return dict(entry.resource)
    merged = {name: value for name, value in current.items() if _stays(name, entry)}
    for name, value in entry.resource.items():
        if name not in entry.keep or name not in current:
            merged[name] = value
    return merged


def _stays(name: str, entry: Entry) -> bool:
    plain = name.removeprefix("_")  # a primitive's extensions go with it
    gone = plain in entry.removes or (name != plain and plain in entry.resource)
    return plain in entry.keep or not gone
