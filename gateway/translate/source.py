"""YAML 1.2 with the place of everything: what the rest of ``translate`` reads maps from.

Only the composer of ruamel.yaml serves (no Python objects are built by tags); of the core schema we
take text, integers, decimals, true, false and null.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.nodes import Node as YamlNode

from gateway.errors import MapError

_WHOLE: Final = re.compile(r"[+-]?\d+")
_DECIMAL: Final = re.compile(r"[+-]?\d+\.\d+")

Plain = str | int | Decimal | bool | None


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text, number, truth or null, and where it stands (``REF_I12.yaml:12``)."""

    place: str
    value: Plain


@dataclass(frozen=True, slots=True)
class Block:
    """A mapping. Keys are text; ``places`` says where each stands."""

    place: str
    items: dict[str, Yaml]
    places: dict[str, str]

    def get(self, key: str) -> Yaml | None:
        """What stands at ``key``."""
        return self.items.get(key)

    def refuse_unknown(self, known: frozenset[str], what: str) -> None:
        """MapError at the first key that isn't known."""
        for key in self.items:
            if key not in known:
                names = ", ".join(sorted(known))
                refuse(self.places[key], f"{what} has no key '{key}'; it knows {names}")

    def need(self, key: str) -> Yaml:
        """What stands at ``key``; MapError where nothing does."""
        if key not in self.items:
            refuse(self.place, f"'{key}' is missing")
        return self.items[key]


@dataclass(frozen=True, slots=True)
class Series:
    """A sequence."""

    place: str
    items: tuple[Yaml, ...]


Yaml = Scalar | Block | Series


def refuse(place: str, text: str) -> NoReturn:
    """MapError at ``place``. Maps hold no personal data, so their text may be quoted."""
    raise MapError(f"{place}: {text}", place=place)


def read_yaml(path: Path, shown: str) -> Block:
    """The mapping that a file holds. ``shown`` names the file in places."""
    found = _read(path, shown)
    if not isinstance(found, Block):
        refuse(f"{shown}:1", "a map is a YAML mapping")
    return found


def read_list(path: Path, shown: str) -> tuple[Yaml, ...]:
    """The items of the sequence that a file holds. ``shown`` names the file in places."""
    found = _read(path, shown)
    if not isinstance(found, Series):
        refuse(f"{shown}:1", "this file is a YAML list")
    return found.items


def _read(path: Path, shown: str) -> Yaml | None:
    """What a file holds; None where it holds nothing."""
    try:
        # The composer in C gives the same nodes in a sixth of the time; it is YAML 1.2's too.
        root = YAML(typ="safe", pure=False).compose(path.read_text(encoding="utf-8"))
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise MapError(
            f"{shown}:{line}: {error.problem or error.context}", place=f"{shown}:{line}"
        ) from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise MapError(f"{shown}:1: not YAML in UTF-8", place=f"{shown}:1") from error
    return _convert(root, shown) if root is not None else None


def _convert(node: YamlNode, shown: str) -> Yaml:
    place = f"{shown}:{node.start_mark.line + 1}"
    if isinstance(node, ScalarNode):
        return Scalar(place, _plain(node, place))
    if isinstance(node, SequenceNode):
        return Series(place, tuple(_convert(item, shown) for item in node.value))
    if isinstance(node, MappingNode):
        return _block(node, place, shown)
    refuse(place, "not understood")


def _block(node: MappingNode, place: str, shown: str) -> Block:
    items: dict[str, Yaml] = {}
    places: dict[str, str] = {}
    for key, value in node.value:
        at = f"{shown}:{key.start_mark.line + 1}"
        if not isinstance(key, ScalarNode):
            refuse(at, "a key is a text")
        if key.value in items:
            refuse(at, f"'{key.value}' stands here twice")
        items[key.value] = _convert(value, shown)
        places[key.value] = at
    return Block(place, items, places)


def _plain(node: ScalarNode, place: str) -> Plain:
    kind = str(node.tag).rpartition(":")[2]
    if kind == "str" or node.style:
        return str(node.value)
    if kind == "null":
        return None
    if kind == "bool":
        return str(node.value).lower() == "true"
    if kind == "int" and _WHOLE.fullmatch(node.value):
        return int(node.value)
    if kind == "float" and _DECIMAL.fullmatch(node.value):
        return Decimal(node.value)
    return str(node.value)  # 0x1F, 1e3 and .1, which is a path, stay texts


# --- reading what is there -----------------------------------------------------------------------


def text(item: Yaml, what: str = "this") -> str:
    """The text of a scalar; numbers and truths as written. MapError for anything else."""
    if not isinstance(item, Scalar) or item.value is None:
        refuse(item.place, f"{what} is a text")
    if isinstance(item.value, bool):
        return "true" if item.value else "false"
    return str(item.value)


def block(item: Yaml, what: str) -> Block:
    """A mapping, or MapError."""
    if not isinstance(item, Block):
        refuse(item.place, f"{what} is a mapping")
    return item


def flag(item: Yaml, what: str) -> bool:
    """true or false, or MapError."""
    if not isinstance(item, Scalar) or not isinstance(item.value, bool):
        refuse(item.place, f"{what} is true or false")
    return item.value


def several(item: Yaml) -> tuple[Yaml, ...]:
    """The items of a sequence; anything else is one item."""
    return item.items if isinstance(item, Series) else (item,)


def texts(item: Yaml, what: str) -> Iterator[tuple[str, str]]:
    """(text, place) of one text or a sequence of them."""
    for one in several(item):
        yield text(one, what), one.place
