"""``map new``: a draft for an agency from one file that it sends. It loads, and its test runs."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.table import Table

from gateway.bench.drafts import Draft, Proposal
from gateway.bench.guesses import Column, date_order, guess
from gateway.bench.sources import content, messages_of
from gateway.errors import GatewayError, SettingError
from gateway.model import Agency
from gateway.parse import er7
from gateway.parse.csv import Sheet
from gateway.parse.json import items
from gateway.translate import Library, is_agency_id, translate
from gateway.translate.agency import FILE

ROWS: Final = 10
"""Records that become the draft's sample: enough to see, few enough to replace by invented ones."""
LOOKED: Final = 1000
"""Records that are looked at."""

_WRAPS: Final = frozenset({"data", "attributes", "payload", "body", "record"})


@dataclass(frozen=True, slots=True)
class New:
    """A drafted folder: the texts of its files by path, and what was proposed.

    ``remarks`` are what else somebody is to look at.
    """

    files: Mapping[str, str | bytes]
    proposals: tuple[Proposal, ...]
    remarks: tuple[str, ...]


def draft(library: Library, id: str, sample: Path, feed: str = "") -> New:
    """A draft for the agency ``id`` from a CSV, JSON or HL7 v2 file.

    Raises:
        SettingError: no id of an agency, or no such kind of file.
        ParseError: a file that can't be read.
    """
    if not is_agency_id(id):
        raise SettingError("an agency's id is small letters, digits and '-'", place=id)
    kind = sample.suffix.casefold()
    if kind in (".hl7", ".er7"):
        return _of_messages(library, id, sample)
    if kind not in (".csv", ".tsv", ".txt", ".json", ".ndjson"):
        raise SettingError("a .csv, .json or .hl7 file is drafted from", place=sample.name)
    return _of_records(id, sample, feed or _slug(sample.stem), "json" in kind)


def write(new: New, home: Path) -> list[Path]:
    """Write a draft into an agency's folder. Raises SettingError where a file is there already."""
    paths = {home / name: body for name, body in new.files.items()}
    for path in paths:
        if path.exists():
            raise SettingError("it is there already: nothing was written", place=str(path))
    for path, body in paths.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body if isinstance(body, bytes) else body.encode())
    return list(paths)


# --- rows and JSON -------------------------------------------------------------------------------


def _of_records(id: str, sample: Path, feed: str, is_json: bool) -> New:
    columns, few, at = _json(sample) if is_json else (*_csv(sample), "")
    if not columns:
        raise SettingError("nothing is in it that a map could read", place=sample.name)
    drafted = Draft(_slug(feed), *guess(columns)).written()
    order, shown = date_order(columns)
    kind, ending = ("json", "json") if is_json else ("csv", "csv")
    files: dict[str, str | bytes] = {
        FILE: _described(id, kind, feed, order, shown, at),
        f"{feed}/records/{feed}.yaml": drafted.map,
        f"{feed}/samples/{feed}.{ending}": few,
    }
    files |= {f"{feed}/tables/{name}.csv": text for name, text in drafted.tables.items()}
    remarks = [
        f"put invented people into {feed}/samples/{feed}.{ending}: it holds the first of yours"
    ]
    if order and not shown:
        remarks.append("no day is over 12: are the dates really M/D/Y?")
    return New(files, drafted.proposals, tuple(remarks))


def _described(id: str, kind: str, feed: str, order: str, shown: bool, at: str) -> str:
    dates = [f"    dates: {order}{'' if shown else '  # unsure: or D/M/Y'}"] if order else []
    lines = [
        f"agency: {id}",
        f"name: {id.replace('-', ' ').title()}  # unsure: its full name",
        "feeds:",
        f"  - kind: {kind}",
        f"    feed: {feed}",
        "    timezone: America/Chicago  # unsure: where it is",
        *dates,
        f'    files: [{{file: "*", map: {feed}{f", at: {json.dumps(at)}" if at else ""}}}]',
    ]
    return "\n".join(lines) + "\n"


def _csv(sample: Path) -> tuple[list[Column], str]:
    with sample.open("rb") as stream:
        sheet = Sheet(sample.name, stream)
        names = sheet.head.columns
        rows = [line.cells for line, _ in zip(sheet, range(LOOKED), strict=False) if not line.fault]
    columns = [
        Column(name, _column(name), tuple(row[at] for row in rows)) for at, name in enumerate(names)
    ]
    few = io.StringIO()
    csv.writer(few, lineterminator="\n").writerows([names, *rows[:ROWS]])
    return [one for one in columns if one.name.strip()], few.getvalue()


def _column(name: str) -> str:
    name = name.strip()
    return name if re.fullmatch(r"[\w-]+", name) else f"[{name}]"


def _json(sample: Path) -> tuple[list[Column], str, str]:
    """(the columns, a body of the first records, where in it they stand: "" for itself)."""
    with sample.open("rb") as stream:
        found = zip(items(sample.name, stream), range(LOOKED), strict=False)
        records = [item.value for item, _ in found if isinstance(item.value, dict)]
    at = _listed(records[0]) if len(records) == 1 else ""
    whole: Any = records[:ROWS]
    if at:
        whole = records[0] | {at: records[0][at][:ROWS]}
        records = records[0][at][:LOOKED]
    leaves = [dict(_leaves(record, "")) for record in records]
    paths = dict.fromkeys(path for each in leaves for path in each)
    columns = [
        Column(_called(path), path, tuple(each.get(path, "") for each in leaves)) for path in paths
    ]
    return columns, json.dumps(whole, indent=1, ensure_ascii=False, default=str) + "\n", at


