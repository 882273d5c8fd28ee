"""What a process asked of the kernel, as strace told it: writes, syncs and sends in their order."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

CALLS: Final = "openat,pwrite64,fdatasync,fsync,sendto,write,writev,sendmsg,recvfrom"
SENDS: Final = frozenset({"sendto", "write", "writev", "sendmsg"})
_LINE: Final = re.compile(r"(?P<task>\d+) +(?P<rest>.*)")
_BEGUN: Final = re.compile(r"(?P<name>\w+)\((?P<file>\d+)?(?P<given>.*)")
_NAME: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|S\d+-\d{5}")
"""What a resource or a message is known by, wherever it stands."""

_ENDED: Final = re.compile(r"<\.\.\. (?P<name>\w+) resumed>(?P<given>.*)")


class Call(NamedTuple):
    """A system call: the lines at which it began and ended, its file and what was given."""

    name: str
    begun: int
    ended: int
    file: int
    given: str


def cannot_trace() -> str:
    """Why no process can be traced here; empty where one can."""
    strace = shutil.which("strace")
    if strace is None:
        return "strace isn't here"
    tried = subprocess.run((strace, "true"), capture_output=True, check=False)
    return "strace may not trace" if tried.returncode else ""


def traced(
    out: Path, serve: Sequence[str], calls: str = CALLS, *, exactly: bool = False
) -> tuple[str, ...]:
    """A command that serves as ``serve`` does, with its calls told in ``out``.

    ``exactly``: with the names of files beside their numbers, and all texts in hexadecimal.
    """
    what = ("-D", "-f", "--seccomp-bpf", "-s", "65536", "-e", f"trace={calls}")
    return ("strace", *what, *(("-y", "-xx") if exactly else ()), "-o", str(out), *serve)


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


@dataclass(frozen=True)
class Told:
    """What a client was told: by what its request is known, and what the answer begins with."""

    name: str
    answer: str

    def by(self, call: Call) -> bool:
        """Whether this call sends that answer."""
        return self.name in call.given and call.given.partition('"')[2].startswith(self.answer)


def acknowledged(number: str) -> Told:
    """An AA in its frame."""
    return Told(f"MSA|AA|{number}", r"\vMSH")


def created(id: str) -> Told:
    """A 201 that says where what was created is."""
    return Told(f"/{id}/_history/1", "HTTP/1.1 201")


def early(seen: Sequence[Call], told: Sequence[Told], names: Sequence[str]) -> list[str]:
    """The names whose answers were sent before what holds them was on disk.

    On SQLite that is a sync of the log that began after they were written and ended before; on
    PostgreSQL the server's word that the transaction they were written in is committed.
    """
    logs = {_opened(call) for call in seen if call.name == "openat" and "-wal" in call.given}
    commits = [call for call in seen if call.name == "recvfrom" and r"COMMIT\0" in call.given]
    servers = {call.file for call in commits}
    disk = _Disk(
        writes=_named(
            call
            for call in seen
            if (call.name == "pwrite64" and call.file in logs)
            or (call.name in SENDS and call.file in servers)
        ),
        safe=[
            *commits,
            *(call for call in seen if call.name in ("fdatasync", "fsync") and call.file in logs),
        ],
    )
    sends = _named(call for call in seen if call.name in SENDS and call.file not in servers)
    return [
        name
        for name, each in zip(names, told, strict=True)
        if not disk.held(name, next(call.begun for call in sends[name] if each.by(call)))
    ]


def _named(calls: Iterable[Call]) -> Mapping[str, Sequence[Call]]:
    """Calls by what is named in them: going through all for each name took half an hour."""
    found: dict[str, list[Call]] = defaultdict(list)
    for call in calls:
        for name in set(_NAME.findall(call.given)):
            found[name].append(call)
    return found


class _Disk(NamedTuple):
    writes: Mapping[str, Sequence[Call]]
    safe: list[Call]

    def held(self, name: str, told: int) -> bool:
        """Whether what was written of it last, before it was told, was safe by then."""
        written = [call for call in self.writes.get(name, ()) if call.ended < told]
        if not written:
            return False
        last = written[-1] if written[-1].name in SENDS else written[0]
        return any(
            last.ended < call.begun and call.ended < told
            for call in self.safe
            if call.name != "recvfrom" or call.file == last.file
        )


def _opened(call: Call) -> int:
    return int(call.given.rpartition("= ")[2].split()[0])
