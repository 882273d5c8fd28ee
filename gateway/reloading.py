"""Hot reload: edited maps are validated whole, then put in force at once, in every process.

A map that doesn't load never takes the place of a good one: what was in force stays, and the log,
``/readyz`` and ``/admin/maps`` say which file and line is wrong.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog

from gateway.errors import GatewayError, MapError
from gateway.members import Members
from gateway.messages.understanding import Understanding
from gateway.translate import load

log = structlog.get_logger()

_SUFFIXES: Final = (".yaml", ".csv")

Stamp = frozenset[tuple[str, int, int]]
"""What tells edited files from others: path, time and size of each."""


@dataclass(frozen=True, slots=True)
class State:
    """The maps in force, since when, and what is wrong with those that lie in the folders (None:
    they are the same)."""

    version: str
    since: datetime
    error: MapError | None = None


class Maps:
    """The maps in force, renewed when their files are edited."""

    def __init__(
        self,
        members: Members,
        understanding: Understanding,
        folders: Sequence[Path],
        every: float,
        changed: Callable[[], None],
    ) -> None:
        self._members = members
        self._understanding = understanding
        self._folders = tuple(folders)
        self._every = every
        self._changed = changed
        self._seen: Mapping[Path, Stamp] = self._stamps()
        self._busy = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.state = State(members.fingerprint[:12], datetime.now(UTC))

    def start(self) -> None:
        """Look at the files every few seconds, on a thread of its own; never, for 0 seconds."""
        if self._every > 0:
            self._thread = threading.Thread(target=self._watch, name="maps", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Finish what is in hand."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def look(self) -> State:
        """Put the maps in force as they lie in the folders, if they were edited and load."""
        with self._busy:
            now = self._stamps()
            if any(self._seen.get(home, stamp) != stamp for home, stamp in now.items()):
                self._renew(now)
            else:
                self._seen = now
        return self.state

    def _watch(self) -> None:
        while not self._stopping.wait(self._every):
            try:
                self.look()
            except (GatewayError, OSError) as error:  # the disk or the hub: the next look tries
                log.warning("maps.later", kind=type(error).__name__)

    def _renew(self, stamps: Mapping[Path, Stamp]) -> None:
        try:
            shipped = load(self._folders).complete()
            library = self._members.over(shipped)
        except MapError as error:
            self._refuse(stamps, error)
            return
        if self._stamps() != stamps:
            return  # somebody is still at it

        def exchange() -> None:
            self._members.exchange(shipped, library)

        if self._understanding.renew(shipped.fingerprint, exchange):
            self._seen = stamps
            self.state = State(shipped.fingerprint[:12], datetime.now(UTC))
            self._changed()
            log.info("maps.renewed", version=self.state.version)

    def _refuse(self, stamps: Mapping[Path, Stamp], error: MapError) -> None:
        self._seen = stamps
        self.state = State(self.state.version, self.state.since, error)
        log.error("maps.broken", place=error.place, text=str(error), version=self.state.version)

    def _stamps(self) -> dict[Path, Stamp]:
        """The searched folders, and those that members were added with."""
        homes = (*self._folders, *self._members.folders())
        return {home: frozenset(_files(home)) for home in homes}


def _files(folder: Path) -> Iterator[tuple[str, int, int]]:
    for path in folder.rglob("*"):
        if path.suffix in _SUFFIXES:
            try:
                told = path.stat()
            except FileNotFoundError:
                continue  # it went while we looked: the next look says so
            yield str(path), told.st_mtime_ns, told.st_size
