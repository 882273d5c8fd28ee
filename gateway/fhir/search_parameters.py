"""Search parameters as data, R4's and SDOH Clinical Care's, and the rows a resource is found by.

A parameter that can't be answered yet isn't offered: ``unsupported`` names it and says why.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final, Literal, cast

from gateway.fhir import near, sounds
from gateway.fhir.composites import Component, component, grouped, is_single
from gateway.fhir.definitions import load
from gateway.fhir.elements import Element
from gateway.fhir.expressions import (
    UnsupportedExpression,
    Walk,
    compile_expression,
    values_of,
)
from gateway.fhir.indexing import LABELS, MAKERS, PARTS, Maker
from gateway.fhir.least import hidden, least, may_hide
from gateway.fhir.query import Kind, Late
from gateway.fhir.rows import IndexRow
from gateway.fhir.sharing import holding, sharing
from gateway.model import Resource

APART: Final = "!"
"""What the name of a parameter's rows begins with that come from what a grant doesn't show."""

_DEFINITION: Final = "http://hl7.org/fhir/SearchParameter/"
_NOT_DOMAIN: Final = ("Bundle", "Binary", "Parameters")
_WORDS: Final = ("_text", "_content")
COLUMNS: Final = ("_id", "_lastUpdated")
_CALLED: Final = {"words": "string", "sounds": "string", "near": "special"}
_SPECIAL: Final = frozenset({"sounds", "near"})


@dataclass(frozen=True, slots=True)
class Parameter:
    """One search parameter of one type.

    ``kind`` is how it is answered, ``definition`` its canonical URL, ``expression`` its FHIRPath,
    ``targets`` the types that a reference may point to (empty: any). ``walks`` lead to its values,
    each with what makes rows. Of a composite ``components`` are its parts, and ``single`` says
    that they may be of the resource itself, so that each part's own parameter answers for it.
    ``late``: of one whose rows are made before the first search for it.
    """

    code: str
    kind: Kind | Literal["composite", "words", "sounds", "near"]
    definition: str
    expression: str
    targets: tuple[str, ...]
    walks: tuple[tuple[Walk, Maker], ...]
    components: tuple[Component, ...] = ()
    single: bool = False
    late: Late | None = None

    @property
    def type(self) -> str:
        """The kind as FHIR calls it."""
        return _CALLED.get(self.kind, self.kind)

    @property
    def filed(self) -> Kind:
        """The kind of rows that it has at least one of, where a resource has a value."""
        return "token" if self.kind in _SPECIAL else cast(Kind, self.kind)

    @property
    def rows(self) -> str:
        """The name of its rows: its code, of a custom one with what it was defined as."""
        return (self.late.name.partition("?")[2] if self.late else "") or self.code


@cache
def parameters(type: str) -> Mapping[str, Parameter]:
    """The search parameters of a resource type by code, ``_id`` and ``_lastUpdated`` among them."""
    offered, _ = _compiled(type)
    return offered


@cache
def shared(type: str) -> Mapping[str, tuple[str, ...]]:
    """The parameters of a type that find by the rows of others, by code, and by whose."""
    offered = parameters(type).values()
    return sharing({one.code: _looks(one) for one in offered if one.walks and not one.late})


@cache
def holds(type: str) -> Mapping[str, tuple[str, ...]]:
    """The parameters of a type that find by the rows of others beside their own, by code."""
    offered = parameters(type).values()
    simple = (one for one in offered if not (one.late or one.kind == "composite"))
    own = {one.code: one.walks for one in simple if one.walks and one.code not in shared(type)}
    return holding(own, _is_within)


def _is_within(part: tuple[Walk, Maker], whole: tuple[Walk, Maker]) -> bool:
    """Whether what is made of one walk is made of the other: of some values, or a part of them."""
    walk, make = part
    if walk.among is None or walk.among != whole[0]:
        return False
    if walk.element is whole[0].element:
        return make is whole[1]
    return walk.element is not None and _last(walk.element) in PARTS.get(whole[1], ())


def _last(element: Element) -> str:
    return element.path.rpartition(".")[2]


def _looks(one: Parameter) -> list[Any]:
    """What a parameter looks at, and what it makes of it."""
    if one.kind != "composite":
        return [(one.kind, *each) for each in one.walks]
    parts = [(part.kind, part.walks) for part in one.components]
    return [(walk, parts) for walk, _ in one.walks]


def filed(type: str, name: str) -> tuple[str, ...]:
    """The names of the rows that a criterion of a type finds by, modified or not."""
    code = re.split("[:$]", name, maxsplit=1)[0]
    if name == f"{code}:text":  # made late, each parameter's its own
        return (name,)
    found = [
        every
        for other in shared(type).get(code, (code,))
        for every in (other, *holds(type).get(other, ()))
    ]
    return tuple(other + name[len(code) :] for other in dict.fromkeys(found))


@cache
def twice(type: str) -> Mapping[str, tuple[str, ...]]:
    """The names of rows that needn't be filed where the same stands under one of the others."""
    return {
        f"{apart}{code}{modifier}": tuple(f"{apart}{other}{modifier}" for other in others)
        for code, others in holds(type).items()
        for apart in ("", APART)
        for modifier in ("", ":identifier")
    }


