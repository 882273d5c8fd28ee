"""What a sender is told of what became of its message."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from gateway import logs, meters
from gateway.errors import GatewayError, Issue, Unavailable
from gateway.model import Receipt
from gateway.receive.ack import Code, Header, acknowledge, new_control_id

_log = structlog.get_logger("gateway.receive.mllp")


@dataclass(frozen=True, slots=True)
class OnDisk:
    """Enhanced mode's first answer (b"" where it isn't asked for), and how to go on after it.

    ``code`` is what it says, CA as a rule.
    """

    answer: bytes
    then: Callable[[], Future[Receipt]] | None
    code: str


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
        if receipt.cancelled():
            _log.info("mllp.refused", **error.log())
        else:
            logs.refusal(_log, "mllp.refused", error)
        return word(head, error.acknowledgement, error.issues), None
    _log.error("mllp.failed", **logs.about(error))
    return word(head, "AE", [Issue("internal error; the message wasn't taken")]), None


def code_of(receipt: Promise) -> str:
    """What ``content`` says: AA, AE, AR, or in enhanced mode CA, CE, CR."""
    if receipt.cancelled():
        return "AE"
    error = receipt.exception()
    if error is not None:
        return error.acknowledgement if isinstance(error, GatewayError) else "AE"
    result = receipt.result()
    return result.code if isinstance(result, OnDisk) else result.acknowledgement


def word(head: Header | None, code: Code, issues: Sequence[Issue]) -> bytes:
    """An acknowledgement by the gateway itself, of now."""
    return acknowledge(head, code, issues, at=datetime.now(UTC), control_id=new_control_id())


def refusal(head: Header | None, error: GatewayError) -> bytes:
    """The answer to what isn't taken up, in its sender's mode."""
    meters.refused(error.stage, None)
    code: Code = error.acknowledgement
    if head is not None and head.enhanced:
        code = "CR" if code == "AR" else "CE"
    return word(head, code, error.issues)


def accepted(accept: Callable[[], Promise]) -> Promise:
    """Call ``accept``; what it raises, whatever it is, is an answer like any other."""
    try:
        return accept()
    except Exception as error:  # noqa: BLE001 - recorded: the future carries it to ``_content``
        failed: Future[Receipt] = Future()
        failed.set_exception(error)
        return failed
