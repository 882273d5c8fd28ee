"""Message maps compiled: by event, what a message makes; and making it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.model import Entry, Record
from gateway.translate.groups import MESSAGE, Groups, compile_groups, distribute
from gateway.translate.maps import Source
from gateway.translate.resources import Maker, compile_resources
from gateway.translate.rules import Compiler
from gateway.translate.run import Run, Scope
from gateway.translate.source import Block, block, refuse, text, texts
from gateway.translate.turns import Turns

_KEYS: Final = frozenset({"map", "events", "groups", "resources", "asks"})
_SOMETIMES: Final = frozenset({"in", "each", "if"})
_EVENT: Final = re.compile(r"[A-Z]{3}\^[A-Z][A-Z0-9]{2}")


@dataclass(frozen=True, slots=True)
class Plan:
    """A message map, ready to run. ``asks`` names the resource that a question is about, or ""."""

    name: str
    groups: Groups
    makers: tuple[Maker, ...]
    asks: str = ""
    turns: Turns = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "turns", Turns(self.makers))

    def run(self, run: Run, record: Record) -> tuple[Entry, ...]:
        """The entries of a record: all identities first, so that references may point ahead."""
        instances = distribute(self.groups, record.segments)
        try:
            return self._made(run, instances)
        finally:
            instances[MESSAGE][0].close()

    def _made(self, run: Run, instances: Mapping[str, Sequence[Scope]]) -> tuple[Entry, ...]:
        due = []
        for maker, scope, alive in self.turns(instances):
            found = maker.found(run, scope) if alive is None else maker.one(run, scope, alive)
            for at, live, reference in found:
                at[0].record(maker.name, reference, at[1])
                if maker.name == self.asks:
                    run.asked = reference
                due.append((maker, at, live, reference))
        made: dict[str, Entry] = {}
        for maker, at, live, reference in due:
            entry = maker.make(run, at, live, reference)
            if entry is None:
                continue
            known = made.get(reference)
            made[reference] = entry if known is None else joined(known, entry)
        return tuple(made.values())


def joined(first: Entry, second: Entry) -> Entry:
    """One thing told of twice in a message: the second adds what the first lacks, to lists too."""
    resource = {**second.resource, **first.resource}
    for name, more in second.resource.items():
        held = first.resource.get(name)
        if isinstance(held, list) and isinstance(more, list):
            known = [_who(one) for one in held]
            resource[name] = [*held, *(one for one in more if _who(one) not in known)]
    removes = (first.removes | second.removes) - resource.keys()
    return Entry(resource, removes, first.keep | second.keep, first.known or second.known)


def _who(item: Any) -> Any:
    """What tells an item of a list from others: an identifier's or number's system and value."""
    if isinstance(item, dict) and "value" in item:
        return item.get("system"), item["value"]
    return item


def compile_plans(compiler: Compiler) -> dict[str, Plan]:
    """The plans of all message maps, by event ("REF^I12")."""
    plans: dict[str, Plan] = {}
    for name in compiler.maps.names("messages"):
        source = compiler.maps.find("messages", name)
        if source is not None:
            _add(plans, source, compile_plan(compiler, source))
    return plans


def compile_plan(compiler: Compiler, source: Source) -> Plan:
    """One message map's plan."""
    source.body.refuse_unknown(_KEYS, "a message map")
    groups = compile_groups(source.body.get("groups"))
    makers = compile_resources(compiler, groups, source.body.need("resources"))
    return Plan(source.name, groups, makers, _asks(source.body))


def _asks(body: Block) -> str:
    """The name of the resource that a question is about: one that each message names, once."""
    item = body.get("asks")
    if item is None:
        return ""
    name = text(item, "a resource's name")
    asked = block(body.need("resources"), "'resources'").get(name)
    if not isinstance(asked, Block):
        refuse(item.place, f"there is no resource '{name}' to ask after")
    if _SOMETIMES & asked.items.keys():
        refuse(item.place, f"'{name}' isn't made once of every message: it can't be asked after")
    return name


def _add(plans: dict[str, Plan], source: Source, plan: Plan) -> None:
    for event, place in texts(source.body.need("events"), "an event"):
        if not _EVENT.fullmatch(event):
            refuse(place, f"'{event}' is no event like ADT^A01")
        if event in plans:
            refuse(place, f"{event} is already served by '{plans[event].name}'")
        plans[event] = plan


def served(plans: Mapping[str, Plan], kind: str) -> bool:
    """Whether any event of a message type ("ADT") is served."""
    return any(event.startswith(f"{kind}^") for event in plans)
