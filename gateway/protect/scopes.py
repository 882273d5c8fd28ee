"""SMART App Launch 2 system scopes: ``system/Patient.rs``, ``system/*.cruds``.

Letters are create, read, update, delete and search, in this order. A scope with a constraint
(``?owner=…``) grants nothing: narrower than we can check must never count as wide.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal

from gateway.errors import Denied
from gateway.model import Context

Letter = Literal["c", "r", "u", "d", "s"]

ANY = "*"

_SCOPE = re.compile(r"system/([A-Za-z]+|\*)\.(c?r?u?d?s?)")


def require(context: Context, type: str, letter: Letter) -> None:
    """Refuse a call that none of the caller's scopes covers. ``type`` "*" asks for all types.

    Raises ``Denied``, whose place is the type.
    """
    if not allows(context.scopes, type, letter):
        raise Denied("the key's scopes don't cover this interaction", place=type)


@lru_cache(maxsize=4096)
def allows(scopes: frozenset[str], type: str, letter: Letter) -> bool:
    """Whether one of ``scopes`` covers ``letter`` on ``type``."""
    return any(_covers(scope, type, letter) for scope in scopes)


def unknown(scopes: Iterable[str]) -> list[str]:
    """Those of ``scopes`` that grant nothing here: a key is refused rather than made useless."""
    return [scope for scope in scopes if scope.endswith(".") or not _SCOPE.fullmatch(scope)]


def _covers(scope: str, type: str, letter: Letter) -> bool:
    match = _SCOPE.fullmatch(scope)
    return match is not None and match.group(1) in (type, ANY) and letter in match.group(2)
