"""Messages are understood beside the writer: in processes of their own, an agency's in order.

Parsing and translating are pure and keep an interpreter busy, and Python has one a process: with
all of it in one, half of a two-core machine would stand idle while referrals queue. What a message
means comes back as values; only this process touches the hub. Where no such process runs (yet, or
any more) a message is understood right here.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import threading
import time
import zlib
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Final

import structlog

from gateway.intake import Outcome, meant, nobodys
from gateway.members import Members
from gateway.model import Message
from gateway.translate import Library, load

log = structlog.get_logger()

WATCH: Final = 1.0
"""Seconds between a child's looks at whether its parent lives: a killed one can't say goodbye."""

Source = tuple[str, str, int]
"""An agency as a child needs it: its id, its folder ("" for the searched ones), when added."""


class Understanding:
    """Understands messages. ``processes`` of 0 does it all in this one."""

    def __init__(self, members: Members, folders: Sequence[Path], processes: int) -> None:
        self._members = members
        self._folders = tuple(folders)
        self._children: list[_Child | None] = [None] * processes

    def start(self) -> None:
        """Start the processes; each takes over once it has loaded the maps, a second or two on."""
        for number in range(len(self._children)):
            self._children[number] = _Child(self._folders)

    def stop(self) -> None:
        """Finish what is in hand, and end the processes."""
        children, self._children = self._children, []
        for child in children:
            if child is not None:
                child.stop()

    def __call__(self, message: Message) -> Future[Outcome]:
        """What a message means. Never fails: why nobody can tell is an outcome too."""
        source = self._members.source(message.agency)
        if source is None:
            return _done(nobodys())
        child = self._child(message.agency)
        if child is None:
            return _done(self._here(message))
        outcome: Future[Outcome] = Future()
        child.understand(source, message).add_done_callback(
            lambda asked: self._told(asked, message, child, outcome)
        )
        return outcome

    def _child(self, agency: str) -> _Child | None:
        """Whose turn it is: always the same one's for an agency, so that its order stays."""
        if not self._children:
            return None
        child = self._children[zlib.crc32(agency.encode()) % len(self._children)]
        return child if child is not None and child.ready else None

    def _told(
        self, asked: Future[Outcome], message: Message, child: _Child, outcome: Future[Outcome]
    ) -> None:
        fault = asked.exception()
        if fault is None:
            outcome.set_result(asked.result())
            return
        if isinstance(fault, BrokenProcessPool):
            self._replace(child)
        log.error("understanding.fault", error=type(fault).__name__)
        outcome.set_result(self._here(message))

    def _replace(self, child: _Child) -> None:
        """Start another in the place of one that died."""
        for number, known in enumerate(self._children):
            if known is child:
                self._children[number] = _Child(self._folders)

    def _here(self, message: Message) -> Outcome:
        agency = self._members.get(message.agency)
        return meant(self._members.library, agency, message) if agency else nobodys()


class _Child:
    """One process, and what is asked of it in order."""

    def __init__(self, folders: tuple[Path, ...]) -> None:
        self._pool = ProcessPoolExecutor(
            1, multiprocessing.get_context("spawn"), _prepare, (folders, os.getpid())
        )
        self._warm = self._pool.submit(_is_ready)

    @property
    def ready(self) -> bool:
        """Whether it has loaded the maps and lives."""
        return self._warm.done() and self._warm.exception() is None

    def understand(self, source: Source, message: Message) -> Future[Outcome]:
        """Ask it; the future fails with ``BrokenProcessPool`` if it died."""
        try:
            return self._pool.submit(_understand, source, message)
        except RuntimeError as fault:
            asked: Future[Outcome] = Future()
            asked.set_exception(fault)
            return asked

    def stop(self) -> None:
        """Finish what was asked, then end."""
        self._pool.shutdown(wait=True)


def _done(outcome: Outcome) -> Future[Outcome]:
    known: Future[Outcome] = Future()
    known.set_result(outcome)
    return known


# --- in the child ---------------------------------------------------------------------------------

_shipped: Library
_libraries: dict[str, tuple[Source, Library]] = {}


def _prepare(folders: tuple[Path, ...], parent: int) -> None:
    global _shipped
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    gc.disable()
    _shipped = load(folders)
    gc.freeze()
    gc.enable()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH)
    os._exit(1)


def _is_ready() -> bool:
    return True


def _understand(source: Source, message: Message) -> Outcome:
    library = _library(source)
    return meant(library, library.agencies[source[0]], message)


def _library(source: Source) -> Library:
    """The library with the agency as it was last added."""
    known = _libraries.get(source[0])
    if known is not None and known[0] == source:
        return known[1]
    id, folder, _ = source
    plain = not folder and id in _shipped.agencies
    library = _shipped if plain else _shipped.with_agency(id, Path(folder) if folder else None)
    _libraries[id] = (source, library)
    return library