@cache
def unsupported(type: str) -> Mapping[str, str]:
    """Official parameters of a type that aren't offered, and why."""
    _, refused = _compiled(type)
    return refused


def extract(resource: Resource, only: frozenset[str] | None = None) -> list[IndexRow]:
    """The rows of a valid resource, without repetitions; none for ``_id`` and ``_lastUpdated``.

    ``only`` those of these parameters, where not all are needed.
    """
    by_key = _walks(resource["resourceType"], only)
    return list(dict.fromkeys(_rows(by_key, ("", *resource), resource)))


def extract_apart(resource: Resource) -> list[IndexRow]:
    """What the store files: of parameters that share rows those of one, and what a grant doesn't
    show by ``APART`` and its parameter."""
    parts, by_key = hidden(resource), _filing(resource["resourceType"])
    if not parts:
        return list(dict.fromkeys(_rows(by_key, ("", *resource), resource)))
    # What reads the whole resource (its key is "") reads nothing of it that isn't shown.
    open_ = _rows(by_key, ("", *(key for key in resource if key not in parts)), resource)
    kept = _rows(by_key, tuple(parts), parts)
    secret = _rows(by_key, tuple(parts), resource)
    return list(dict.fromkeys(open_ + kept)) + _apart(secret, kept)


def element_rows(resource: Resource, name: str) -> list[IndexRow]:
    """What is filed of one top-level element alone; of a type that ``reads_whole`` not all."""
    return _rows(_filing(resource["resourceType"]), (name,), resource)


@cache
def reads_whole(type: str) -> bool:
    """Whether some rows of a type don't come from one top-level element, or may stand apart."""
    return type == "Patient" or "" in _filing(type)


def _apart(rows: list[IndexRow], shown: list[IndexRow]) -> list[IndexRow]:
    secret = [row for row in dict.fromkeys(rows) if row not in shown]
    return [row._replace(param=APART + row.param) for row in secret]


def hides(type: str, param: str) -> bool:
    """Whether some rows of a parameter may stand apart. Of a custom one's that isn't known."""
    code = param.partition(":")[0]
    if type != "Patient":
        return False
    one = parameters(type).get(code)
    return one is None or any(may_hide(type, walk.first) for walk, _ in one.walks)


@cache
def labels(type: str) -> Late:
    """The rows of ``:text``: what people read where a token parameter finds a code."""

    def rows(resource: Resource) -> list[IndexRow]:
        return [
            row
            for code, one in parameters(type).items()
            if one.kind == "token"
            for walk, _ in one.walks
            if walk.type in LABELS
            for value in walk.values(resource)
            for row in LABELS[walk.type](f"{code}:text", value, walk.element)
        ]

    names = tuple(f"{code}:text" for code, one in parameters(type).items() if one.kind == "token")
    return Late(f"{type}:text", type, late_rows(rows), with_apart(names), ("string",))


