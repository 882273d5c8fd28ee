"""From what arrived to the pipeline: whose it is, and how it will be answered.

Original mode has one answer, after the commit of all that the message led to. Enhanced mode
(v2.8.2 §2.9.3) has two: CA once the message's bytes are on disk, then the application's, each only
as MSH-15 and MSH-16 ask for it. A batch is answered by a batch (``batch``).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Final
from uuid import uuid4

import structlog

from gateway import logs
from gateway.chain import at_hand, then
from gateway.errors import GatewayError, Internal, Issue, ReceiveError, RouteError, Unavailable
from gateway.messages.meaning import nobodys
from gateway.messages.sequence import Turn
from gateway.model import Acknowledge, Code, Message, Numbered, Receipt
from gateway.pipeline import NOBODY, Pipeline
from gateway.protect.limits import Limits
from gateway.receive import ack, batch
from gateway.receive.abreast import Answers, abreast
from gateway.receive.ack import Header, new_control_id, wanted
from gateway.receive.mllp import WINDOW
from gateway.receive.taking import Accept, Arrival, Turnstile
from gateway.receive.wording import OnDisk
from gateway.settings import Settings

_log = structlog.get_logger("gateway.receive.mllp")

BATCH: Final = "hl7v2-batch"
"""The kind of a kept envelope; the messages inside are kept each on its own."""


def accept_from(pipeline: Pipeline, settings: Settings) -> Accept:
    """How a listener hands over what arrives.

    The agency is the port's or the certificate's; on loopback else whoever declares MSH-3 and
    MSH-4, else ``settings.mllp_agency``. What is nobody's is kept and answered AR.
    """

    def accept(arrival: Arrival) -> Future[Receipt] | Future[OnDisk]:
        head = arrival.header
        agency = _whose(pipeline, settings, arrival)
        if agency in pipeline.members.confidential:
            return _kept_out(pipeline, agency, "mllp", arrival.raw)
        if head is not None and head.enhanced and not head.bare:
            return _enhanced(pipeline, agency, arrival.raw, head)
        return take_in(pipeline, agency, "mllp", arrival.raw, head)

    return accept


def turnstile(pipeline: Pipeline, settings: Settings, limits: Limits) -> Turnstile:
    """What holds an agency's messages back by the process's limits."""
    return Turnstile(partial(_whose, pipeline, settings), limits)


def _whose(pipeline: Pipeline, settings: Settings, arrival: Arrival) -> str:
    if arrival.agency is not None or not arrival.loopback:
        return arrival.agency or NOBODY
    head = arrival.header
    claimed = pipeline.members.sender(head.application, head.facility) if head else None
    return claimed or settings.mllp_agency or NOBODY


def window(pipeline: Pipeline) -> int:
    """How many messages of a connection may be under way: they may not overtake each other."""
    return WINDOW if pipeline.orderly else 1


def take_in(
    pipeline: Pipeline, agency: str, channel: str, raw: bytes, head: Header | None = None
) -> Future[Receipt]:
    """A message or a batch, answered once, after the commit of all that it led to.

    ``head`` is the message's header, where it was read already. A batch's receipt says AA where all
    of its messages were accepted, AE where one wasn't.
    """
    if agency in pipeline.members.confidential:
        return _kept_out(pipeline, agency, channel, raw)
    if batch.is_batch(raw):
        return _batch(pipeline, agency, channel, raw)
    return pipeline.accept(*_addressed(agency, channel, raw, head or batch.peeked(raw)))


def _kept_out(pipeline: Pipeline, agency: str, channel: str, raw: bytes) -> Future[Receipt]:
    """A victim service provider's clients don't enter the hub, nor do messages about them."""
    message, acknowledge = as_message(agency, channel, raw)
    error = RouteError("a victim service provider's messages may not enter a shared database")
    return pipeline.refuse(replace(message, raw=b""), error, acknowledge)


def as_message(agency: str, channel: str, raw: bytes) -> tuple[Message, Acknowledge]:
    """What arrived as a Message, and how an answer to it is worded."""
    return _addressed(agency, channel, raw, batch.peeked(raw))


def _addressed(
    agency: str, channel: str, raw: bytes, head: Header | None
) -> tuple[Message, Acknowledge]:
    control_id = head.control_id if head else ""
    count = Numbered(head.link, head.sequence, head.bare) if head else Numbered()
    now = datetime.now(UTC)
    message = Message(str(uuid4()), agency, channel, "hl7v2", control_id, raw, now, count)
    return message, partial(_answer, head)


# --- enhanced mode --------------------------------------------------------------------------------


def _enhanced(pipeline: Pipeline, agency: str, raw: bytes, head: Header) -> Future[OnDisk]:
    first: Future[OnDisk] = Future()
    message, acknowledge = _addressed(agency, "mllp", raw, head)
    follow = partial(_follow, pipeline, message, acknowledge, head)

    def told(done: Future[Turn]) -> None:
        fault = done.exception()
        if fault is not None:
            first.set_result(_refusal(head, fault, None))
        elif (turn := done.result()).refusal is not None:
            first.set_result(_refusal(head, turn.refusal, turn.due))
        else:
            first.set_result(OnDisk(_commit(head, turn.told), follow, "CA"))

    try:
        pipeline.receive(message, acknowledge).add_done_callback(told)
    except Unavailable as error:
        first.set_result(_refusal(head, error, None))
    return first


_REFUSALS: Final[dict[str, ack.Code]] = {"AE": "CE", "AR": "CR"}


def _commit(head: Header, expected: int | None) -> bytes:
    return _answer(head, "CA", (), expected) if wanted(head.accept_wanted, "CA") else b""


def _refusal(head: Header, fault: BaseException, expected: int | None) -> OnDisk:
    """CE or CR; AE or AR to a sender that only waits for the application's answer."""
    error = fault if isinstance(fault, GatewayError) else Internal(fault)
    logs.refusal(_log, "mllp.refused", error)
    code: ack.Code = error.acknowledgement
    if wanted(head.accept_wanted, _REFUSALS[code]):
        code = _REFUSALS[code]
    elif not wanted(head.application_wanted, code):
        return OnDisk(b"", None, code)
    return OnDisk(_answer(head, code, error.issues, expected), None, code)


