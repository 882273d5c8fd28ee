"""``agency.yaml``: who an agency is, how it sends, and how its loops close."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, cast, get_args

from gateway.model import HUB, Agency, Allowance, Closing, Sender, Sequencing
from gateway.translate.feeds import named, timezone
from gateway.translate.source import (
    Block,
    Yaml,
    block,
    flag,
    read_yaml,
    refuse,
    several,
    text,
    texts,
)
from gateway.translate.tables import Table, Unmapped, read_table, unmapped

FILE: Final = "agency.yaml"

_ID: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
_KEYS: Final = frozenset(
    {"agency", "name", "aliases", "identifiers", "feeds", "authorities", "tables"}
    | {"closes-loops-by", "hears-by", "falls-back", "tables-kept-by", "victim-service-provider"}
    | {"limits"}
)
_LIMITS: Final = frozenset({"rate", "burst", "in-hand"})
_FEED: Final = frozenset({"kind", "timezone", "charset", "sending", "sequence"})
_KINDS: Final = ("hl7v2", "csv", "json")
_TABLE: Final = frozenset({"file", "unmapped"})
_OUTCOMES: Final = frozenset({"oru", "osu", "rri"})
_CLOSING: Final = frozenset({"rri", "osu", "outcome", "siu", "to", "acknowledgement"})
_MODES: Final[Mapping[str, Literal["", "commit", "application"]]] = {
    "original": "",
    "commit": "commit",
    "application": "application",
}


@dataclass(frozen=True, slots=True)
class Profile:
    """An agency as its folder describes it: itself, its tables, and where its own maps lie.

    ``policies``: what it wants done about codes that a table lacks, and where it says so.
    ``feeds`` are those of rows and JSON, as they are written.
    """

    agency: Agency
    tables: dict[str, Table]
    folder: Path | None = None
    policies: Mapping[str, tuple[Unmapped, str]] = field(default_factory=dict)
    feeds: tuple[Block, ...] = ()


def is_agency_id(text: str) -> bool:
    """Whether ``text`` can be an agency's id: small letters, digits and ``-``, not ``hub``."""
    return bool(_ID.fullmatch(text)) and text != HUB


def read_profile(id_: str, folder: Path, shown: str) -> Profile:
    """An agency's folder; MapError with file:line for what can't be understood."""
    body = read_yaml(folder / FILE, f"{shown}/{FILE}")
    body.refuse_unknown(_KEYS, "an agency")
    if text(body.need("agency"), "'agency'") != id_:
        refuse(body.places["agency"], f"this is the folder of '{id_}'")
    if not is_agency_id(id_):
        refuse(body.places["agency"], "an id is small letters, digits and '-'")
    feed, others = _feeds(body)
    agency = Agency(
        id=id_,
        name=text(body.need("name"), "'name'"),
        timezone=_timezone(feed),
        charset=_charset(feed),
        senders=_senders(feed),
        authorities=_authorities(body),
        identifiers=_identifiers(body),
        aliases=tuple(one for one, _ in texts(body.items["aliases"], "an alias"))
        if "aliases" in body.items
        else (),
        closing=_closing(body),
        sequence=_sequence(feed),
        mail=_mail(body),
        tables_kept_by=_keeper(body),
        confidential=_is_confidential(body),
        falls_back="falls-back" in body.items and flag(body.items["falls-back"], "'falls-back'"),
        allowance=_allowance(body),
    )
    tables, policies = _tables(body, folder, shown)
    return Profile(agency, tables, folder, policies, others)


def _feeds(body: Block) -> tuple[Block | None, tuple[Block, ...]]:
    """The agency's feed of HL7 v2, None where it has none; and those of rows and JSON."""
    item = body.get("feeds")
    feeds = [block(one, "a feed") for one in several(item)] if item is not None else []
    spoken: list[Block] = []
    others: dict[str, Block] = {}
    for feed in feeds:
        kind = feed.need("kind")
        if text(kind, "'kind'") not in _KINDS:
            refuse(kind.place, f"the kinds of feeds are: {', '.join(_KINDS)}")
        if text(kind) == "hl7v2":
            feed.refuse_unknown(_FEED, "a feed of HL7 v2")
            spoken.append(feed)
        elif others.setdefault(named(feed), feed) is not feed:
            refuse(feed.place, f"the feed '{named(feed)}' stands here twice")
    if len(spoken) > 1:
        refuse(spoken[1].place, "one feed of HL7 v2")
    return spoken[0] if spoken else None, tuple(others.values())


def _timezone(feed: Block | None) -> str:
    item = feed.get("timezone") if feed else None
    return timezone(item) if item is not None else ""


def _charset(feed: Block | None) -> str:
    item = feed.get("charset") if feed else None
    name = text(item, "'charset'") if item is not None else "auto"
    if item is not None and name != "auto":
        try:
            codecs.lookup(name)
        except LookupError:
            refuse(item.place, f"'{name}' is no charset that Python knows")
    return name


def _sequence(feed: Block | None) -> Sequencing:
    item = feed.get("sequence") if feed else None
    if item is None:
        return "negotiated"
    said = text(item, "'sequence'")
    for known in get_args(Sequencing):
        if said == known:
            return cast("Sequencing", known)
    refuse(item.place, f"'sequence' is {', '.join(get_args(Sequencing))}")


def _senders(feed: Block | None) -> tuple[Sender, ...]:
    item = feed.get("sending") if feed else None
    return tuple(_sender(one) for one in several(item)) if item is not None else ()


