"""Whose an id is to give: those of one form are the hub's alone (DESIGN, section 4).

What a map makes has a UUIDv5 (RFC 9562, 5.5) of what its sender calls the record, so that anybody
can work out which id a clinic's number would have. Who could write under it would learn by the
answer whether that person is known here, or have the id before the record comes.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.errors import Gone, NotFound
from gateway.model import Context, Reference
from gateway.store import Transaction

_OURS: Final = re.compile(
    r"[A-Za-z]+/[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
)


def check(tx: Transaction, context: Context, reference: Reference, place: str | None) -> None:
    """Pass a write by a client under an id, or raise.

    What the caller sees, or saw before it was deleted, it may write as far as its rights go.

    Raises:
        NotFound: only the hub gives such ids; the same whether it has given this one or not.
    """
    if context.admin or not _OURS.fullmatch(reference) or tx.visible(context, reference):
        return
    type_, _, id_ = reference.partition("/")
    try:
        tx.read(context, type_, id_)
    except Gone:
        return
    except NotFound:
        text = "no such resource, and an id of this form (UUID version 5) is the hub's to give"
        raise NotFound(text, place=place) from None
