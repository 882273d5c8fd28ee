"""Signed links: how somebody without an account acts for their agency on one referral.

A link is a JSON Web Token (RFC 7519) under HMAC-SHA256 by a key that only the hub has. It is bound
to an agency and a Task, ends by itself, and bears an id (``jti``) by which the hub sees to it that
it acts once. It holds nothing of a person.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from joserfc import jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwk import OctKey

from gateway.errors import Unauthenticated

_AUDIENCE: Final = "care-gateway/light"
_ALGORITHM: Final = "HS256"
_LONGEST: Final = 2048
_CLAIMS: Final = jwt.JWTClaimsRegistry(
    leeway=0,
    aud={"essential": True, "value": _AUDIENCE},
    exp={"essential": True},
    sub={"essential": True},
    jti={"essential": True},
    task={"essential": True},
)


@dataclass(frozen=True, slots=True)
class Link:
    """What a link is good for: one agency's part in one Task, until it ends; ``id`` acts once."""

    agency: str
    task: str
    id: str
    until: datetime

    @classmethod
    def make(cls, agency: str, task: str, keep: float, *, id: str = "") -> Link:
        """A link that ends in ``keep`` seconds, by a new id where none is given."""
        until = datetime.now(UTC) + timedelta(seconds=keep)
        return cls(agency, task, id or secrets.token_urlsafe(16), until.replace(microsecond=0))


def sign(root: bytes, link: Link) -> str:
    """The link's token; ``root`` is the hub's own secret."""
    claims = {
        "aud": _AUDIENCE,
        "sub": link.agency,
        "task": link.task,
        "jti": link.id,
        "exp": int(link.until.timestamp()),
    }
    return jwt.encode({"alg": _ALGORITHM}, claims, _key(root))


def read(root: bytes, token: str) -> Link:
    """The link of a token that is ours and hasn't ended.

    Raises:
        Unauthenticated: it isn't, or has.
    """
    try:
        claims = jwt.decode(token[:_LONGEST], _key(root), algorithms=[_ALGORITHM]).claims
        _CLAIMS.validate(claims)
        until = datetime.fromtimestamp(int(claims["exp"]), UTC)
        return Link(str(claims["sub"]), str(claims["task"]), str(claims["jti"]), until)
    except ExpiredTokenError:
        raise Unauthenticated("this link has ended", place="token", code="expired") from None
    except (JoseError, ValueError, TypeError, OverflowError, OSError):
        raise Unauthenticated("this is no link of ours", place="token") from None


def _key(root: bytes) -> OctKey:
    return OctKey.import_key(hmac.digest(root, b"light links", "sha256"))
