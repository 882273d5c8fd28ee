"""Pure work in a process of its own, with the maps loaded: asked by a pipe, answered in order.

Parsing and translating keep an interpreter busy, and Python has one a process. The pipe's other
end is the process's alone: when it dies, even in the middle of an answer, that end closes, and
whoever waits is told (the standard library's pool would have them wait for good).
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import pickle
import queue
import signal
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from gateway import logs
from gateway.errors import MapError
from gateway.translate import Library, load

T = TypeVar("T")

STOP: Final = 30.0
"""Seconds that a process may take to finish what it was asked."""

LITTER: Final = 50_000
"""Objects made before a process looks for garbage, where somebody waits for each answer: ten times
as many would hold one up for half a second."""

LITTERS: Final = 500_000
"""The same where nobody waits: looking through 500 rows again and again would cost a tenth."""

_READY: Final = b"ready"
_END: Final = b"end"

Source = tuple[str, str, int, str]
"""An agency as another process needs it: its id, its folder ("" for the searched ones), when
added, and the version of its maps."""

Answer = Callable[[Library, Any], Any]
"""What a process does with a question, by the maps that it has loaded: a module's function."""


class Gone(Exception):
    """The process that was asked is no more."""


class Failed(Exception):
    """The process that was asked couldn't say; the text is the kind of its fault."""


class Child(Generic[T]):
    """One process, and what is asked of it in order.

    It is ready once it has loaded the maps of ``fingerprint``; ``litter`` is how many objects it
    makes before it looks for garbage. ``read`` makes of what ``answer`` gave over there what is
    told here.
    """

    def __init__(
        self,
        answer: Answer,
        read: Callable[[Any], T],
        folders: tuple[Path, ...],
        fingerprint: str,
        litter: int = LITTER,
    ) -> None:
        self._pipe, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("spawn").Process(
            target=_serve, args=(theirs, answer, folders, litter, logs.chosen()), daemon=True
        )
        self._process.start()
        theirs.close()
        self._read = read
        self._lock = threading.Lock()
        self._questions: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._waiting: deque[Future[T]] = deque()
        self._threads = [
            threading.Thread(target=each, name="beside", daemon=True)
            for each in (self._say, self._hear)
        ]
        self._gone = False
        self._fingerprint = fingerprint
        self._heard = threading.Event()
        self._before: Child[T] | None = None
        self.ready = False
        """Whether it has loaded the maps and lives."""
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        """The process's own number."""
        return self._process.pid or 0

    @property
    def waiting(self) -> int:
        """How many questions it hasn't answered yet."""
        return len(self._waiting)

    def loaded(self, timeout: float) -> bool:
        """Wait until it has loaded its maps, or can't; whether they are those it should have."""
        self._heard.wait(timeout)
        return self.ready

    def follow(self, before: Child[T] | None) -> None:
        """Answer nothing until another has answered all that it was asked."""
        self._before = before

    def ask(self, question: Any) -> Future[T]:
        """Ask it; the future fails with ``Gone`` if it died, and with ``Failed``."""
        asked: Future[T] = Future()
        packed = pickle.dumps(question, pickle.HIGHEST_PROTOCOL)
        with self._lock:
            if not self._gone:
                self._waiting.append(asked)
                self._questions.put(packed)
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
        answer = sent if isinstance(sent, Failed) else self._read(sent)
        with self._lock:
            asked = self._waiting.popleft()
        if isinstance(answer, Failed):
            asked.set_exception(answer)
        else:
            asked.set_result(answer)


# --- in the child ---------------------------------------------------------------------------------

_libraries: dict[str, tuple[Source, Library]] = {}


def library_of(shipped: Library, source: Source) -> Library:
    """The library with the agency as it was last added; for what a child answers.

    Raises MapError where this process's maps aren't those of who asks.
    """
    known = _libraries.get(source[0])
    if known is not None and known[0] == source:
        return known[1]
    id, folder, _, version = source
    plain = not folder and id in shipped.agencies
    library = shipped if plain else shipped.with_agency(id, Path(folder) if folder else None)
    if library.map_version(id) != version:
        raise MapError("the maps are being edited", place=id)
    _libraries[id] = (source, library)
    return library


def _serve(
    pipe: Connection,
    answer: Answer,
    folders: tuple[Path, ...],
    litter: int,
    logged: tuple[str, logs.Form] | None,
) -> None:
    """Answer until the pipe's other end says so, or is gone: then nobody is left to answer."""
    if logged is not None:
        logs.configure(*logged)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    gc.disable()
    shipped = load(folders).complete()
    gc.freeze()
    gc.set_threshold(litter, 20, 100)
    gc.enable()
    with contextlib.suppress(EOFError, OSError):
        pipe.send_bytes(_READY + shipped.fingerprint.encode())
        while (question := pipe.recv_bytes()) != _END:
            said = _tried(answer, shipped, pickle.loads(question))
            pipe.send_bytes(pickle.dumps(said, pickle.HIGHEST_PROTOCOL))


def _tried(answer: Answer, shipped: Library, question: Any) -> Any:
    try:
        return answer(shipped, question)
    except Exception as fault:  # noqa: BLE001 - told to who asked, who then does it itself
        return Failed(type(fault).__name__)
