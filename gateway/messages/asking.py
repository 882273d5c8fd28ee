"""A question is answered on the wire: REF^I15 asks how a referral stands, RRI^I15 says it.

An RRI is a REF's application acknowledgement (v2.9 §11.5, choreography of REF_I12), and bears MSA.
One that the performer must answer first gets an ACK, and its RRI by the closing profile; a status
query, which the hub itself can answer, gets RRI^I15 where others get their ACK. Nothing is written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Final

from gateway import close
from gateway.close.case import Case
from gateway.closing import Closings
from gateway.errors import GatewayError, Internal, Issue
from gateway.members import Members
from gateway.messages.meaning import Outcome, Understood
from gateway.model import Acknowledge, Code, Message
from gateway.store import Hub

Answered = tuple[Outcome, Acknowledge]
"""What a message means, and how an answer to it is worded."""

_MSA: Final = re.compile(rb"(?<=\r)MSA\|[^\r]*")
"""An answer of ours has MSA-1 and -2; MSA-4 is known only when the message is taken."""


class Asking:
    """Words the answers to questions, on a thread of its own: building one takes 30 ms."""

    def __init__(self, hub: Hub, members: Members) -> None:
        self._hub = hub
        self._closings = Closings(hub, members)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="asking")

    def __call__(
        self, message: Message, asked: Understood, acknowledge: Acknowledge
    ) -> Future[Answered]:
        """How a question will be answered. Fails only with ``Unavailable``.

        The hub is read in the order of what comes in, so that a question that follows its referral
        finds it. Where the sender has no such referral, that is left for who enters it to say.
        """
        answered: Future[Answered] = Future()
        task = asked.translation.asks
        looked = self._hub.submit(lambda tx: self._closings.asked(tx, message, task))
        looked.add_done_callback(
            lambda found: self._thread.submit(_word, found, asked, acknowledge, answered)
        )
        return answered


def _word(
    found: Future[Case | None],
    asked: Understood,
    acknowledge: Acknowledge,
    answered: Future[Answered],
) -> None:
    try:
        case = found.result()
    except BaseException as fault:  # noqa: BLE001 - handed on to who waits
        answered.set_exception(fault)
        return
    try:
        words = close.build("rri", case) if case else b""
    except GatewayError as error:
        answered.set_result((error, acknowledge))
    except Exception as fault:  # noqa: BLE001 - on record: the message is kept, its sender told
        answered.set_result((Internal(fault), acknowledge))
    else:
        answered.set_result((asked, partial(_answer, words, acknowledge)))


def _answer(
    words: bytes,
    acknowledge: Acknowledge,
    code: Code,
    issues: Sequence[Issue],
    expected: int | None = None,
) -> bytes:
    if not words or code != "AA":
        return acknowledge(code, issues, expected)
    return words if expected is None else _MSA.sub(rb"\g<0>||%d" % expected, words, count=1)
