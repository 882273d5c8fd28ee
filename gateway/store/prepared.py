"""A resource made ready to be written: all of a write that doesn't depend on the hub.

The writer is one thread, and everything that it does makes everybody wait; what is pure is done
before, in whichever process has the time.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property, lru_cache

from gateway.fhir.json import reread, written
from gateway.fhir.search_parameters import extract_apart
from gateway.model import Resource, ValidResource
from gateway.store.heads import Head
from gateway.store.search import index
from gateway.store.session import moment


@dataclass(frozen=True)
class Prepared:
    """A resource as it goes into the hub.

    ``meta`` is what was sent of it without what the hub sets, ``core`` the rest without type and
    id, both JSON objects, ``plain`` where they hold no decimal; ``digest`` (16 bytes) is of both,
    so that the same content is known again.
    """

    resource: ValidResource
    meta: bytes
    core: bytes
    plain: bool
    digest: bytes

    @cached_property
    def rows(self) -> index.Rows:
        """The rows by which search finds it."""
        return index.filed(self.resource["resourceType"], extract_apart(self.resource))

    def body(self, head: Head) -> bytes:
        """The whole JSON of a version."""
        type_, id_ = self.resource["resourceType"], self.resource["id"]
        return body(type_, id_, self.meta, self.core, head)


def body(type_: str, id_: str, meta: bytes, core: bytes, head: Head) -> bytes:
    """The whole JSON of a version, of what is ready of it."""
    front = (
        f'{{"resourceType":"{type_}","id":"{id_}","meta":'
        f'{{"versionId":"{head.version}","lastUpdated":"{_instant(head.updated // 1000)}"'
    ).encode()
    return front + _joined(meta) + _joined(core)


def prepare(resource: ValidResource) -> Prepared:
    """Make a resource ready to be written. Pure."""
    rest = dict(resource)
    del rest["resourceType"], rest["id"]
    given = rest.pop("meta", None) or {}
    meta = {name: given[name] for name in given if name not in ("versionId", "lastUpdated")}
    (front, even), (core, plain) = written(meta), written(rest)
    digest = hashlib.blake2b(front + core, digest_size=16).digest()
    return Prepared(resource, front, core, plain and even, digest)


Packed = tuple[str, str, bytes, bytes, bool, bytes, index.Rows]
"""What ``marshal`` can carry from one process to another, several times as fast as ``pickle``."""


def packed(prepared: Prepared) -> Packed:
    """For the way to the writer's process."""
    type_, id_ = prepared.resource["resourceType"], prepared.resource["id"]
    parts = (prepared.meta, prepared.core, prepared.plain, prepared.digest)
    return (type_, id_, *parts, prepared.rows)


def unpacked(packed: Packed) -> Prepared:
    """As it was."""
    type_, id_, meta, core, plain, digest, rows = packed
    resource: Resource = {"resourceType": type_, "id": id_}
    if len(meta) > 2:
        resource["meta"] = reread(meta, plain)
    resource.update(reread(core, plain))
    prepared = Prepared(ValidResource(resource), meta, core, plain, digest)
    prepared.__dict__["rows"] = rows
    return prepared


@lru_cache(64)  # a group of messages is written within a few of them
def _instant(millisecond: int) -> str:
    """FHIR's instants are shown to the millisecond, as search compares them."""
    shown = moment(millisecond * 1000).isoformat(timespec="milliseconds")
    return shown.replace("+00:00", "Z")


def _joined(members: bytes) -> bytes:
    """What follows the members before: ``,…}`` or, of an empty object, ``}``."""
    return b"," + members[1:] if len(members) > 2 else b"}"
