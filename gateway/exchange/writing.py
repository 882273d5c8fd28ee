"""What comes in as FHIR: each interaction that writes is one unit of one transaction.

Alone or in a Bundle they go the same way (``_perform``): find what each is about, lead references,
delete, create, update and patch, read, and see that nothing is left hanging (R4 http, 3.1.0.11.2).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeVar

from gateway.admission.rules import Change, Hall, admit
from gateway.chain import at_hand, then
from gateway.errors import (
    GatewayError,
    InvalidResource,
    NotFound,
    PreconditionFailed,
    Unavailable,
)
from gateway.exchange.finding import Aim, aim, led
from gateway.exchange.looking import Listing, look
from gateway.exchange.removal import check_left, remove
from gateway.exchange.trail import foreign
from gateway.fhir import bundle, gates, json, patch
from gateway.fhir.interaction import ANY, Method, Pairs, Request
from gateway.fhir.references import references, rewrite
from gateway.fhir.shape import is_subsetted
from gateway.messages.replays import Submit
from gateway.model import Context, Reference, Resource, Stored, ValidResource
from gateway.protect import scopes
from gateway.protect.least import shown
from gateway.store import Transaction

T = TypeVar("T")

LETTERS: Final[Mapping[Method, scopes.Letter]] = {
    "POST": "c",
    "PUT": "u",
    "PATCH": "u",
    "DELETE": "d",
}
"""The scope that each method asks for; a conditional one searches, too."""

TOGETHER: Final = 50
"""How many of a batch's entries one unit writes: nobody else waits longer than for these."""

_LITERAL: Final = re.compile(r"([A-Z][A-Za-z]{1,63})/([A-Za-z0-9\-.]{1,64})(?=$|/_history/)")
_ORDER: Final[Mapping[Method, int]] = {"POST": 0, "PUT": 1, "PATCH": 1}


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one interaction: its HTTP status, and the version that is current now.

    ``listing`` is a GET's searchset or history; ``error`` why an entry of a batch failed;
    ``beyond`` what is left for the API to ask at its own doors.
    """

    method: Method
    status: int
    stored: Stored | None = None
    listing: Listing | None = None
    error: GatewayError | None = None
    beyond: Request | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """A Bundle's entries, each as it was done, in the order sent."""

    kind: Literal["batch", "transaction"]
    entries: tuple[Done, ...]


class Exchange:
    """The FHIR interactions that write. Their futures are done once all is on disk."""

    def __init__(self, hall: Hall, submit: Submit) -> None:
        self._hall = hall
        self._submit = submit

    def create(
        self, context: Context, type: str, raw: bytes, *, criteria: Pairs | None = None
    ) -> Future[Done]:
        """FHIR ``create``, under an id of ours: 201; 200 with what the ``criteria`` found instead.

        Raises:
            Denied: the key's scopes don't cover it.
            InvalidResource: it isn't R4 JSON of this type.
        """
        resource = gates.check(json.loads(raw), type=type)
        return self._alone(context, Request("POST", type, criteria=criteria, resource=resource))

    def update(
        self,
        context: Context,
        type: str,
        id: str,
        raw: bytes,
        if_match: int | None = None,
        *,
        criteria: Pairs | None = None,
        if_free: bool = False,
    ) -> Future[Done]:
        """FHIR ``update``: 200 for a new version, 201 for the first, under the client's id.

        With ``criteria`` it is about what they find, and ``id`` is "". ``if_free``: there may be
        none yet.

        Raises:
            Denied: the key's scopes don't cover it.
            InvalidResource: it isn't R4 JSON of this type and id.
        """
        resource = gates.check(json.loads(raw), type=type)
        if criteria is None and resource.get("id") != id:
            raise InvalidResource("the body's id must be the URL's", place=f"{type}.id")
        asked = Request("PUT", type, id, criteria, resource, None, if_match, if_free)
        return self._alone(context, asked)

    def patch(
        self,
        context: Context,
        type: str,
        id: str,
        media_type: str,
        raw: bytes,
        if_match: int | None = None,
        *,
        criteria: Pairs | None = None,
    ) -> Future[Done]:
        """FHIR ``patch``, of what is there. Raises Denied, InvalidResource."""
        change = patch.read(media_type, raw)
        asked = Request("PATCH", type, id, criteria, patch=change, if_match=if_match)
        return self._alone(context, asked)

    def delete(
        self,
        context: Context,
        type: str,
        id: str,
        if_match: int | None = None,
        *,
        criteria: Pairs | None = None,
    ) -> Future[Done]:
        """FHIR ``delete``: 204, whether there was anything or not. Raises Denied."""
        return self._alone(context, Request("DELETE", type, id, criteria, if_match=if_match))

    def bundle(self, context: Context, raw: bytes) -> Future[Answered]:
        """FHIR ``transaction``, all of a Bundle's entries or none; or ``batch``, each by itself.

        Raises:
            Denied: the key's scopes don't cover an entry of a transaction.
            InvalidResource: no such Bundle, or an entry of a transaction that can't be done.
        """
        asked = json.loads(raw)
        if bundle.kind(asked) == "batch":
            done = self._batch(context, bundle.batch(asked), ())
            return then(done, lambda entries: at_hand(Answered("batch", entries)))
        requests = bundle.transaction(gates.check(asked, type="Bundle"))
        for each in requests:
            _allow(context, each)
        found = self._submit(lambda tx: _perform(self._hall, tx, context, requests))
        return then(found, lambda entries: at_hand(Answered("transaction", tuple(entries))))

    def _alone(self, context: Context, request: Request) -> Future[Done]:
        _allow(context, request)
        return self._submit(lambda tx: _perform(self._hall, tx, context, [request])[0])

    def _batch(
        self,
        context: Context,
        left: Sequence[Request | GatewayError],
        done: tuple[Done, ...],
    ) -> Future[tuple[Done, ...]]:
        """Some entries in one unit, then the others."""
        if not left:
            return at_hand(done)
        now, later = left[:TOGETHER], left[TOGETHER:]

        def unit(tx: Transaction) -> tuple[Done, ...]:
            return tuple(_apart(self._hall, tx, context, each) for each in now)

        return then(self._submit(unit), lambda some: self._batch(context, later, (*done, *some)))


