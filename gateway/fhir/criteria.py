"""One parameter of a search as a condition: modifiers, chains, ``_has``, composites.

R4 search, 3.1.1.3 to 3.1.1.5. A name is ``code``, ``code:modifier``, ``code:Type.further`` (a
chain) or ``_has:Type:code:further``; what isn't understood is refused with what would be.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, NoReturn, cast

from gateway.errors import InvalidSearch
from gateway.fhir import near, sounds
from gateway.fhir.composites import filed_under
from gateway.fhir.elements import resource_types
from gateway.fhir.operands import OPERANDS, Place, plain, split, wrong
from gateway.fhir.query import (
    Chain,
    Composite,
    Condition,
    Criterion,
    Has,
    Kind,
    Late,
    Near,
    TokenValue,
    Value,
    Words,
)
from gateway.fhir.search_modifiers import MODIFIERS
from gateway.fhir.search_parameters import COLUMNS, Parameter, parameters, unsupported
from gateway.fhir.words import asked

MANY: Final = 12
"""Of how many types a chain that names none may lead to."""

MANY_PAIRS: Final = 100
"""How many values of a composite may be asked for at once."""

DEEPEST: Final = 5
"""How many resources a chain may lead over."""

RESULT: Final = (
    "_contained",
    "_containedType",
    "_count",
    "_elements",
    "_include",
    "_revinclude",
    "_sort",
    "_summary",
    "_total",
)
"""What shapes the answer and not what is found."""

OTHERS: Final = ("_has", "_list")
"""What is asked of every type, beside its parameters."""

Custom = Callable[[str], Mapping[str, Parameter]]


@dataclass(frozen=True, slots=True)
class Asking:
    """What is the same for all parameters of one search of ``types``.

    ``base`` is the server's own address, "" if unknown. ``custom`` gives the parameters of a type
    that the caller has beside the official ones; ``allows`` says whether it may search a type.
    """

    types: tuple[str, ...]
    base: str
    now: datetime
    custom: Custom
    allows: Callable[[str], bool]
    depth: int = 0

    def of(self, type: str) -> Asking:
        """The same of another type, one resource further on."""
        if self.depth >= DEEPEST:
            raise InvalidSearch(f"a chain leads over at most {DEEPEST}", code="too-costly")
        return replace(self, types=(type,), depth=self.depth + 1)

    def find(self, code: str) -> Parameter | None:
        """The parameter of that code, if all types have it, of one kind.

        What is made late is of one type.
        """
        found = [self._of(type, code) for type in self.types]
        first = found[0]
        if first is None or any(one is None or one.kind != first.kind for one in found):
            return None
        return None if first.late and len(found) > 1 else first

    def _of(self, type: str, code: str) -> Parameter | None:
        official = parameters(type).get(code)
        if official is not None or code in unsupported(type) or code.startswith("_"):
            return official
        return self.custom(type).get(code)


def known(asking: Asking, name: str) -> bool:
    """Whether a name starts with a parameter that there is."""
    code = name.partition(":")[0].partition(".")[0]
    return code in OTHERS or asking.find(code) is not None


def condition(asking: Asking, name: str, text: str) -> Condition:
    """What a parameter asks. Raises InvalidSearch, whose place is the parameter."""
    if name.startswith("_has:"):
        return _has(asking, name, text)
    if name == "_list":
        return _listed(asking, text)
    head, dot, further = name.partition(".")
    code, _, modifier = head.partition(":")
    parameter = asking.find(code)
    if parameter is None:
        refuse(asking, name)
    if not text:
        raise InvalidSearch("has no value", place=code, code="value")
    if dot:
        return _chain(asking, parameter, modifier, further, text)
    if name.endswith(":"):
        _refuse_modifier(parameter)
    return _asked(asking, parameter, modifier, text)


def refuse(asking: Asking, name: str, *, place: str | None = None) -> NoReturn:
    """Says why a parameter isn't one, and which are."""
    common = set.intersection(*(set(parameters(type)) for type in asking.types))
    what = asking.types[0] if len(asking.types) == 1 else "every type asked for"
    names = ", ".join(sorted({*common, *RESULT, *OTHERS}))
    named = name if re.fullmatch(r"[\w:.\-]{1,64}", name, re.ASCII) else None
    refused = [unsupported(type)[name] for type in asking.types if name in unsupported(type)]
    if refused:
        text = f"not supported by this server: {refused[0]}; {what} knows {names}"
    else:
        text = f"not a search parameter of {what}, which knows {names}"
    raise InvalidSearch(text, place=place or named)


