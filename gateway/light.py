"""The light side: an agency without a system of its own sees and moves a referral by a signed link.

Whoever bears the link acts as the agency that it names, on its one Task, by the same use cases and
rules as over FHIR (SDOH Clinical Care 3.0, "indirect light"). A link may be looked at until it
ends, and acts once: what it does and that it did are one transaction, and what comes of it is a
new link.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeVar

from gateway.admission.rules import Hall
from gateway.chain import at_hand, then
from gateway.errors import CloseError, Gone, InvalidResource, NotFound
from gateway.exchange.looking import Looking
from gateway.exchange.writing import Exchange
from gateway.fhir import codes, json
from gateway.messages.replays import Submit
from gateway.model import Context, Resource
from gateway.protect import links
from gateway.protect.links import Link
from gateway.store import Hub, Transaction

T = TypeVar("T")

Move = Literal["accept", "decline", "serve"]

MOVES: Final[dict[str, tuple[Move, ...]]] = {
    "requested": ("accept", "decline"),
    "accepted": ("serve",),
    "in-progress": ("serve",),
    "on-hold": ("serve",),
}
"""What can be done by a link, by the Task's status."""

REASONS: Final = {
    "no-capacity": "We have no room now",
    "not-eligible": "They don't meet what our service asks for",
    "not-ours": "We don't offer this service",
    "not-reached": "We couldn't reach them",
    "other": "Another reason",
}
"""Why a referral may be declined. The first is SDOH-CC's own code: another agency is asked then."""

_SCOPES: Final = frozenset(
    f"system/{each}"
    for each in (
        "Task.ru",
        "ServiceRequest.r",
        "Patient.r",
        "Condition.r",
        "Organization.r",
        "Procedure.c",
    )
)
_TEXT: Final = 1000
_REASONS: Final = 5
"""Of the Conditions that a request names, how many are shown."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody filled in: the move, the version of the Task that they saw, and why or when."""

    move: Move
    version: int
    reason: str = ""
    text: str = ""
    date: str = ""


@dataclass(frozen=True, slots=True)
class Sight:
    """What a link shows: the Task and what its grants show; {} for what they don't.

    ``reasons`` are the Conditions that the request names. ``moves`` are empty where nothing is
    left to do, or the link has acted (``used``).
    """

    link: Link
    version: int
    used: bool
    task: Resource
    request: Resource
    person: Resource
    reasons: tuple[Resource, ...]
    asker: str
    moves: tuple[Move, ...]


class Light:
    """Sees and moves referrals for those who bear links."""

    def __init__(self, hub: Hub, hall: Hall, looking: Looking, submit: Submit, keep: float) -> None:
        self._hub = hub
        self._hall = hall
        self._looking = looking
        self._submit = submit
        self._keep = keep

    def see(self, token: str) -> Sight:
        """What the link shows now; it is noted who saw it.

        Raises:
            Unauthenticated: no link of ours, or one that has ended.
            NotFound: the referral is no longer its agency's.
        """
        link = links.read(self._hub.secret, token)
        context = _context(link)
        stored = self._looking.read(context, "Task", link.task)
        task = json.loads(stored.body)
        if _target(task.get("owner")) != context.organization:
            raise NotFound("this referral is no longer yours")
        with self._hub.read() as reader:
            used = reader.is_used(link.id)
        request = self._read(context, task.get("focus"), "ServiceRequest")
        named = (request.get("reasonReference") or [])[:_REASONS]
        return Sight(
            link=link,
            version=stored.version,
            used=used,
            task=task,
            request=request,
            person=self._read(context, task.get("for"), "Patient"),
            reasons=tuple(filter(None, (self._read(context, e, "Condition") for e in named))),
            asker=str(self._read(context, task.get("requester"), "Organization").get("name", "")),
            moves=() if used else MOVES.get(str(task.get("status")), ()),
        )

    def act(self, token: str, answer: Answer) -> Future[str]:
        """Do what somebody filled in; the token of the link that goes on from there.

        Raises (or its future): as ``see``; CloseError, PreconditionFailed: the referral isn't
        where they saw it; Conflict: the link has acted; InvalidResource: a reason or a date lacks.
        """
        sight = self.see(token)
        answer = self._renewed(sight, answer)
        if answer.move not in MOVES.get(str(sight.task.get("status")), ()):
            raise CloseError("the referral can't move there from where it is", place="Task.status")
        exchange = Exchange(self._hall, _Once(self._submit, sight.link))
        agency = self._hall.members.get(sight.link.agency)
        bare = agency is not None and agency.confidential
        done = _DOES["end" if bare and answer.move == "serve" else answer.move](
            exchange, sight, answer
        )
        new = Link.make(sight.link.agency, sight.link.task, self._keep)
        return then(done, lambda _: at_hand(links.sign(self._hub.secret, new)))

    def _renewed(self, sight: Sight, answer: Answer) -> Answer:
        """The answer to the Task as it stands, where that still says what they saw: the hub's own
        notes on it (that a loop was delivered) come while a page is open, and change nothing."""
        context = _context(sight.link)
        if answer.version >= sight.version:
            return answer
        try:
            seen = self._looking.vread(context, "Task", sight.link.task, answer.version)
        except (NotFound, Gone):
            return answer
        same = _said(json.loads(seen.body)) == _said(sight.task)
        return replace(answer, version=sight.version) if same else answer

    def _read(self, context: Context, reference: Any, type: str) -> Resource:
        """What is referred to, or {} where it is another type or isn't granted."""
        found, _, id = _target(reference).partition("/")
        if found != type:
            return {}
        try:
            return json.loads(self._looking.read(context, type, id).body)
        except (NotFound, Gone):
            return {}