def _allow(context: Context, request: Request) -> None:
    """Refuse what the caller's scopes don't cover; a read is judged where it is done."""
    if request.patch is not None:
        gates.prepare([request.type])  # else the writer would, and all would wait
    if request.reads:
        return
    scopes.require(context, request.type, LETTERS[request.method])
    if request.criteria is not None:
        scopes.require(context, request.type, "s")


def _apart(hall: Hall, tx: Transaction, context: Context, request: Request | GatewayError) -> Done:
    """One entry of a batch: what it did, or why it did nothing."""
    if isinstance(request, GatewayError):
        return Done("GET", request.status, error=request)
    if request.beyond:
        return Done(request.method, 200, beyond=request)
    try:
        _allow(context, request)
        with tx.savepoint():
            return _perform(hall, tx, context, [request])[0]
    except Unavailable:
        raise
    except GatewayError as error:
        return Done(request.method, error.status, error=error)


# --- in one transaction --------------------------------------------------------------------------


def _perform(hall: Hall, tx: Transaction, context: Context, asked: Sequence[Request]) -> list[Done]:
    """Do all that is asked for, or raise: the answers, in the order asked."""
    aims = [Aim(each) if each.reads else aim(tx, context, each) for each in asked]
    _refuse_twice(aims)
    requests = _led(tx, context, aims)
    _look_ahead(tx, requests)
    done: dict[int, Done] = {}
    removed: dict[Reference, str] = {}
    for n, request in enumerate(requests):
        if request.method == "DELETE":
            done[n] = _delete(tx, context, request, removed)
    done |= _write(hall, tx, context, aims, requests)
    check_left(tx, context, removed)
    for n, request in enumerate(requests):
        if request.reads:
            done[n] = _read(tx, context, request)
    return [done[n] for n in range(len(requests))]


def _look_ahead(tx: Transaction, requests: Sequence[Request]) -> None:
    """Know all that is written and referred to, by one query; what is referred to must stay."""
    written = [each.reference for each in requests if each.id and not each.reads]
    referred: set[Reference] = set()
    for each in requests:
        for _, reference in references(each.resource or {}):
            match = _LITERAL.match(reference)
            if match is not None:
                referred.add(f"{match[1]}/{match[2]}")
    referred.difference_update(written)
    tx.fetch([*written, *sorted(referred)])
    tx.hold(referred)


def _refuse_twice(aims: Sequence[Aim]) -> None:
    """Two entries about one resource have no order among them: R4 has the whole fail."""
    seen: set[object] = set()
    for each in aims:
        request = each.request
        if (
            request.reads
            or each.found is not None
            or (request.method, request.id) == ("DELETE", "")
        ):
            continue
        same: list[object] = [request.reference]
        if request.criteria is not None and request.method in ("POST", "PUT"):
            same.append((request.type, tuple(sorted(request.criteria))))
        if not seen.isdisjoint(same):
            place = request.at("url") or request.type
            raise InvalidResource("the same resource twice", place=place, code="duplicate")
        seen.update(same)


