"""From what arrived to the pipeline: whose it is, and how it will be answered.

Original mode has one answer, after the commit of all that the message led to. Enhanced mode
(v2.8.2 §2.9.3) has two: CA once the message's bytes are on disk, then the application's, each only
as MSH-15 and MSH-16 ask for it. A batch is answered by a batch (``batch``).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Final
from uuid import uuid4

from gateway.errors import GatewayError, Issue, ReceiveError
from gateway.model import Acknowledge, Code, Message, Receipt
from gateway.pipeline import NOBODY, Pipeline
from gateway.receive import ack, batch
from gateway.receive.ack import Header, new_control_id, wanted
from gateway.receive.mllp import Accept, Arrival, OnDisk
from gateway.settings import Settings

BATCH: Final = "hl7v2-batch"
"""The kind of a kept envelope; the messages inside are kept each on its own."""


def accept_from(pipeline: Pipeline, settings: Settings) -> Accept:
    """How a listener hands over what arrives.

    The agency is the port's or the certificate's; on loopback else whoever declares MSH-3 and
    MSH-4, else ``settings.mllp_agency``. What is nobody's is kept and answered AR.
    """

    def accept(arrival: Arrival) -> Future[Receipt] | Future[OnDisk]:
        head = arrival.header
        agency = arrival.agency
        if agency is None and arrival.loopback:
            claimed = pipeline.members.sender(head.application, head.facility) if head else None
            agency = claimed or settings.mllp_agency
        agency = agency or NOBODY
        if head is not None and head.enhanced:
            return _enhanced(pipeline, agency, arrival.raw, head)
        return take_in(pipeline, agency, "mllp", arrival.raw)

    return accept


def take_in(pipeline: Pipeline, agency: str, channel: str, raw: bytes) -> Future[Receipt]:
    """A message or a batch, answered once, after the commit of all that it led to.

    A batch's receipt says AA where all of its messages were accepted, AE where one wasn't.
    """
    if batch.is_batch(raw):
        return _batch(pipeline, agency, channel, raw)
    control_id, acknowledge = acknowledger(raw)
    return pipeline.accept(agency, channel, raw, control_id, acknowledge)


def acknowledger(raw: bytes) -> tuple[str, Acknowledge]:
    """A raw message's control id ("" where it can't be read), and how an answer to it is worded."""
    head = batch.peeked(raw)
    return head.control_id if head else "", partial(_answer, head)


# --- enhanced mode --------------------------------------------------------------------------------


def _enhanced(pipeline: Pipeline, agency: str, raw: bytes, head: Header) -> Future[OnDisk]:
    first: Future[OnDisk] = Future()
    follow = partial(_follow, pipeline, agency, raw, head)

    def told(done: Future[None]) -> None:
        error = done.exception()
        if error is None:
            first.set_result(OnDisk(_commit(head, "CA", ()), follow))
        elif isinstance(error, GatewayError):
            first.set_result(
                OnDisk(_commit(head, _REFUSALS[error.acknowledgement], error.issues), None)
            )
        else:
            first.set_exception(error)

    pipeline.receive(agency, "mllp", raw, head.control_id).add_done_callback(told)
    return first


_REFUSALS: Final[dict[str, ack.Code]] = {"AE": "CE", "AR": "CR"}


def _commit(head: Header, code: ack.Code, issues: Sequence[Issue]) -> bytes:
    return _answer(head, code, issues) if wanted(head.accept_wanted, code) else b""


def _follow(pipeline: Pipeline, agency: str, raw: bytes, head: Header) -> Future[Receipt]:
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

    accepted = pipeline.accept(agency, "mllp", raw, head.control_id, partial(_answer, head))
    accepted.add_done_callback(told)
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
    whole: Future[Receipt] = Future()
    finish = partial(_finish, pipeline, envelope, divided, whole)
    _when_all([take_in(pipeline, agency, channel, each) for each in divided.messages], finish)
    return whole


def _finish(
    pipeline: Pipeline,
    envelope: Message,
    divided: batch.Batch,
    whole: Future[Receipt],
    taken: Sequence[Future[Receipt]],
) -> None:
    """Word the batch's answer, and keep it; or hand on why a message wasn't even kept."""
    fault = next((each.exception() for each in taken if each.exception()), None)
    if fault is not None:
        whole.set_exception(fault)
        return
    receipts = [each.result() for each in taken]
    code: Code = "AA" if all(each.acknowledgement == "AA" for each in receipts) else "AE"
    answers = [each.answer for each in receipts]
    words = batch.answer(divided, answers, at=datetime.now(UTC), id=new_control_id())
    pipeline.keep(envelope, words).add_done_callback(partial(_kept, code, whole))


def _kept(code: Code, whole: Future[Receipt], done: Future[Receipt]) -> None:
    fault = done.exception()
    if fault is None:
        whole.set_result(replace(done.result(), acknowledgement=code))
    else:
        whole.set_exception(fault)


def _when_all(
    futures: Sequence[Future[Receipt]], then: Callable[[Sequence[Future[Receipt]]], None]
) -> None:
    """Call ``then`` once, after the last of them; they end on whatever thread."""
    left = len(futures)
    lock = threading.Lock()

    def ended(_: Future[Receipt]) -> None:
        nonlocal left
        with lock:
            left -= 1
            last = not left
        if last:
            then(futures)

    if not futures:
        then(futures)
    for future in futures:
        future.add_done_callback(ended)


def _answer(head: Header | None, code: ack.Code, issues: Sequence[Issue]) -> bytes:
    return ack.acknowledge(head, code, issues, at=datetime.now(UTC), control_id=new_control_id())
