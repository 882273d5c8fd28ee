"""Loads: rows of CSV files and JSON records into the hub, each row whole or set aside.

meaning    what rows mean, in processes beside the writer's
reading    a load's rows in their order; of a first one all is done in such a process
due        a record on its way: who it is, whether it is new, what is against it
entering   a batch of rows, one unit
leaving    what a row made and makes no more
kept       rows that earlier loads brought
journey    one load, from its files to its summary
releasing  which rows waited for a code that their table has now
tally      the summary
asides     what was set aside, to be mended, sent back or tried again
behind     loads that run behind their answer
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from gateway.admission.rules import Hall
from gateway.beside import Source
from gateway.errors import Cut, NotFound, ParseError, Refused, TranslateError, on_disk
from gateway.hmis import capacity
from gateway.loading import releasing
from gateway.loading.asides import Asides
from gateway.loading.journey import Again, GoesOn, Journey, Progress
from gateway.loading.meaning import Meanings
from gateway.loading.reading import Reading
from gateway.loading.tally import Tally
from gateway.model import Context
from gateway.rows import Before, Came, Records, Staging, gathered
from gateway.settings import Settings
from gateway.store import Aside, Hub, Load, Transaction, Waiting
from gateway.store.session import microseconds
from gateway.translate import Rows

Submit = Callable[[Callable[[Transaction], Any]], "Future[Any]"]
After = Callable[[Hub, Hall, Submit, Context], None]
"""What follows once all files of a feed are in; what it writes are units of its own."""

AFTER: Final[Mapping[str, After]] = {"hmis": capacity.reckon}
"""By feed."""

AT_ONCE: Final = 4
"""How many loads may run at once; others wait."""

MANY: Final = 1_000_000
"""From so many bytes on it pays to start other processes."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Who looks on: is told of progress, and may end the load."""

    progress: Progress = lambda name, rows: None
    goes_on: GoesOn = lambda: True


UNWATCHED: Final = Watch()


