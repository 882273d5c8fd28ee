"""The nouns that travel between the stages. Values only: no I/O, no behaviour beyond reading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Literal, NewType, Protocol

from gateway.errors import Issue, Lack

Resource = dict[str, Any]
"""A FHIR resource as JSON gives it; decimals are ``decimal.Decimal`` and keep their digits."""

ValidResource = NewType("ValidResource", dict[str, Any])
"""A resource that passed the gates of ``gateway.fhir``; ``store`` takes nothing else."""

Reference = str
"""A relative literal reference: ``Patient/6f9…``."""

HUB: Final = "hub"
"""The agency id of the gateway itself: it owns what no member owns, and no key names it."""


class Stage(StrEnum):
    """Where on its journey a record is, or where it failed."""

    RECEIVE = "receive"
    PARSE = "parse"
    TRANSLATE = "translate"
    IDENTIFY = "identify"
    PROTECT = "protect"
    STORE = "store"
    ROUTE = "route"
    DELIVER = "deliver"
    CLOSE = "close"


# --- who -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sender:
    """An HL7 v2 application and facility (MSH-3.1, MSH-4.1) that an agency declares as its own.

    An empty part matches anything.
    """

    application: str = ""
    facility: str = ""


@dataclass(frozen=True, slots=True)
class Closing:
    """How an agency that only speaks HL7 v2 hears of its referrals.

    Each names a kind of message, or "" for none: ``reply`` goes out on accept or reject ("rri",
    "osu"), ``progress`` at each step after that ("osu", "rri"), ``outcome`` at the end ("oru",
    "osu", "rri"), ``booking`` when an appointment is made, missed or given up ("siu"). ``to`` is
    the listener: ``mllp://host:port``, or ``mllps://`` by TLS. ``acknowledgement``: what ends a
    delivery; "" AA in original mode, "commit" CA in enhanced mode, "application" its AA after that.
    """

    reply: str = ""
    outcome: str = ""
    to: str = ""
    progress: str = ""
    booking: str = ""
    acknowledgement: Literal["", "commit", "application"] = ""


Sequencing = Literal["negotiated", "required", "ignored"]
"""Whether an agency's MSH-13 counts (v2.8.2 §2.10.1): once it starts the link, always, or never."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much an agency may ask of one process; None: as the settings say, 0: no limit.

    ``rate`` is calls and messages a second, ``burst`` how many may come at once (0: a second's
    worth), ``in_hand`` how many may be under way.
    """

    rate: float | None = None
    burst: int | None = None
    in_hand: int | None = None

    def over(self, usual: Allowance) -> Allowance:
        """With what is usual where this says nothing."""
        return Allowance(
            usual.rate if self.rate is None else self.rate,
            usual.burst if self.burst is None else self.burst,
            usual.in_hand if self.in_hand is None else self.in_hand,
        )


@dataclass(frozen=True, slots=True)
class Agency:
    """A member of the community, as its ``agency.yaml`` describes it.

    ``timezone`` (IANA) serves timestamps without an offset; ``charset`` is "auto" or a name that
    Python knows. ``authorities`` maps an assigning authority's namespace (CX-4.1) to a system URI.
    ``identifiers`` ((system, value) pairs) and ``aliases`` let a referral's PRD find it.
    ``tables_kept_by``: who is asked about codes that its tables lack; "" it itself.
    ``sequence``: whether MSH-13 counts. ``mail``: the e-mail address at which it hears of referrals
    that are sent to it, "" for none. ``confidential``: a victim service provider (34 USC
    12291(b)(2)); nothing leads back to its place, and a person goes to or from it by a pseudonym.
    ``falls_back``: where whom it names can't take its referral, the hub may ask others.
    ``allowance``: how much it may ask of the hub.
    """

    id: str
    name: str
    timezone: str = "UTC"
    charset: str = "auto"
    senders: tuple[Sender, ...] = ()
    authorities: Mapping[str, str] = field(default_factory=dict)
    identifiers: tuple[tuple[str, str], ...] = ()
    aliases: tuple[str, ...] = ()
    closing: Closing | None = None
    sequence: Sequencing = "negotiated"
    mail: str = ""
    tables_kept_by: str = ""
    confidential: bool = False
    falls_back: bool = False
    allowance: Allowance = Allowance()

    @property
    def organization(self) -> Reference:
        """Its entry in the directory: the Organization that Tasks name as requester or owner."""
        return f"Organization/{self.id}"


@dataclass(frozen=True, slots=True)
class Context:
    """Who calls, by what right, for what purpose. Nothing is read or written without one.

    ``agency`` owns what is written. ``client`` is the id of the key or listener. ``scopes`` are
    SMART v2 system scopes. ``admin`` may read everything and keep agencies and messages.
    ``hops``: how many hubs what is written came through before.
    """

    agency: str
    client: str
    scopes: frozenset[str] = frozenset({"system/*.cruds"})
    purpose: str = "TREAT"
    admin: bool = False
    hops: int = 0

    @property
    def organization(self) -> Reference:
        """The caller's entry in the directory."""
        return f"Organization/{self.agency}"


@dataclass(frozen=True, slots=True)
class Signed:
    """How a webhook's sender signs: ``standard-webhooks``, or ``hmac-sha256`` in a header."""

    by: Literal["standard-webhooks", "hmac-sha256"]
    header: str = ""
    prefix: str = ""


# --- what comes in -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Numbered:
    """A message's place among those of its sender (v2.8.2 §2.10.1).

    ``link`` names the two applications that count; ``number`` is MSH-13 as sent, "" where absent;
    ``starts``: it is 0 or -1 and nothing but a header, which (re)starts the link or its count.
    """

    link: str = ""
    number: str = ""
    starts: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """What arrived, byte for byte, before anybody looked inside.

    ``channel`` is "mllp" or "http"; ``kind`` the wire format ("hl7v2"); ``control_id`` what the
    sender numbers it by (MSH-10, "" where it can't be read).
    """

    id: str
    agency: str
    channel: str
    kind: str
    control_id: str
    raw: bytes
    received: datetime
    sequence: Numbered = Numbered()


