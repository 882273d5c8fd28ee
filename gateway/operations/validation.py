"""``$validate``: all that would be said of a resource, were it written; and nothing is.

R4 resource-operation-validate. The two gates, R4's invariants, profiles, and for a mode that writes
the rules, rights and references that a write is held to: it is done in a transaction, and undone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, Final, Literal, get_args
from uuid import uuid4

from gateway.admission.rules import Change, Hall, admit
from gateway.errors import GatewayError, InvalidResource, Issue
from gateway.exchange.removal import check_left, remove
from gateway.fhir import gates, json
from gateway.fhir.bindings import unbound
from gateway.fhir.conformance import claimed, deviations
from gateway.fhir.interaction import Request
from gateway.fhir.invariants import broken
from gateway.fhir.profiles import Profiles
from gateway.fhir.targets import astray
from gateway.model import Context, Resource, ValidResource
from gateway.operations.everything import Note
from gateway.protect import scopes
from gateway.protect.least import shown
from gateway.store import Hub, Transaction

Mode = Literal["", "create", "update", "delete", "profile"]

MODES: Final[tuple[Mode, ...]] = get_args(Mode)
LARGEST: Final = 2**19
"""Bytes of a resource beyond which FHIRPath would take minutes (it compares each with each)."""

LETTERS: Final[dict[Mode, scopes.Letter]] = {"create": "c", "update": "u", "delete": "d"}


class Undone(Exception):
    """A trial that went well: it is over, and leaves nothing."""


class Validation:
    """Validates for whoever asks; blocking, for its trials wait for the writer."""

    def __init__(
        self,
        hub: Hub,
        hall: Hall,
        profiles: Profiles,
        submit: Callable[[Callable[[Transaction], Any]], Future[Any]],
        note: Note,
    ) -> None:
        self._hub = hub
        self._hall = hall
        self._profiles = profiles
        self._submit = submit
        self._note = note

    def __call__(
        self,
        context: Context,
        type: str | None,
        id: str | None,
        resource: Resource | None,
        mode: Mode,
        profiles: Sequence[str],
    ) -> list[Issue]:
        """The findings, errors among them or not; [] says that all is well.

        ``type`` and ``id`` are the URL's. Without a resource it is the stored one. Raises Denied,
        NotFound, InvalidResource where there is nothing to validate.
        """
        if mode in LETTERS:
            scopes.require(
                context, type or str((resource or {}).get("resourceType")), LETTERS[mode]
            )
        if resource is None:
            resource = self._stored(context, type, id)
            if mode == "delete":
                return self._tried(lambda tx: _remove(tx, context, resource))
        try:
            valid = gates.check(resource, type=type)
        except InvalidResource as error:
            return list(error.issues)
        found = list(dict.fromkeys(self._judged(valid, profiles)))
        if mode in ("create", "update") and not any(issue.severity == "error" for issue in found):
            found += self._tried(self._write(context, valid, id, mode))
        return found

    def _judged(self, valid: ValidResource, profiles: Sequence[str]) -> Iterator[Issue]:
        if len(json.dumps(valid)) > LARGEST:
            text = "not checked: too large for invariants and profiles"
            yield Issue(text, valid["resourceType"], "too-costly", severity="information")
            return
        yield from unbound(valid)
        yield from broken(valid)
        yield from astray(valid)
        yield from self._profiled(valid, profiles)

    def _stored(self, context: Context, type: str | None, id: str | None) -> Resource:
        if type is None or id is None:
            raise InvalidResource("a resource is needed", place="resource", code="required")
        scopes.require(context, type, "r")
        with self._hub.read() as reader:
            found = shown(context, reader.read(context, type, id))
        self._note(context, "validate", [found])
        return json.loads(found.body)

    def _profiled(self, resource: Resource, asked: Sequence[str]) -> Iterator[Issue]:
        for url in asked:
            profile = self._profiles.get(url)
            if profile is None:
                yield Issue("the profile isn't known here", "profile", "not-found")
            else:
                yield from deviations(resource, profile, self._profiles)
        place = f"{resource['resourceType']}.meta.profile"
        for url in claimed(resource):
            profile = self._profiles.get(url)
            if profile is None:
                text = "not checked: a profile that it claims isn't known here"
                yield Issue(text, place, "not-found", severity="warning")
            elif url not in asked:
                yield from deviations(resource, profile, self._profiles)

    def _write(
        self, context: Context, resource: ValidResource, id: str | None, mode: Mode
    ) -> Callable[[Transaction], object]:
        wanted = id or resource.get("id") or str(uuid4())
        if mode == "create":
            wanted = str(uuid4())
        named = ValidResource({**resource, "id": wanted})
        change = Change(named, "create" if mode == "create" else "update")
        return lambda tx: admit(self._hall, tx, context, [change], trusted=False)

    def _tried(self, write: Callable[[Transaction], object]) -> list[Issue]:
        """What a write would be refused for."""

        def unit(tx: Transaction) -> None:
            write(tx)
            tx.flush()
            raise Undone

        try:
            self._submit(unit).result()
        except Undone:
            return []
        except GatewayError as error:
            if error.status >= 500:
                raise
            return list(error.issues)
        raise AssertionError("a trial was kept")


def _remove(tx: Transaction, context: Context, resource: Resource) -> None:
    request = Request("DELETE", resource["resourceType"], resource["id"])
    remove(tx, context, request)
    check_left(tx, context, {request.reference: ""})
