"""What the figures were taken on, and what processes have spent. Linux tells; others don't."""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROC = Path("/proc")


def described(**more: str) -> dict[str, str]:
    """The machine, the interpreter, the databases and the commit, as far as they are known."""
    return {
        "cores": str(os.cpu_count()),
        "processor": _processor(),
        "memory": _memory(),
        "system": f"{platform.system()} {platform.release()}",
        "load before": f"{os.getloadavg()[0]:.2f}",
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        **more,
        "commit": _commit(),
    }


def _processor() -> str:
    return _told("cpuinfo", "model name") or platform.processor() or platform.machine()


def _memory() -> str:
    return _told("meminfo", "MemTotal")


def _told(file: str, name: str) -> str:
    path = PROC / file
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def _commit() -> str:
    asked = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        told = subprocess.run(asked, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "unknown"
    return told.stdout.strip() or "unknown"


def spent(*roots: int) -> float:
    """Seconds of processor time of processes and their descendants, ended ones too."""
    found = list(_tree(roots))
    return sum(map(_running, found)) + sum(map(_ended, found))


def memory(root: int) -> list[float]:
    """Megabytes that a process and each of its descendants hold, what they share counted once.

    PSS where the kernel tells it, else RSS.
    """
    return list(map(_held, _tree((root,))))


def _tree(roots: tuple[int, ...]) -> Iterator[int]:
    waiting = [pid for pid in roots if pid]
    while waiting:
        pid = waiting.pop()
        yield pid
        for file in PROC.glob(f"{pid}/task/*/children"):
            try:
                waiting.extend(map(int, file.read_text().split()))
            except OSError:
                continue  # it ended as we looked


def _fields(file: Path) -> list[str]:
    """Of a process's stat, those after its name; none where it has gone."""
    try:
        return file.read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _running(pid: int) -> float:
    nanoseconds = 0
    for file in PROC.glob(f"{pid}/task/*/schedstat"):
        try:
            nanoseconds += int(file.read_text().split()[0])
        except (OSError, IndexError):
            continue  # it ended as we looked
    return nanoseconds / 1e9


def _ended(pid: int) -> float:
    fields = _fields(PROC / str(pid) / "stat")
    ticks = int(fields[13]) + int(fields[14]) if fields else 0
    return ticks / os.sysconf("SC_CLK_TCK")


def _held(pid: int) -> float:
    for file, name in (("smaps_rollup", "Pss:"), ("status", "VmRSS:")):
        try:
            lines = (PROC / str(pid) / file).read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            if line.startswith(name):
                return int(line.split()[1]) / 1024
    return 0.0
