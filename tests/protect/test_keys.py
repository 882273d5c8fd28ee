from __future__ import annotations

import base64
import re

from gateway.protect import keys


def test_a_key_is_shown_as_one_word_that_bears_its_id() -> None:
    key = keys.make()
    assert re.fullmatch(r"cg_[0-9a-f]{12}_[0-9a-f]{40}", key.secret)
    assert keys.identify(key.secret) == key.id


def test_what_is_kept_is_a_hash_that_only_its_own_secret_gives() -> None:
    key, other = keys.make(), keys.make()
    assert key.secret.split("_")[2] not in key.hash
    assert keys.digest(key.secret) == key.hash
    assert keys.digest(other.secret) != key.hash


def test_no_two_keys_are_alike() -> None:
    assert len({keys.make().secret for _ in range(1000)}) == 1000


def test_a_text_that_cannot_be_a_key_has_no_id() -> None:
    for text in ("", "cg_", "cg_abc_def", "Bearer", f"{keys.make().secret}x", "cg_\N{SNOWMAN}_1"):
        assert keys.identify(text) is None


def test_each_subscriber_has_its_own_secret_and_always_the_same() -> None:
    root, other = b"r" * 32, b"o" * 32
    first = keys.webhook_secret(root, "a")
    assert first == keys.webhook_secret(root, "a")
    assert len({first, keys.webhook_secret(root, "b"), keys.webhook_secret(other, "a")}) == 3
    assert len(base64.b64decode(first.removeprefix("whsec_"))) == 32
