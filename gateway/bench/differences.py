"""Two lists of resources compared: the paths at which they differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from gateway.model import Reference, Resource

Kind = Literal["missing", "unexpected", "changed"]

_NOTHING: Final = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """One path at which what is made differs from what is expected, or from what was.

    ``path`` is ``Patient.name[0].family`` of ``reference``. The values (None where there is none)
    may be anybody's: they are shown to who asks for them on his own machine, and nowhere else.
    """

    reference: Reference
    path: str
    kind: Kind
    before: Any = field(repr=False)
    after: Any = field(repr=False)


def differences(before: Sequence[Resource], after: Sequence[Resource]) -> list[Difference]:
    """What changes from one list to the other, resource by resource, whatever their order."""
    old, new = ({_named(one): one for one in each} for each in (before, after))
    found: list[Difference] = []
    for reference in dict.fromkeys((*old, *new)):
        path = reference.partition("/")[0]
        pair = old.get(reference, _NOTHING), new.get(reference, _NOTHING)
        found += (Difference(reference, *one) for one in _between(path, *pair))
    return found


def _named(resource: Resource) -> Reference:
    return f"{resource.get('resourceType', '')}/{resource.get('id', '')}"


def _between(path: str, old: Any, new: Any) -> Iterator[tuple[str, Kind, Any, Any]]:
    if old is _NOTHING or new is _NOTHING:
        if old is not new:
            kind: Kind = "missing" if new is _NOTHING else "unexpected"
            yield path, kind, _shown(old), _shown(new)
    elif isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys((*old, *new)):
            yield from _between(f"{path}.{key}", old.get(key, _NOTHING), new.get(key, _NOTHING))
    elif isinstance(old, list) and isinstance(new, list):
        for at in range(max(len(old), len(new))):
            yield from _between(f"{path}[{at}]", _item(old, at), _item(new, at))
    elif old != new or isinstance(old, bool) is not isinstance(new, bool):
        yield path, "changed", old, new


def _item(items: list[Any], at: int) -> Any:
    return items[at] if at < len(items) else _NOTHING


def _shown(value: Any) -> Any:
    return None if value is _NOTHING else value
