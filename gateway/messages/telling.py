"""What became of a message, for whoever runs the gateway: counted, and where it failed logged."""

from __future__ import annotations

from concurrent.futures import Future

import structlog

from gateway import meters
from gateway.model import Message, Receipt
from gateway.traces import Span

log = structlog.get_logger()


def tell(message: Message, done: Future[Receipt]) -> None:
    """Count and log how a message's journey ended; its own id, never what its sender calls it."""
    if done.cancelled():
        return
    fault = done.exception()
    if fault is not None:  # whoever took it in answers and logs it
        meters.message(message.agency, message.channel, "lost").inc()
        return
    receipt = done.result()
    meters.message(message.agency, message.channel, receipt.acknowledgement).inc()
    if receipt.acknowledgement != "AA":
        _refused(message, receipt)


def trace(span: Span, message: Message, done: Future[Receipt]) -> None:
    """End the span of a message's journey with what became of it."""
    span.note(agency=message.agency, channel=message.channel, message=message.id)
    if not done.cancelled() and done.exception() is None:
        receipt = done.result()
        span.note(answer=receipt.acknowledgement, stage=receipt.stage)
    span.end()


def _refused(message: Message, receipt: Receipt) -> None:
    place = receipt.issues[0].place if receipt.issues else None
    meters.refused(receipt.stage, place)
    log.info(
        "message.refused",
        stage=receipt.stage,
        place=place,
        agency=message.agency,
        channel=message.channel,
        message=receipt.message,
        answer=receipt.acknowledgement,
        repeated=receipt.repeated,
    )
