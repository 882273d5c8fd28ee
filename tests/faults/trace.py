"""What a process asked of the kernel, as strace told it: writes, syncs and sends in their order."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

CALLS: Final = "openat,pwrite64,fdatasync,fsync,sendto,write,sendmsg"
_LINE: Final = re.compile(r"(?P<task>\d+) +(?P<rest>.*)")
_BEGUN: Final = re.compile(r"(?P<name>\w+)\((?P<file>\d+)?(?P<given>.*)")
_ENDED: Final = re.compile(r"<\.\.\. (?P<name>\w+) resumed>(?P<given>.*)")


class Call(NamedTuple):
    """A system call: the lines at which it began and ended, its file and what was given."""

    name: str
    begun: int
    ended: int
    file: int
    given: str


def traced(out: Path, serve: Sequence[str]) -> tuple[str, ...]:
    """A command that serves as ``serve`` does, with its calls told in ``out``."""
    what = ("-D", "-f", "--seccomp-bpf", "-s", "65536", "-e", f"trace={CALLS}")
    return ("strace", *what, "-o", str(out), *serve)


def calls(out: Path) -> Iterator[Call]:
    """Each call that ended, in the order of their ends."""
    open_: dict[str, Call] = {}
    with out.open(encoding="latin-1") as lines:
        for number, line in enumerate(lines):
            match = _LINE.match(line)
            if match is None:
                continue
            task, rest = match["task"], match["rest"]
            if ended := _ENDED.match(rest):
                call = open_.pop(task, None)
                if call is not None and call.name == ended["name"]:
                    yield call._replace(ended=number, given=call.given + ended["given"])
            elif begun := _BEGUN.match(rest):
                file = int(begun["file"] or -1)
                call = Call(begun["name"], number, number, file, begun["given"])
                if "<unfinished ...>" in rest:
                    open_[task] = call
                else:
                    yield call


def early(seen: Sequence[Call], numbers: Sequence[str]) -> list[str]:
    """The messages whose AA was sent before a sync that began after they were written ended."""
    logs = {_opened(call) for call in seen if call.name == "openat" and "-wal" in call.given}
    syncs = [call for call in seen if call.name in ("fdatasync", "fsync") and call.file in logs]
    writes = [call for call in seen if call.name == "pwrite64" and call.file in logs]
    sends = [call for call in seen if call.name in ("sendto", "write", "sendmsg")]
    return [number for number in numbers if not _synced(number, writes, syncs, sends)]


def _synced(
    number: str, writes: Sequence[Call], syncs: Sequence[Call], sends: Sequence[Call]
) -> bool:
    told = next(call.begun for call in sends if f"MSA|AA|{number}" in call.given)
    written = next((call.ended for call in writes if number in call.given), None)
    return written is not None and any(written < sync.begun and sync.ended < told for sync in syncs)


def _opened(call: Call) -> int:
    return int(call.given.rpartition("= ")[2].split()[0])
