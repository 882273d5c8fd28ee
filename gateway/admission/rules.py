"""How resources enter the hub: the rules before, the consequences after, in one transaction.

Every way in passes here, so a rule holds whether a Task comes from a map, a PUT or a Bundle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal

from gateway.admission import merging, naming, referral
from gateway.coordination import nouns, waitlist
from gateway.deliver.endpoint import Guard
from gateway.deliver.subscription import CHANNELS, subscriber
from gateway.errors import GatewayError, InvalidResource, NotFound, PreconditionFailed
from gateway.fhir import codes, custom_parameters, json
from gateway.fhir.references import references
from gateway.fhir.search import parse_criteria, tested_types
from gateway.fhir.topics import Topics
from gateway.members import Members
from gateway.model import HUB, Context, Grant, Reference, Resource, Subscriber, ValidResource
from gateway.protect import scopes
from gateway.protect.keys import webhook_secret
from gateway.route import capacity
from gateway.route.timing import Timing
from gateway.routing import pseudonyms, publishing
from gateway.store import Prepared, Transaction, Written


@dataclass(frozen=True, slots=True)
class Change:
    """A resource to write, its id set; ``place`` is its own in what was sent ("" when alone).

    ``said`` is the time that the message bears that says so; ``minted``: its id is the hub's own.
    """

    resource: ValidResource
    interaction: Literal["create", "update"] = "update"
    if_match: int | None = None
    place: str = ""
    prepared: Prepared | None = None
    said: datetime | None = None
    minted: bool = False

    @property
    def type(self) -> str:
        """The resource's type."""
        type_: str = self.resource["resourceType"]
        return type_

    @property
    def reference(self) -> Reference:
        """``Type/id``."""
        return f"{self.type}/{self.resource['id']}"


@dataclass(frozen=True, slots=True)
class Hall:
    """What the rules go by: the members, where deliveries may go, the hub's secret, the topics,
    and how long who is asked may take.
    """

    members: Members
    guard: Guard
    secret: bytes
    topics: Topics = field(default_factory=dict)
    timing: Timing = field(default_factory=Timing)


Check = Callable[[Hall, Context, Resource | None, Resource], Resource]
Settle = Callable[[Hall, Transaction, Resource | None, Written], None]


def admit(
    hall: Hall, tx: Transaction, context: Context, changes: Sequence[Change], *, trusted: bool
) -> list[Written]:
    """Write all of ``changes`` and what they lead to, in their order.

    ``trusted`` changes come from a map, whose references were resolved when it was compiled;
    others must refer to what is there and the caller may see.

    Raises:
        GatewayError: a rule, a right, a version or a reference that doesn't hold, at its place.
    """
    named = [(change.reference, change) for change in changes]
    hidden = hall.members.confidential
    tx.fetch(reference for reference, _ in named)
    before: dict[Reference, Resource | None] = {}
    written = []
    for reference, change in named:
        if not (trusted or change.minted or change.interaction == "create"):
            naming.check(tx, context, reference, change.place or None)
        _check_version(tx, context, reference, change)
        judged = not trusted or change.type in CHECKS or change.type in SETTLES
        before[reference] = tx.content(reference) if judged else None
        hides = context.agency in hidden
        written.append(_put(hall, tx, context, before[reference], change, hides=hides))
    if not trusted:
        for reference, change in named:
            _check_references(tx, context, before[reference], change)
    for each in written:
        settle = SETTLES.get(each.type)
        if settle is not None:
            settle(hall, tx, before[each.reference], each)
        if hidden and not each.unchanged and each.version > 1:
            pseudonyms.keep(tx, hall.members, each)
    return written


def _check_version(tx: Transaction, context: Context, reference: Reference, change: Change) -> None:
    """What the caller can't see is as if it weren't there; a version must be the current one."""
    current = tx.version(reference)
    if current is not None and not tx.visible(context, reference):
        raise NotFound("no such resource", place=change.place or None)
    if current is not None and change.if_match not in (None, current):
        # Before the rules: they would judge the change by a version that its maker never saw.
        where = f"{change.place}.request.ifMatch" if change.place else "If-Match"
        raise PreconditionFailed("another version is current", place=where)


def _put(
    hall: Hall,
    tx: Transaction,
    context: Context,
    before: Resource | None,
    change: Change,
    *,
    hides: bool,
) -> Written:
    """Write it, if its type's rule holds, and, where the caller ``hides``, that one's."""
    resource: Resource = change.resource
    try:
        check = CHECKS.get(resource["resourceType"])
        if check is not None:
            resource = check(hall, context, before, resource)
        if hides:
            pseudonyms.check(tx.content(change.reference), resource)
        return tx.put(
            context,
            ValidResource(resource),
            interaction=change.interaction,
            if_match=change.if_match,
            said=change.said,
            prepared=change.prepared if resource is change.resource else None,
        )
    except GatewayError as error:
        raise _placed(error, change.place) from None


