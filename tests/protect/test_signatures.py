from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

from standardwebhooks import Webhook

from gateway.model import Signed
from gateway.protect.signatures import is_signed

SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()
STANDARD = Signed("standard-webhooks")
HMAC = Signed("hmac-sha256", "X-Hub-Signature-256", "sha256=")
BODY = b'{"id": 1}'


def standard(body: bytes = BODY, *, ago: float = 0) -> dict[str, str]:
    at = datetime.now(UTC) - timedelta(seconds=ago)
    signature = Webhook(SECRET).sign("m1", at, body.decode())
    return {
        "Webhook-Id": "m1",
        "Webhook-Timestamp": str(int(at.timestamp())),
        "Webhook-Signature": signature,
    }


def lower(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def test_a_standard_webhook_is_known_by_its_secret() -> None:
    assert is_signed(STANDARD, SECRET, BODY, lower(standard()))
    assert not is_signed(STANDARD, SECRET, BODY + b" ", lower(standard()))
    other = "whsec_" + base64.b64encode(b"x" * 24).decode()
    assert not is_signed(STANDARD, other, BODY, lower(standard()))


def test_what_is_signed_may_be_lines_of_json_or_none() -> None:
    for body in (b'{"id": 1}\n{"id": 2}\n', b"{half"):
        assert is_signed(STANDARD, SECRET, body, lower(standard(body)))


def test_an_old_standard_webhook_is_refused() -> None:
    assert not is_signed(STANDARD, SECRET, BODY, lower(standard(ago=600)))


def test_an_hmac_is_read_from_its_header_in_hexadecimal_or_base64() -> None:
    digest = hmac.new(b"secret", BODY, hashlib.sha256).digest()
    for told in (digest.hex(), base64.b64encode(digest).decode()):
        headers = {"x-hub-signature-256": f"sha256={told}"}
        assert is_signed(HMAC, "secret", BODY, headers)
        assert not is_signed(HMAC, "other", BODY, headers)
        assert not is_signed(HMAC, "secret", b"other", headers)
        assert not is_signed(HMAC, "secret", BODY, {"x-hub-signature-256": told})


def test_nothing_is_signed_without_a_secret_or_a_signature() -> None:
    assert not is_signed(HMAC, "", BODY, {"x-hub-signature-256": "sha256="})
    assert not is_signed(HMAC, "secret", BODY, {})
    assert not is_signed(STANDARD, "", BODY, lower(standard()))
    assert not is_signed(STANDARD, SECRET, BODY, {})
    assert not is_signed(STANDARD, "whsec_", BODY, lower(standard()))
    assert not is_signed(STANDARD, "not base64!", BODY, lower(standard()))