def _listed(body: dict[str, Any]) -> str:
    """The key under which a body has its records: a list of objects that say more than is around
    them; "" where the body is a record itself."""
    lists = {
        key: held
        for key, held in body.items()
        if isinstance(held, list) and held and all(isinstance(each, dict) for each in held)
    }
    if not lists or any(re.fullmatch(r"_?id|.*_?(id|Id|ID)|number", key) for key in body):
        return ""
    key = max(lists, key=lambda each: len(list(_leaves(lists[each][0], ""))))
    around = {name: held for name, held in body.items() if name not in lists}
    return key if len(list(_leaves(lists[key][0], ""))) > len(list(_leaves(around, ""))) else ""


def _called(path: str) -> str:
    """What a path's value is called: its last two names, without those that only wrap."""
    names = [re.sub(r"\[\d+\]", "", name) for name in path.split(".")]
    return " ".join([name for name in names if name not in _WRAPS][-2:])


def _leaves(value: dict[str, Any], around: str) -> Iterator[tuple[str, str]]:
    """(path, text) of the single values in an object; of a list that of its first item."""
    for key, held in value.items():
        name = key if re.fullmatch(r"[A-Za-z_]\w*", key) else json.dumps(key)
        path = f"{around}.{name}" if around else name
        if isinstance(held, list):
            path, held = f"{path}[0]", held[0] if held else None
        if isinstance(held, dict):
            yield from _leaves(held, path)
        elif held is not None and not isinstance(held, list):
            yield path, str(held).lower() if isinstance(held, bool) else str(held)


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")[:40] or "records"


# --- HL7 v2 --------------------------------------------------------------------------------------


def _of_messages(library: Library, id: str, sample: Path) -> New:
    raw = messages_of(content(sample))
    if not raw:
        raise SettingError("it holds no HL7 v2 message", place=sample.name)
    parsed = [er7.parse(one) for one in raw]
    files: dict[str, str | bytes] = {FILE: _sender(id, parsed)}
    for number, one in enumerate(raw[:ROWS], 1):
        name = sample.stem if len(raw) == 1 else f"{sample.stem}-{number}"
        files[f"{_slug(name)}.hl7"] = one.replace(b"\r\n", b"\r") + b"\r"
    proposals, remarks = [], ["put invented people into the samples: they hold the first of yours"]
    for event in dict.fromkeys(one.event for one in parsed):
        message = next(one for one in parsed if one.event == event)
        made, said = _tried(library, id, message)
        proposals.append(Proposal(event, made, said[0] if said else ""))
        remarks += [f"{event}: {each}" for each in said]
    return New(files, tuple(proposals), tuple(dict.fromkeys(remarks)))


def _tried(library: Library, id: str, message: er7.Message) -> tuple[str, list[str]]:
    """(what the standard maps make of a message, what they warn of), without any value."""
    try:
        made = translate(library, Agency(id, id, timezone="UTC"), message)
    except GatewayError as error:
        return "", [f"{error.place}: {error}"]
    types = dict.fromkeys(entry.resource["resourceType"] for entry in made.entries)
    return ", ".join(types), [f"{one.place}: {one.text}" for one in made.warnings]


def _sender(id: str, parsed: Sequence[er7.Message]) -> str:
    senders = dict.fromkeys(_told(one, 3) + _told(one, 4) for one in parsed)
    zones = [one.segments[0].text(7) or "" for one in parsed]
    sure = all(re.search(r"[+-]\d{4}$", zone) for zone in zones)
    listed = ", ".join(
        "{"
        + ", ".join(f'{key}: "{text}"' for key, text in zip(keys, pair, strict=True) if text)
        + "}"
        for pair in senders
        if any(pair)
        for keys in [("application", "facility")]
    )
    lines = [
        f"agency: {id}",
        f"name: {id.replace('-', ' ').title()}  # unsure: its full name",
        "feeds:",
        "  - kind: hl7v2",
        f"    timezone: America/Chicago{'' if sure else '  # unsure: MSH-7 has no offset'}",
        f"    sending: [{listed}]",
        *_authorities(parsed),
    ]
    return "\n".join(lines) + "\n"


def _told(message: er7.Message, field: int) -> tuple[str, ...]:
    return (message.segments[0].text(field) or "",)


def _authorities(parsed: Sequence[er7.Message]) -> list[str]:
    """Who numbers the patients and doesn't say by an OID: somebody has to ask."""
    names = dict.fromkeys(
        name
        for message in parsed
        for segment in message.all("PID")
        for node in segment.repetitions(3)
        if (name := segment.text(3, component=4))
        and segment.text(3, component=4, subcomponent=2) is None
    )
    remarks = [f'#   {json.dumps(name)}: "urn:oid:…"' for name in names]
    head = (
        "# unsure: by which OIDs these number patients (CX-4); without, a URI of the agency's own"
    )
    return [head, "# authorities:", *remarks] if names else []


# --- for programs, and for people -----------------------------------------------------------------


def as_json(new: New) -> dict[str, Any]:
    """The files, what was proposed, and what to look at."""
    return {
        "files": {
            name: body.decode("utf-8", "replace") if isinstance(body, bytes) else body
            for name, body in new.files.items()
        },
        "proposals": [
            {"column": one.column, "target": one.target, "unsure": one.unsure}
            for one in new.proposals
        ],
        "remarks": list(new.remarks),
    }


def tables(new: New) -> list[Table]:
    """A line a column."""
    table = Table(title="What is proposed", caption="\n".join(new.remarks))
    for name in ("Column", "Target", "Unsure"):
        table.add_column(name, overflow="fold")
    for one in new.proposals:
        table.add_row(one.column, one.target or "—", one.unsure)
    return [table]
