from __future__ import annotations

from datetime import UTC, datetime

from gateway.store import Decided, Hub
from tests.store.samples import ADMIN, CLINIC, PANTRY

NOW = datetime(2026, 11, 23, 17, tzinfo=UTC)
LATER = datetime(2026, 11, 24, 17, tzinfo=UTC)


def test_decisions_are_kept_in_their_order(hub: Hub) -> None:
    hub.write(lambda tx: tx.keep_decision("r1", "cedar-general", LATER, b"{}"))
    hub.write(lambda tx: tx.keep_decision("r1", "cedar-general", NOW, b'{"a":1}'))
    hub.write(lambda tx: tx.keep_decision("r2", "cedar-general", NOW, b"[]"))
    with hub.read() as reader:
        first, second = reader.decisions(CLINIC, "r1")
    assert first.sequence < second.sequence
    assert (first.at, first.body) == (LATER, b"{}")
    assert second == Decided(second.sequence, NOW, b'{"a":1}')


def test_only_who_asked_reads_them(hub: Hub) -> None:
    hub.write(lambda tx: tx.keep_decision("r1", "cedar-general", NOW, b"{}"))
    with hub.read() as reader:
        assert len(reader.decisions(ADMIN, "r1")) == 1
        assert reader.decisions(PANTRY, "r1") == []
        assert reader.decisions(CLINIC, "r2") == []