class Loading:
    """Loads files. ``submit`` runs a unit and wakes whom it concerns."""

    def __init__(self, hub: Hub, hall: Hall, settings: Settings, submit: Submit) -> None:
        self._hub = hub
        self._hall = hall
        self._settings = settings
        self._submit = submit
        self._folder = settings.data_dir / "loads"
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="loading")
        self.asides = Asides(hub)

    def stop(self) -> None:
        """Finish the loads in hand."""
        self._threads.shutdown()

    def spool(self) -> Path:
        """A folder of one's own for a load's files, that nobody else reads; the load removes it."""
        folder = self._folder / uuid4().hex
        folder.mkdir(parents=True, mode=0o700)
        return folder

    def rows(self, agency: str, feed: str) -> Rows:
        """A feed as an agency sends it. Raises NotFound."""
        member = self._hall.members.get(agency)
        if member is None:
            raise NotFound("no such member", place="agency")
        try:
            return Rows(self._hall.members.library, member, feed)
        except TranslateError as error:
            raise NotFound(error.issues[0].text, place="feed") from None

    def forget(self, spool: Path) -> None:
        """Remove a folder that no load will."""
        shutil.rmtree(spool, ignore_errors=True)

    def start(
        self,
        context: Context,
        feed: str,
        found: Sequence[Came],
        *,
        channel: str,
        spool: Path,
        watch: Watch = UNWATCHED,
    ) -> Future[Tally]:
        """``__call__`` on a thread of its own."""
        asked = partial(self, context, feed, found, channel=channel, spool=spool, watch=watch)
        return self._threads.submit(asked)

    def start_again(self, context: Context, asides: Sequence[Aside]) -> Future[list[Tally]]:
        """``again`` on a thread of its own."""
        return self._threads.submit(self.again, context, asides)

    def aside_file(self, context: Context, load: Load, file: str) -> tuple[str, Iterator[bytes]]:
        """What a load set aside of one file: its kind, and the rows as a file without what is
        masked. Raises NotFound."""
        layout = self.rows(load.agency, load.feed).feed.layout
        return layout.kind, self.asides.file(context, load.id, file, layout.masked)

    def __call__(
        self,
        context: Context,
        feed: str,
        found: Sequence[Came],
        *,
        channel: str,
        spool: Path,
        watch: Watch = UNWATCHED,
    ) -> Tally:
        """Load files, and tell what became of them. ``spool`` is removed.

        Raises:
            NotFound: the agency has no such feed.
            ParseError: an archive or body that can't be read at all: nothing went in.
            Unavailable: the database can't take it now, or (Cut) it was to go on no longer. What
                went in before stays; the same load again goes on from there.
        """
        try:
            rows = self.rows(context.agency, feed)
            with on_disk():
                files = gathered(rows.feed, found, spool, self._settings.load_limit)
                return self._load(context, rows, files, channel, spool, watch)
        finally:
            self.forget(spool)

    def again(self, context: Context, asides: Sequence[Aside]) -> list[Tally]:
        """Try set-aside rows again, by the maps as they are now: a load for each feed of an agency.

        Raises:
            NotFound: the agency has no such feed any more.
            Unavailable: the database can't take it now.
        """
        kept: dict[tuple[str, str], list[Aside]] = {}
        for each in asides:
            if each.raw and each.state == "open":
                kept.setdefault((each.agency, each.feed), []).append(each)
        tallies = []
        for (agency, feed), rows in kept.items():
            own = replace(context, agency=agency)
            spool = self.spool()
            files = self.asides.files(own, spool / "again", rows)
            tallies.append(self(own, feed, files, channel="again", spool=spool))
        return tallies

    def release(self, lack: int, goes_on: GoesOn) -> int:
        """Take the rows again that waited for a code, by the tables as they are now; of how many
        loads. Who waits still afterwards is no more.

        Raises:
            Unavailable: the database can't take it now, or (Cut) it was to go on no longer.
        """
        with self._hub.read() as reader:
            waiting = reader.waiting_sheets(lack)
        feeds: dict[tuple[str, str], list[tuple[int, str]]] = {}
        for sheet, agency, feed, file in waiting:
            feeds.setdefault((agency, feed), []).append((sheet, file))
        for (agency, feed), sheets in feeds.items():
            self._released(Context(agency, "gateway"), feed, sheets, lack, goes_on)
        self._hub.write(lambda tx: tx.forget_waiting_rows(lack, still=True))
        return len(feeds)

    def _released(
        self,
        context: Context,
        feed: str,
        sheets: Sequence[tuple[int, str]],
        lack: int,
        goes_on: GoesOn,
    ) -> None:
        again = [(file, releasing.kept(self._hub, lack, sheet)) for sheet, file in sheets]
        spool = self.spool()
        try:
            rows = self.rows(context.agency, feed)
            asides = (
                one
                for sheet, _ in sheets
                for one in releasing.aside(self._hub, context, lack, sheet)
            )
            came = self.asides.files(context, spool / "again", asides)
            files = sorted(came, key=lambda file: (rows.feed.order(file.name), file.name))
            self._load(context, rows, files, "again", spool, Watch(goes_on=goes_on), again)
        finally:
            self.forget(spool)

    def drop(self, context: Context, id_: str) -> None:
        """Give a set-aside row up. Raises NotFound."""
        aside = self.asides.one(context, id_)

        def unit(tx: Transaction) -> None:
            tx.close_row_aside(aside.id, "dropped")
            tx.audit(context, "drop", aside.id)

        self._submit(unit).result()

    def waiting(self, context: Context, task: str) -> list[Waiting]:
        """The caller's rows that wait for the code that a Task asks for."""
        with self._hub.read() as reader:
            return reader.waiting_rows(context, task)

    def told(self, context: Context, load: str) -> Load:
        """One load. Raises NotFound."""
        with self._hub.read() as reader:
            return reader.one_load(context, load)

    def _load(
        self,
        context: Context,
        rows: Rows,
        files: Sequence[Came],
        channel: str,
        spool: Path,
        watch: Watch,
        again: Again = (),
    ) -> Tally:
        tally = Tally(str(uuid4()), context.agency, rows.feed.name)
        begun = microseconds(datetime.now(UTC))
        load = Load(tally.load, context.agency, rows.feed.name, channel, begun, b"")
        self._hub.write(lambda tx: tx.begin_load(load))
        before = partial(self.asides.before, context)
        opened = _opened(rows, files, tally, before)
        staging = Staging(spool / "joins.sqlite", rows)
        reading = None if again else self._reading(context, rows, files, opened, spool)
        meanings = self._meanings(context, rows, () if reading is not None else files)
        try:
            journey = Journey(
                self._hub,
                self._hall,
                self._submit,
                context,
                rows,
                staging,
                meanings,
                reading,
                tally,
                watch.progress,
                watch.goes_on,
            )
            journey.run(opened, again)
            self._after(context, rows)
        except Cut:
            tally.refused = "the load was cut off: the same again goes on from there"
            raise
        except Refused as error:
            tally.refused = f"{error.issues[0].text} ({error.place})"
        finally:
            meanings.close()
            if reading is not None:
                reading.close()
            staging.close()
            self._hub.write(lambda tx: tx.end_load(tally.load, tally.as_json()))
        return tally

    def _meanings(self, context: Context, rows: Rows, files: Sequence[Came]) -> Meanings:
        return Meanings(rows, self._source(context), self._settings.folders, self._beside(files))

    def _reading(
        self,
        context: Context,
        rows: Rows,
        files: Sequence[Came],
        opened: Sequence[Records],
        spool: Path,
    ) -> Reading | None:
        """Who reads a load, where it is a feed's first and large enough for it to pay."""
        with self._hub.read() as reader:
            first = not reader.sheets(context.agency, rows.feed.name)
        if not (first and opened and self._beside(files)):
            return None
        index = spool / "beside.sqlite"
        return Reading(rows, self._source(context), self._settings.folders, opened, index)

    def _source(self, context: Context) -> Source:
        source = self._hall.members.source(context.agency)
        assert source is not None, "it is a member"
        return source

    def _beside(self, files: Sequence[Came]) -> int:
        """In how many other processes rows are to be understood."""
        size = sum(file.path.stat().st_size for file in files)
        return self._settings.translators if size >= MANY else 0

    def _after(self, context: Context, rows: Rows) -> None:
        after = AFTER.get(rows.feed.name)
        if after is not None:
            after(self._hub, self._hall, self._submit, context)


def _opened(rows: Rows, files: Sequence[Came], tally: Tally, before: Before) -> list[Records]:
    """The files that can be read; of the others the tally tells."""
    opened = []
    for file in files:
        if not rows.feed.of(file.name):
            tally.ignored.append(file.name)
            continue
        try:
            records = Records(rows, file, before)
        except ParseError as error:
            tally.faults[file.name] = (error.place or file.name, error.issues[0].text)
            tally.files.setdefault(file.name, Counter())
            continue
        plan = records.files[0].plan
        tally.maps[file.name] = plan.name if plan is not None else ""
        tally.files.setdefault(file.name, Counter())
        opened.append(records)
    return opened
