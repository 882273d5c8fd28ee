"""JSON in and out, to the digit (R4, 2.6.2: the precision of a decimal has meaning).

A number with a point or exponent is a ``Decimal`` inside and prints with the digits that came.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final, NoReturn

import orjson

from gateway.errors import InvalidResource
from gateway.model import Resource

MAX_DEPTH: Final = 64
"""How deep objects and lists may nest."""

_MAX_DIGITS = 100
_MAX_EXPONENT = 308
_NAME = re.compile(r"_?[A-Za-z]\w{0,63}", re.ASCII)
_HOLDERS = (dict, list)
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")


def loads(raw: bytes) -> Resource:
    """The JSON object in ``raw``: as ``parse``, and what is no object is refused."""
    node = parse(raw)
    if not isinstance(node, dict):
        raise InvalidResource("not a JSON object", code="structure")
    return node


def parse(raw: bytes) -> Any:
    """What the JSON in ``raw`` says (UTF-8, a byte order mark is let pass).

    Raises InvalidResource for what isn't JSON, for duplicate keys, NaN, numbers and
    depths out of all reason and control characters; the place is "line 3 column 5", the key or
    the path, and no value is told.
    """
    try:
        text = raw.decode("utf-8-sig")
        node = _DECODER.decode(text)
    except UnicodeDecodeError as error:
        raise InvalidResource("not UTF-8", place=f"byte {error.start}", code="structure") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise InvalidResource("not JSON", place=place, code="structure") from None
    except RecursionError:
        raise _too_deep() from None
    if isinstance(node, (dict, list)) and text.count("{") + text.count("[") > MAX_DEPTH:
        _measure(node, 1)
    if "\\u" in text:
        _check_characters(node)
    return node


def dumps(resource: Resource) -> bytes:
    """Compact UTF-8 JSON with keys in their order and decimals with their digits."""
    return orjson.dumps(resource, default=_fragment)


def pretty(raw: bytes) -> bytes:
    """JSON of our own, indented for eyes (``_pretty``)."""
    return orjson.dumps(loads(raw), default=_fragment, option=orjson.OPT_INDENT_2)


def written(resource: Resource) -> tuple[bytes, bool]:
    """``dumps``, and whether it is plain: ``reread`` gives the same object."""
    try:
        return orjson.dumps(resource), True
    except TypeError:
        return dumps(resource), False


def reread(raw: bytes, plain: bool) -> Resource:
    """What ``written`` wrote. For our own words only: nothing is checked."""
    node: Resource = orjson.loads(raw) if plain else loads(raw)
    return node


def _fragment(value: object) -> orjson.Fragment:
    if isinstance(value, Decimal):
        text = str(value)
        # 0.00000001 must not print as 1E-8; an exponent above 0 must stay, for 1E+2 isn't 100
        return orjson.Fragment(format(value, "f") if "E-" in text else text)
    raise TypeError(type(value).__name__)


def _object(pairs: list[tuple[str, Any]]) -> Resource:
    out = dict(pairs)
    if len(out) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                place = key if _NAME.fullmatch(key) else None
                raise InvalidResource("a key stands twice", place=place, code="structure")
            seen.add(key)
    return out


def _decimal(digits: str) -> Decimal:
    try:
        number = Decimal(digits)
    except ArithmeticError:
        number = Decimal("Infinity")
    if len(digits) > _MAX_DIGITS or not number.is_finite() or _far(number):
        raise InvalidResource("a number is out of range", code="value")
    return number


def _far(number: Decimal) -> bool:
    return not -_MAX_EXPONENT <= number.adjusted() <= _MAX_EXPONENT


def _integer(digits: str) -> int | Decimal:
    return int(digits) if len(digits) < 19 else _decimal(digits)


def _constant(_: str) -> NoReturn:
    raise InvalidResource("NaN and Infinity are no JSON", code="structure")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_float=_decimal,
    parse_int=_integer,
    parse_constant=_constant,
)


def _too_deep() -> InvalidResource:
    return InvalidResource(f"nested deeper than {MAX_DEPTH} levels", code="too-costly")


def _measure(node: dict[str, Any] | list[Any], depth: int) -> None:
    """All that stands at a depth, then what is inside of it."""
    level: list[Any] = [node]
    while level:
        if depth > MAX_DEPTH:
            raise _too_deep()
        inside = (each.values() if isinstance(each, dict) else each for each in level)
        level = [one for some in inside for one in some if type(one) in _HOLDERS]
        depth += 1


def _check_characters(node: object) -> None:
    """Escapes can hide what no FHIR string may hold: control characters, half a surrogate pair."""
    for text in _texts(node):
        if _CONTROL.search(text):
            raise InvalidResource("a control character in a string", code="value")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InvalidResource("half a surrogate pair in a string", code="value") from None


def _texts(node: object) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        yield from node
        for child in node.values():
            yield from _texts(child)
    elif isinstance(node, list):
        for child in node:
            yield from _texts(child)
