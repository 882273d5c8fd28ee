"""API keys: made here, shown once, kept as a hash.

A secret reads ``cg_<id>_<random>``. The id may stand in logs and lists; the random part has 160
bits, so that one SHA-256 keeps it: a slow hash guards guessable words, which these are not. The
hub looks a key up by its hash, so that no comparison's time tells of the secret.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from typing import NamedTuple

_SECRET = re.compile(r"cg_([0-9a-f]{12})_[0-9a-f]{40}")


class Key(NamedTuple):
    """A key as it is made: ``secret`` for its owner alone, ``id`` and ``hash`` for the hub."""

    secret: str
    id: str
    hash: str


def make() -> Key:
    """A new key."""
    identity = secrets.token_hex(6)
    secret = f"cg_{identity}_{secrets.token_hex(20)}"
    return Key(secret, identity, digest(secret))


def digest(secret: str) -> str:
    """What the hub keeps of a secret: its SHA-256, in hex."""
    return hashlib.sha256(secret.encode()).hexdigest()


def identify(secret: str) -> str | None:
    """The id that a secret bears; None where it can't be one of ours, which spares a lookup."""
    match = _SECRET.fullmatch(secret)
    return match.group(1) if match else None


def webhook_secret(root: bytes, subscriber: str) -> str:
    """The secret that signs one subscriber's notifications (Standard Webhooks, ``whsec_…``).

    ``root`` is the hub's own secret; each subscriber has a different one, and always the same.
    """
    key = hmac.digest(root, f"webhook {subscriber}".encode(), "sha256")
    return "whsec_" + base64.b64encode(key).decode()