def _led(tx: Transaction, context: Context, aims: Sequence[Aim]) -> list[Request]:
    """The requests with the references that lead to other entries, or to what criteria find."""
    requests = [each.request for each in aims]
    if not any(each.place for each in requests):
        return led(tx, context, requests, ())
    made = {each.place: each.reference for each in requests if each.id and not each.reads}
    named = {
        name: to
        for name, to in bundle.names(requests, made).items()
        if ":" in name or tx.version(name) is None  # what is there isn't meant for an entry's own
    }
    renamed = [
        replace(each, resource=rewrite(each.resource, bundle.names_for(each, named)))
        if each.resource is not None
        else each
        for each in requests
    ]
    gone = {each.reference for each in requests if each.method == "DELETE"}
    return led(tx, context, renamed, gone)


def _delete(
    tx: Transaction, context: Context, request: Request, removed: dict[Reference, str]
) -> Done:
    deleted = remove(tx, context, request) if request.id else None
    if deleted is not None:
        removed[request.reference] = request.at("url") or request.type
        tx.audit(context, "delete", request.reference)
    return Done("DELETE", 204, deleted)


def _write(
    hall: Hall,
    tx: Transaction,
    context: Context,
    aims: Sequence[Aim],
    requests: Sequence[Request],
) -> dict[int, Done]:
    """Creates, then updates and patches."""
    done: dict[int, Done] = {}
    order: list[int] = []
    for n, each in enumerate(aims):
        if each.found is not None:
            done[n] = Done("POST", 200, shown(context, each.found))
        elif each.request.method in _ORDER:
            order.append(n)
    order.sort(key=lambda n: _ORDER[requests[n].method])
    was = {n: tx.version(requests[n].reference) for n in order}
    changes = [_change(tx, context, requests[n]) for n in order]
    written = admit(hall, tx, context, changes, trusted=False)
    for n, made in zip(order, written, strict=True):
        tx.audit(context, made.change or "unchanged", made.reference)
        if context.hops and made.change:
            tx.has_passed(made.type, made.id, made.version, context.hops)
        done[n] = Done(requests[n].method, 201 if was[n] is None else 200, made)
    return done


def _change(tx: Transaction, context: Context, request: Request) -> Change:
    interaction: Literal["create", "update"] = "create" if request.method == "POST" else "update"
    resource = request.resource if request.patch is None else _patched(tx, context, request)
    if resource is None:
        raise NotFound("no such resource", place=request.type)
    if request.method == "PUT" and any(
        map(is_subsetted, (resource.get("meta") or {}).get("tag", ()))
    ):
        place = (
            f"{request.place}.resource.meta.tag" if request.place else f"{request.type}.meta.tag"
        )
        raise InvalidResource("a part isn't stored in place of the whole", place=place)
    return Change(ValidResource(resource), interaction, request.if_match, request.place)


def _patched(tx: Transaction, context: Context, request: Request) -> Resource:
    """What a patch makes of the current version, once it is R4 again and still the same one."""
    assert request.patch is not None
    nothing = NotFound("no such resource", place=request.at("url") or request.type)
    try:
        tx.check_right(context, request.reference)
    except NotFound:
        raise nothing from None  # what the caller can't see is told like what isn't there
    current = tx.content(request.reference)
    if current is not None and request.if_match not in (None, tx.version(request.reference)):
        # Before the patch is tried: its maker had another version in mind.
        place = request.at("ifMatch") or "If-Match"
        raise PreconditionFailed("another version is current", place=place)
    if current is None:
        raise nothing
    try:
        made = gates.check(request.patch(current), type=request.type)
        if made.get("id") != request.id:
            raise InvalidResource("a patch doesn't change the id", place=f"{request.type}.id")
    except GatewayError as error:
        raise error.moved(f"{request.place}.resource") if request.place else error from None
    return made


def _read(tx: Transaction, context: Context, request: Request) -> Done:
    try:
        found = look(tx, context, request)
    except GatewayError as error:
        raise error.moved(request.at("url")) from None
    if isinstance(found, Listing):
        done, seen = Done(request.method, 200, listing=found), found.page.entries
    elif _is_known(request, found):
        return Done(request.method, 304, found)
    else:
        done, seen = Done(request.method, 200, found), (found,)
    for each in foreign(context, seen):
        tx.audit(context, "read", each)
    return done


def _is_known(request: Request, found: Stored) -> bool:
    """Whether the reader has it already: by its version, else by its time as FHIR shows it."""
    if request.known is not None or request.since is None:
        return request.known in (ANY, found.version)
    shown = found.updated.replace(microsecond=found.updated.microsecond // 1000 * 1000)
    return shown <= request.since
