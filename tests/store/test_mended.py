from __future__ import annotations

from gateway.errors import Issue
from gateway.model import Message, Receipt, Stage
from gateway.store import Hub
from tests.store.samples import ADMIN, CLINIC, PANTRY
from tests.store.test_messages import came, keep


def fail(hub: Hub, raw: bytes, control_id: str, agency: str = "cedar-general") -> Message:
    message = came(raw, control_id, agency)
    receipt = Receipt(message.id, "AE", (Issue("no date", "PID-7"),), b"MSA|AE")
    hub.write(lambda tx: tx.message(message, receipt, stage=Stage.TRANSLATE))
    return message


def test_failed_messages_come_oldest_first_a_page_at_a_time(hub: Hub) -> None:
    failed = [fail(hub, b"MSH|%d" % number, f"F{number}") for number in range(3)]
    keep(hub, came(b"MSH|good", "G"))
    with hub.read() as reader:
        page = reader.failed_after(0, count=2)
        rest = reader.failed_after(page[-1][1], count=2)
    assert [each.message.id for each, _ in [*page, *rest]] == [each.id for each in failed]
    assert {each.place for each, _ in page} == {"PID-7"}


def test_what_came_stays_beside_what_was_mended(hub: Hub) -> None:
    message = fail(hub, b"MSH|bad", "C1")
    for raw in (b"MSH|better", b"MSH|good"):
        hub.write(lambda tx, raw=raw: tx.mend(ADMIN, message.id, raw))
    with hub.read() as reader:
        assert reader.kept(ADMIN, message.id).message.raw == b"MSH|bad"
        mended = reader.mended(message.id)
        assert reader.mended("another") == []
    assert [each.raw for each in mended] == [b"MSH|better", b"MSH|good"]
    assert {each.client for each in mended} == {"key"}
    assert mended[0].at < mended[1].at


def test_a_message_of_nobody_is_given_to_an_agency(hub: Hub) -> None:
    message = fail(hub, b"MSH|x", "C1", agency="")
    hub.write(lambda tx: tx.give(message.id, "cedar-general"))
    with hub.read() as reader:
        assert reader.kept(CLINIC, message.id).message.agency == "cedar-general"
        assert reader.failed_messages(PANTRY) == []