# --- what it becomes -----------------------------------------------------------------------------


@dataclass(slots=True)  # not frozen: a message makes twenty, and freezing costs a microsecond each
class Entry:
    """A resource that a map made; its id is stable and its references are literal.

    ``removes`` are top-level elements that the source asked to delete (HL7 v2 ``""``); ``keep``
    those that the hub owns once they are written (a Task's status), so that a resend or a late
    message can't turn them back. ``known`` is where the message names what must be there already:
    if it isn't, the message is refused. "" where it needn't be.
    """

    resource: Resource
    removes: frozenset[str] = frozenset()
    keep: frozenset[str] = frozenset()
    known: str = ""

    @property
    def reference(self) -> Reference:
        """``Type/id``."""
        return f"{self.resource['resourceType']}/{self.resource['id']}"


@dataclass(frozen=True, slots=True)
class Translation:
    """All that one record led to: ``event`` "REF^I12", ``map`` the map and its version.

    ``said`` is when it was said (EVN-2, else MSH-7); None where it doesn't tell to the minute.
    ``asks`` is set where the record is a question: how that entry stands. Nothing is written then.
    ``lacks`` are the codes that its tables lack and somebody is to be asked about. ``refers``: what
    a row's resources refer to and other rows make, which must be there; each with its place.
    """

    event: str
    map: str
    entries: tuple[Entry, ...]
    warnings: tuple[Issue, ...] = ()
    said: datetime | None = None
    asks: Reference = ""
    lacks: tuple[Lack, ...] = ()
    refers: tuple[tuple[Reference, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Stored:
    """One version of a resource in the hub. ``body`` is its JSON with id and meta, to the digit."""

    type: str
    id: str
    version: int
    updated: datetime
    owner: str
    body: bytes
    deleted: bool = False

    @property
    def reference(self) -> Reference:
        """``Type/id``."""
        return f"{self.type}/{self.id}"


@dataclass(frozen=True, slots=True)
class Grant:
    """A right of ``agency`` to one resource that it doesn't own.

    ``because`` is the referral (``Task/…``) or consent that gave it; ``until`` its end (None: as
    long as the reason lasts); ``rights`` "r" or "ru". Agency "*" means every member (directory).
    """

    resource: Reference
    agency: str
    because: Reference
    until: datetime | None = None
    rights: Literal["r", "ru"] = "r"


# --- what goes out -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Event:
    """A resource version, committed together with it: the outbox. ``sequence`` orders them."""

    sequence: int
    type: str
    id: str
    version: int
    interaction: Literal["create", "update", "delete"]
    owner: str
    at: datetime


Content = Literal["", "empty", "id-only", "full-resource"]
"""How much a topic's notification tells (R4 Backport 1.1); "" where there is no topic."""

CLOSING: Final = "close:"
"""How the ids of the closing profiles' subscribers begin."""

MAILED: Final = "mail:"
"""How the ids of those begin that hear of their referrals by e-mail, as agency.yaml says."""


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Who is told of what, and how: an R4 Subscription, or an agency's closing profile.

    ``id`` is the Subscription's id, or ``close:<agency>``; ``channel`` names a file in ``deliver``
    ("rest-hook", "mllp"); ``criteria`` is a search ("Task?owner=…"); ``payload`` a MIME type or "".
    ``headers`` are "Name: value" lines. ``error`` is the place and kind of the last failure.

    ``topic`` is the canonical URL of what it follows, "" where its criteria alone decide; with one
    ``criteria`` are its filters, and a notification is a Bundle that tells ``content`` of up to
    ``most`` events. ``heartbeat`` and ``timeout`` are seconds, 0 where it says nothing; ``until``
    its end.
    """

    id: str
    agency: str
    channel: str
    endpoint: str
    criteria: str
    payload: str = ""
    headers: tuple[str, ...] = ()
    status: Literal["requested", "active", "error", "off"] = "active"
    error: str = ""
    topic: str = ""
    content: Content = ""
    heartbeat: int = 0
    timeout: int = 0
    most: int = 1
    until: datetime | None = None

    @property
    def is_closing(self) -> bool:
        """Whether it is an agency's closing profile; a Subscription's id can't have a colon."""
        return self.id.startswith(CLOSING)

    @property
    def is_mailed(self) -> bool:
        """Whether it is an agency that is written to of its referrals alone."""
        return self.id.startswith(MAILED)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one subscriber.

    ``id`` is stable over all attempts (the receiver de-duplicates by it); ``number`` counts from 1
    per subscriber without gaps.
    """

    id: str
    subscriber: str
    number: int
    event: Event
    attempts: int = 0
    first_attempt: datetime | None = None


Code = Literal["AA", "AE", "AR"]
"""HL7 table 0008, original mode: accepted, error, rejected."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the sender is told: AA, AE or AR, why, and the very bytes of the answer.

    ``stage`` is where it failed, "" where it didn't; the ``issues`` of a ``repeated`` one are not
    at hand.
    """

    message: str
    acknowledgement: Code
    issues: tuple[Issue, ...]
    answer: bytes
    repeated: bool = False
    stage: str = ""


class Acknowledge(Protocol):
    """How a receiver words an answer in the sender's own protocol; called before the commit.

    ``expected`` is the sequence number to tell (MSA-4); None where none is in use.
    """

    def __call__(self, code: Code, issues: Sequence[Issue], expected: int | None = None) -> bytes:  # noqa: D102
        ...
