"""``$meta``, ``$meta-add``, ``$meta-delete``: profiles, tags and labels of a resource.

R4 resource-operation-meta and its kin. A change of these is a version like any other, by the
same rules and rights: who reads by a tag must be able to see when it was set.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final

from gateway.admission.rules import Change, Hall, admit
from gateway.fhir import gates, json
from gateway.model import Context, Resource
from gateway.operations.everything import Note
from gateway.protect import scopes
from gateway.protect.least import shown
from gateway.store import Hub, Transaction

Submit = Callable[[Callable[[Transaction], Any]], Future[Any]]
Edit = Callable[[Resource, Resource], Resource]
"""From a meta and what is to be added to it, or taken from it, to what it becomes."""

LISTS: Final = ("profile", "security", "tag")


class Tagging:
    """Reads and changes what a resource's meta says of its use."""

    def __init__(self, hub: Hub, hall: Hall, submit: Submit, note: Note) -> None:
        self._hub = hub
        self._hall = hall
        self._submit = submit
        self._note = note

    def __call__(self, context: Context, type: str, id: str) -> Resource:
        """A resource's meta. Raises Denied, NotFound, Gone."""
        scopes.require(context, type, "r")
        with self._hub.read() as reader:
            found = shown(context, reader.read(context, type, id))
        self._note(context, "meta", [found])
        meta: Resource = json.loads(found.body)["meta"]
        return meta

    def change(
        self, context: Context, type: str, id: str, given: Resource, edit: Edit
    ) -> Future[Resource]:
        """Add to or take from a resource's meta (``added``, ``taken``); what it is then.

        Raises Denied; the future NotFound, Gone, and what any write is refused for.
        """
        scopes.require(context, type, "u")

        def unit(tx: Transaction) -> Resource:
            current = json.loads(tx.read(context, type, id).body)
            meta = edit(current.get("meta", {}), given)
            resource = gates.check({**current, "meta": meta}, type=type, models=False)
            (written,) = admit(self._hall, tx, context, [Change(resource)], trusted=False)
            tx.audit(context, written.change or "unchanged", written.reference)
            body = json.loads(shown(context, written).body)
            said: Resource = body["meta"]
            return said

        return self._submit(unit)


def added(meta: Resource, given: Resource) -> Resource:
    """``meta`` with the profiles, labels and tags of ``given`` that it lacks."""
    out = dict(meta)
    for name in LISTS:
        held = {_key(one) for one in meta.get(name, ())}
        fresh = [one for one in given.get(name, ()) if _key(one) not in held]
        if fresh:
            out[name] = [*meta.get(name, ()), *{_key(one): one for one in fresh}.values()]
    return out


def taken(meta: Resource, given: Resource) -> Resource:
    """``meta`` without the profiles, labels and tags of ``given``."""
    out = dict(meta)
    for name in LISTS:
        gone = {_key(one) for one in given.get(name, ())}
        left = [one for one in meta.get(name, ()) if _key(one) not in gone]
        out.pop(name, None)
        if left:
            out[name] = left
    return out


def _key(one: Any) -> Any:
    """What makes two codings, or two profiles, the same."""
    return (one.get("system"), one.get("code")) if isinstance(one, dict) else one
