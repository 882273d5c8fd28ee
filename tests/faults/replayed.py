"""What a power cut may leave of files, by what their writer asked of the kernel. Needs no root.

This is the weakest disk that POSIX allows: of what was written to a file after its last sync any
sectors may be there, later ones without earlier ones; a new file's name may be missing until its
folder was synced, and an old one come back.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from tests.faults.drive import SECTOR
from tests.faults.trace import Call

CALLS: Final = "openat,pwrite64,ftruncate,unlink,fdatasync,fsync,sendto,write,writev,sendmsg"
_FILE: Final = re.compile(r"<((?:\\x[0-9a-f]{2})+)>")
_TEXT: Final = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_PLACE: Final = re.compile(r'", \d+, (\d+)')
_LENGTH: Final = re.compile(r">, (\d+)")


class Deed(NamedTuple):
    """A call that succeeded, and the file that it was about.

    ``data`` is what it wrote at ``place``; of a truncation ``place`` is the new length.
    """

    name: str
    begun: int
    ended: int
    file: str
    data: bytes = b""
    place: int = 0


def deeds(seen: Iterable[Call]) -> Iterator[Deed]:
    """What calls, told in hexadecimal and with their files' names, did; sends too."""
    for call in seen:
        if re.search(r"\) += -1 ", call.given):
            continue
        text = _TEXT.search(call.given)
        data = _bytes(text[1]) if text else b""
        files = _FILE.findall(call.given)
        file = _bytes(files[-1] if call.name == "openat" else files[0]).decode() if files else ""
        if call.name == "unlink":
            yield Deed(call.name, call.begun, call.ended, data.decode())
        elif call.name == "openat":
            if "O_CREAT" in call.given:
                yield Deed(call.name, call.begun, call.ended, file)
        else:
            found = (_PLACE if call.name == "pwrite64" else _LENGTH).search(call.given)
            place = int(found[1]) if found else 0
            yield Deed(call.name, call.begun, call.ended, file, data, place)


@dataclass
class _File:
    kept: bytearray = field(default_factory=bytearray)
    cached: list[Deed] = field(default_factory=list)
    there: bool = True
    settled: bool = True

    def sync(self, begun: int) -> None:
        """All that was written when a sync began is safe once it ends."""
        for deed in self.cached:
            if deed.ended < begun:
                self._do(deed)
        self.cached = [deed for deed in self.cached if deed.ended >= begun]

    def lose(self, share: float, chance: random.Random) -> None:
        """Of what wasn't synced only so large a share is there."""
        for deed in self.cached:
            if deed.name == "ftruncate":
                if chance.random() < share:
                    self._do(deed)
                continue
            for start in range(0, len(deed.data), SECTOR):
                if chance.random() < share:
                    self._write(deed.place + start, deed.data[start : start + SECTOR])
        if not self.settled and chance.random() >= share:
            self.there = not self.there

    def _do(self, deed: Deed) -> None:
        if deed.name != "ftruncate":
            self._write(deed.place, deed.data)
        elif deed.place < len(self.kept):
            del self.kept[deed.place :]
        else:
            self.kept.extend(bytes(deed.place - len(self.kept)))

    def _write(self, place: int, data: bytes) -> None:
        if len(self.kept) < place:
            self.kept.extend(bytes(place - len(self.kept)))
        self.kept[place : place + len(data)] = data


def leave(
    before: Path, at: Path, did: Iterable[Deed], line: int, to: Path, chance: random.Random
) -> None:
    """The files of the folder ``at`` after a power cut at a line, into ``to``.

    ``before`` has them as they were when the story begins, all of it safe.
    """
    files: dict[str, _File] = defaultdict(lambda: _File(there=False, settled=False))
    for path in before.iterdir():
        files[path.name] = _File(bytearray(path.read_bytes()))
    for deed in did:
        if deed.begun >= line:
            continue
        path = Path(deed.file)
        if path == at and deed.name == "fsync" and deed.ended < line:
            for file in files.values():
                file.settled = True
        elif path.parent == at:
            _follow(files[path.name], deed, line)
    share = chance.choice((0.0, 0.5, 1.0))
    to.mkdir()
    for name, file in files.items():
        file.lose(share, chance)
        if file.there:
            (to / name).write_bytes(file.kept)


def _follow(file: _File, deed: Deed, line: int) -> None:
    if deed.name in ("fsync", "fdatasync"):
        if deed.ended < line:
            file.sync(deed.begun)
    elif deed.name in ("pwrite64", "ftruncate"):
        file.cached.append(deed)
    elif deed.name == "openat" and not file.there:
        file.there, file.settled = True, False
        file.kept.clear()
    elif deed.name == "unlink":
        file.there, file.settled = False, False


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))
