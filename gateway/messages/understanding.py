"""Messages are understood beside the writer: in processes of their own, an agency's in order.

Parsing and translating are pure and keep an interpreter busy, and Python has one a process: with
all of it in one, half of a two-core machine would stand idle while referrals queue. What a message
means comes back as values; only this process touches the hub. Where no such process runs (yet, or
any more) a message is understood right here.
"""

from __future__ import annotations

import marshal
import threading
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Final
from weakref import WeakKeyDictionary

import structlog

from gateway import meters
from gateway.beside import Child, Gone, Source, library_of
from gateway.chain import at_hand
from gateway.errors import GatewayError
from gateway.members import Members
from gateway.messages.meaning import Noted, Outcome, Understood, meant, nobodys
from gateway.model import Message, Translation
from gateway.route.directory import Directory
from gateway.store import Ready
from gateway.translate import Library

log = structlog.get_logger()

RELOAD: Final = 60.0
"""Seconds that processes may take to load other maps."""

Question = tuple[Source, Message, Directory | None]
"""A message, by whose maps, and the members where they aren't those of the question before."""


class Understanding:
    """Understands messages. ``processes`` of 0 does it all in this one."""

    def __init__(self, members: Members, folders: Sequence[Path], processes: int) -> None:
        self._members = members
        self._folders = tuple(folders)
        self._children: list[Child[Outcome] | None] = [None] * processes
        self._lock = threading.Lock()
        self._told_of: WeakKeyDictionary[Child[Outcome], Directory] = WeakKeyDictionary()

    def start(self) -> None:
        """Start the processes; each takes over once it has loaded the maps, a second or two on."""
        for number in range(len(self._children)):
            self._children[number] = self._begun(self._members.fingerprint)

    def _begun(self, fingerprint: str) -> Child[Outcome]:
        return Child(_understand, _unpacked, self._folders, fingerprint)

    def renew(self, fingerprint: str, meanwhile: Callable[[], None]) -> bool:
        """Have other processes take over that have loaded the maps of this fingerprint.

        They do all at once, and after ``meanwhile``. Each answers when the one before it has
        answered all, so that an agency's order stays. False where one couldn't load just these
        maps: then the old ones go on, and nothing else happened.
        """
        fresh: list[Child[Outcome] | None] = [self._begun(fingerprint) for _ in self._children]
        if not all(child.loaded(RELOAD) for child in fresh if child is not None):
            self._end(fresh)
            return False
        before = self._children
        for child, old in zip(fresh, before, strict=True):
            if child is not None:
                child.follow(old)
        meanwhile()
        self._children = fresh
        self._end(before)
        return True

    def stop(self) -> None:
        """Finish what is in hand, and end the processes."""
        children, self._children = self._children, []
        self._end(children)

    def _end(self, children: Sequence[Child[Outcome] | None]) -> None:
        for child in children:
            if child is not None:
                child.stop()

    def __call__(self, message: Message) -> Future[Outcome]:
        """What a message means. Never fails: why nobody can tell is an outcome too."""
        source = self._members.source(message.agency)
        if source is None:
            return at_hand(nobodys())
        child = self._child(message.agency)
        if child is None:
            return at_hand(self._here(message))
        outcome: Future[Outcome] = Future()
        self._ask(child, source, message).add_done_callback(
            lambda asked: self._told(asked, message, child, outcome)
        )
        return outcome

    @property
    def processes(self) -> list[Child[Outcome]]:
        """Those that run beside this one."""
        return [child for child in self._children if child is not None]

    def _ask(self, child: Child[Outcome], source: Source, message: Message) -> Future[Outcome]:
        """Ask it, who the members are with the first question and whenever that has changed."""
        with self._lock:
            directory = self._members.directory
            news = directory if self._told_of.get(child) is not directory else None
            self._told_of[child] = directory
            return child.ask((source, message, news))

    def _child(self, agency: str) -> Child[Outcome] | None:
        """Whose turn it is: always the same one's for an agency, so that its order stays."""
        if not self._children:
            return None
        child = self._children[zlib.crc32(agency.encode()) % len(self._children)]
        return child if child is not None and child.ready else None

    def _told(
        self,
        asked: Future[Outcome],
        message: Message,
        child: Child[Outcome],
        outcome: Future[Outcome],
    ) -> None:
        fault = asked.exception()
        if fault is None:
            outcome.set_result(asked.result())
            return
        if isinstance(fault, Gone):
            self._replace(child)
        log.error("understanding.fault", error=type(fault).__name__)
        outcome.set_result(self._here(message))

    def _replace(self, child: Child[Outcome]) -> None:
        """Start another in the place of one that died."""
        meters.CHILDREN_LOST.inc()
        for number, known in enumerate(self._children):
            if known is child:
                self._children[number] = self._begun(self._members.fingerprint)

    def _here(self, message: Message) -> Outcome:
        agency = self._members.get(message.agency)
        if agency is None:
            return nobodys()
        return meant(self._members.library, agency, message, self._members.directory)


# --- on the way -----------------------------------------------------------------------------------

Sent = GatewayError | tuple[Translation, bytes]
"""An Outcome on its way here: its resources apart, for ``pickle`` takes its time over them."""


def _packed(outcome: Outcome) -> Sent:
    if isinstance(outcome, GatewayError):
        return outcome
    # Version 2 doesn't look for what stands twice: that would cost more than it saves.
    entries, noted = [tuple(each) for each in outcome.ready], outcome.noted
    return outcome.translation, marshal.dumps((entries, noted and tuple(noted)), 2)


def _unpacked(sent: Sent) -> Outcome:
    if isinstance(sent, GatewayError):
        return sent
    translation, raw = sent
    entries, noted = marshal.loads(raw)
    made = tuple([Ready._make(each) for each in entries])
    return Understood(translation, made, noted and Noted._make(noted))


# --- in the child ---------------------------------------------------------------------------------


_members: Final[list[Directory]] = []
"""The directory that was last told, alone."""


def _understand(shipped: Library, question: Question) -> Sent:
    source, message, news = question
    if news is not None:
        _members[:] = [news]
    library = library_of(shipped, source)
    return _packed(meant(library, library.agencies[source[0]], message, _members[0]))
