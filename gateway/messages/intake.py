"""A message's journey: understood outside the transaction, taken in one unit of it.

What fails is kept too, with its stage and place, in the same transaction as its answer.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from gateway.admission.rules import Hall
from gateway.errors import GatewayError, Issue, Lack, ParseError, TranslateError, Unavailable
from gateway.members import KEEPER
from gateway.messages import unmapped
from gateway.messages.entering import enter
from gateway.messages.meaning import Outcome, Understood, fault_of
from gateway.messages.sequence import Turn, turn_of
from gateway.model import Acknowledge, Code, Context, Message, Receipt, Stage
from gateway.parse import er7
from gateway.store import Transaction

_HEADER: Final = 1000
"""Bytes within which MSH-9 stands: the writer waits while one that failed is looked at."""

_EVENT: Final = re.compile(r"[A-Z]{3}(\^[A-Z]\d\d)?")
"""MSH-9.1 and .2 as HL7 has them: whatever else stands there may be anybody's name."""


def take(
    hall: Hall, tx: Transaction, message: Message, outcome: Outcome, acknowledge: Acknowledge
) -> Receipt:
    """Keep a message, all that it led to, and its answer.

    The same bytes under the same control id get the first answer; if they had failed they are
    tried again, and get the first answer only if they fail for the same reason.

    Raises:
        Unavailable: the database can't take it now. Nothing is kept, so nothing is answered AA.
    """
    before = tx.repeat(message.agency, message.control_id, message.raw)
    if before is not None and before.acknowledgement == "AA" and not message.sequence.starts:
        return before
    turn = turn_of(hall.members, tx, message, before)
    if before is not None:
        message = replace(message, id=before.message)
    code, stage, event, issues = turn.judged or _enter(hall, tx, message, outcome)
    fresh = before is None or turn.counts  # what is told of a number changes with the others
    if before is not None and stage and not fresh and _fails_alike(tx, before, stage, issues):
        return before
    if code == "AA":
        turn.take(tx)
    answer = acknowledge(code, issues, turn.tells(code))
    receipt = Receipt(message.id, code, issues, answer, stage=stage or "")
    if before is None:
        tx.message(message, receipt, event=event, stage=stage)
    else:
        tx.renew(receipt, event=event, stage=stage)
    lacks = () if turn.judged else _lacks(outcome)
    if lacks or before is not None:
        unmapped.wait(tx, hall.members, message, lacks, code)
    return receipt


def retake(
    hall: Hall,
    tx: Transaction,
    context: Context,
    message: Message,
    outcome: Outcome,
    acknowledge: Acknowledge,
) -> Receipt:
    """Try a kept message again, out of its sender's count; the receipt tells how it went.

    One that had been accepted stays so: the hub holds what it led to. It is as old as it was, and
    where it doesn't say how old, as its arrival.
    """
    if isinstance(outcome, Understood) and outcome.translation.said is None:
        aged = replace(outcome.translation, said=message.received)
        outcome = replace(outcome, translation=aged)
    code, stage, event, issues = _enter(hall, tx, message, outcome)
    receipt = Receipt(message.id, code, issues, acknowledge(code, issues), stage=stage or "")
    if code == "AA" or tx.kept(KEEPER, message.id).acknowledgement != "AA":
        tx.renew(receipt, event=event, stage=stage)
    unmapped.wait(tx, hall.members, message, _lacks(outcome), code)
    tx.audit(context, "replay", message.id, "success" if code == "AA" else "failed")
    return receipt


def receive(hall: Hall, tx: Transaction, message: Message, acknowledge: Acknowledge) -> Turn:
    """Keep a message that nobody has understood yet, if it is new; whether it is its turn."""
    before = tx.repeat(message.agency, message.control_id, message.raw)
    turn = turn_of(hall.members, tx, message, before)
    if turn.refusal is not None:
        take(hall, tx, message, turn.refusal, acknowledge)
    elif before is None:
        tx.message_received(message)
    elif turn.then is not None:
        tx.received_again(before.message)
    if turn.refusal is None:
        turn.take(tx)
    return turn


def keep(tx: Transaction, message: Message, answer: bytes) -> Receipt:
    """Keep an envelope with its answer; one that comes again gets the newer answer."""
    before = tx.repeat(message.agency, message.control_id, message.raw)
    receipt = Receipt(before.message if before else message.id, "AA", (), answer)
    if before is None:
        tx.message(message, receipt)
    else:
        tx.renew(receipt)
    return receipt


def _enter(
    hall: Hall, tx: Transaction, message: Message, outcome: Outcome
) -> tuple[Code, Stage | None, str, tuple[Issue, ...]]:
    """Store what a message led to: AA, its event and warnings. What fails leaves nothing."""
    try:
        understood = _understood(outcome)
        translation = understood.translation
        with tx.savepoint():
            warnings = enter(hall, tx, message, understood)
    except Unavailable:
        raise
    except GatewayError as error:
        return error.acknowledgement, Stage(error.stage), _event(message.raw), error.issues
    except Exception as fault:  # noqa: BLE001 - on record: the message is kept, its sender told
        return "AE", Stage.STORE, _event(message.raw), fault_of(fault).issues
    return "AA", None, translation.event, (*translation.warnings, *warnings)


def _event(raw: bytes) -> str:
    """What a message that failed would have told of (MSH-9), "" where it doesn't say so."""
    first = raw[:_HEADER].lstrip().splitlines()[:1]
    try:
        event = er7.parse(b"".join(first)).event
    except ParseError:
        return ""
    return event if _EVENT.fullmatch(event) else ""


def _lacks(outcome: Outcome) -> tuple[Lack, ...]:
    """The codes that somebody is to be asked about, whether the message goes in or not."""
    if isinstance(outcome, Understood):
        return outcome.translation.lacks
    return outcome.lacks if isinstance(outcome, TranslateError) else ()


def _understood(outcome: Outcome) -> Understood:
    """What a message means. One that means nothing is refused: AA would say it was understood."""
    if isinstance(outcome, GatewayError):
        raise outcome
    if not outcome.ready:
        raise TranslateError("no segment here that its map reads", place="MSH", condition="100")
    return outcome


def _fails_alike(tx: Transaction, before: Receipt, stage: Stage, issues: tuple[Issue, ...]) -> bool:
    """Whether a message that had failed fails for the same reason: its answer stands."""
    kept = tx.kept(KEEPER, before.message)
    return (kept.stage, kept.place, kept.reason) == (stage, issues[0].place or "", issues[0].text)
