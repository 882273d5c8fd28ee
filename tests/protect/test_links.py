from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from gateway.errors import Unauthenticated
from gateway.protect.links import Link, read, sign

ROOT = b"r" * 32
LINK = Link.make("harbor", "t-1", 86_400)  # the suite takes longer than a minute


def test_a_link_comes_back_as_it_was_signed_and_tells_nothing_of_a_person() -> None:
    token = sign(ROOT, LINK)
    assert read(ROOT, token) == LINK
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    assert set(claims) == {"aud", "sub", "task", "jti", "exp"}


def test_each_link_has_its_own_id() -> None:
    assert Link.make("harbor", "t-1", 60).id != LINK.id


def test_one_that_has_ended_is_refused() -> None:
    past = replace(LINK, until=datetime.now(UTC) - timedelta(seconds=1))
    with pytest.raises(Unauthenticated, match="ended"):
        read(ROOT, sign(ROOT, past))


def forged(header: dict[str, str], **claims: object) -> str:
    parts = [json.dumps(each).encode() for each in (header, claims)]
    return ".".join(base64.urlsafe_b64encode(each).decode().rstrip("=") for each in parts) + "."


def test_what_is_not_ours_is_refused() -> None:
    token = sign(ROOT, LINK)
    head, body, mark = token.split(".")
    later = int(LINK.until.timestamp())
    claims = {"sub": "harbor", "task": "t", "jti": "j", "exp": later}
    other = OctKey.import_key(b"x" * 32)
    for bad in (
        sign(b"x" * 32, LINK),
        forged({"alg": "none"}, aud="care-gateway/light", **claims),
        f"{head}.{body}.",
        f"{head}.{body}.{mark[:-2]}AA",
        f"{head}.{body[:-2]}xx.{mark}",
        token + "x" * 5000,
        "",
        "..",
        "é",
        jwt.encode({"alg": "HS256"}, {**claims, "aud": "care-gateway/light"}, other),
    ):
        with pytest.raises(Unauthenticated):
            read(ROOT, bad)
