"""Which rights a referral gives: the least that each side needs, and nothing beside it.

Pure: the pipeline gathers the resources and writes the grants in the transaction that sends the
referral. SDOH Clinical Care 3.0 (the performer GETs the request and what it refers to); DESIGN §7.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Protocol

from gateway.model import Grant, Reference, Resource

STAFF: Final = frozenset({"Practitioner", "PractitionerRole", "Organization"})
ANY: Final[frozenset[str]] = frozenset()
OPEN: Final = frozenset({"requested", "accepted", "in-progress", "on-hold"})
"""The statuses of a Task that isn't over: what it refers to then is granted."""

UNSERVED: Final = frozenset({"rejected", "cancelled", "failed", "entered-in-error"})
"""The statuses of a Task that nobody serves any more: its performer keeps the Task alone."""

Links = tuple[tuple[str, frozenset[str]], ...]
"""Elements to follow, as dotted paths, and the types that count there (``ANY``: all)."""

TASK: Final[Links] = (
    ("focus", frozenset({"ServiceRequest"})),
    ("for", frozenset({"Patient"})),
    ("requester", STAFF),
)
REQUEST: Final[Links] = (
    ("subject", frozenset({"Patient"})),
    ("reasonReference", ANY),
    ("supportingInfo", ANY),
    ("requester", STAFF),
    ("performer", STAFF),
    ("insurance", frozenset({"Coverage"})),
)
ROLE: Final[Links] = (
    ("practitioner", frozenset({"Practitioner"})),
    ("organization", frozenset({"Organization"})),
)
OUTPUT: Final[Links] = (("output.valueReference", ANY),)
RESULT: Final[Links] = (("performer.actor", STAFF), ("performer", STAFF), ("author", STAFF))


class Reachable(Protocol):
    """Resources by ``Type/id``, of which most are only asked whether they are there."""

    def __contains__(self, reference: Reference, /) -> bool: ...
    def __getitem__(self, reference: Reference, /) -> Resource: ...


def grants_for(task: Resource, reachable: Reachable, performer: str) -> list[Grant]:
    """What the performer needs of a referral: first the Task to move, then the rest to read.

    ``reachable`` holds, by ``Type/id``, resources that the *requester owns*: what isn't in it is
    never granted, so that nobody can pass on what is another's. ``performer`` is an agency's id.
    """
    found = _follow(task, TASK, reachable)
    requests = [ref for ref in found if ref.startswith("ServiceRequest/")]
    found += _all(requests, REQUEST, reachable)
    found += _all([ref for ref in found if ref.startswith("PractitionerRole/")], ROLE, reachable)
    because = f"Task/{task['id']}"
    granted = [Grant(because, performer, because, rights="ru")]
    return granted + [Grant(ref, performer, because) for ref in dict.fromkeys(found)]


def grants_back(task: Resource, reachable: Reachable, requester: str) -> list[Grant]:
    """What the requester may read of the outcome: the Task's outputs and who made them.

    ``reachable`` holds resources that the *performer owns*; ``requester`` is an agency's id.
    """
    found = _follow(task, OUTPUT, reachable)
    found += _all(list(found), RESULT, reachable)
    found += _all([ref for ref in found if ref.startswith("PractitionerRole/")], ROLE, reachable)
    because = f"Task/{task['id']}"
    return [Grant(ref, requester, because) for ref in dict.fromkeys(found)]


def _all(sources: Iterable[Reference], links: Links, reachable: Reachable) -> list[Reference]:
    return [ref for source in sources for ref in _follow(reachable[source], links, reachable)]


def _follow(resource: Resource, links: Links, reachable: Reachable) -> list[Reference]:
    found = []
    for path, types in links:
        for ref in _references(resource, path.split(".")):
            if ref in reachable and (not types or ref.partition("/")[0] in types):
                found.append(ref)
    return found


def _references(value: object, path: list[str]) -> Iterator[Reference]:
    """The literal references at ``path``, through lists, without their version."""
    if isinstance(value, list):
        for item in value:
            yield from _references(item, path)
    elif isinstance(value, dict) and path:
        yield from _references(value.get(path[0]), path[1:])
    elif isinstance(value, dict) and isinstance(value.get("reference"), str):
        yield value["reference"].partition("/_history/")[0]
