"""A message's journey: understood outside the transaction, taken in one unit of it.

What fails is kept too, with its stage and place, in the same transaction as its answer.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePath
from typing import Final
from uuid import uuid4

import structlog

from gateway.admission.rules import Change, Hall, admit
from gateway.errors import (
    GatewayError,
    Internal,
    Issue,
    Lack,
    NotFound,
    ReceiveError,
    TranslateError,
    Unavailable,
)
from gateway.fhir import gates
from gateway.fhir.provenance import provenance
from gateway.identify.late import OLDER, filled
from gateway.identify.merge import led
from gateway.members import KEEPER
from gateway.messages import unmapped
from gateway.messages.sequence import Turn, turn_of
from gateway.model import (
    Acknowledge,
    Agency,
    Code,
    Context,
    Entry,
    Message,
    Receipt,
    Reference,
    Stage,
    Translation,
    ValidResource,
)
from gateway.parse import PARSERS
from gateway.route.referral import assign
from gateway.store import SHARED, Prepared, Transaction, prepare
from gateway.translate import Library, merge, translate

log = structlog.get_logger()

_repeated: dict[tuple[Reference, bytes], Prepared] = {}
_MOST: Final = 4096
"""Of an agency's staff and places, which stand in every message of it."""


@dataclass(frozen=True, slots=True)
class Understood:
    """What a message means: its entries, and each one's resource made ready to be written.

    All that can be worked out without the hub, so that the writer needn't.
    """

    translation: Translation
    prepared: Mapping[Reference, Prepared]


Outcome = Understood | GatewayError
"""What a message means, or why nobody can tell."""


def meant(library: Library, agency: Agency, message: Message) -> Outcome:
    """Parse and translate a message by its agency's maps. Pure, and never raises."""
    try:
        record = PARSERS[message.kind](message.raw, charset=agency.charset)
        translation = translate(library, agency, record)
        prepared = {entry.reference: _prepared(entry) for entry in translation.entries}
    except GatewayError as error:
        return error
    except Exception as fault:  # noqa: BLE001 - on record: the message is kept, its sender told
        return _fault(fault)
    # Reading is lazy: what a parser mended is known after the last read.
    warnings = (*translation.warnings, *record.warnings)
    return Understood(replace(translation, warnings=warnings), prepared)


def nobodys() -> Outcome:
    """What a message means whose sender no agency declares: nothing that may be acted on."""
    return ReceiveError("no agency declares this sender", place="MSH-4")


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
    receipt = Receipt(message.id, code, issues, acknowledge(code, issues, turn.tells(code)))
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
    receipt = Receipt(message.id, code, issues, acknowledge(code, issues))
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
            warnings = _store(hall, tx, message, understood)
    except Unavailable:
        raise
    except GatewayError as error:
        return error.acknowledgement, Stage(error.stage), "", error.issues
    except Exception as fault:  # noqa: BLE001 - on record: the message is kept, its sender told
        return "AE", Stage.STORE, "", _fault(fault).issues
    return "AA", None, translation.event, (*translation.warnings, *warnings)


def _prepared(entry: Entry) -> Prepared:
    """Checked and made ready, rows too. What an agency's messages repeat was checked before."""
    ready = prepare(ValidResource(entry.resource))
    named = entry.reference, ready.digest
    known = _repeated.get(named)
    if known is not None:
        return known
    gates.check(entry.resource, models=False)
    ready.rows  # noqa: B018 - so that they are made here
    if entry.resource["resourceType"] in SHARED:
        if len(_repeated) >= _MOST:
            _repeated.clear()
        _repeated[named] = ready
    return ready


def _lacks(outcome: Outcome) -> tuple[Lack, ...]:
    """The codes that somebody is to be asked about, whether the message goes in or not."""
    if isinstance(outcome, Understood):
        return outcome.translation.lacks
    return outcome.lacks if isinstance(outcome, TranslateError) else ()