def _check_references(
    tx: Transaction, context: Context, before: Resource | None, change: Change
) -> None:
    """What the change newly refers to must be there; what stood there before may stay."""
    found = {target: place for place, target in references(change.resource)}
    known = {target for _, target in references(before or {})}
    for target in tx.missing(context, [each for each in found if each not in known]):
        error = InvalidResource(
            "refers to nothing that is here", place=found[target], code="not-found"
        )
        raise _placed(error, change.place)


def _placed(error: GatewayError, place: str) -> GatewayError:
    """The same refusal, with the entry of the Bundle that it is about."""
    return error.moved(f"{place}.resource") if place else error


def _check_task(
    hall: Hall, context: Context, before: Resource | None, proposed: Resource
) -> Resource:
    return referral.check(hall.members, context, before, proposed)


def _settle_task(hall: Hall, tx: Transaction, before: Resource | None, written: Written) -> None:
    pseudonyms.hold(tx, hall.members, written)
    referral.settle(tx, hall.members, hall.timing, before, written)


def _settle_patient(hall: Hall, tx: Transaction, before: Resource | None, written: Written) -> None:
    merging.settle(tx, before, written)


def _settle_request(hall: Hall, tx: Transaction, before: Resource | None, written: Written) -> None:
    if before is not None and not written.unchanged:
        referral.resettle(tx, hall.members, written.reference)


def _settle_consent(hall: Hall, tx: Transaction, before: Resource | None, written: Written) -> None:
    if written.version > 1 and not written.unchanged:  # nothing can name one that is new
        said = (before or {}, tx.content(written.reference) or {})
        for patient in {nouns.target(each, "patient") for each in said} - {""}:
            referral.reconsider(tx, hall.members, written.reference, patient, written.owner)


def _check_subscription(
    hall: Hall, context: Context, before: Resource | None, proposed: Resource
) -> Resource:
    told = subscriber(proposed, context.agency, hall.guard, hall.topics)
    query = parse_criteria(told.criteria)
    for type_ in sorted({*query.looks_for, *tested_types(query)}):
        scopes.require(context, type_, "s")
    if told.content == "full-resource":
        scopes.require(context, query.type, "r")
    others = [e for e in proposed.get("extension") or [] if e.get("url") != codes.WEBHOOK_SECRET]
    secret = {"url": codes.WEBHOOK_SECRET, "valueString": webhook_secret(hall.secret, told.id)}
    status = _begun(told, before, hall, context)
    return {**proposed, "status": status, "extension": [*others, secret]}


def _begun(told: Subscriber, before: Resource | None, hall: Hall, context: Context) -> str:
    """Its status: a topic's is greeted first, again whenever it was off, failed, or moved."""
    if not told.topic or told.status != "active" or not CHANNELS[told.channel].greets:
        return told.status
    if before is None or before["status"] != "active":
        return "requested"
    try:
        was = subscriber(before, context.agency, hall.guard, hall.topics)
    except GatewayError:
        return "requested"  # what it was is no longer allowed
    same = (was.channel, was.endpoint, was.headers) == (told.channel, told.endpoint, told.headers)
    return "active" if same else "requested"


def _settle_subscription(
    hall: Hall, tx: Transaction, before: Resource | None, written: Written
) -> None:
    resource = json.loads(written.body)
    tx.put_subscriber(subscriber(resource, written.owner, hall.guard, hall.topics))


def _check_parameter(
    hall: Hall, context: Context, before: Resource | None, proposed: Resource
) -> Resource:
    custom_parameters.check(proposed)
    return proposed


def _check_service(
    hall: Hall, context: Context, before: Resource | None, proposed: Resource
) -> Resource:
    return publishing.check(hall.members, context, proposed)


def _settle_service(hall: Hall, tx: Transaction, before: Resource | None, written: Written) -> None:
    publishing.publish(tx, hall.members, before, written)
    now = datetime.now(UTC)
    if capacity.opened(before, json.loads(written.body), now):
        waitlist.wake(tx, written.reference, now)


CHECKS: Final[Mapping[str, Check]] = {
    "SearchParameter": _check_parameter,
    "HealthcareService": _check_service,
    "Task": _check_task,
    "Subscription": _check_subscription,
}
"""What must hold before a resource of the type is written; it may put it into the hub's form."""


def _settle_parameter(
    hall: Hall, tx: Transaction, before: Resource | None, written: Written
) -> None:
    if written.owner == HUB:  # an administrator's: everybody may search by it
        tx.grant(Grant(written.reference, "*", written.reference))


SETTLES: Final[Mapping[str, Settle]] = {
    "SearchParameter": _settle_parameter,
    "HealthcareService": _settle_service,
    "Task": _settle_task,
    "Patient": _settle_patient,
    "ServiceRequest": _settle_request,
    "Consent": _settle_consent,
    "Subscription": _settle_subscription,
}
"""What follows once the resource, and all that came with it, is written."""

RULED: Final = frozenset({*CHECKS, *SETTLES})
"""The types that rules are about; one of another that isn't there yet is written as it is."""
