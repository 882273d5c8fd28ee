"""The use cases: the only code that joins the stages or opens a transaction.

``accept`` is a record's whole journey from bytes to an answer; ``create``, ``update`` and
``transaction`` are the same for what arrives as FHIR; ``drain`` is what happens after a commit.
Whatever changes the hub is one unit of one transaction, and is answered after its fsync.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar
from uuid import uuid4

from gateway.admission import Change, Hall, admit
from gateway.deliver.endpoint import Guard
from gateway.errors import GatewayError, InvalidResource, Unavailable
from gateway.fhir import bundle, gates, json
from gateway.fhir.search import parse_query
from gateway.intake import Outcome, keep, receive, take
from gateway.members import Members
from gateway.model import (
    Acknowledge,
    Agency,
    Context,
    Message,
    Receipt,
    Stored,
    ValidResource,
)
from gateway.outgoing import Outgoing
from gateway.protect import scopes
from gateway.protect.least import answers, shown
from gateway.settings import Settings
from gateway.store import Hub, Kept, Page, Transaction, Written
from gateway.translate import Library
from gateway.understanding import Understanding
from gateway.work import Work

T = TypeVar("T")

NOBODY: Final = ""
"""The agency of a message whose sender nobody declares: kept, and only an admin sees it."""

LETTERS: Final[Mapping[bundle.Method, scopes.Letter]] = {"POST": "c", "PUT": "u", "GET": "r"}
"""The scope that each method of a transaction's entries asks for."""