def _understood(outcome: Outcome) -> Understood:
    """What a message means. One that means nothing is refused: AA would say it was understood."""
    if isinstance(outcome, GatewayError):
        raise outcome
    if not outcome.translation.entries:
        raise TranslateError("no segment here that its map reads", place="MSH", condition="100")
    return outcome


def _fault(fault: Exception) -> Internal:
    """A fault of ours, logged by where it is and not by what it says, which may hold values."""
    frames = traceback.extract_tb(fault.__traceback__)
    log.error(
        "intake.fault",
        error=type(fault).__name__,
        at=[f"{PurePath(frame.filename).name}:{frame.lineno}" for frame in frames[-5:]],
    )
    return Internal(fault)


def _store(
    hall: Hall, tx: Transaction, message: Message, understood: Understood
) -> tuple[Issue, ...]:
    """Write what a message led to; what is to be said of its place among the others."""
    translation = understood.translation
    _check_known(tx, message.agency, translation)
    if translation.asks:
        tx.audit(Context(message.agency, message.channel), translation.event, message.id)
        return ()
    as_said = {id(entry) for entry in translation.entries}
    context = Context(message.agency, message.channel)
    entries = assign(translation.entries, hall.members.directory)
    tx.fetch(entry.reference for entry in entries)
    entries, warnings = led(entries, tx.content)
    # A clock that runs ahead mustn't make all later messages old.
    said = min(translation.said, message.received) if translation.said else None
    late, changes = False, []
    for entry in entries:
        reference = entry.reference
        ready = understood.prepared[reference] if id(entry) in as_said else None
        if ready is not None and _is_repeated(tx, reference, ready):
            continue
        older = _is_older(said, tx.said(reference))
        changes.append(_change(tx, reference, entry, ready, said, late=older))
        late = late or older
    written = admit(hall, tx, context, changes, trusted=True)
    tx.audit(context, translation.event, message.id)
    if not written:
        return warnings
    source = provenance(
        str(uuid4()),
        [each.reference for each in written],
        sender=context.organization,
        message=message.id,
        event=translation.event,
        map=translation.map,
        at=message.received,
    )
    tx.put(context, source, interaction="create")
    return (*warnings, OLDER) if late else warnings


def _check_known(tx: Transaction, agency: str, translation: Translation) -> None:
    """What a message takes for known, its sender must have. Another's is as if it weren't there.

    Raises:
        NotFound: it isn't, at the place that names it.
    """
    named = [each for each in translation.entries if each.known]
    unknown = [each.known for each in named if tx.owner(each.reference) != agency]
    if translation.asks and not unknown and tx.owner(translation.asks) != agency:
        unknown = [each.known for each in named] or ["MSH-10"]
    if unknown:
        raise NotFound("nothing here goes by this number", place=unknown[0])


def _change(
    tx: Transaction,
    reference: Reference,
    entry: Entry,
    ready: Prepared | None,
    said: datetime | None,
    *,
    late: bool,
) -> Change:
    """What an entry makes of what the hub has; ``ready`` where it is as the message says."""
    if ready is not None and (not tx.version(reference) or tx.holds(reference, ready.digest)):
        return Change(ready.resource, said=said, prepared=ready)
    current = tx.content(reference)
    body = filled(current, entry) if late and current else merge(current, entry)
    return Change(gates.check(body, models=False), said=said)


def _is_repeated(tx: Transaction, reference: Reference, ready: Prepared) -> bool:
    """Staff and places stand in every message: that one names them again is no news."""
    return ready.resource["resourceType"] in SHARED and tx.holds(reference, ready.digest)


def _is_older(said: datetime | None, known: datetime | None) -> bool:
    return said is not None and known is not None and said < known


def _fails_alike(tx: Transaction, before: Receipt, stage: Stage, issues: tuple[Issue, ...]) -> bool:
    """Whether a message that had failed fails for the same reason: its answer stands."""
    kept = tx.kept(KEEPER, before.message)
    return (kept.stage, kept.place, kept.reason) == (stage, issues[0].place or "", issues[0].text)
