"""What a message led to, written: each of its entries as far as its age and the hub's state allow.

Most resources of a message are new, and no rule is about them: they are written as they came,
without anybody looking into them. The others are opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import uuid4

from gateway.admission.changes import change
from gateway.admission.rules import RULED, Change, Hall, admit
from gateway.errors import Issue, NotFound
from gateway.identify.late import OLDER
from gateway.identify.merge import led
from gateway.messages.meaning import Understood, told
from gateway.model import Context, Entry, Message, Reference
from gateway.store import SHARED, Ready, Transaction
from gateway.store.session import microseconds


def enter(
    hall: Hall, tx: Transaction, message: Message, understood: Understood
) -> tuple[Issue, ...]:
    """Write what a message led to, and who said so; what is to be said of its place among others.

    Raises:
        GatewayError: what it takes for known isn't there, or a rule or right that doesn't hold.
    """
    translation = understood.translation
    _check_known(tx, message.agency, understood)
    context = Context(message.agency, message.channel)
    if translation.asks:
        tx.audit(context, translation.event, message.id)
        return ()
    tx.fetch(understood.references)
    entries, warnings = _standing(tx, understood)
    # A clock that runs ahead mustn't make all later messages old.
    said = min(translation.said, message.received) if translation.said else None
    written, late = _written(hall, tx, context, entries, said)
    tx.audit(context, translation.event, message.id)
    if written:
        _note(tx, context, message, understood, written)
    return (*warnings, OLDER) if late else warnings


def _check_known(tx: Transaction, agency: str, understood: Understood) -> None:
    """What a message takes for known, its sender must have. Another's is as if it weren't there.

    Raises:
        NotFound: it isn't, at the place that names it.
    """
    translation = understood.translation
    named = [each for each in understood.ready if each.known]
    unknown = [each.known for each in named if tx.owner(each.reference) != agency]
    if translation.asks and not unknown and tx.owner(translation.asks) != agency:
        unknown = [each.known for each in named] or ["MSH-10"]
    if unknown:
        raise NotFound("nothing here goes by this number", place=unknown[0])


def _standing(
    tx: Transaction, understood: Understood
) -> tuple[Sequence[Ready | Entry], tuple[Issue, ...]]:
    """The entries as they may be stored: opened where somebody in them was ever merged."""
    if not any(_may_be_linked(tx, each) for each in understood.ready if each.type == "Patient"):
        return understood.ready, ()  # as nearly always
    as_said = {id(entry): each for entry, each in understood.opened}
    entries, warnings = led(tuple(entry for entry, _ in understood.opened), tx.content)
    return [as_said.get(id(entry), entry) for entry in entries], warnings


def _may_be_linked(tx: Transaction, patient: Ready) -> bool:
    """Whether a Patient is, or is said to be, linked with another; its body isn't opened for it."""
    return b'"link":' in patient.parts[3] or "link" in (tx.content(patient.reference) or ())


def _written(
    hall: Hall,
    tx: Transaction,
    context: Context,
    entries: Sequence[Ready | Entry],
    said: datetime | None,
) -> tuple[list[Reference], bool]:
    """Write the entries; those that were, and whether one was older than what is known."""
    hides = context.agency in hall.members.confidential
    since = None if said is None else microseconds(said)
    made: list[Reference] = []
    changes: list[Change] = []
    late = False
    for each in entries:
        if isinstance(each, Ready):
            if _is_repeated(tx, each):
                continue
            plain = not hides and each.type not in RULED
            if plain and tx.create(context, each.parts, since):
                made.append(each.reference)
                continue
        older = _is_older(said, tx.said(each.reference))
        entry, prepared = each.opened() if isinstance(each, Ready) else (each, None)
        changes.append(change(tx, entry, prepared, said, late=older))
        late = late or older
    written = admit(hall, tx, context, changes, trusted=True)
    return [*made, *(each.reference for each in written)], late


def _is_repeated(tx: Transaction, one: Ready) -> bool:
    """Staff and places stand in every message: that one names them again is no news."""
    return one.type in SHARED and tx.holds(one.reference, one.digest)


def _is_older(said: datetime | None, known: datetime | None) -> bool:
    return said is not None and known is not None and said < known


def _note(
    tx: Transaction,
    context: Context,
    message: Message,
    understood: Understood,
    written: Sequence[Reference],
) -> None:
    """The Provenance of what was written: the one made beforehand, where it is about just that."""
    noted = understood.noted
    fits = noted and noted.message == message.id and set(noted.targets) == set(written)
    if not (noted and fits and tx.create(context, noted.parts, None)):
        made = told(str(uuid4()), message, understood.translation, written)
        tx.create(context, made, None)
