"""From what arrived to the pipeline: whose it is, and how it will be answered."""

from __future__ import annotations

from concurrent.futures import Future
from datetime import UTC, datetime
from functools import partial
from typing import Literal

from gateway.errors import Issue, ReceiveError
from gateway.model import Acknowledge, Receipt
from gateway.pipeline import NOBODY, Pipeline
from gateway.receive.ack import Header, acknowledge, header, new_control_id
from gateway.receive.mllp import Accept, Arrival
from gateway.settings import Settings


def accept_from(pipeline: Pipeline, settings: Settings) -> Accept:
    """How a listener hands over what arrives.

    The agency is the port's or the certificate's; on loopback else whoever declares MSH-3 and
    MSH-4, else ``settings.mllp_agency``. What is nobody's is kept and answered AR.
    """

    def accept(arrival: Arrival) -> Future[Receipt]:
        head = arrival.header
        agency = arrival.agency
        if agency is None and arrival.loopback:
            claimed = pipeline.members.sender(head.application, head.facility) if head else None
            agency = claimed or settings.mllp_agency
        control_id = head.control_id if head else ""
        answer = partial(_answer, head)
        return pipeline.accept(agency or NOBODY, "mllp", arrival.raw, control_id, answer)

    return accept


def acknowledger(raw: bytes) -> tuple[str, Acknowledge]:
    """A raw message's control id ("" where it can't be read), and how an answer to it is worded."""
    try:
        head = header(raw)
    except ReceiveError:
        return "", partial(_answer, None)
    return head.control_id, partial(_answer, head)


def _answer(
    head: Header | None, code: Literal["AA", "AE", "AR"], issues: tuple[Issue, ...]
) -> bytes:
    return acknowledge(head, code, issues, at=datetime.now(UTC), control_id=new_control_id())