def _sender(item: Yaml) -> Sender:
    body = block(item, "a sender")
    body.refuse_unknown(frozenset({"application", "facility"}), "a sender")
    parts = {key: text(value, key) for key, value in body.items.items()}
    if not any(parts.values()):
        refuse(item.place, "a sender has an application or a facility")
    return Sender(**parts)


def _authorities(body: Block) -> dict[str, str]:
    if (item := body.get("authorities")) is None:
        return {}
    found = block(item, "'authorities'")
    return {name: text(value, "a system") for name, value in found.items.items()}


def _identifiers(body: Block) -> tuple[tuple[str, str], ...]:
    if (item := body.get("identifiers")) is None:
        return ()
    found = [block(one, "an identifier") for one in several(item)]
    for one in found:
        one.refuse_unknown(frozenset({"system", "value"}), "an identifier")
    return tuple(
        (text(one.need("system"), "'system'"), text(one.need("value"), "'value'")) for one in found
    )


def _closing(body: Block) -> Closing | None:
    if (item := body.get("closes-loops-by")) is None:
        return None
    found = block(item, "'closes-loops-by'")
    found.refuse_unknown(_CLOSING, "'closes-loops-by'")
    rri, osu, siu = (_told(found, kind) for kind in ("rri", "osu", "siu"))
    outcome = text(found.items["outcome"], "'outcome'") if "outcome" in found.items else ""
    if outcome and outcome not in _OUTCOMES:
        refuse(found.places["outcome"], f"'outcome' is {' or '.join(sorted(_OUTCOMES))}")
    to = text(found.items["to"], "'to'") if "to" in found.items else ""
    if to and not re.fullmatch(r"mllps?://[^/:\s]+:\d{1,5}", to):
        refuse(found.places["to"], "'to' is mllp://host:port, or mllps://host:port")
    return Closing(rri or osu, outcome, to, progress=osu, booking=siu, acknowledgement=_mode(found))


def _mail(body: Block) -> str:
    """The address at which it hears of what is sent to it; "" where it doesn't."""
    if (item := body.get("hears-by")) is None:
        return ""
    found = block(item, "'hears-by'")
    found.refuse_unknown(frozenset({"email"}), "'hears-by'")
    address = text(found.need("email"), "'email'")
    if not re.fullmatch(r"[^@\s<>,;:\"]{1,64}@[A-Za-z0-9.-]{1,189}", address):
        refuse(found.places["email"], "'email' is one address")
    return address


def _told(found: Block, kind: str) -> str:
    """The kind of message where the agency wants it, else ""."""
    return kind if kind in found.items and flag(found.items[kind], f"'{kind}'") else ""


def _mode(found: Block) -> Literal["", "commit", "application"]:
    if "acknowledgement" not in found.items:
        return ""
    said = text(found.items["acknowledgement"], "'acknowledgement'")
    if said not in _MODES:
        refuse(found.places["acknowledgement"], f"'acknowledgement' is {' or '.join(_MODES)}")
    return _MODES[said]


def _keeper(body: Block) -> str:
    if (item := body.get("tables-kept-by")) is None:
        return ""
    keeper = text(item, "'tables-kept-by'")
    if not is_agency_id(keeper) and keeper != HUB:
        refuse(item.place, f"'tables-kept-by' is an agency's id, or {HUB}")
    return keeper


def _allowance(body: Block) -> Allowance:
    """How much it may ask of the hub, where it isn't what is usual."""
    if (item := body.get("limits")) is None:
        return Allowance()
    found = block(item, "'limits'")
    found.refuse_unknown(_LIMITS, "'limits'")
    rate, burst, in_hand = (_number(found, key) for key in ("rate", "burst", "in-hand"))
    return Allowance(
        rate, None if burst is None else int(burst), None if in_hand is None else int(in_hand)
    )


def _number(found: Block, key: str) -> float | None:
    if key not in found.items:
        return None
    said = text(found.items[key], f"'{key}'")
    if not re.fullmatch(r"\d{1,9}(\.\d{1,6})?" if key == "rate" else r"\d{1,9}", said):
        refuse(found.places[key], f"'{key}' is a number, 0 for no limit")
    return float(said)


def _is_confidential(body: Block) -> bool:
    item = body.items.get("victim-service-provider")
    return item is not None and flag(item, "'victim-service-provider'")


def _tables(
    body: Block, folder: Path, shown: str
) -> tuple[dict[str, Table], dict[str, tuple[Unmapped, str]]]:
    """Its own tables, and its policies: a file, or ``{file: …, unmapped: …}`` of which one may do.

    Raises MapError.
    """
    tables: dict[str, Table] = {}
    policies: dict[str, tuple[Unmapped, str]] = {}
    if (item := body.get("tables")) is None:
        return tables, policies
    for name, value in block(item, "'tables'").items.items():
        file = value.get("file") if isinstance(value, Block) else value
        if isinstance(value, Block):
            value.refuse_unknown(_TABLE, "a table")
        if isinstance(value, Block) and (file is None or "unmapped" in value.items):
            policy = value.need("unmapped")
            policies[name] = unmapped(text(policy, "'unmapped'"), policy.place), policy.place
        if file is not None:
            tables[name] = _table(name, file, folder, shown)
    return tables, policies


def _table(name: str, file: Yaml, folder: Path, shown: str) -> Table:
    written = text(file, "a table's file")
    path = folder / written
    if not path.is_file() or folder.resolve() not in path.resolve().parents:
        refuse(file.place, f"there is no file '{written}' in the agency's folder")
    return read_table(name, path, f"{shown}/{written}")