def with_apart(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names, and those of the rows that stand apart."""
    return (*names, *(APART + name for name in names))


def late_rows(rows: Callable[[Resource], list[IndexRow]]) -> Callable[[Resource], list[IndexRow]]:
    """The same rows, each once, those from what a grant doesn't show apart."""

    def made(resource: Resource) -> list[IndexRow]:
        whole = list(dict.fromkeys(rows(resource)))
        if not hidden(resource):
            return whole
        shown = rows(least(resource))
        return shown + _apart(whole, shown)

    return made


_ByKey = Mapping[str, tuple[tuple[str, Walk, Maker], ...]]


def _rows(by_key: _ByKey, keys: tuple[str, ...], resource: Resource) -> list[IndexRow]:
    out: list[IndexRow] = []
    for key in keys:
        walks = by_key.get(key)
        if walks is not None:
            first = values_of(resource[key]) if key else [resource]
            for param, walk, make in walks:
                for value in walk.beyond(first, resource) if walk.steps else first:
                    out += make(param, value, walk.element)
    return out


@lru_cache(4096)
def _walks(type: str, only: frozenset[str] | None) -> _ByKey:
    """The walks by the top-level key that they start with: most keys aren't there."""
    out: dict[str, list[tuple[str, Walk, Maker]]] = {}
    for code, parameter in parameters(type).items():
        if code not in COLUMNS and not parameter.late and (only is None or code in only):
            for walk, make in parameter.walks:
                out.setdefault(walk.first, []).append((code, walk, make))
    return {key: tuple(found) for key, found in out.items()}


@cache
def _filing(type: str) -> _ByKey:
    """The walks of the parameters whose rows are filed."""
    return _walks(type, frozenset(parameters(type).keys() - shared(type).keys()))


@cache
def _definitions() -> Mapping[str, tuple[Mapping[str, Any], ...]]:
    out: dict[str, list[Mapping[str, Any]]] = {}
    for raw in load("search_parameters"):
        for base in raw["base"]:
            out.setdefault(base, []).append(raw)
    return {base: tuple(found) for base, found in out.items()}


def _of(type: str) -> Iterator[Mapping[str, Any]]:
    yield from _definitions().get("Resource", ())
    if type not in _NOT_DOMAIN:
        yield from _definitions().get("DomainResource", ())
    yield from _definitions().get(type, ())


@cache
def _compiled(type: str) -> tuple[Mapping[str, Parameter], Mapping[str, str]]:
    offered: dict[str, Parameter] = {}
    refused: dict[str, str] = {}
    for raw in _of(type):
        try:
            offered[raw["code"]] = _parameter(raw, type)
        except UnsupportedExpression as error:
            refused[raw["code"]] = str(error)
    return offered, refused


def _parameter(raw: Mapping[str, Any], type: str) -> Parameter:
    kind, expression = raw["type"], raw.get("expression", "")
    if raw["code"] in _WORDS:
        return Parameter(raw["code"], "words", _url(raw), "", (), ())
    if not expression:
        raise UnsupportedExpression("there are no named queries; $match finds a person")
    if raw["code"] in _LATE:
        return _special(raw, type)
    if kind == "composite":
        return _composite(raw, type)
    return simple(raw["code"], kind, _url(raw), expression, tuple(raw.get("target", ())), type)


def _special(raw: Mapping[str, Any], type: str) -> Parameter:
    """One that is seldom asked for, and of rows of its own."""
    code, expression = raw["code"], raw["expression"]
    kind, makers, names, kinds = _LATE[code]
    walks = tuple((walk, makers[walk.type]) for walk in compile_expression(expression, type))

    def rows(resource: Resource) -> list[IndexRow]:
        return [
            row
            for walk, make in walks
            for value in walk.values(resource)
            for row in make(code, value, walk.element)
        ]

    late = Late(f"{type}:{code}", type, late_rows(rows), names, kinds)
    return Parameter(code, kind, _url(raw), expression, (), walks, late=late)


_LATE: Final[
    Mapping[
        str,
        tuple[Literal["sounds", "near"], Mapping[str, Maker], tuple[str, ...], tuple[Kind, ...]],
    ]
] = {
    "phonetic": ("sounds", sounds.MAKERS, ("phonetic",), ("token",)),
    "near": ("near", near.MAKERS, near.ROWS, ("token", "number")),
}
"""By code: the kind of parameter, what makes its rows, their names, their kinds."""


def simple(
    code: str, kind: str, definition: str, expression: str, targets: tuple[str, ...], type: str
) -> Parameter:
    """A parameter of one value. Raises UnsupportedExpression."""
    if kind not in MAKERS:
        raise UnsupportedExpression(f"{kind} parameters")
    walks = _made(kind, compile_expression(expression, type))
    return Parameter(code, cast(Kind, kind), definition, expression, targets, walks)


def _made(kind: str, walks: list[Walk]) -> tuple[tuple[Walk, Maker], ...]:
    """Each walk with what makes its rows; a choice's types that the kind can't hold fall out."""
    made = [(walk, MAKERS[kind][walk.type]) for walk in walks if walk.type in MAKERS[kind]]
    if not made:
        types = ", ".join(sorted({walk.type for walk in walks})) or "nothing"
        raise UnsupportedExpression(f"{kind} of {types}")
    return tuple(made)


def _composite(raw: Mapping[str, Any], type: str) -> Parameter:
    roots = compile_expression(raw["expression"], type)
    parts = [(_named(url), expression) for url, expression in raw["component"]]
    components = tuple(component(one, expression, roots[-1]) for one, expression in parts)
    walks = tuple((root, grouped(components, root)) for root in roots if not is_single(root))
    return Parameter(
        code=raw["code"],
        kind="composite",
        definition=_url(raw),
        expression=raw["expression"],
        targets=(),
        walks=walks,
        components=components,
        single=len(walks) < len(roots),
    )


def _url(raw: Mapping[str, Any]) -> str:
    """Its canonical URL; only a guide's own is written out."""
    url: str = raw.get("url") or _DEFINITION + raw["id"]
    return url


@cache
def _by_definition() -> Mapping[str, Mapping[str, Any]]:
    return {_url(raw): raw for raw in load("search_parameters")}


def _named(url: str) -> Mapping[str, Any]:
    return _by_definition()[url]
