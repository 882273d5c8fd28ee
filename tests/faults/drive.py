"""A disk that forgets, in user space: what was written and not flushed a power cut may take.

Run as a program it is a file of its own (FUSE, root only), on which Linux makes a loop device: an
ext4 on it writes and flushes as on any disk with a cache of its own. ``Drive.cut`` tells what such
a disk holds after a power cut at that instant: all that came before the last flush, and of what
came since any sectors or none, in whatever order. The kernel's dm-log-writes does the same, where
it is built in.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import random
import select
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

SECTOR: Final = 512
SIZE: Final = 256 * 2**20

_HEAD: Final = struct.Struct("<IIQQIIII")
_REPLY: Final = struct.Struct("<IiQ")
_PIECE: Final = struct.Struct("<QQI")
"""Where a read or a write begins: the file, the offset and how much."""
_INIT: Final = struct.Struct("<IIIIHHIIHHI28x")
_ATTRIBUTES: Final = struct.Struct("<QII 6Q 10I")
_WRITE_HEAD: Final = 40
_MOST: Final = 2**20
_BIG_WRITES, _MAX_PAGES = 1 << 5, 1 << 22
_FORGET, _INTERRUPT, _BATCH_FORGET = 2, 36, 42
_FILE: Final = 0o100600

Piece = tuple[int, bytes]


class Drive:
    """The disk, as the test sees it: an ext4 at ``folder``, and what a power cut would leave."""

    def __init__(self, folder: Path, process: subprocess.Popen[str]) -> None:
        self.folder = folder
        self._process = process

    def cut(self, image: Path, chance: random.Random) -> int:
        """What is left, into ``image``. Of how many writes that weren't flushed it was chosen.

        A third of the cuts keep all of these, a third none, the others each sector by a coin.
        """
        share = chance.choice((0.0, 0.5, 1.0))
        return int(self._ask(f"cut {share} {chance.randrange(2**32)} {image}"))

    def _ask(self, what: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(what, file=self._process.stdin, flush=True)
        return self._process.stdout.readline()


@contextlib.contextmanager
def drive(folder: Path, size: int = SIZE) -> Iterator[Drive]:
    """A new disk, its ext4 mounted below ``folder``. Root only."""
    live, device, mounted = folder / "live", folder / "device", folder / "mounted"
    with live.open("wb") as made:
        made.truncate(size)
    run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard", live)
    run("cp", "--sparse=always", live, folder / "kept")
    device.touch()
    mounted.mkdir()
    program = (sys.executable, "-m", "tests.faults.drive", str(folder))
    with subprocess.Popen(
        program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            with _mounted(device, mounted):
                yield Drive(mounted, process)
        finally:
            subprocess.run(("umount", "-l", str(device)), check=False)
            process.kill()


@contextlib.contextmanager
def mounted(image: Path, at: Path) -> Iterator[Path]:
    """A cut disk's ext4, its journal played back as after the power is on again."""
    at.mkdir(exist_ok=True)
    with _mounted(image, at):
        yield at


@contextlib.contextmanager
def _mounted(image: Path, at: Path) -> Iterator[None]:
    loop = run("losetup", "--find", "--show", image)
    try:
        run("mount", "-t", "ext4", loop, at)
        try:
            yield
        finally:
            with contextlib.suppress(AssertionError):  # somebody may be on it where a test failed
                run("umount", at)
    finally:
        run("losetup", "--detach", loop)


def why_not() -> str:
    """Why a disk can't be made here; empty where it can."""
    tools = ("mkfs.ext4", "losetup", "mount", "umount")
    if lacking := [tool for tool in tools if shutil.which(tool) is None]:
        return f"{lacking[0]} isn't here"
    if os.geteuid() != 0:
        return "only root mounts a disk"
    if not Path("/dev/fuse").exists() or not Path("/dev/loop-control").exists():
        return "no /dev/fuse or no loop devices"
    return ""


