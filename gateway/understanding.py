"""Messages are understood beside the writer: in processes of their own, an agency's in order.

Parsing and translating are pure and keep an interpreter busy, and Python has one a process: with
all of it in one, half of a two-core machine would stand idle while referrals queue. What a message
means comes back as values; only this process touches the hub. Where no such process runs (yet, or
any more) a message is understood right here.
"""

from __future__ import annotations

import contextlib
import gc
import marshal
import multiprocessing
import pickle
import queue
import signal
import threading
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import structlog

from gateway.chain import at_hand
from gateway.errors import GatewayError, MapError
from gateway.intake import Outcome, Understood, meant, nobodys
from gateway.members import Members
from gateway.model import Entry, Message, Translation
from gateway.store import packed, unpacked
from gateway.translate import Library, load

log = structlog.get_logger()

STOP: Final = 30.0
"""Seconds that a process may take to finish what it was asked."""

_READY: Final = b"ready"
_END: Final = b"end"

LITTER: Final = 50_000
"""Objects made before a child looks for garbage: what a message makes has no cycles."""

RELOAD: Final = 60.0
"""Seconds that processes may take to load other maps."""

Source = tuple[str, str, int, str]
"""An agency as a child needs it: its id, its folder ("" for the searched ones), when added, and
the version of its maps."""


class Understanding:
    """Understands messages. ``processes`` of 0 does it all in this one."""

    def __init__(self, members: Members, folders: Sequence[Path], processes: int) -> None:
        self._members = members
        self._folders = tuple(folders)
        self._children: list[_Child | None] = [None] * processes

    def start(self) -> None:
        """Start the processes; each takes over once it has loaded the maps, a second or two on."""
        for number in range(len(self._children)):
            self._children[number] = _Child(self._folders, self._members.fingerprint)

    def renew(self, fingerprint: str, meanwhile: Callable[[], None]) -> bool:
        """Have other processes take over that have loaded the maps of this fingerprint.

        They do all at once, and after ``meanwhile``. Each answers when the one before it has
        answered all, so that an agency's order stays. False where one couldn't load just these
        maps: then the old ones go on, and nothing else happened.
        """
        fresh: list[_Child | None] = [_Child(self._folders, fingerprint) for _ in self._children]
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

    def _end(self, children: Sequence[_Child | None]) -> None:
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
        if isinstance(fault, Gone):
            self._replace(child)
        log.error("understanding.fault", error=type(fault).__name__)
        outcome.set_result(self._here(message))

    def _replace(self, child: _Child) -> None:
        """Start another in the place of one that died."""
        for number, known in enumerate(self._children):
            if known is child:
                self._children[number] = _Child(self._folders, self._members.fingerprint)

    def _here(self, message: Message) -> Outcome:
        agency = self._members.get(message.agency)
        return meant(self._members.library, agency, message) if agency else nobodys()


class Gone(Exception):
    """The process that was asked is no more."""


class Failed(Exception):
    """The process that was asked couldn't say; the text is the kind of its fault."""


