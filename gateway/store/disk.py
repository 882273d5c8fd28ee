"""Having what was committed on disk, while the writer goes on with the next group.

SQLite could sync at each commit (``synchronous=FULL``), but then its only writer sleeps for as
long as the disk takes. Its log is append-only and read up to the last whole commit, so one sync
of it after a commit is the same promise for that commit and all before it.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gateway import meters

_sync: Final[Callable[[int], None]] = getattr(os, "fdatasync", os.fsync)


class Disk:
    """Syncs a write-ahead log on a thread of its own, one request at a time.

    ``failed``: a sync did, so that the log on the disk may have a hole that no later sync mends.
    Whoever has written the log's content elsewhere takes it back (``healed``). It is so at first:
    nobody knows what the process before met with, and the system tells of a failure once.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._file: int | None = None
        self._requests: queue.SimpleQueue[Callable[[OSError | None], None] | None] = (
            queue.SimpleQueue()
        )
        self._idle = threading.Event()
        self._idle.set()
        self.failed = True
        self._thread = threading.Thread(target=self._work, name="store-disk", daemon=True)
        self._thread.start()

    @property
    def idle(self) -> bool:
        """Whether nothing is on its way to the disk."""
        return self._idle.is_set()

    def wait(self) -> None:
        """Until it is idle."""
        self._idle.wait()

    def settle(self, then: Callable[[OSError | None], None]) -> None:
        """Have the log on disk, then call ``then``, on this thread, with the error if it isn't.

        It is for one caller, who waits until it is idle.
        """
        self._idle.clear()
        self._requests.put(then)

    def healed(self) -> None:
        """What the log held is safe without it."""
        self.failed = False

    def reopen(self) -> None:
        """The log may be another file from now on: SQLite deletes it with its last connection."""
        self.wait()
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def close(self) -> None:
        """End the thread."""
        self._requests.put(None)
        self._thread.join()
        self.reopen()

    def _work(self) -> None:
        while (then := self._requests.get()) is not None:
            error = self._settled()
            self.failed = self.failed or error is not None
            self._idle.set()
            then(error)

    def _settled(self) -> OSError | None:
        try:
            if self._file is None:
                self._file = os.open(self._log, os.O_RDWR)
                sync_path(self._log.parent)  # a new file's name must be on disk too
            began = time.perf_counter()
            _sync(self._file)
            meters.SYNC_SECONDS.observe(time.perf_counter() - began)
        except OSError as error:
            return error
        return None


def sync_path(path: Path) -> None:
    """Have a file's content, or a folder's names, on disk.

    Not every system lets a folder be opened.
    """
    if path.is_dir() and not hasattr(os, "O_DIRECTORY"):
        return
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
