"""What a sender is told of what became of its message."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from gateway.errors import GatewayError, Issue, Unavailable
from gateway.model import Receipt
from gateway.receive.ack import Code, Header, acknowledge, new_control_id

_log = structlog.get_logger("gateway.receive.mllp")


@dataclass(frozen=True, slots=True)
class OnDisk:
    """Enhanced mode's first answer (b"" where it isn't asked for), and how to go on after it."""

    answer: bytes
    then: Callable[[], Future[Receipt]] | None


Promise = Future[Receipt] | Future[OnDisk]
"""An answer that comes once what it tells of is on disk."""


def content(
    head: Header | None, receipt: Promise
) -> tuple[bytes, Callable[[], Future[Receipt]] | None]:
    """The answer: the receipt's own, or an error's in words without values; and what follows."""
    if receipt.cancelled():
        error: BaseException | None = Unavailable("the gateway is closing; send it again")
    else:
        error = receipt.exception()
    if error is None:
        result = receipt.result()
        return result.answer, result.then if isinstance(result, OnDisk) else None
    if isinstance(error, GatewayError):
        _log.warning("mllp.refused", **error.log())
        return word(head, error.acknowledgement, error.issues), None
    _log.error("mllp.failed", error=type(error).__name__)
    return word(head, "AE", [Issue("internal error; the message wasn't taken")]), None


def word(head: Header | None, code: Code, issues: Sequence[Issue]) -> bytes:
    """An acknowledgement by the gateway itself, of now."""
    return acknowledge(head, code, issues, at=datetime.now(UTC), control_id=new_control_id())
