"""The use cases: the only code that joins the stages or opens a transaction.

``accept`` is a record's whole journey from bytes to an answer; what arrives as FHIR goes by
``exchange`` and is read by ``looking``; ``drain`` is what happens after a commit.
Whatever changes the hub is one unit of one transaction, and is answered after its fsync.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from gateway import beds, meters, retention, traces
from gateway.admission.rules import Hall
from gateway.background import Background
from gateway.bench import Bench
from gateway.chain import then
from gateway.coordination import timers
from gateway.coordination.ledger import Ledger
from gateway.deliver.endpoint import Guard
from gateway.errors import GatewayError, Unavailable
from gateway.exchange.looking import Looking
from gateway.exchange.searching import Searching
from gateway.exchange.trail import Trail
from gateway.exchange.writing import Exchange
from gateway.fhir import topics
from gateway.hmis.export import Exports
from gateway.light import Light
from gateway.loading import Loading
from gateway.loading.behind import Behind
from gateway.members import Members
from gateway.messages.asking import Asking
from gateway.messages.intake import keep, receive, take
from gateway.messages.meaning import Outcome, Understood
from gateway.messages.replays import Enter, Replays, Word
from gateway.messages.sequence import Turn
from gateway.messages.telling import tell, trace
from gateway.messages.understanding import Understanding
from gateway.model import (
    Acknowledge,
    Agency,
    Context,
    Message,
    Receipt,
)
from gateway.offering import offer
from gateway.operations import Operations, purging
from gateway.outgoing.binding import Bindings
from gateway.outgoing.dispatch import Dispatch
from gateway.outgoing.drains import Outgoing
from gateway.peers import Peers
from gateway.reloading import Maps
from gateway.route.timing import Timing
from gateway.settings import Settings
from gateway.store import DUE, Hub, Kept, Transaction
from gateway.translate import Library
from gateway.vitals import Vitals
from gateway.work import Work

T = TypeVar("T")

NOBODY: Final = ""
"""The agency of a message whose sender nobody declares: kept, and only an admin sees it."""


class Pipeline:
    """The stages over one hub. Without ``work`` nothing is woken: a command's, not a server's."""

    def __init__(
        self,
        hub: Hub,
        library: Library,
        settings: Settings,
        word: Word,
        work: Work | None = None,
        peers: Peers | None = None,
    ) -> None:
        guard = Guard(settings.endpoint_networks)
        self._hub, self._work = hub, work
        self._peers = peers or Peers(hub)
        self.members = Members(hub, library)
        self.authenticate = self.members.authenticate
        self.topics = topics.load(settings.folders)
        timing = Timing.of(settings)
        self._hall = Hall(self.members, guard, hub.secret, self.topics, timing)
        self._understanding = Understanding(
            self.members, settings.folders, settings.translators if work else 0
        )
        self._word = word
        self.loading = Loading(hub, self._hall, settings, self._submit)
        release, alone = self.loading.release, self._peers.alone
        self.replay = Replays(hub, self._hall, word, self._journey, self._submit, release, alone)
        self.exchange = Exchange(self._hall, self._submit)
        self.create, self.update = self.exchange.create, self.exchange.update
        self.patch, self.delete = self.exchange.patch, self.exchange.delete
        self.bundle = self.exchange.bundle
        trail = Trail(hub)
        self.operations = Operations(hub, self._hall, settings, self._submit, trail.note, work)
        self.loads_behind = Behind(self.loading, self.operations.jobs)
        self.operations.bulk.serve("load", self.loads_behind.run)
        self.looking, self.search = Looking(hub, trail), Searching(hub, trail)
        self.read, self.vread = self.looking.read, self.looking.vread
        self.history = self.looking.history
        self.light = Light(hub, self._hall, self.looking, self._submit, settings.link_for)
        self.referrals = timers.Timers(hub, self.members, timing, self._submit)
        self.ledger = Ledger(hub)
        self.vitals = Vitals(hub, self._understanding)
        self._asking = Asking(hub, self.members)
        self.bench = Bench(hub, self.members)
        self.exports = Exports(hub, self.members, settings.folders)
        out = Outgoing(hub, self.members, self.topics, settings, guard, work, self._peers)
        self._outgoing, self.close = out, out.close
        self.dispatch = Dispatch(hub, out.following, out.see_to, out.wake)
        self.bindings = Bindings(hub, out.sockets, out.notifying, out.see_to)
        self.maps = Maps(
            self.members,
            self._understanding,
            settings.folders,
            settings.maps_check,
            self._outgoing.forget,
        )
        self.purge = retention.Retention(hub, self.members, settings)
        counting = beds.Beds(hub, self._hall, self._submit)
        self._background = Background(
            hub,
            self._peers,
            out,
            self.operations.bulk,
            self.operations.jobs,
            {
                timers.KEY: self.referrals,
                beds.KEY: counting,
                retention.KEY: self.purge,
                purging.KEY: self.operations.purge,
            },
            self.replay,
            self._again,
            work,
            works="work" in settings.roles,
        )
        self.drain, self.behind = self._background.drain, self._background.behind
        self.heard = self._background.heard

    def start(self) -> None:
        """Start the processes that understand, and go on with what a crash left only received."""
        self._hub.write(lambda tx: offer(tx, self.topics))
        self._understanding.start()
        self.maps.start()
        if not self._hub.shared:  # else somebody may be at it: the reconciler waits for a while
            self._background.go_on(datetime.now(UTC))

    def stop(self) -> None:
        """Finish what is in hand of replaying and understanding."""
        self.loads_behind.stop()
        self.operations.purge.stop()
        self.loading.stop()
        self.replay.stop()
        self.maps.stop()
        self._understanding.stop()

    def _again(self, message: Message) -> Future[Receipt]:
        return self.accept(*self._word(message.agency, message.channel, message.raw))

    # --- what comes in as HL7 v2 ------------------------------------------------------------------

    def accept(self, message: Message, acknowledge: Acknowledge) -> Future[Receipt]:
        """A message's journey. It is parsed and translated now, and stored in the next group.

        The future holds the receipt once the message and all that it led to are on disk. A
        message that fails is kept with its stage and place, and its receipt says AE or AR. The
        same bytes under the same control id get the first answer again, and make nothing new; if
        they failed they are tried again, since the map may have been mended. A question's answer
        (REF^I15) takes the place of what ``acknowledge`` would say.
        """

        def enter(tx: Transaction, outcome: Outcome, word: Acknowledge) -> Receipt:
            return take(self._hall, tx, message, outcome, word)

        receipt = self._journey(message, acknowledge, enter)
        receipt.add_done_callback(partial(tell, message))
        return receipt

    def _journey(self, message: Message, acknowledge: Acknowledge, enter: Enter) -> Future[Receipt]:
        def submit(outcome: Outcome, word: Acknowledge) -> Future[Receipt]:
            with span.inside():
                stored = self._submit(lambda tx: enter(tx, outcome, word))
            span.until(stored, "store")
            return stored

        def understood(outcome: Outcome) -> Future[Receipt]:
            if isinstance(outcome, Understood) and outcome.translation.asks:
                return then(self._asking(message, outcome, acknowledge), lambda it: submit(*it))
            return submit(outcome, acknowledge)

        span = traces.journey(message.id)
        asked = self._understanding(message)
        span.until(asked, "understand")
        receipt = then(asked, understood)
        if traces.is_on():
            receipt.add_done_callback(partial(trace, span, message))
        self._hub.expect(asked)
        return receipt

    def receive(self, message: Message, acknowledge: Acknowledge) -> Future[Turn]:
        """Enhanced mode's first half: the future is done once the message's bytes are on disk.

        It holds the message's turn among its sender's; out of turn the message is kept and refused.
        ``accept`` of the same bytes is the second; what a crash leaves between them ``start``
        goes on with. A message without a control id can't be found again, so it isn't for this.
        """
        return self._submit(lambda tx: receive(self._hall, tx, message, acknowledge))

    def refuse(
        self, message: Message, error: GatewayError, acknowledge: Acknowledge
    ) -> Future[Receipt]:
        """Keep what can't be taken as it came, with the reason and its answer."""
        receipt = self._submit(lambda tx: take(self._hall, tx, message, error, acknowledge))
        receipt.add_done_callback(partial(tell, message))
        return receipt

    def keep(self, message: Message, answer: bytes) -> Future[Receipt]:
        """Keep a batch whose messages were each accepted or kept, and its last answer."""
        return self._submit(lambda tx: keep(tx, message, answer))

    def _submit(self, unit: Callable[[Transaction], T]) -> Future[T]:
        """Run a unit in the next group; once it is on disk, wake whoever its versions concern."""
        touched: set[str] = set()

        def watched(tx: Transaction) -> T:
            value = unit(tx)
            touched.update(tx.touched)
            tx.promise()
            return value

        def told(done: Future[T]) -> None:
            if not done.cancelled() and done.exception() is None:
                meters.ACKNOWLEDGED.inc()
            self._wake(touched)

        future = self._hub.submit(watched)
        future.add_done_callback(told)
        return future

    def _wake(self, touched: set[str]) -> None:
        if DUE in touched and self._work is not None:
            self._work.wake(timers.KEY)
        self._outgoing.wake(touched)

    # --- what is kept ----------------------------------------------------------------------------

    def failed_messages(self, context: Context) -> Sequence[Kept]:
        """The messages that failed, newest first: the caller's own, or all for an admin."""
        with self._hub.read() as reader:
            return reader.failed_messages(context)

    def messages(
        self, context: Context, fields: Mapping[str, str], **when: Any
    ) -> Sequence[tuple[Kept, int]]:
        """A page of messages by what they are (``store.sought``), newest first."""
        with self._hub.read() as reader:
            return reader.messages(context, fields, **when)

    def message(self, context: Context, id: str) -> Kept:
        """One message as it came, and its fate. Raises NotFound."""
        with self._hub.read() as reader:
            return reader.kept(context, id)

    # --- who belongs, and what is due -------------------------------------------------------------

    def add_agency(self, id: str, folder: Path | None, name: str = "") -> Agency:
        """Make an agency a member. Raises SettingError, MapError."""
        agency = self.members.add(id, folder, name)
        self._outgoing.forget()
        return agency

    @property
    def orderly(self) -> bool:
        """Whether messages enter in the order in which they are accepted (``Hub.orderly``)."""
        return self._hub.orderly

    def reachable(self) -> bool:
        """Whether the hub answers, and takes what is written to it."""
        try:
            with self._hub.read() as reader:
                reader.agencies()
        except Unavailable:
            return False
        return self._hub.writable()
