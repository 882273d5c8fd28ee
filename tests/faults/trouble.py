"""Trouble that begins and ends while a gateway runs: a disk that is full or fails, a held lock."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

from tests.faults.drive import run


def cannot_attach() -> str:
    """Why no running process can be troubled here; empty where one can."""
    if shutil.which("strace") is None:
        return "strace isn't here"
    with subprocess.Popen(("sleep", "60")) as other:
        tried = subprocess.Popen(
            ("strace", "-p", str(other.pid)), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        assert tried.stderr is not None
        told = tried.stderr.readline()
        tried.send_signal(signal.SIGINT)
        tried.communicate()
        other.kill()
    return "" if b"attached" in told else "strace may not attach"


@asynccontextmanager
async def refused(pid: int, calls: str, error: str) -> AsyncIterator[None]:
    """As long as it lasts the kernel answers these system calls of a process by an error."""
    told = ("-f", "-q", "-e", f"trace={calls}", "-e", f"inject={calls}:error={error}")
    strace = subprocess.Popen(("strace", *told, "-o", "/dev/null", "-p", str(pid)))
    try:
        while not _all_traced(pid):
            assert strace.poll() is None
            await asyncio.sleep(0.02)
        yield
    finally:
        strace.send_signal(signal.SIGINT)  # it lets go, and the process lives on
        await asyncio.to_thread(strace.wait)


def _all_traced(pid: int) -> bool:
    threads = Path(f"/proc/{pid}/task").glob("*/status")
    return all("TracerPid:\t0\n" not in thread.read_text() for thread in threads)


@contextmanager
def small(at: Path, megabytes: int) -> Iterator[None]:
    """A file system of that size in memory, mounted at a folder. Root only."""
    at.mkdir(exist_ok=True)
    run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", at)
    try:
        yield
    finally:
        run("umount", "-l", at)


@asynccontextmanager
async def filled(at: Path) -> AsyncIterator[None]:
    """As long as it lasts a folder's file system has no room left."""
    filler = at / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (2**20, 2**12):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass
    try:
        yield
    finally:
        filler.unlink()


@asynccontextmanager
async def locked(file: Path) -> AsyncIterator[None]:
    """As long as it lasts somebody else has a SQLite file for himself."""
    connect = sqlite3.connect(file, isolation_level=None, timeout=30, check_same_thread=False)
    with closing(connect) as other:
        await asyncio.to_thread(other.execute, "BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")
