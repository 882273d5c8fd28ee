"""Who belongs to the community: agencies with their maps, and the keys that calls bear.

The hub's rows say who is a member; ``agency.yaml`` says what it speaks. Both are read again when
somebody unknown turns up and every few seconds while calls come in, so that an agency or a key
that the command line adds counts at once.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from gateway.beside import Source
from gateway.errors import SettingError, Unauthenticated, Unavailable
from gateway.fhir import codes, gates
from gateway.model import (
    CLOSING,
    HUB,
    MAILED,
    Agency,
    Allowance,
    Context,
    Grant,
    Resource,
    Subscriber,
    ValidResource,
)
from gateway.protect import keys, scopes
from gateway.protect.policy import METRICS
from gateway.route.directory import Directory
from gateway.store import Hub, Listed, Member, Transaction
from gateway.translate import Library

FRESH: Final = 5.0
"""Seconds for which what was read of members and keys counts."""

KEEPER: Final = Context(HUB, "gateway", purpose="SYSADMIN", admin=True)
"""The gateway itself, which keeps the directory."""

QUESTION: Final = "CommunicationRequest"
"""What a map makes of a message that moves nothing and wants a reply (REF^I13), about the Task."""

_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class Members:
    """The members of a hub, by id and by every name that messages call them by."""

    def __init__(self, hub: Hub, shipped: Library) -> None:
        self._hub = hub
        self._lock = threading.Lock()  # other maps and other members mustn't undo each other
        self._shipped = shipped
        self._rows: list[Member] | None = None
        self._read = 0.0
        self._known: dict[str, tuple[Context, float]] = {}
        self.library = shipped
        self.directory = Directory(())
        self._agencies: dict[str, Agency] = {}
        self._confidential: frozenset[str] = frozenset()
        self._refresh(0)

    def __iter__(self) -> Iterator[Agency]:
        self._refresh(0)
        return iter(self._agencies.values())

    def get(self, id: str) -> Agency | None:
        """The member of that id, as its agency.yaml describes it."""
        self._refresh(FRESH if id in self._agencies else 0)
        return self._agencies.get(id)

    @property
    def fingerprint(self) -> str:
        """What tells the searched maps in force from others."""
        return self._shipped.fingerprint

    @property
    def confidential(self) -> frozenset[str]:
        """The members that are victim service providers."""
        self._refresh(FRESH)
        return self._confidential

    def allowance(self, id: str) -> Allowance | None:
        """How much it may ask, as its agency.yaml says; None where that is nobody's."""
        self._refresh(FRESH)
        agency = self._agencies.get(id)
        return None if agency is None else agency.allowance

    def source(self, id: str) -> Source | None:
        """A member's maps: its id, its folder ("" if none), when added, and their version."""
        if not id or self.get(id) is None:
            return None
        row = next(row for row in self._rows or () if row.id == id)
        return row.id, row.folder, row.added, self.library.map_version(id)

    def sender(self, application: str, facility: str) -> str | None:
        """The one member that declares this MSH-3.1 and MSH-4.1; the narrowest claim counts."""
        self._refresh(FRESH)
        return self._sender(application, facility) or (
            self._sender(application, facility) if self._refresh(0) else None
        )

    def add(self, id: str, folder: Path | None, name: str = "") -> Agency:
        """Make an agency a member, or renew it: its row, its Organization, its closing profile.

        Raises:
            SettingError: the id isn't one (small letters, digits, ``-``), or is the hub's.
            MapError: its agency.yaml or maps don't load.
        """
        if not _ID.fullmatch(id) or id == HUB:
            raise SettingError("an agency's id is small letters, digits and '-'", place="ID")
        library = _with(self._shipped, id, folder)
        agency = _named(library.agencies[id], name)
        self._hub.write(lambda tx: _enter(tx, agency, folder))
        self._refresh(0)
        return agency

    def add_key(
        self, agency: str, *, admin: bool = False, granted: frozenset[str] = frozenset()
    ) -> str:
        """A new key's secret, which is stored as a hash alone; no scope ``granted`` means all.

        Raises:
            SettingError: no such member, or a scope that isn't one.
        """
        if not admin and self.get(agency) is None:
            raise SettingError("no such member: gateway agency add it first", place="AGENCY")
        if scopes.unknown(granted):
            raise SettingError("not a SMART v2 system scope", place="--scope")
        given = granted or Context("", "").scopes
        return self._keep_key(HUB if admin else agency, given, admin=admin)

    def add_metrics_key(self) -> str:
        """A new key's secret that opens ``/metrics`` and no other door."""
        return self._keep_key(HUB, METRICS, admin=False)

    def _keep_key(self, bearer: str, given: frozenset[str], *, admin: bool) -> str:
        key = keys.make()
        self._hub.write(lambda tx: tx.add_key(key.id, key.hash, bearer, admin=admin, scopes=given))
        return key.secret

    def listed_keys(self) -> list[Listed]:
        """Every key, never its secret: whose it is, what it opens, when it was made."""
        with self._hub.read() as reader:
            return reader.listed_keys()

    def revoke_key(self, id: str) -> None:
        """Take a key away, on record. Other processes know within ``FRESH`` seconds.

        Raises:
            SettingError: there is no such key.
        """

        def unit(tx: Transaction) -> None:
            if not tx.revoke_key(id):
                raise SettingError("no such key: gateway key list", place="ID")
            tx.audit(KEEPER, "revoke-key", id)

        self._hub.write(unit)
        for hashed, (context, _) in list(self._known.items()):
            if context.client == id:
                self._known.pop(hashed, None)

    def authenticate(self, secret: str) -> Context:
        """Who bears this key.

        Raises:
            Unauthenticated: nobody does.
        """
        hashed = keys.digest(secret)
        context, read = self._known.get(hashed, (None, 0.0))
        if context is not None and time.monotonic() - read < FRESH:
            return context
        with self._hub.read() as reader:
            key = reader.key(hashed) if keys.identify(secret) else None
        if key is None:
            self._known.pop(hashed, None)
            raise Unauthenticated("a valid key is needed: Authorization: Bearer")
        context = Context(key.agency, key.id, key.scopes, admin=key.admin)
        self._known[hashed] = (context, time.monotonic())
        return context

    def is_known(self, secret: str) -> bool:
        """Whether somebody who bears this key has been let in before, here."""
        return keys.digest(secret) in self._known

    def over(self, library: Library) -> Library:
        """Other maps, with the members as they are. Raises MapError for a member's own maps."""
        self._refresh(0)
        return _over(library, self._rows or ())

    def folders(self) -> list[Path]:
        """The folders of their own that members were added with."""
        self._refresh(FRESH)
        return [Path(row.folder) for row in self._rows or () if row.folder]

    def exchange(self, shipped: Library, library: Library) -> None:
        """Put other maps in force: ``library`` is ``shipped`` with the members (``over``).

        A member whose description has changed is entered anew, as ``add`` does.
        """
        with self._lock:
            before, rows = self._agencies, self._rows or []
            rows = [_renamed(row, self.library, library) for row in rows]
            added = [row for row in rows if row.id not in library.agencies]
            self._shipped = shipped
            self._take(_over(library, added), rows)
            after = self._agencies
        for row in rows:
            if after[row.id] != before.get(row.id):
                folder = Path(row.folder) if row.folder else None
                self._hub.write(partial(_enter, agency=after[row.id], folder=folder))

    def renew(self) -> None:
        """Read the members anew, if that was a while ago."""
        self._refresh(FRESH)

    def _refresh(self, age: float) -> bool:
        """Read the members anew if that was over ``age`` seconds ago; whether anything changed.

        While the hub is away those count that were read last: nothing can be written meanwhile.
        """
        if self._rows is not None and time.monotonic() - self._read < age:
            return False
        try:
            with self._hub.read() as reader:
                rows = reader.agencies()
        except Unavailable:
            if self._rows is None:
                raise
            rows = self._rows
        self._read = time.monotonic()
        if rows == self._rows:
            return False
        with self._lock:
            self._take(_over(self._shipped, rows), rows)
        return True

    def _take(self, library: Library, rows: list[Member]) -> None:
        self._agencies = {row.id: _named(library.agencies[row.id], row.name) for row in rows}
        hidden = (each.id for each in self._agencies.values() if each.confidential)
        self._confidential = frozenset(hidden)
        self.library, self._rows = library, rows
        self.directory = Directory(self._agencies.values())

    def _sender(self, application: str, facility: str) -> str | None:
        claims = [
            (bool(sender.application) + bool(sender.facility), agency.id)
            for agency in self._agencies.values()
            for sender in agency.senders
            if sender.application in ("", application) and sender.facility in ("", facility)
        ]
        best = [id for weight, id in claims if weight == max(claims)[0]]
        return best[0] if len(set(best)) == 1 else None


