"""Data types, by running: a value with one component goes in; does the guide's element come out?

``probes.yaml`` says, for each data type map of the guide, how our maps make its target: the type,
and the rules as a segment or message map writes them (``identifier: {from: ".", as: CX}``). A
guide's map that it doesn't name is probed by its name: ``XCN[Practitioner]`` by
``XCN_Practitioner``, ``CX[Identifier]`` by ``CX``. Values that fit no rule of thumb stand there
too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any, NamedTuple

from ruamel.yaml import YAML

from gateway.errors import GatewayError
from gateway.fhir.elements import resource_types
from gateway.model import Agency
from gateway.parse.er7 import parse
from gateway.translate import Library, load, translate
from tests.mappings.facts import Fact, facts
from tests.mappings.ig.codes import table_name
from tests.mappings.ig.tables import Row, code_rows
from tests.mappings.ig.targets import Target, chain, constant, covers, same_constant

HERE = Path(__file__).parent
HEADER = "MSH|^~\\&|A|B|C|D|20240301101500-0600||{}|1|P|2.8"
AGENCY = Agency("sample", "Sample")

_SAMPLES = {
    "NM": "7", "SNM": "7", "DTM": "20240229", "DT": "20240229", "TS": "20240229",
    "DR": "20240228&20240229", "HD": "NS&1.2.3.4&ISO", "CWE": "c1&text one&LN&&&&&&words",
    "CE": "c1&text one&LN", "FN": "Family&van&Own&von&Partner", "SAD": "1 Main St&Main&1",
    "CNN": "9&Family&Given", "CQ": "7&mg", "EI": "E1&NS&1.2.3&ISO", "RI": "BID&0800",
}  # fmt: skip
_VALUED = re.compile(r"([A-Z]{2,3}[.-]\d+) (?:IS )?(?=VALUED)()")
_EMPTY = re.compile(r"([A-Z]{2,3}[.-]\d+) +(?:IS )?NOT VALUED")
_ONE_OF = re.compile(r'([A-Z]{2,3}[.-]\d+) ?(?:IN \(|EQUALS|=) ?"([^"]+)"')


class Probe(NamedTuple):
    """How a map of the guide is tried: ``rules`` by the types that they make; facts of the target
    are sought below ``hosts``. ``inside`` is the component that the value stands in, 0 for the
    field. ``values`` and ``types`` go by component."""

    rules: dict[str, Any]
    hosts: tuple[str, ...] = ("",)
    inside: int = 0
    values: Mapping[str, str] = MappingProxyType({})
    types: Mapping[str, str] = MappingProxyType({})


def probed(rows: Iterable[Row], mappings: Path) -> Iterator[tuple[Row, bool, str]]:
    """Each row, whether its target came out, and a hint where not."""
    rows = list(rows)
    names = list(dict.fromkeys(row.map for row in rows))
    probes = {name: _probe(name, mappings) for name in names}
    with TemporaryDirectory() as folder:
        events = _write_maps(Path(folder) / "hl7v2" / "messages", probes)
        for kind in ("datatypes", "tables"):
            (Path(folder) / "hl7v2" / kind).symlink_to(mappings / "hl7v2" / kind)
        library = load([Path(folder)])
    for row in rows:
        probe = probes[row.map]
        if probe is None:
            yield row, False, "no map of ours"
        else:
            yield row, _comes_out(library, events[row.map], row, probe), "by probe"


def _comes_out(library: Library, event: str, row: Row, probe: Probe) -> bool:
    made = row.map.partition("[")[2].rstrip("]").partition("-")[0]
    links = chain(probe.types.get(row.source, made), row.target)
    target = links[-1] if links[-1].path or len(links) == 1 else links[-2]
    wanted = constant(row.assignment)
    for value, without in _values(row, probe):
        gained = _run(library, event, value) - _run(library, event, without)
        if any(_states(fact, target, wanted, probe) for fact in gained):
            return True
    return False


def _states(fact: Fact, target: Target, wanted: str | None, probe: Probe) -> bool:
    plain = re.sub(r"<[^>]*>", "", fact.path)
    agreed = wanted is None or same_constant(fact.value, wanted)
    return agreed and any(_stands(fact.type, plain, target, host) for host in probe.hosts)


def _stands(type_: str, path: str, target: Target, host: str) -> bool:
    if not host:
        return type_ in target.types and covers(path, target.path, whole=False)
    below = path == host or path.startswith(f"{host}.")
    return below and covers(path[len(host) :].lstrip("."), target.path, whole=False)


def _run(library: Library, event: str, value: str) -> set[Fact]:
    """What a value states; "" states nothing."""
    if not value:
        return set()
    message = "\r".join((HEADER.format(event), f"ZDT|{value}"))
    try:
        made = translate(library, AGENCY, parse(message.encode())).entries
    except GatewayError:
        return set()
    resources = [entry.resource for entry in made]
    more = {Fact(one["resourceType"], *pair) for one in resources for pair in _links("", one)}
    return facts(resources) | more


def _links(path: str, item: Any) -> Iterator[tuple[str, str]]:
    """The URLs of extensions and the references, which are no facts to ``facts``."""
    if isinstance(item, list):
        for one in item:
            yield from _links(path, one)
    elif isinstance(item, dict):
        for name, child in item.items():
            if (name == "url" and path.endswith("extension")) or name == "reference":
                yield f"{path}.{name}", child
            else:
                yield from _links(f"{path}.{name}".lstrip("."), child)


# --- values --------------------------------------------------------------------------------------


def _values(row: Row, probe: Probe) -> Iterator[tuple[str, str]]:
    """Values that the row's target should come out of; each also without its component."""
    own, type_ = _component(row.source), re.split("[.-]", row.source)[0]
    conditions = [*_VALUED.findall(row.condition), *_ONE_OF.findall(row.condition)]
    asked = {_component(name): text or "z" for name, text in conditions if name.startswith(type_)}
    if row.source in _EMPTY.findall(row.condition):
        own = 0
    elif own and own not in asked:
        asked[own] = probe.values.get(row.source) or _sample(row)
    for beside in ("", *probe.values.get("with", "").split(";")):
        pairs = (pair.partition("=") for pair in beside.split(",") if pair)
        given = {**{int(number): text for number, _, text in pairs}, **asked}
        for more in ({}, {1: "x1"}, {1: "x1", 2: "NS"}):
            parts = {**more, **given}
            rest = {number: text for number, text in parts.items() if number != own}
            yield _field(parts, probe), _field(rest, probe) if own else ""


