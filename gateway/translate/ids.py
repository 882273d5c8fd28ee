"""Identity: the same record has the same id, in every message and in any order of repetitions."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Final
from uuid import UUID

SPACE: Final = UUID("6f1d3c2e-7f0a-5b8e-9a41-2c0f4be1d7a3")
"""The namespace of all ids that maps make. Changing it would fork every record in every hub."""


_PREFIX: Final = SPACE.bytes


@lru_cache(4096)  # a client of whom row after row tells, a practitioner in message after message
def identity(agency: str, type_: str, system: str, value: str) -> str:
    """The id of the resource that an agency knows by (system, value).

    A UUIDv5 (RFC 9562 §5.5), as ``uuid.uuid5`` makes it, without the UUID in between.
    """
    name = "\n".join((agency, type_, system, value))
    digest = hashlib.sha1(_PREFIX + name.encode(), usedforsecurity=False).digest()
    text = digest.hex()
    variant = _VARIANT[text[16]]
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{variant}{text[17:20]}-{text[20:32]}"


_VARIANT: Final = {f"{digit:x}": f"{digit & 3 | 8:x}" for digit in range(16)}
"""The hexadecimal digit whose two upper bits tell the variant, by what the hash has there."""