# --- one parameter -------------------------------------------------------------------------------


def _asked(asking: Asking, parameter: Parameter, modifier: str, text: str) -> Condition:
    if parameter.kind == "words":
        return _words(asking, parameter, modifier, text)
    if modifier == "missing" and parameter.code not in COLUMNS:
        return _missing(parameter, text)
    if parameter.kind in ("composite", "sounds", "near") and modifier:
        _refuse_modifier(parameter)
    if parameter.kind == "composite":
        return _composite(asking, parameter, text)
    if parameter.kind == "sounds":
        return sounds.condition(parameter.code, parameter.late, text)
    if parameter.kind == "near":
        return near.condition(parameter.code, parameter.late, text)
    type = modifier if parameter.kind == "reference" and modifier in resource_types() else ""
    modifier = "" if type else modifier
    place = Place(parameter.code, parameter.targets, asking.base, asking.now, type)
    parts = split(text, ",")
    if modifier:
        modify = MODIFIERS.get(parameter.kind, {}).get(modifier)
        if modify is None or (parameter.code in COLUMNS and modifier != "not"):
            _refuse_modifier(parameter)
        return modify(asking.types, parameter, place, parts)
    values = tuple(OPERANDS[parameter.kind](place, part) for part in parts)
    return Criterion(parameter.rows, parameter.kind, values, late=parameter.late)


def _refuse_modifier(parameter: Parameter) -> NoReturn:
    names = tuple(MODIFIERS.get(cast(Kind, parameter.kind), {}))
    allowed = [":" + name for name in (*names, *(["missing"] * (parameter.kind != "words")))]
    takes = f"take {', '.join(allowed)}" if allowed else "take none"
    raise InvalidSearch(
        f"this modifier is not supported; {parameter.kind} parameters {takes}",
        place=parameter.code,
    )


def _missing(parameter: Parameter, text: str) -> Condition:
    if text not in ("true", "false"):
        raise wrong(f"{parameter.code}:missing", "true or false")
    absent = text == "true"
    if parameter.kind == "composite":
        some = tuple(
            tuple(_some(each, kind) for each, kind in all_of) for all_of in _alternatives(parameter)
        )
        return Composite(parameter.code, some, absent)
    return Criterion(parameter.rows, parameter.filed, (), "missing", absent, parameter.late)


def _some(param: str, kind: Kind) -> Criterion:
    return Criterion(param, kind, (), "missing", False)


def _alternatives(parameter: Parameter) -> list[list[tuple[str, Kind]]]:
    """By which parameters' rows a composite is answered: any of these, all of each."""
    out = []
    if parameter.single:
        out.append([(part.code, part.kind) for part in parameter.components])
    if parameter.walks:
        out.append([(parameter.code, parameter.components[-1].kind)])
    return out


def _composite(asking: Asking, parameter: Parameter, text: str) -> Composite:
    alternatives: list[tuple[Criterion, ...]] = []
    if len(split(text, ",")) > MANY_PAIRS:
        raise InvalidSearch(f"more than {MANY_PAIRS}", place=parameter.code, code="too-costly")
    for one in split(text, ","):
        parts = split(one, "$")
        if len(parts) != len(parameter.components):
            raise wrong(parameter.code, f"{len(parameter.components)} values with $ between them")
        criteria = []
        for part, asked_for in zip(parameter.components, parts, strict=True):
            place = Place(parameter.code, part.targets, asking.base, asking.now)
            value = OPERANDS[part.kind](place, asked_for)
            criteria.append(Criterion(part.code, part.kind, (value,)))
        if parameter.single:
            alternatives.append(tuple(criteria))
        if parameter.walks:
            first: Value = criteria[0].values[0]
            assert isinstance(first, TokenValue), "composites.grouped sees to it"
            alternatives.append((replace(criteria[-1], param=filed_under(parameter.code, first)),))
    return Composite(parameter.code, tuple(alternatives))