def _component(source: str) -> int:
    digits = re.search(r"[.-](\d+)$", source)
    return int(digits[1]) if digits else 0


def _sample(row: Row) -> str:
    if row.table and (code := _known_code(table_name(row.table))):
        return code
    return _SAMPLES.get(row.kind, f"y{_component(row.source)}")


@cache
def _first_codes() -> dict[str, str]:
    first: dict[str, str] = {}
    for row in code_rows():
        first.setdefault(table_name(row.map), row.code)
    return first


def _known_code(table: str) -> str:
    return _first_codes().get(table, "")


def _field(parts: dict[int, str], probe: Probe) -> str:
    if not parts:
        return ""
    between = "&" if probe.inside else "^"
    text = between.join(parts.get(number, "") for number in range(1, max(parts) + 1))
    return "^" * (probe.inside - 1) + (text.replace("^", "&") if probe.inside else text)


# --- the probes' maps ----------------------------------------------------------------------------


@cache
def _written() -> dict[str, Any]:
    read: dict[str, Any] = YAML(typ="safe").load(HERE / "probes.yaml")
    return read


def _probe(name: str, mappings: Path) -> Probe | None:
    written = _written().get(name, {})
    source, _, target = name.rstrip("]").partition("[")
    type_ = target.partition("-")[0]
    more = {key: written[key] for key in ("inside", "values", "types") if key in written}
    if rules := written.get("rules"):
        return Probe(rules, tuple(written.get("host", ("",))), **more)
    if gives := written.get("gives"):
        return _in_extension(gives, written["rule"], more)
    own = written.get("map") or _named(mappings, source, target)
    if own is None:
        return None
    if _makes(mappings, own) in resource_types():
        return Probe({type_: {"use": own}}, **more)
    return _in_extension(type_, {"from": ".", "as": own}, more)


def _in_extension(type_: str, rule: Any, more: dict[str, Any]) -> Probe:
    """A data type, made as an extension's value."""
    extension = {"url": {"const": "urn:probe"}, f"value{type_}": rule}
    basic = {"set": {"code": {"const": {"text": "probe"}}, "extension": extension}}
    return Probe({"Basic": basic}, (f"extension.value{type_}",), **more)


def _named(mappings: Path, source: str, target: str) -> str | None:
    type_ = target.partition("-")[0]
    names = (f"{source}_{type_}", source)
    return next((name for name in names if _makes(mappings, name) == type_), None)


def _makes(mappings: Path, name: str) -> str:
    """The type that a data type map of ours makes, "" where there is none of that name."""
    path = mappings / "hl7v2" / "datatypes" / f"{name}.yaml"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    found = re.search(r"^to: (\S+)", text, re.MULTILINE)
    return found[1] if found else ""


def _write_maps(folder: Path, probes: dict[str, Probe | None]) -> dict[str, str]:
    """A message map for each probe; the events by the guide's map."""
    folder.mkdir(parents=True)
    events = {}
    for number, (name, probe) in enumerate(probes.items(), 1):
        if probe is not None:
            events[name] = f"ZD{chr(65 + number // 100)}^P{number % 100:02}"
            made = {
                f"probe-{type_.lower()}": {
                    "to": type_,
                    "each": "ZDT-1",
                    "key": {"join": [{"const": type_}, "MSH-10"]},
                    **rules,
                }
                for type_, rules in probe.rules.items()
            }
            text = StringIO()
            body = {"map": f"P{number:03}", "events": [events[name]], "resources": made}
            YAML(typ="safe").dump(body, text)
            (folder / f"P{number:03}.yaml").write_text(text.getvalue(), encoding="utf-8")
    return events