class _Once:
    """Runs units of a link that hasn't acted yet, and notes that it has, in one transaction."""

    def __init__(self, submit: Submit, link: Link) -> None:
        self._submit = submit
        self._link = link

    def __call__(self, unit: Callable[[Transaction], T]) -> Future[T]:
        def once(tx: Transaction) -> T:
            tx.use(self._link.id, self._link.until)
            return unit(tx)

        return self._submit(once)


def _accept(exchange: Exchange, sight: Sight, answer: Answer) -> Future[Any]:
    return _put(exchange, sight, answer, {**sight.task, "status": "accepted"})


def _decline(exchange: Exchange, sight: Sight, answer: Answer) -> Future[Any]:
    label = REASONS.get(answer.reason)
    text = answer.text.strip()[:_TEXT]
    if label is None or (answer.reason == "other" and not text):
        raise InvalidResource("a reason is needed", place="reason", code="required")
    reason: Resource = {"text": f"{label}: {text}" if text else label}
    if answer.reason == "no-capacity":
        reason["coding"] = [{"system": codes.SDOH_CODES, "code": "no-capacity"}]
    task = {**sight.task, "status": "rejected", "statusReason": reason}
    return _put(exchange, sight, answer, task)


def _put(exchange: Exchange, sight: Sight, answer: Answer, task: Resource) -> Future[Any]:
    return exchange.update(
        _context(sight.link), "Task", sight.link.task, json.dumps(task), answer.version
    )


def _serve(exchange: Exchange, sight: Sight, answer: Answer) -> Future[Any]:
    """A Procedure, and the Task completed with it as output (SDOH-CC: ``resulting-activity``)."""
    url = "urn:uuid:1ee2a1ae-3a2b-4f9e-9e4d-0c5f2f3f8a10"
    procedure = _procedure(sight, answer)
    kind = {"coding": [{"system": codes.SDOH_CODES, "code": "resulting-activity"}]}
    output = {"type": kind, "valueReference": {"reference": url}}
    task = {**sight.task, "status": "completed"}
    task["output"] = [*(sight.task.get("output") or []), output]
    entries = [
        {
            "fullUrl": url,
            "resource": procedure,
            "request": {"method": "POST", "url": "Procedure"},
        },
        {
            "resource": task,
            "request": {
                "method": "PUT",
                "url": f"Task/{sight.link.task}",
                "ifMatch": f'W/"{answer.version}"',
            },
        },
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    return exchange.bundle(_context(sight.link), json.dumps(bundle))


def _procedure(sight: Sight, answer: Answer) -> Resource:
    context = _context(sight.link)
    made: Resource = {
        "resourceType": "Procedure",
        "status": "completed",
        "code": sight.request.get("code") or {"text": "The service that was asked for"},
        "subject": sight.task["for"],
        "performedDateTime": answer.date or datetime.now(UTC).date().isoformat(),
        "performer": [{"actor": {"reference": context.organization}}],
    }
    if "focus" in sight.task:
        made["basedOn"] = [{"reference": _target(sight.task["focus"])}]
    if category := sight.request.get("category"):
        made["category"] = category[0]
    if text := answer.text.strip()[:_TEXT]:
        made["note"] = [{"text": text}]
    return made


def _end(exchange: Exchange, sight: Sight, answer: Answer) -> Future[Any]:
    """Completed, and nothing else: what a victim service provider did for whom stays with it."""
    return _put(exchange, sight, answer, {**sight.task, "status": "completed"})


_DOES: Final[Mapping[str, Callable[[Exchange, Sight, Answer], Future[Any]]]] = {
    "accept": _accept,
    "decline": _decline,
    "serve": _serve,
    "end": _end,
}


def _context(link: Link) -> Context:
    return Context(link.agency, f"link:{link.id}", _SCOPES)


def _said(task: Resource) -> Resource:
    """What a Task says, without the hub's own notes."""
    found = task.get("extension") or []
    kept = [each for each in found if not str(each.get("url")).startswith(codes.BASE)]
    return {**task, "extension": kept, "meta": None, "lastModified": None}


def _target(reference: Any) -> str:
    return str((reference or {}).get("reference") or "") if isinstance(reference, dict) else ""