class Pipeline:
    """The stages over one hub. Without ``work`` nothing is woken: a command's, not a server's."""

    def __init__(
        self, hub: Hub, library: Library, settings: Settings, work: Work | None = None
    ) -> None:
        guard = Guard(settings.endpoint_networks)
        self._hub = hub
        self.members = Members(hub, library)
        self.authenticate = self.members.authenticate
        self._hall = Hall(self.members, guard, hub.secret)
        self._understanding = Understanding(
            self.members, settings.folders, settings.translators if work else 0
        )
        self.stop = self._understanding.stop
        self._outgoing = Outgoing(hub, self.members, settings, guard, work)
        self.drain = self._outgoing.drain
        self.close = self._outgoing.close

    def start(self, word: Callable[[bytes], tuple[str, Acknowledge]]) -> None:
        """Start the processes that understand, and go on with what a crash left only received.

        ``word`` tells a raw message's control id, and how an answer to it is worded.
        """
        self._understanding.start()
        after = 0
        while (left := self._unfinished(after)) is not None:
            message, after = left
            control_id, acknowledge = word(message.raw)
            self.accept(message.agency, message.channel, message.raw, control_id, acknowledge)

    def _unfinished(self, after: int) -> tuple[Message, int] | None:
        with self._hub.read() as reader:
            return reader.unfinished_message(after)

    # --- what comes in as HL7 v2 ------------------------------------------------------------------

    def accept(
        self, agency: str, channel: str, raw: bytes, control_id: str, acknowledge: Acknowledge
    ) -> Future[Receipt]:
        """A message's journey. It is parsed and translated now, and stored in the next group.

        The future holds the receipt once the message and all that it led to are on disk. A
        message that fails is kept with its stage and place, and its receipt says AE or AR. The
        same bytes under the same control id get the first answer again, and make nothing new; if
        they failed they are tried again, since the map may have been mended.
        """
        now = datetime.now(UTC)
        message = Message(str(uuid4()), agency, channel, "hl7v2", control_id, raw, now)
        receipt: Future[Receipt] = Future()
        receipt.set_running_or_notify_cancel()  # a sender who leaves doesn't undo what it sent

        def understood(asked: Future[Outcome]) -> None:
            try:
                outcome = asked.result()
                stored = self._submit(
                    lambda tx: take(self._hall, tx, message, outcome, acknowledge)
                )
            except BaseException as fault:  # noqa: BLE001 - handed on to who waits
                receipt.set_exception(fault)
            else:
                stored.add_done_callback(lambda done: _hand_on(done, receipt))

        self._understanding(message).add_done_callback(understood)
        return receipt

    def receive(self, agency: str, channel: str, raw: bytes, control_id: str) -> Future[None]:
        """Enhanced mode's first half: the future is done once the message's bytes are on disk.

        ``accept`` of the same bytes is the second; what a crash leaves between them ``start``
        goes on with. A message without a control id can't be found again, so it isn't for this.
        """
        now = datetime.now(UTC)
        message = Message(str(uuid4()), agency, channel, "hl7v2", control_id, raw, now)
        return self._submit(lambda tx: receive(tx, message))

    def refuse(
        self, message: Message, error: GatewayError, acknowledge: Acknowledge
    ) -> Future[Receipt]:
        """Keep what can't be taken as it came, with the reason and its answer."""
        return self._submit(lambda tx: take(self._hall, tx, message, error, acknowledge))

    def keep(self, message: Message, answer: bytes) -> Future[Receipt]:
        """Keep a batch whose messages were each accepted or kept, and its last answer."""
        return self._submit(lambda tx: keep(tx, message, answer))

    # --- what comes in as FHIR --------------------------------------------------------------------

    def create(self, context: Context, type: str, raw: bytes) -> Future[Stored]:
        """FHIR ``create``: the resource under an id of ours. Raises Denied, InvalidResource."""
        scopes.require(context, type, "c")
        resource = gates.check(json.loads(raw), type=type)
        change = Change(ValidResource({**resource, "id": str(uuid4())}), "create")
        return self._submit(lambda tx: self._admit(tx, context, [change])[0])

    def update(
        self, context: Context, type: str, id: str, raw: bytes, if_match: int | None
    ) -> Future[tuple[Stored, bool]]:
        """FHIR ``update``: a new version, or the first one under the client's id (True).

        Raises:
            Denied: the key's scopes don't cover it.
            InvalidResource: it isn't R4 JSON of this type and id.
        """
        scopes.require(context, type, "u")
        resource = gates.check(json.loads(raw), type=type)
        if resource.get("id") != id:
            raise InvalidResource("the body's id must be the URL's", place=f"{type}.id")
        change = Change(resource, "update", if_match)

        def unit(tx: Transaction) -> tuple[Stored, bool]:
            written = self._admit(tx, context, [change])[0]
            return written, written.change == "create"

        return self._submit(unit)

    def transaction(self, context: Context, raw: bytes) -> Future[bytes]:
        """FHIR ``transaction``: all of a Bundle's entries or none; the response Bundle's JSON.

        Raises:
            Denied: the key's scopes don't cover an entry.
            InvalidResource: an entry that isn't R4, or can't be done.
        """
        asked = bundle.requests(gates.check(json.loads(raw), type="Bundle"))
        for request in asked:
            scopes.require(context, request.type, LETTERS[request.method])
        return self._submit(lambda tx: self._transact(tx, context, asked))

    def _transact(
        self, tx: Transaction, context: Context, asked: Sequence[bundle.Request]
    ) -> bytes:
        changes = [
            Change(
                ValidResource(request.resource),
                "create" if request.method == "POST" else "update",
                request.if_match,
                request.place,
            )
            for request in asked
            if request.resource is not None
        ]
        written = iter(self._admit(tx, context, changes))
        return bundle.response(
            [
                (shown(context, tx.read(context, each.type, each.id)), 200)
                if each.resource is None
                else (done := next(written), 201 if done.change == "create" else 200)
                for each in asked
            ]
        )

    def _admit(self, tx: Transaction, context: Context, changes: Sequence[Change]) -> list[Written]:
        written = admit(self._hall, tx, context, changes, trusted=False)
        for each in written:
            tx.audit(context, each.change or "unchanged", each.reference)
        return written

    def _submit(self, unit: Callable[[Transaction], T]) -> Future[T]:
        """Run a unit in the next group; once it is on disk, wake whoever its versions concern."""
        touched: set[str] = set()

        def watched(tx: Transaction) -> T:
            value = unit(tx)
            touched.update(tx.touched)
            return value

        future = self._hub.submit(watched)
        future.add_done_callback(lambda _: self._outgoing.wake(touched))
        return future

    # --- reading ----------------------------------------------------------------------------------

    def read(self, context: Context, type: str, id: str) -> Stored:
        """FHIR ``read``. Raises Denied, NotFound, Gone."""
        scopes.require(context, type, "r")
        with self._hub.read() as reader:
            return shown(context, reader.read(context, type, id))

    def vread(self, context: Context, type: str, id: str, version: int) -> Stored:
        """FHIR ``vread``. Raises Denied, NotFound, Gone."""
        scopes.require(context, type, "r")
        with self._hub.read() as reader:
            return shown(context, reader.vread(context, type, id, version))

    def history(self, context: Context, type: str, id: str) -> Sequence[Stored]:
        """FHIR ``history-instance``, newest first. Raises Denied, NotFound."""
        scopes.require(context, type, "r")
        with self._hub.read() as reader:
            found = reader.history(context, type, id, count=1000).entries
        return [shown(context, each) for each in found]

    def search(
        self,
        context: Context,
        type: str,
        pairs: Sequence[tuple[str, str]],
        *,
        lenient: bool = False,
    ) -> Page:
        """FHIR ``search-type`` over what the caller may see. Raises Denied, InvalidSearch."""
        scopes.require(context, type, "s")
        query = parse_query(type, pairs, lenient=lenient)
        with self._hub.read() as reader:
            page = reader.search(context, query)
        seen = [each for each in page.entries if answers(context, query, each)]
        hidden = len(page.entries) - len(seen)
        total = None if page.total is None else page.total - hidden
        return Page(tuple(shown(context, each) for each in seen), total, page.next)

    def failed_messages(self, context: Context) -> Sequence[Kept]:
        """The messages that failed, newest first: the caller's own, or all for an admin."""
        with self._hub.read() as reader:
            return reader.failed_messages(context)

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

    def behind(self) -> list[str]:
        """The subscribers with something to read or to send now."""
        with self._hub.read() as reader:
            return reader.behind(datetime.now(UTC))

    def reachable(self) -> bool:
        """Whether the hub answers."""
        try:
            with self._hub.read() as reader:
                reader.agencies()
        except Unavailable:
            return False
        return True


def _hand_on(done: Future[T], to: Future[T]) -> None:
    fault = done.exception()
    if fault is None:
        to.set_result(done.result())
    else:
        to.set_exception(fault)