class _Child:
    """One process, and what is asked of it in order.

    Its pipe's other end is its own alone: when it dies, even in the middle of an answer, that end
    closes, and whoever waits is told. It is ready once it has loaded the maps of ``fingerprint``.
    """

    def __init__(self, folders: tuple[Path, ...], fingerprint: str) -> None:
        self._pipe, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("spawn").Process(
            target=_serve, args=(theirs, folders), daemon=True
        )
        self._process.start()
        theirs.close()
        self._lock = threading.Lock()
        self._questions: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._waiting: deque[Future[Outcome]] = deque()
        self._threads = [
            threading.Thread(target=each, name="understanding", daemon=True)
            for each in (self._say, self._hear)
        ]
        self._gone = False
        self._fingerprint = fingerprint
        self._heard = threading.Event()
        self._before: _Child | None = None
        self.ready = False
        """Whether it has loaded the maps and lives."""
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        """The process's own number."""
        return self._process.pid or 0

    def loaded(self, timeout: float) -> bool:
        """Wait until it has loaded its maps, or can't; whether they are those it should have."""
        self._heard.wait(timeout)
        return self.ready

    def follow(self, before: _Child | None) -> None:
        """Answer nothing until another has answered all that it was asked."""
        self._before = before

    def understand(self, source: Source, message: Message) -> Future[Outcome]:
        """Ask it; the future fails with ``Gone`` if it died, and with ``Failed``."""
        asked: Future[Outcome] = Future()
        question = pickle.dumps((source, message), pickle.HIGHEST_PROTOCOL)
        with self._lock:
            if not self._gone:
                self._waiting.append(asked)
                self._questions.put(question)
                return asked
        asked.set_exception(Gone())
        return asked

    def stop(self) -> None:
        """Finish what was asked, then end."""
        self._questions.put(_END)
        self._process.join(STOP)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        for thread in self._threads:
            thread.join()
        self._pipe.close()

    def _say(self) -> None:
        with contextlib.suppress(OSError):  # the other thread hears that it is gone
            while (question := self._questions.get()) is not _END:
                if self._before is not None:
                    self._before._threads[1].join()
                    self._before = None
                self._pipe.send_bytes(question)
            self._pipe.send_bytes(_END)

    def _hear(self) -> None:
        try:
            with contextlib.suppress(EOFError, OSError):
                self.ready = self._pipe.recv_bytes() == _READY + self._fingerprint.encode()
                self._heard.set()
                while True:
                    self._answer(self._pipe.recv_bytes())
        finally:  # whatever ends this thread, nobody waits for it
            self.ready = False
            self._heard.set()
            with self._lock:
                self._gone = True
            self._questions.put(_END)
            for asked in self._waiting:
                asked.set_exception(Gone())

    def _answer(self, raw: bytes) -> None:
        sent = pickle.loads(raw)
        answer = sent if isinstance(sent, Failed) else _unpacked(sent)
        with self._lock:
            asked = self._waiting.popleft()
        if isinstance(answer, Failed):
            asked.set_exception(answer)
        else:
            asked.set_result(answer)


# --- on the way -----------------------------------------------------------------------------------

Sent = GatewayError | tuple[Translation, bytes]
"""An Outcome on its way here: its resources apart, for ``pickle`` takes its time over them."""


def _packed(outcome: Outcome) -> Sent:
    if isinstance(outcome, GatewayError):
        return outcome
    entries = [
        (packed(outcome.prepared[entry.reference]), entry.removes, entry.keep, entry.known)
        for entry in outcome.translation.entries
    ]
    # Version 2 doesn't look for what stands twice: that would cost more than it saves.
    return replace(outcome.translation, entries=()), marshal.dumps(entries, 2)


def _unpacked(sent: Sent) -> Outcome:
    if isinstance(sent, GatewayError):
        return sent
    translation, raw = sent
    entries, prepared = [], {}
    for parts, *rest in marshal.loads(raw):
        ready = unpacked(parts)
        entry = Entry(ready.resource, *rest)
        entries.append(entry)
        prepared[entry.reference] = ready
    return Understood(replace(translation, entries=tuple(entries)), prepared)


# --- in the child ---------------------------------------------------------------------------------

_shipped: Library
_libraries: dict[str, tuple[Source, Library]] = {}


def _serve(pipe: Connection, folders: tuple[Path, ...]) -> None:
    """Answer until the pipe's other end says so, or is gone: then nobody is left to answer."""
    global _shipped
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    gc.disable()
    _shipped = load(folders)
    gc.freeze()
    gc.set_threshold(LITTER, 20, 100)
    gc.enable()
    with contextlib.suppress(EOFError, OSError):
        pipe.send_bytes(_READY + _shipped.fingerprint.encode())
        while (question := pipe.recv_bytes()) != _END:
            pipe.send_bytes(pickle.dumps(_answer(question), pickle.HIGHEST_PROTOCOL))


def _answer(question: bytes) -> Sent | Failed:
    try:
        return _understand(*pickle.loads(question))
    except Exception as fault:  # noqa: BLE001 - told to who asked, who then does it itself
        return Failed(type(fault).__name__)


def _understand(source: Source, message: Message) -> Sent:
    library = _library(source)
    return _packed(meant(library, library.agencies[source[0]], message))


def _library(source: Source) -> Library:
    """The library with the agency as it was last added."""
    known = _libraries.get(source[0])
    if known is not None and known[0] == source:
        return known[1]
    id, folder, _, version = source
    plain = not folder and id in _shipped.agencies
    library = _shipped if plain else _shipped.with_agency(id, Path(folder) if folder else None)
    if library.map_version(id) != version:
        raise MapError("the maps are being edited", place=id)
    _libraries[id] = (source, library)
    return library
