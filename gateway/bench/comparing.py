"""``map diff``: what messages would become otherwise, and at which paths."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table

from gateway.bench.differences import Difference, differences
from gateway.bench.trying import difference
from gateway.errors import GatewayError, Issue
from gateway.model import Agency, Entry, Message, Reference, Resource
from gateway.parse import PARSERS
from gateway.translate import Library, merge, translate

Outcome = Issue | Sequence[Entry]
"""The entries of a message or row, or why there are none."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """A kept message, or a kept row (``visits/week-10.csv:3``), and what maps make of it."""

    id: str
    agency: str
    outcome: Callable[[Library], Outcome]


@dataclass(frozen=True, slots=True)
class Changed:
    """One message or row that would come out otherwise.

    ``before`` and ``after`` say why it is refused (None: it isn't); ``differences`` which elements
    differ where it is refused neither time.
    """

    message: str
    agency: str
    before: Issue | None = None
    after: Issue | None = None
    differences: tuple[Difference, ...] = ()


@dataclass(slots=True)
class Compared:
    """How many messages were looked at, and those that would come out otherwise."""

    messages: int = 0
    changed: list[Changed] = field(default_factory=list)


def compared(
    messages: Iterable[Replayed],
    old: Library,
    new: Library,
) -> Compared:
    """What one set of maps makes of messages and rows against what another does."""
    found = Compared()
    for message in messages:
        found.messages += 1
        changed = _compared(message, message.outcome(old), message.outcome(new))
        if changed is not None:
            found.changed.append(changed)
    return found


def _compared(message: Replayed, before: Outcome, after: Outcome) -> Changed | None:
    """What is different between two outcomes; None for nothing."""
    if isinstance(before, Issue) or isinstance(after, Issue):
        was, now = (one if isinstance(one, Issue) else None for one in (before, after))
        same = before == after
        return None if same else Changed(message.id, message.agency, was, now)
    lists = [[entry.resource for entry in one] for one in (before, after)]
    differ = tuple(differences(*lists))
    return Changed(message.id, message.agency, differences=differ) if differ else None


def against_stored(
    messages: Iterable[Replayed],
    library: Library,
    stored: Callable[[Reference], Resource | None],
) -> Compared:
    """What messages and rows, the oldest first, lead to by the maps, against what the hub holds.

    Of each element counts the message that says it last. What the hub owns itself (``keep``) is no
    map's, and a resource that the hub doesn't hold under its id is missing as a whole.
    """
    found, said = Compared(), dict[Reference, _State]()
    for message in messages:
        found.messages += 1
        outcome = message.outcome(library)
        if isinstance(outcome, Issue):
            found.changed.append(Changed(message.id, message.agency, None, outcome))
            continue
        for entry in outcome:
            said.setdefault(entry.reference, _State()).take(entry, message)
    by_message: dict[tuple[str, str], list[Difference]] = {}
    for reference, state in said.items():
        for message_id, agency, one in state.against(stored(reference)):
            by_message.setdefault((message_id, agency), []).append(one)
    found.changed += [Changed(*of, differences=tuple(differ)) for of, differ in by_message.items()]
    return found


@dataclass(slots=True)
class _State:
    """A resource as messages make it; ``by``: which of them said each element last."""

    resource: Resource | None = None
    by: dict[str, tuple[str, str]] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()

    def take(self, entry: Entry, message: Replayed) -> None:
        self.resource = merge(self.resource, entry)
        self.kept |= entry.keep
        for name in (*entry.resource, *entry.removes):
            self.by[name] = message.id, message.agency

    def against(self, held: Resource | None) -> Iterable[tuple[str, str, Difference]]:
        made = self.resource or {}
        if held is None:
            whole = differences([made], [])
            return [(*self.by["resourceType"], one) for one in whole]
        wanted = [name for name in self.by if name not in self.kept]
        old = {name: held[name] for name in ("resourceType", "id", *wanted) if name in held}
        new = {name: made[name] for name in ("resourceType", "id", *wanted) if name in made}
        return [(*self.by[_element(one)], one) for one in differences([old], [new])]


def _element(one: Difference) -> str:
    """The top-level element that a difference is in."""
    return one.path.split(".", 2)[1].partition("[")[0]


def outcome(message: Message, library: Library) -> Outcome:
    """A message's entries, or why there are none."""
    agency = library.agencies.get(message.agency, Agency(message.agency, message.agency))
    try:
        record = PARSERS[message.kind](message.raw, charset=agency.charset)
        return translate(library, agency, record).entries
    except GatewayError as error:
        return error.issues[0]


# --- for programs, and for people -----------------------------------------------------------------


def as_json(found: Compared, *, values: bool = False) -> dict[str, Any]:
    """The messages that would come out otherwise, with the paths."""
    return {
        "messages": found.messages,
        "changed": [_line(one, values=values) for one in found.changed],
    }


def _line(one: Changed, *, values: bool) -> dict[str, Any]:
    return {
        "message": one.message,
        "agency": one.agency,
        "refusedBefore": _refusal(one.before),
        "refusedNow": _refusal(one.after),
        "differences": [difference(each, values=values) for each in one.differences],
    }


def _refusal(issue: Issue | None) -> dict[str, str] | None:
    return None if issue is None else {"place": issue.place or "", "reason": issue.text}


def tables(found: Compared) -> list[Table]:
    """A line a path."""
    title = f"{len(found.changed)} of {found.messages} messages would come out otherwise"
    table = Table("Message", "Agency", "Resource", "Path", "", title=title)
    for one in found.changed:
        for kind, issue in (("was refused", one.before), ("is refused", one.after)):
            if issue is not None:
                table.add_row(one.message, one.agency, "", issue.place, f"{kind}: {issue.text}")
        for each in one.differences:
            table.add_row(one.message, one.agency, each.reference, each.path, each.kind)
    return [table]