def _follow(
    pipeline: Pipeline, message: Message, acknowledge: Acknowledge, head: Header
) -> Future[Receipt]:
    """The second half: what the message led to. Its answer is stored, and sent if asked for."""
    second: Future[Receipt] = Future()

    def told(done: Future[Receipt]) -> None:
        error = done.exception()
        if error is not None and not isinstance(error, GatewayError):
            second.set_exception(error)
            return
        code = error.acknowledgement if error else done.result().acknowledgement
        if not wanted(head.application_wanted, code):
            second.set_result(Receipt("", code, (), b""))
        elif error is not None:
            second.set_exception(error)
        else:
            second.set_result(done.result())

    pipeline.accept(message, acknowledge).add_done_callback(told)
    return second


# --- batches --------------------------------------------------------------------------------------


def _batch(pipeline: Pipeline, agency: str, channel: str, raw: bytes) -> Future[Receipt]:
    head = batch.peek(raw)
    now = datetime.now(UTC)
    envelope = Message(str(uuid4()), agency, channel, BATCH, head.control_id, raw, now)
    try:
        divided = batch.divide(raw)
    except ReceiveError as error:
        return pipeline.refuse(envelope, error, partial(_answer, head))
    if pipeline.members.get(agency) is None:  # one answer and one row, whatever it holds
        return pipeline.refuse(envelope, nobodys(), partial(_answer, head))
    take = partial(take_in, pipeline, agency, channel)
    taken = abreast(iter(divided.messages), take, window(pipeline))
    return then(taken, partial(_finish, pipeline, envelope, divided))


def _finish(
    pipeline: Pipeline, envelope: Message, divided: batch.Batch, told: Answers
) -> Future[Receipt]:
    """Word the batch's answer, and keep it."""
    code: Code = "AA" if all(each == "AA" for each, _ in told) else "AE"
    answers = [answer for _, answer in told]
    words = batch.answer(divided, answers, at=datetime.now(UTC), id=new_control_id())
    kept = pipeline.keep(envelope, words)
    return then(kept, lambda receipt: at_hand(replace(receipt, acknowledgement=code)))


def _answer(
    head: Header | None, code: ack.Code, issues: Sequence[Issue], expected: int | None = None
) -> bytes:
    now, control_id = datetime.now(UTC), new_control_id()
    return ack.acknowledge(head, code, issues, at=now, control_id=control_id, expected=expected)