def _over(library: Library, rows: Sequence[Member]) -> Library:
    for row in rows:
        library = _with(library, row.id, Path(row.folder) if row.folder else None)
    return library


def _renamed(row: Member, old: Library, new: Library) -> Member:
    """A member that was called what its agency.yaml says is called what it says now."""
    known = new.agencies.get(row.id)
    if known is None or row.name != old.agencies[row.id].name:
        return row
    return replace(row, name=known.name)


def _with(library: Library, id: str, folder: Path | None) -> Library:
    """The library with an agency: of its own folder, else of the searched ones, else plain."""
    if folder is None and id in library.agencies:
        return library
    return library.with_agency(id, folder)


def _named(agency: Agency, name: str) -> Agency:
    return replace(agency, name=name) if name else agency


def _enter(tx: Transaction, agency: Agency, folder: Path | None) -> None:
    tx.add_agency(agency.id, agency.name, str(folder or ""))
    tx.put(KEEPER, _organization(agency), interaction="update")
    tx.grant(Grant(agency.organization, "*", agency.organization))
    to = agency.closing.to if agency.closing else ""
    for suffix, type_ in (("", "Task"), (":asks", QUESTION)):
        tx.put_subscriber(
            Subscriber(
                id=f"{CLOSING}{agency.id}{suffix}",
                agency=agency.id,
                channel="mllp",
                endpoint=to,
                criteria=f"{type_}?requester={agency.organization}",
                status="active" if to else "off",
            )
        )
    mailed = _mailed(agency)
    if agency.mail or tx.standing(mailed.id) is not None:
        tx.put_subscriber(mailed)


def _mailed(agency: Agency) -> Subscriber:
    """Who hears by e-mail of the referrals that are sent to it."""
    return Subscriber(
        id=f"{MAILED}{agency.id}",
        agency=agency.id,
        channel="email",
        endpoint=f"mailto:{agency.mail}",
        criteria=f"Task?owner={agency.organization}",
        status="active" if agency.mail else "off",
    )


def _organization(agency: Agency) -> ValidResource:
    """The member's entry in the directory: who it is, and nothing of where it is."""
    entry: Resource = {
        "resourceType": "Organization",
        "id": agency.id,
        "identifier": [
            {"system": codes.AGENCY_IDENTIFIER, "value": agency.id},
            *({"system": s, "value": v} if s else {"value": v} for s, v in agency.identifiers),
        ],
        "active": True,
        "name": agency.name,
    }
    return gates.check({**entry, "alias": list(agency.aliases)} if agency.aliases else entry)