def _words(asking: Asking, parameter: Parameter, modifier: str, text: str) -> Words:
    if modifier:
        _refuse_modifier(parameter)
    parts = [asked(plain(part), parameter.code) for part in split(text, ",")]
    late = tuple(Late(f"{type}:words", type) for type in asking.types)
    expression = parts[0] if len(parts) == 1 else ("or", tuple(parts))
    return Words(parameter.code == "_text", expression, late)


# --- over references -----------------------------------------------------------------------------


def _chain(
    asking: Asking, parameter: Parameter, modifier: str, further: str, text: str
) -> Condition:
    code = parameter.code
    if parameter.kind != "reference" or (modifier and modifier not in resource_types()):
        raise InvalidSearch("only a reference, or one to a :Type, leads on", place=code)
    if modifier and parameter.targets and modifier not in parameter.targets:
        raise InvalidSearch("it can't refer to that type", place=code)
    found: list[tuple[str, Condition]] = []
    candidates = (modifier,) if modifier else parameter.targets or resource_types()
    for type in candidates:
        inner = asking.of(type) if type in resource_types() else None
        if inner is None or (not modifier and not (asking.allows(type) and known(inner, further))):
            continue
        found.append((type, condition(inner, further, text)))
    if not found:
        raise InvalidSearch("nothing that it can refer to has the further parameter", place=code)
    if len(found) > MANY:
        raise InvalidSearch(
            "it may be of many types: name one, as subject:Patient.name", place=code
        )
    return Chain(parameter.rows, tuple(found), asking.base, parameter.late)


def _has(asking: Asking, name: str, text: str) -> Condition:
    parts = name.split(":", 3)
    if len(parts) < 4 or parts[1] not in resource_types():
        raise InvalidSearch("must be _has:Type:reference:parameter", place="_has")
    _, type, code, further = parts
    inner = asking.of(type)
    by = inner.find(code)
    if by is None:
        refuse(inner, code, place="_has")
    reach = by.targets or asking.types
    if by.kind != "reference" or not set(asking.types) <= set(reach):
        raise InvalidSearch("that parameter doesn't refer to what is searched", place="_has")
    return Has(type, by.rows, condition(inner, further, text), asking.base, by.late)


def _listed(asking: Asking, text: str) -> Condition:
    """``_list``: what a List has among its entries (R4 search, 3.1.1.5.8)."""
    if text.startswith("$"):
        raise InvalidSearch("current lists ($current-…) are not kept here", place="_list")
    return Has("List", "item", condition(asking.of("List"), "_id", text), asking.base)


def tested(one: Condition) -> set[str]:
    """The types beside its own that a condition asks something of."""
    if isinstance(one, Chain):
        return {type for type, _ in one.targets}.union(*(tested(each) for _, each in one.targets))
    if isinstance(one, Has):
        return {one.type} | tested(one.meets)
    return set()


def lates(one: Condition | tuple[Condition, ...]) -> list[Late]:
    """What must be made before a condition can be answered."""
    if isinstance(one, tuple):
        return [late for each in one for late in lates(each)]
    if isinstance(one, Criterion | Near):
        return [one.late] if one.late else []
    if isinstance(one, Words):
        return list(one.late)
    if isinstance(one, Composite):
        return lates(tuple(each for all_of in one.alternatives for each in all_of))
    if isinstance(one, Chain | Has):
        further = one.meets if isinstance(one, Has) else tuple(each for _, each in one.targets)
        return [*([one.late] if one.late else []), *lates(further)]
    return []
