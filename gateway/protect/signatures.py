"""Whether a webhook's body is signed by who says so: Standard Webhooks, or an HMAC in a header."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping

from standardwebhooks import Webhook, WebhookVerificationError
from standardwebhooks.webhooks import EmptyWebhookSecretError

from gateway.model import Signed


def is_signed(by: Signed, secret: str, raw: bytes, headers: Mapping[str, str]) -> bool:
    """Whether ``raw`` bears a signature of ``secret``; never without a secret.

    Standard Webhooks also refuses what was signed over five minutes ago; a plain HMAC tells no
    time, so a body that is sent again is only known by what it says.
    """
    if not secret:
        return False
    if by.by == "standard-webhooks":
        return _is_standard(secret, raw, headers)
    told = headers.get(by.header.lower(), "")
    if not told.startswith(by.prefix):
        return False
    digest = hmac.new(secret.encode(), raw, hashlib.sha256).digest()
    said = told.removeprefix(by.prefix).strip()
    known = (digest.hex(), base64.b64encode(digest).decode())
    return any(hmac.compare_digest(said.encode(), each.encode()) for each in known)


def _is_standard(secret: str, raw: bytes, headers: Mapping[str, str]) -> bool:
    told = {key.lower(): value for key, value in headers.items()}
    try:  # what is signed needn't be one JSON value: NDJSON is several
        Webhook(secret).verify(raw, told, json_parse=False)
    except (EmptyWebhookSecretError, WebhookVerificationError, ValueError):
        return False
    return True
