"""What a message means, worked out without the hub: parsed, translated, made ready to be written.

It may be done in another process than the writer's (``understanding``).
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import PurePath
from typing import Final, NamedTuple

import structlog

from gateway.errors import GatewayError, Internal, ReceiveError
from gateway.fhir.json import dumps
from gateway.fhir.provenance import provenance
from gateway.model import Agency, Context, Entry, Message, Reference, Translation
from gateway.parse import PARSERS
from gateway.route.directory import Directory
from gateway.route.referral import assign
from gateway.store import SHARED, Packed, Ready, readied, ready
from gateway.translate import Library, translate

log = structlog.get_logger()

_repeated: dict[tuple[Reference, bytes], Packed] = {}
_MOST: Final = 4096
"""Of an agency's staff and places, which stand in every message of it."""


class Noted(NamedTuple):
    """The Provenance of what a message is likely to write: all but the staff and places, that every
    message of an agency names again. ``message`` is the message's id, and the Provenance's own;
    ``targets`` is what that is about.
    """

    message: str
    targets: tuple[Reference, ...]
    parts: Packed


@dataclass(frozen=True)
class Understood:
    """What a message means, its entries apart, each ready to be written.

    All that can be worked out without the hub, so that the writer needn't.
    """

    translation: Translation
    ready: tuple[Ready, ...]
    noted: Noted | None = None

    @cached_property
    def opened(self) -> tuple[tuple[Entry, Ready], ...]:
        """The entries as objects, each with what it was opened from."""
        return tuple([(each.opened()[0], each) for each in self.ready])

    @property
    def references(self) -> Iterator[Reference]:
        """All that it may write, what tells of it too."""
        yield from (each.reference for each in self.ready)
        if self.noted is not None:
            yield f"{self.noted.parts[0]}/{self.noted.parts[1]}"

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The entries alone."""
        return tuple(entry for entry, _ in self.opened)


Outcome = Understood | GatewayError
"""What a message means, or why nobody can tell."""


def meant(library: Library, agency: Agency, message: Message, directory: Directory) -> Outcome:
    """Parse and translate a message by its agency's maps, and find in the directory of members
    whom its referrals ask. Never raises.
    """
    try:
        record = PARSERS[message.kind](message.raw, charset=agency.charset)
        translation = translate(library, agency, record)
        entries = assign(translation.entries, directory)
        made = tuple([readied(entry, _parts(entry)) for entry in entries])
    except GatewayError as error:
        return _alone(error)
    except Exception as fault:  # noqa: BLE001 - on record: the message is kept, its sender told
        return fault_of(fault)
    # Reading is lazy: what a parser mended is known after the last read.
    warnings = (*translation.warnings, *record.warnings)
    told = replace(translation, entries=(), warnings=warnings)
    return Understood(told, made, None if translation.asks else _noted(message, told, made))


def _noted(message: Message, translation: Translation, made: tuple[Ready, ...]) -> Noted | None:
    targets = tuple([each.reference for each in made if each.type not in SHARED])
    if not targets:
        return None
    return Noted(message.id, targets, told(message.id, message, translation, targets))


def told(
    id: str, message: Message, translation: Translation, targets: Sequence[Reference]
) -> Packed:
    """The Provenance of what a message led to, ready to be written."""
    return ready(
        provenance(
            id,
            targets,
            sender=Context(message.agency, message.channel).organization,
            message=message.id,
            event=translation.event,
            map=translation.map,
            at=message.received,
        )
    )


def _alone(error: GatewayError) -> GatewayError:
    """A value: without the frames that it came through. They hold all that was made of the message,
    and whoever asked for it; of a batch, so, every message before it.
    """
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def nobodys() -> ReceiveError:
    """What a message means whose sender no agency declares: nothing that may be acted on."""
    return ReceiveError("no agency declares this sender", place="MSH-4")


def fault_of(fault: Exception) -> Internal:
    """A fault of ours, logged by where it is and not by what it says, which may hold values."""
    frames = traceback.extract_tb(fault.__traceback__)
    log.error(
        "intake.fault",
        error=type(fault).__name__,
        at=[f"{PurePath(frame.filename).name}:{frame.lineno}" for frame in frames[-5:]],
    )
    return Internal(fault)


def _parts(entry: Entry) -> Packed:
    """Checked and made ready. What an agency's messages repeat was made ready before."""
    resource = entry.resource
    if resource["resourceType"] not in SHARED:
        return ready(resource)
    named = entry.reference, dumps(resource)
    known = _repeated.get(named)
    if known is None:
        if len(_repeated) >= _MOST:
            _repeated.clear()
        known = _repeated[named] = ready(resource)
    return known
