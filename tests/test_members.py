"""Who belongs, while the hub is away."""

from __future__ import annotations

import psycopg
import pytest

from gateway import members
from gateway.errors import Unavailable
from gateway.members import Members
from gateway.store import open_hub
from tests.agencies import small_library


def test_while_the_hub_is_away_the_members_are_those_that_were_read_last(
    postgres_server: str, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(members, "FRESH", 0.0)
    hub = open_hub(postgres_url)
    known = Members(hub, small_library())
    known.add("pantry", None)
    secret = known.add_key("pantry")
    with psycopg.connect(postgres_server, autocommit=True) as server:
        name = psycopg.conninfo.conninfo_to_dict(postgres_url)["dbname"]
        server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
        )
        assert known.get("pantry") is not None
        assert known.sender("NOBODY", "KNOWN") is None
        with pytest.raises(Unavailable):  # and no: nobody bears this key
            known.authenticate(secret)
        server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    assert known.authenticate(secret).agency == "pantry"
    hub.close()
