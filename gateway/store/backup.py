"""A copy of an embedded hub while it runs, and a hub out of a copy.

A backup is a folder in the shape of a data folder: the hub as one file, the files of bulk jobs
(``operations.jobs``), and ``backup.json``, which says what is in it and bears their digests. The
file of background work isn't among them: it says only who was awake, and a start finds that anew.

The hub is copied by SQLite's own way to back up, in one read: as of one commit, while others write.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from gateway.errors import Conflict, SettingError, StoreError
from gateway.store.disk import sync_path
from gateway.store.engine import open_engine
from gateway.store.migrations import SHIPPED, check_schema
from gateway.store.opening import Said, look

HUB: Final = "gateway.sqlite"
SAYS: Final = "backup.json"
_JOBS: Final = "bulk"
_OURS: Final = ("work.sqlite", "work.sqlite-wal", "work.sqlite-shm", _JOBS, "loads")
_SIDES: Final = ("-wal", "-shm", "-journal")
_PIECE: Final = 2**20


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup says of itself: when it began (UTC), the revision of its tables, how many
    bytes it has, and by name the SHA-256 of each file."""

    begun: str
    revision: str
    size: int
    files: dict[str, str]


def back_up(url: str, data: Path, out: Path) -> Backup:
    """Copy the hub and the bulk jobs of a data folder to a new folder.

    All that was acknowledged before it began is in it. Raises ``SettingError`` where the hub isn't
    a SQLite file, ``Conflict`` where ``out`` is there, ``StoreError`` where the copy isn't sound.
    """
    hub = _file(url)
    if not hub.exists():
        raise SettingError("there is no hub yet", place="GATEWAY_DATABASE_URL")
    if out.exists():
        raise Conflict("the folder is there already", place=str(out))
    begun = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    with _begun(out.with_name(f"{out.name}.part")) as part:
        # Jobs first: what one did meanwhile the hub knows, and doing it again changes nothing.
        _copy_jobs(data / _JOBS, part / _JOBS)
        _copy_hub(hub, part / HUB)
        said = _checked(part / HUB)
        files = {name: _digest(part / name) for name in sorted(_names(part))}
        size = sum((part / name).stat().st_size for name in files)
        backup = Backup(begun, said.get("revision", ""), size, files)
        (part / SAYS).write_text(json.dumps(asdict(backup), indent=1) + "\n", encoding="utf-8")
        _sync_all(part)
        part.rename(out)
        sync_path(out.parent)
    return backup


def restore(source: Path, url: str, data: Path, *, replace: bool = False) -> Backup:
    """Make a hub and its bulk jobs out of a backup, which stays as it is.

    ``replace``: a hub that is there is put aside, into ``before-<time>`` in the data folder; else
    it is a ``Conflict``, as is one that somebody has open. Raises ``StoreError`` where the backup
    isn't whole, ``SettingError`` for a hub that this program can't serve.
    """
    hub = _file(url)
    backup = _read(source)
    if hub.exists() and not replace:
        raise Conflict("there is a hub already: --replace puts it aside", place=str(hub))
    data.mkdir(parents=True, exist_ok=True)
    with _begun(hub.with_name(f"{hub.name}.part")) as part:
        for name, digest in backup.files.items():
            copy = part / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, copy)
            if _digest(copy) != digest:
                raise StoreError("the backup has another content than it says", place=name)
        _check_ours(_checked(part / HUB))
        _sync_all(part)
        _put_aside(hub, data)
        if (part / _JOBS).exists():
            shutil.move(part / _JOBS, data / _JOBS)
            _sync_all(data / _JOBS)
        (part / HUB).rename(hub)
        part.rmdir()
        sync_path(hub.parent)
    return backup


def _check_ours(said: Said) -> None:
    check_schema(said.get("schema"))
    if revision := said.get("revision"):
        SHIPPED.check(revision, said.get("serves", ""))


def _file(url: str) -> Path:
    engine = open_engine(url)
    try:
        if not engine.grouped:
            raise SettingError(
                "PostgreSQL brings its own: pg_dump, or base backups with the log archived",
                place="GATEWAY_DATABASE_URL",
            )
        return Path(str(engine.writes.url.database)).resolve()
    finally:
        engine.close()


@contextlib.contextmanager
def _begun(part: Path) -> Iterator[Path]:
    """A folder for what isn't whole yet, which nobody else reads in; it goes if it fails."""
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True, mode=0o700)
    try:
        yield part
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _copy_jobs(jobs: Path, out: Path) -> None:
    for state in jobs.glob("*/job.json"):
        _copy_job(state, out / state.parent.name)


def _copy_job(state: Path, out: Path) -> None:
    """A job with the files that its state speaks of: both of one moment, or none where it went."""
    while (was := _content(state)) is not None:
        shutil.rmtree(out, ignore_errors=True)
        with contextlib.suppress(shutil.Error, FileNotFoundError):
            shutil.copytree(state.parent, out, ignore=shutil.ignore_patterns("lock", "*.part"))
            if _content(state) == was == _content(out / state.name):
                return
    shutil.rmtree(out, ignore_errors=True)


def _content(file: Path) -> bytes | None:
    with contextlib.suppress(FileNotFoundError):
        return file.read_bytes()
    return None


def _copy_hub(hub: Path, out: Path) -> None:
    with _opened(hub) as source, _opened(out) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE").fetchall()  # one file, and no log beside it


def _checked(hub: Path) -> Said:
    """What a hub says of itself, if it is sound."""
    with _opened(hub) as copy:
        (found,) = copy.execute("PRAGMA integrity_check(1)").fetchone()
        if found != "ok" or copy.execute("PRAGMA foreign_key_check").fetchone():
            raise StoreError("the copy isn't sound", place=HUB)
    engine = open_engine(f"sqlite:///{hub}")
    with engine.reads.connect() as connection, connection.begin():
        said = look(connection)
    engine.close()
    if said is None:
        raise StoreError("the file isn't a hub", place=HUB)
    return said


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(file, isolation_level=None)
    try:
        yield connection
    except sqlite3.Error:
        raise StoreError("the file can't be read or written", place=file.name) from None
    finally:
        connection.close()


def _read(source: Path) -> Backup:
    try:
        return Backup(**json.loads((source / SAYS).read_bytes()))
    except (OSError, ValueError, TypeError):
        raise StoreError("there is no whole backup", place=str(source)) from None


def _put_aside(hub: Path, data: Path) -> None:
    """What is there, where nobody has it open."""
    if hub.exists():
        _fold(hub)
    found = [data / name for name in _OURS] + [Path(f"{hub}{end}") for end in ("", *_SIDES)]
    there = [path for path in found if path.exists()]
    aside = hub.with_name(f"before-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")
    for path in there:
        aside.mkdir(mode=0o700, exist_ok=True)
        shutil.move(path, aside / path.name)


def _fold(hub: Path) -> None:
    """Put the log into the file, which only somebody alone can do."""
    connection = sqlite3.connect(hub, isolation_level=None, timeout=0)
    try:
        connection.execute("PRAGMA journal_mode=DELETE").fetchall()
    except sqlite3.OperationalError:
        raise Conflict("somebody has the hub open: stop the gateway", place=str(hub)) from None
    finally:
        connection.close()


def _names(folder: Path) -> Iterator[str]:
    return (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def _digest(file: Path) -> str:
    found = hashlib.sha256()
    with file.open("rb") as content:
        while piece := content.read(_PIECE):
            found.update(piece)
    return found.hexdigest()


def _sync_all(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        sync_path(path)
