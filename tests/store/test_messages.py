from __future__ import annotations

import uuid
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from gateway.errors import Issue, NotFound
from gateway.model import Context, Message, Receipt, Stage
from gateway.store import Hub, Transaction
from tests.store.samples import ADMIN, CLINIC, PANTRY, create, patient

NOW = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)


def came(raw: bytes, control_id: str = "C1", agency: str = "cedar-general") -> Message:
    return Message(str(uuid.uuid4()), agency, "mllp", "hl7v2", control_id, raw, NOW)


def keep(hub: Hub, message: Message, answer: bytes = b"MSA|AA") -> None:
    receipt = Receipt(message.id, "AA", (), answer)
    hub.write(lambda unit: unit.message(message, receipt, event="REF^I12"))


def repeated(hub: Hub, message: Message) -> Receipt | None:
    with hub.read() as reader:
        return reader.repeat(message.agency, message.control_id, message.raw)


def test_a_message_is_kept_byte_for_byte_with_its_answer(hub: Hub) -> None:
    message = came(b"MSH|\x00\xff\xe9")
    keep(hub, message)
    with hub.read() as reader:
        kept = reader.kept(CLINIC, message.id)
    assert (kept.message, kept.event, kept.status) == (message, "REF^I12", "accepted")
    assert (kept.acknowledgement, kept.answer, kept.reused) == ("AA", b"MSA|AA", False)


def test_the_same_bytes_under_the_same_id_get_the_stored_answer(hub: Hub) -> None:
    message = came(b"MSH|1")
    assert repeated(hub, message) is None
    keep(hub, message, b"first answer")
    again = repeated(hub, came(b"MSH|1"))
    assert again == Receipt(message.id, "AA", (), b"first answer", repeated=True)
    assert repeated(hub, came(b"MSH|1", agency="food-bank")) is None
    assert repeated(hub, came(b"MSH|1", control_id="C2")) is None


def test_another_body_under_the_same_id_is_new_and_flagged(hub: Hub) -> None:
    keep(hub, came(b"MSH|1"))
    other = came(b"MSH|2")
    assert repeated(hub, other) is None
    keep(hub, other)
    with hub.read() as reader:
        assert reader.kept(CLINIC, other.id).reused


def test_messages_without_a_control_id_are_never_repetitions(hub: Hub) -> None:
    for _ in range(2):
        keep(hub, came(b"MSH|1", control_id=""))
    assert repeated(hub, came(b"MSH|1", control_id="")) is None


def test_a_failed_message_tells_its_stage_place_and_reason(hub: Hub) -> None:
    message = came(b"MSH|bad")
    issue = Issue("no date", "PID-7")
    receipt = Receipt(message.id, "AE", (issue,), b"MSA|AE")
    hub.write(lambda unit: unit.message(message, receipt, stage=Stage.TRANSLATE))
    keep(hub, came(b"MSH|good", "C2"))
    with hub.read() as reader:
        (failed,) = reader.failed_messages(CLINIC)
        assert reader.failed_messages(PANTRY) == []
        assert [kept.message.id for kept in reader.failed_messages(ADMIN)] == [message.id]
    assert (failed.status, failed.stage, failed.place) == ("failed", "translate", "PID-7")
    assert (failed.reason, failed.acknowledgement) == ("no date", "AE")


def test_a_message_is_its_agency_s_and_the_administrator_s(hub: Hub) -> None:
    message = came(b"MSH|1")
    keep(hub, message)
    with hub.read() as reader:
        assert reader.kept(ADMIN, message.id).message == message
        with pytest.raises(NotFound):
            reader.kept(PANTRY, message.id)
        with pytest.raises(NotFound):
            reader.kept(CLINIC, "nobody")


def test_a_failed_unit_may_keep_its_message_after_a_savepoint(hub: Hub) -> None:
    message = came(b"MSH|1")

    def unit(transaction: Transaction) -> None:
        with suppress(RuntimeError), transaction.savepoint():
            transaction.put(CLINIC, patient("p"), interaction="create")
            raise RuntimeError
        transaction.message(message, Receipt(message.id, "AE", (), b"MSA|AE"), stage=Stage.STORE)

    hub.write(unit)
    with hub.read() as reader:
        assert reader.kept(CLINIC, message.id).stage == "store"
        assert reader.missing(CLINIC, ["Patient/p"])


def test_the_same_message_twice_at_once_is_stored_once(hub: Hub) -> None:
    def unit(transaction: Transaction) -> Receipt:
        message = came(b"MSH|1")
        known = transaction.repeat(message.agency, message.control_id, message.raw)
        if known is not None:
            return known
        receipt = Receipt(message.id, "AA", (), message.id.encode())
        transaction.put(CLINIC, patient(), interaction="create")
        transaction.message(message, receipt)
        return receipt

    receipts = [future.result() for future in [hub.submit(unit) for _ in range(8)]]
    assert len({receipt.answer for receipt in receipts}) == 1
    assert sum(not receipt.repeated for receipt in receipts) == 1
    with hub.read() as reader:
        assert len(reader.events_after(0, ["Patient"])) == 1


def test_keys_are_found_by_their_hash(hub: Hub) -> None:
    hub.write(lambda unit: unit.add_key("k1", "hash-1", "food-bank"))
    hub.write(lambda unit: unit.add_key("k2", "hash-2", "hub", admin=True))
    with hub.read() as reader:
        key, admin = reader.key("hash-1"), reader.key("hash-2")
        assert reader.key("hash-3") is None
    assert key
    assert (key.id, key.agency, key.admin) == ("k1", "food-bank", False)
    assert admin
    assert admin.admin is True


def test_an_agency_added_again_is_changed(hub: Hub) -> None:
    hub.write(lambda unit: unit.add_agency("b", "B"))
    hub.write(lambda unit: unit.add_agency("a", "A", "/maps/a"))
    hub.write(lambda unit: unit.add_agency("b", "Bee"))
    with hub.read() as reader:
        assert [(m.id, m.name, m.folder) for m in reader.agencies()] == [
            ("a", "A", "/maps/a"),
            ("b", "Bee", ""),
        ]


def test_the_audit_trail_tells_who_did_what_in_order(hub: Hub) -> None:
    reader_context = Context("food-bank", "key-1", purpose="HMARKT")

    def unit(transaction: Transaction) -> None:
        transaction.audit(CLINIC, "create", "Task/t")
        transaction.audit(reader_context, "read", "Patient/p", "denied")

    hub.write(unit)
    create(hub, CLINIC, patient())
    with hub.read() as reader:
        first, second = reader.audited()
        assert reader.audited(after=first.sequence) == [second]
    assert (first.agency, first.action, first.target) == ("cedar-general", "create", "Task/t")
    assert (second.client, second.purpose, second.outcome) == ("key-1", "HMARKT", "denied")
    assert first.at < second.at
