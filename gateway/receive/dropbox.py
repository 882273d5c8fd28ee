"""A watched folder: what is put into ``<folder>/<agency>/<feed>/`` is loaded, and moved away.

Files, folders and archives that lie there together are one load. It begins once none of them has
changed from one look to the next, so that nobody reads what is still being written; names that
begin with a dot, or end with ``.part``, ``.tmp`` or ``~``, are still on their way. Afterwards they
lie in ``done/<time>`` or, where nothing of them went in, in ``refused/<time>``, with
``summary.json`` and the set-aside rows beside them. Of the processes that have the folder one
watches it, by a lock in it: what it had in hand when it died another loads again, and what went in
then is known.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

import structlog

from gateway import logs
from gateway.errors import GatewayError, Unavailable
from gateway.loading import Loading
from gateway.loading.tally import Tally
from gateway.model import Context
from gateway.rows import lying
from gateway.sole import Sole, sole

DONE: Final = "done"
REFUSED: Final = "refused"
TAKEN: Final = ".taken"
LOCK: Final = ".watched"
_FAULT: Final = "the gateway failed; its log says where"
_WAY: Final = (".part", ".tmp", ".crdownload", "~")

log = structlog.get_logger()

Look = frozenset[tuple[str, int, int]]
"""What lay in a folder: each file's path, size and time."""


class Watched(Protocol):
    """Whose folders are looked into."""

    def __call__(self) -> list[str]:
        """The ids of the members."""


class Dropbox:
    """Watches a folder on a thread of its own."""

    def __init__(self, loading: Loading, agencies: Watched, folder: Path, every: float) -> None:
        self._loading = loading
        self._agencies = agencies
        self._folder = folder
        self._every = every
        self._looks: dict[Path, Look] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="dropbox", daemon=True)

    def start(self) -> None:
        """Watch from now on."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the load in hand, then watch no more."""
        self._stopping.set()
        self._thread.join()

    def _watch(self) -> None:
        mine: Sole | None = None
        while not self._stopping.is_set():
            try:
                mine = mine or sole(self._folder / LOCK)
                if mine is not None:
                    self.look()
            except (OSError, Unavailable) as error:  # the disk or the hub: it is tried again
                log.warning("dropbox.waits", error=type(error).__name__)
            self._stopping.wait(self._every)
        if mine is not None:
            mine.close()

    def look(self) -> int:
        """Look once into every feed's folder; how many loads were done."""
        return sum(self._tried(agency, feed) for agency, feed in self._feeds())

    def _feeds(self) -> Iterator[tuple[str, Path]]:
        for agency in self._agencies():
            with _tried_again(agency):
                folder = self._folder / agency
                feeds = sorted(folder.iterdir()) if folder.is_dir() else ()
                for feed in feeds:
                    if feed.is_dir() and not feed.name.startswith("."):
                        yield agency, feed

    def _tried(self, agency: str, feed: Path) -> int:
        """A feed that fails holds up no other; what failed by a fault of ours isn't tried again."""
        with _tried_again(agency):
            try:
                return self._feed(agency, feed)
            except (OSError, Unavailable):
                raise
            except Exception as fault:  # noqa: BLE001 - on record, and beside the files
                _refuse(agency, feed, fault)
                return 1
        return 0

    def _feed(self, agency: str, feed: Path) -> int:
        """Load what lies in a feed's folder, if it is whole."""
        taken = feed / TAKEN
        if taken.is_dir():
            return self._load(agency, feed, taken)
        entries = _entries(feed)
        look = frozenset(_looked(feed, entries))
        if not look or self._looks.get(feed) != look:
            self._looks[feed] = look
            return 0
        del self._looks[feed]
        taken.mkdir()
        for entry in entries:
            entry.rename(taken / entry.name)
        return self._load(agency, feed, taken)

    def _load(self, agency: str, feed: Path, taken: Path) -> int:
        context = Context(agency, "dropbox")
        try:
            found = [came for entry in sorted(taken.iterdir()) for came in lying(entry)]
            tally = self._loading(
                context, feed.name, found, channel="dropbox", spool=self._loading.spool()
            )
        except Unavailable:
            raise  # the files stay where they are, and are tried again
        except GatewayError as error:
            _move(taken, feed / REFUSED, {"refused": f"{error} ({error.place})"})
            logs.refusal(log, "dropbox.refused", error, agency=agency)
            return 1
        kept = _move(taken, feed / (DONE if tally.took else REFUSED), tally.summary())
        self._asides(context, tally, kept)
        log.info("dropbox.loaded", agency=agency, load=tally.load, aside=tally.set_aside)
        return 1

    def _asides(self, context: Context, tally: Tally, folder: Path) -> None:
        """The set-aside rows as files that can be mended and put into the box again."""
        load = self._loading.told(context, tally.load)
        for name in tally.files:
            if not tally.mendable[name]:
                continue
            _, pieces = self._loading.aside_file(context, load, name)
            with (folder / f"aside-{name}").open("wb") as file:
                file.writelines(pieces)


@contextmanager
def _tried_again(agency: str) -> Iterator[None]:
    """Where the disk or the hub can't now: the files stay, and the next look tries them again."""
    try:
        yield
    except (OSError, Unavailable) as error:
        log.warning("dropbox.waits", agency=agency, error=type(error).__name__)


def _refuse(agency: str, feed: Path, fault: Exception) -> None:
    log.error("dropbox.fault", agency=agency, **logs.about(fault))
    if (feed / TAKEN).is_dir():
        _move(feed / TAKEN, feed / REFUSED, {"refused": _FAULT})


def _entries(feed: Path) -> list[Path]:
    """What lies in a folder and isn't ours, nor still on its way."""
    names = (each for each in sorted(feed.iterdir()) if each.name not in (DONE, REFUSED))
    return [each for each in names if not each.name.startswith(".")]


def _looked(feed: Path, entries: list[Path]) -> Iterator[tuple[str, int, int]]:
    for entry in entries:
        for path in sorted(entry.rglob("*")) if entry.is_dir() else (entry,):
            status = path.stat() if path.exists() else path.lstat()  # a link that leads nowhere
            # What has such a name changes its name when it is whole: until then nothing is.
            way = -1 if path.name.endswith(_WAY) else status.st_size
            at = datetime.now(UTC).microsecond if way < 0 else status.st_mtime_ns
            yield str(path.relative_to(feed)), way, at


def _move(taken: Path, to: Path, summary: dict[str, object]) -> Path:
    """Move what was taken, with what became of it beside it."""
    to.mkdir(exist_ok=True)
    folder = to / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}"
    taken.rename(folder)
    told = json.dumps(summary, ensure_ascii=False, indent=1)
    (folder / "summary.json").write_text(told, encoding="utf-8")
    return folder
