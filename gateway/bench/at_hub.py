"""The bench over a hub: what is stored explained, and stored messages tried by other maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from gateway.bench.comparing import Compared, Replayed, against_stored, compared, outcome
from gateway.bench.counting import coverage
from gateway.bench.explaining import Asked, Explanation, asked, explained
from gateway.bench.remade import Remade, replayed
from gateway.bench.unread import Columns
from gateway.errors import GatewayError, Gone, NotFound, TranslateError
from gateway.fhir.codes import MESSAGE_IDENTIFIER
from gateway.fhir.json import loads
from gateway.fhir.search import parse_query
from gateway.members import Members
from gateway.model import Context, Message, Reference, Resource
from gateway.store import Hub, Reader
from gateway.translate import Coverage, Library, load


class Bench:
    """Asks of what is kept. An agency asks of its own, the gateway's keeper of all."""

    def __init__(self, hub: Hub, members: Members) -> None:
        self._hub = hub
        self._members = members

    def explain(self, context: Context, path: str) -> tuple[str, list[Explanation]]:
        """(the message, the way back) of an element of a stored resource.

        ``path`` is ``Patient/6f1….name.family``. Asked of the messages that led to the resource,
        the newest first, by the maps as they are now: of the first that says it.

        Raises NotFound where the caller may not see it, or no kept message says it.
        """
        wanted = asked(path)
        if not wanted.reference:
            raise NotFound("one resource is named like Patient/6f1….name.family", place="path")
        with self._hub.read() as reader:
            reader.read(context, *wanted.reference.split("/"))
            sources = _sources(reader, context, wanted.reference)
        for source in sources:
            try:
                found = self._explained(context, source, wanted)
            except GatewayError:  # it came in by other maps, or isn't the caller's
                continue
            if found:
                return source.id, found
        raise NotFound("nothing kept says this", place=path)

    def _explained(self, context: Context, source: Source, wanted: Asked) -> list[Explanation]:
        agency = self._members.get(source.agency)
        if agency is None:
            return []
        library = self._members.library
        if not source.feed:
            with self._hub.read() as reader:
                message = _as_taken(reader, reader.kept(context, source.id).message)
            return explained(library, agency, message.raw, wanted)
        if not (context.admin or context.agency == agency.id):
            return []
        return Remade(self._hub, library, agency, source.feed).explained(source.file, wanted)

    def coverage(self, context: Context, agency: str, count: int) -> Coverage:
        """What the last ``count`` messages of a member held and its maps read."""
        known = self._members.get(agency)
        if known is None:
            raise NotFound("no such member", place="agency")
        raw = [message.raw for message in self._last(context, agency, count)]
        return coverage(self._members.library, known, raw)

    def columns(self, context: Context, agency: str, feed: str, count: int) -> Columns:
        """What the last ``count`` kept rows of each file of a feed held and the maps read.

        Raises NotFound: no such member, or feed.
        """
        known = self._members.get(agency)
        if known is None or not (context.admin or context.agency == agency):
            raise NotFound("no such member", place="agency")
        try:
            return Remade(self._hub, self._members.library, known, feed).columns(count)
        except TranslateError as error:
            raise NotFound(error.issues[0].text, place="feed") from None

    def compare(
        self, context: Context, agency: str, count: int, folders: Sequence[Path] = ()
    ) -> Compared:
        """What of the last ``count`` messages, and rows of each file, would come out otherwise.

        Without ``folders`` by the maps in force, against what the hub holds; with them by their
        maps, against the maps in force. ``agency`` "" is all. Raises MapError.
        """
        library = self._members.library
        messages = [
            Replayed(one.id, one.agency, partial(outcome, one))
            for one in self._last(context, agency, count)
        ]
        for member in self._members:
            if agency in ("", member.id) and (context.admin or context.agency == member.id):
                messages += replayed(self._hub, library, member, count)
        if folders:
            return compared(messages, library, self._edited(folders))
        with self._hub.read() as reader:
            return against_stored(messages, library, partial(_stored, reader, context))

    def _edited(self, folders: Sequence[Path]) -> Library:
        """The maps of some folders; a member that has none there stays as it is now."""
        return self._members.over(load(folders))

    def _last(self, context: Context, agency: str, count: int) -> list[Message]:
        """The last accepted messages, as they were mended, oldest first."""
        with self._hub.read() as reader:
            kept = reader.accepted_messages(context, agency, count=count)
            return [_as_taken(reader, one.message) for one in reversed(kept)]


def _stored(reader: Reader, context: Context, reference: Reference) -> Resource | None:
    try:
        return loads(reader.read(context, *reference.split("/")).body)
    except (NotFound, Gone):
        return None


def _as_taken(reader: Reader, message: Message) -> Message:
    mended = reader.mended(message.id)
    return replace(message, raw=mended[-1].raw) if mended else message


@dataclass(frozen=True, slots=True)
class Source:
    """What led to a resource: a message's id, or a load's with its feed and file."""

    id: str
    agency: str
    feed: str = ""
    file: str = ""


def _sources(reader: Reader, context: Context, reference: Reference) -> list[Source]:
    """What led to a resource, the newest first."""
    pairs = [("target", reference), ("_sort", "-recorded"), ("_count", "50")]
    page = reader.search(context, parse_query("Provenance", pairs))
    found = (_source(loads(stored.body)) for stored in page.entries)
    return list(dict.fromkeys(one for one in found if one is not None))


def _source(provenance: Resource) -> Source | None:
    """What a Provenance names; None where it names nothing that was kept."""
    agency = provenance["agent"][0]["who"].get("reference", "").partition("/")[2]
    for entity in provenance.get("entity", ()):
        identifier = entity.get("what", {}).get("identifier", {})
        if identifier.get("system") == MESSAGE_IDENTIFIER:
            told = provenance.get("activity", {}).get("text", "")
            feed, _, file = told.partition("/")
            return Source(identifier["value"], agency, *((feed, file) if file else ()))
    return None
