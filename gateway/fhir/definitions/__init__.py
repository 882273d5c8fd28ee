"""The filtered official R4 definitions, read once and lazily. See NOTICE and ``build.py``."""

from __future__ import annotations

import gzip
from importlib import resources
from typing import Any

import orjson


def load(name: str) -> Any:
    """The content of ``<name>.json.gz`` beside this file; the caller caches what it makes of it."""
    packed = resources.files(__package__).joinpath(f"{name}.json.gz").read_bytes()
    return orjson.loads(gzip.decompress(packed))
