"""What one process at a time has: a file that it keeps locked for as long as it lives (flock).

The kernel lets go of it with the process, however that ends, and a process that is only paused
keeps it. On a folder that machines share the file system must know such locks, as NFSv4 does.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Self


class Sole:
    """The right to something. Left by ``close``, or as a context."""

    def __init__(self, number: int) -> None:
        self._number = number

    def close(self) -> None:
        """Anybody may have it now."""
        if self._number >= 0:
            os.close(self._number)
            self._number = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def sole(path: Path) -> Sole | None:
    """The right that a file stands for; None while somebody has it, in this process or another.

    Raises OSError where the file can't be made, or its file system knows no locks.
    """
    number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(number)
        return None
    except BaseException:
        os.close(number)
        raise
    return Sole(number)
