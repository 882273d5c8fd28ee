"""Message maps compiled: by event, what a message makes; and making it."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.fhir.elements import Element
from gateway.model import Entry
from gateway.record import Record
from gateway.translate.groups import MESSAGE, Groups, compile_groups, distribute
from gateway.translate.making import Making
from gateway.translate.maps import Source
from gateway.translate.resources import compile_resources
from gateway.translate.rules import Compiler
from gateway.translate.run import Run
from gateway.translate.source import Block, block, refuse, text, texts

_KEYS: Final = frozenset({"map", "events", "groups", "resources", "asks"})
_SOMETIMES: Final = frozenset({"in", "each", "if"})
_EVENT: Final = re.compile(r"[A-Z]{3}\^[A-Z][A-Z0-9]{2}")


@dataclass(frozen=True, slots=True)
class Plan:
    """A message map, ready to run."""

    name: str
    groups: Groups
    making: Making

    def run(self, run: Run, record: Record) -> tuple[Entry, ...]:
        """The entries of a record."""
        instances = distribute(self.groups, record.segments)
        try:
            return self.making(run, instances)
        finally:
            instances[MESSAGE][0].close()


class Plans(Mapping[str, Plan]):
    """The plans of all message maps, by event ("REF^I12"), each compiled when it is asked for.

    Making them and asking for one may raise MapError.
    """

    def __init__(self, compiler: Compiler) -> None:
        self.compiler = compiler
        self._sources = _by_event(compiler)
        self._made: dict[str, Plan] = {}
        self._compiling = threading.Lock()
        self._whole = False

    def __getitem__(self, event: str) -> Plan:
        source = self._sources[event]
        return self._made.get(source.name) or self._compiled(source)

    def __contains__(self, event: object) -> bool:
        return event in self._sources

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)

    def complete(self) -> None:
        """Compile all now, and the data type maps that perhaps nothing uses. Raises MapError."""
        if self._whole:
            return
        with self._compiling:
            for name in self.compiler.maps.names("datatypes"):
                source = self.compiler.maps.find("datatypes", name)
                if source is not None:
                    self.compiler.check_data_type(source)
        for source in self._sources.values():
            self._compiled(source)
        self._whole = True

    def uses(self, table: str) -> set[Element]:
        """The elements that a table is read for. Raises MapError."""
        self.complete()
        return set(self.compiler.uses.get(table, ()))

    def _compiled(self, source: Source) -> Plan:
        with self._compiling:
            if source.name not in self._made:
                self._made[source.name] = compile_plan(self.compiler, source)
            return self._made[source.name]


def _by_event(compiler: Compiler) -> dict[str, Source]:
    sources: dict[str, Source] = {}
    for name in compiler.maps.names("messages"):
        source = compiler.maps.find("messages", name)
        if source is not None:
            _add(sources, source)
    return sources


def compile_plan(compiler: Compiler, source: Source) -> Plan:
    """One message map's plan."""
    source.body.refuse_unknown(_KEYS, "a message map")
    groups = compile_groups(source.body.get("groups"))
    makers = compile_resources(compiler, groups, source.body.need("resources"))
    return Plan(source.name, groups, Making(makers, _asks(source.body)))


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


def _add(sources: dict[str, Source], source: Source) -> None:
    for event, place in texts(source.body.need("events"), "an event"):
        if not _EVENT.fullmatch(event):
            refuse(place, f"'{event}' is no event like ADT^A01")
        if event in sources:
            refuse(place, f"{event} is already served by '{sources[event].name}'")
        sources[event] = source


def served(plans: Mapping[str, Plan], kind: str) -> bool:
    """Whether any event of a message type ("ADT") is served."""
    return any(event.startswith(f"{kind}^") for event in plans)