def run(*command: str | Path) -> str:
    """A program's output; it must end well."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command[0]}: {done.stderr}"
    return done.stdout.strip()


ROOT: Final = Path(__file__).resolve().parents[2]


# --- the disk itself ------------------------------------------------------------------------------


class _Platter:
    """``live`` is what a read finds, ``kept`` what was flushed, ``cached`` what came since."""

    def __init__(self, folder: Path) -> None:
        self._live = os.open(folder / "live", os.O_RDWR)
        self._kept_at = folder / "kept"
        self._kept = os.open(self._kept_at, os.O_RDWR)
        self._cached: list[Piece] = []
        self.size = os.fstat(self._live).st_size

    def read(self, offset: int, size: int) -> bytes:
        return os.pread(self._live, size, offset)

    def write(self, offset: int, data: bytes) -> None:
        os.pwrite(self._live, data, offset)
        self._cached.append((offset, data))

    def flush(self) -> None:
        for offset, data in self._cached:
            os.pwrite(self._kept, data, offset)
        self._cached.clear()

    def cut(self, share: float, seed: int, image: Path) -> int:
        """What was flushed, and of what wasn't so large a ``share``, sector by sector."""
        chance = random.Random(seed)
        run("cp", "--sparse=always", self._kept_at, image)
        with image.open("r+b") as file:
            for offset, data in self._cached:
                for start in range(0, len(data), SECTOR):
                    if chance.random() < share:
                        file.seek(offset + start)
                        file.write(data[start : start + SECTOR])
        return len(self._cached)


class _Device:
    """Answers the kernel (fuse.h, protocol 7.31): the file system's root is the one file."""

    def __init__(self, platter: _Platter, at: Path) -> None:
        self._platter = platter
        self.fd = os.open("/dev/fuse", os.O_RDWR)
        libc = ctypes.CDLL(None, use_errno=True)
        options = f"fd={self.fd},rootmode={_FILE:o},user_id=0,group_id=0"
        if libc.mount(b"drive", os.fsencode(at), b"fuse", 0, options.encode()):
            raise OSError(ctypes.get_errno(), "mount")
        self._calls: dict[int, Callable[[bytes], bytes]] = {
            3: self._attributes,
            4: self._attributes,
            14: lambda _: bytes(16),  # OPEN
            15: self._read,
            16: self._write,
            18: lambda _: b"",  # RELEASE
            20: self._sync,
            25: lambda _: b"",  # FLUSH: a file is closed; no disk hears of it
            26: self._init,
        }

    def answer(self) -> bool:
        """One request; False: the kernel has let go of the file."""
        try:
            asked = os.read(self.fd, _MOST + 4096)
        except OSError as error:
            if error.errno == errno.ENODEV:
                return False
            raise
        _, call, unique, *_ = _HEAD.unpack_from(asked)
        if call in (_FORGET, _INTERRUPT, _BATCH_FORGET):
            return True
        known = self._calls.get(call)
        said = known(asked[_HEAD.size :]) if known else b""
        code = 0 if known else -errno.ENOSYS
        os.write(self.fd, _REPLY.pack(_REPLY.size + len(said), code, unique) + said)
        return True

    def _init(self, _: bytes) -> bytes:
        flags = _BIG_WRITES | _MAX_PAGES
        return _INIT.pack(7, 31, 2**17, flags, 64, 48, _MOST, 1, _MOST // 4096, 0, 0)

    def _attributes(self, _: bytes) -> bytes:
        size = self._platter.size
        times, more = (0,) * 3, (_FILE, 1, 0, 0, 0, 4096, 0)
        return _ATTRIBUTES.pack(3600, 0, 0, 1, size, size // 512, *times, *times, *more)

    def _read(self, given: bytes) -> bytes:
        _, offset, size = _PIECE.unpack_from(given)
        return self._platter.read(offset, size)

    def _write(self, given: bytes) -> bytes:
        _, offset, size = _PIECE.unpack_from(given)
        self._platter.write(offset, given[_WRITE_HEAD : _WRITE_HEAD + size])
        return struct.pack("<II", size, 0)

    def _sync(self, _: bytes) -> bytes:
        self._platter.flush()
        return b""


def main(arguments: Sequence[str]) -> None:
    """Be the disk of a folder until stdin ends; a line on it asks for a cut."""
    folder = Path(arguments[0])
    platter = _Platter(folder)
    device = _Device(platter, folder / "device")
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select([device.fd, sys.stdin], [], [])
        if device.fd in ready:
            if not device.answer():
                break
        elif not (line := sys.stdin.readline()):
            break
        else:
            _, share, seed, image = line.split(maxsplit=3)
            print(platter.cut(float(share), int(seed), Path(image.rstrip("\n"))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
