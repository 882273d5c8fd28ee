"""Kept messages tried again: one that somebody names, and by itself what waited for a code.

A replay is the message's own journey once more, from the bytes that came or from what was put in
their place: the same maps, the same unit of work, and the same rule that older news changes nothing
newer. The sender, who has its answer, isn't told; the answer that a resend gets is renewed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import Protocol, TypeVar

import structlog

from gateway.admission.rules import Hall
from gateway.errors import Conflict, GatewayError, MapError, NotFound
from gateway.members import KEEPER
from gateway.messages import unmapped
from gateway.messages.intake import retake
from gateway.messages.meaning import Outcome
from gateway.messages.sequence import PLACE
from gateway.model import Acknowledge, Agency, Context, Message, Receipt, Stage
from gateway.parse import PARSERS
from gateway.store import Hub, Kept, Lacking, Mended, Transaction

T = TypeVar("T")

log = structlog.get_logger()

Word = Callable[[str, str, bytes], tuple[Message, Acknowledge]]
"""Makes a Message of agency, channel and bytes, and words an answer to it."""

Enter = Callable[[Transaction, Outcome, Acknowledge], Receipt]
"""What a unit does with what a message means."""

Journey = Callable[[Message, Acknowledge, Enter], Future[Receipt]]
"""Understands a message, and enters what it means in a unit."""


Release = Callable[[int, Callable[[], bool]], int]
"""Takes the rows again that wait for a code, as long as it is to go on."""


Alone = Callable[[str], AbstractContextManager[bool]]
"""Whether, of the processes of a hub, this one does something alone, as long as it is at it."""


class Submit(Protocol):
    """Runs a unit in the next group, and wakes whom it concerns."""

    def __call__(self, unit: Callable[[Transaction], T]) -> Future[T]: ...  # noqa: D102


class Replays:
    """Tries kept messages again."""

    def __init__(
        self,
        hub: Hub,
        hall: Hall,
        word: Word,
        journey: Journey,
        submit: Submit,
        release: Release,
        alone: Alone,
    ) -> None:
        self._hub = hub
        self._hall = hall
        self._word = word
        self._journey = journey
        self._submit = submit
        self._rows = release
        self._alone = alone
        self._tried: tuple[object, set[int]] = None, set()
        self._sweeping: threading.Thread | None = None
        self._stopping = threading.Event()

    def __call__(
        self, context: Context, id: str, *, body: bytes | None = None, agency: str = ""
    ) -> Future[Receipt]:
        """Try one kept message again; the receipt tells how it went this time.

        ``body`` takes the place of what came, which is kept beside it; without one the last that
        was given serves. ``agency`` makes a message whose sender nobody declared a member's. One
        that had been accepted stays accepted whatever comes of it.

        Raises:
            NotFound: no such message that the caller may see, or no such member.
            Conflict: it hasn't been tried yet, is a batch, came out of its turn, or is another
                agency's.
        """
        with self._hub.read() as reader:
            kept, mended = reader.kept(context, id), reader.mended(id)
        self._check(kept, agency)
        message, acknowledge = self._word(
            agency or kept.message.agency, kept.message.channel, _raw(kept, mended, body)
        )
        message = replace(message, id=id, received=kept.message.received)

        def enter(tx: Transaction, outcome: Outcome, word: Acknowledge) -> Receipt:
            if body is not None:
                tx.mend(context, id, body)
            if agency:
                tx.give(id, agency)
            return retake(self._hall, tx, context, message, outcome, word)

        return self._journey(message, acknowledge, enter)

    def failed(self, agency: str = "") -> Iterator[Kept]:
        """Every message that failed, or every one of an agency, oldest first: for the keeper."""
        after = 0
        while True:
            with self._hub.read() as reader:
                page = reader.failed_after(after)
            if not page:
                return
            yield from (kept for kept, _ in page if agency in ("", kept.message.agency))
            after = page[-1][1]

    def waiting(self, context: Context, task: str) -> Sequence[Kept]:
        """The messages that wait for the code that a Task asks for, newest first."""
        with self._hub.read() as reader:
            return reader.waiting_messages(context, task)

    def mended(self, context: Context, id: str) -> Sequence[Mended]:
        """What was put in a message's place, the newest last. Raises NotFound."""
        with self._hub.read() as reader:
            reader.kept(context, id)
            return reader.mended(id)

    def _check(self, kept: Kept, agency: str) -> None:
        if kept.status == "received":
            raise Conflict("this message hasn't been tried yet")
        if kept.message.kind not in PARSERS:
            raise Conflict("a batch is not replayed: its messages are")
        if kept.status == "failed" and (kept.stage, kept.place) == (Stage.RECEIVE, PLACE):
            # Its number would stay untaken, and all that its sender numbers after it would wait.
            raise Conflict("it came out of its turn: its sender sends it again", place=PLACE)
        if agency and kept.message.agency not in ("", agency):
            raise Conflict("this message is another agency's", place="agency")
        if agency and self._hall.members.get(agency) is None:
            raise NotFound("no such member", place="agency")

    # --- what waited for a code -------------------------------------------------------------------

    def sweep(self) -> None:
        """Release what waits for codes that tables have now, on a thread of its own."""
        busy = self._sweeping is not None and self._sweeping.is_alive()
        if busy or self._stopping.is_set():
            return
        if self._due():
            self._sweeping = threading.Thread(target=self._swept, name="replays", daemon=True)
            self._sweeping.start()

    def _swept(self) -> None:
        try:
            with self._alone("replays") as mine:
                if mine:
                    self.release()
        except GatewayError as error:
            log.warning("replays.later", **error.log())

    def release(self) -> int:
        """The same, and wait for it; how many codes were settled."""
        return self._release(self._due())

    def stop(self) -> None:
        """Finish the message in hand; the next start goes on with the rest."""
        self._stopping.set()
        if self._sweeping is not None:
            self._sweeping.join()

    def _due(self) -> list[Lacking]:
        """What lacked and no longer does; with each library once, lest one turns for ever."""
        members = self._hall.members
        members.renew()
        if self._tried[0] is not members.library:
            self._tried = members.library, set()
        with self._hub.read() as reader:
            asked = reader.lacking()
        return [
            lack
            for lack in asked
            if lack.key not in self._tried[1]
            and (agency := members.get(lack.agency)) is not None
            and self._knows(agency, lack)
        ]

    def _knows(self, agency: Agency, lack: Lacking) -> bool:
        feed, table = unmapped.apart(lack)
        try:
            return self._hall.members.library.knows(agency, table, lack.code, feed)
        except MapError:  # a feed's maps, first compiled now: there they are told of
            return False

    def _release(self, due: Sequence[Lacking]) -> int:
        try:
            return self._replayed(due) if due else 0
        except GatewayError as error:
            log.warning("replays.later", **error.log())
            return 0

    def _replayed(self, due: Sequence[Lacking]) -> int:
        """Replay what waits in the order in which it came, then tell those who were asked."""
        with self._hub.read() as reader:
            waiting = reader.waiting_for({lack.key for lack in due})
        for id in waiting:
            if self._stopping.is_set():
                return 0
            self(KEEPER, id).result()
        for lack in due:
            self._rows(lack.key, lambda: not self._stopping.is_set())
        settled = [self._submit(partial(unmapped.settle, lack)) for lack in due]
        self._tried[1].update(lack.key for lack in due)
        count = sum(each.result() for each in settled)
        log.info("replays.released", messages=len(waiting), codes=count)
        return count


def _raw(kept: Kept, mended: Sequence[Mended], body: bytes | None) -> bytes:
    if body is not None:
        return body
    return mended[-1].raw if mended else kept.message.raw
