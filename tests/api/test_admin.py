"""Kept messages over the API: listed, read, mended and tried again."""

from __future__ import annotations

import base64
from typing import Any
from uuid import uuid4

import pytest

from tests.api.calls import Caller, issue
from tests.api.test_intake import HL7, adt, msa


def failed(clinic: Caller, admin: Caller) -> tuple[dict[str, Any], bytes]:
    """A message that failed, as it is listed, and the same mended."""
    id = uuid4().hex[:20]
    mended = adt(id, f"M{id}")
    came = mended.replace(f"M{id}^^^CLINIC^MR".encode(), b"")
    assert clinic("POST", "/intake/hl7v2", content=came, headers=HL7).status_code == 422
    listed = admin.get("/admin/messages?status=failed").json()["messages"]
    return next(each for each in listed if each["controlId"] == id), mended


def test_a_message_is_mended_and_tried_again(clinic: Caller, admin: Caller) -> None:
    line, mended = failed(clinic, admin)
    path = f"/admin/messages/{line['id']}/replay"
    again = admin("POST", path)
    assert again.status_code == 200
    told = again.json()
    assert (told["id"], told["acknowledgement"]) == (line["id"], "AE")
    assert told["issues"][0] == {"place": line["place"], "text": line["reason"]}
    told = admin("POST", path, content=mended, headers=HL7).json()
    assert told["acknowledgement"] == "AA"
    assert msa(base64.b64decode(told["answer"]))[1:3] == ["AA", line["controlId"]]
    assert len(clinic.get(f"/fhir/Patient?identifier=M{line['controlId']}").json()["entry"]) == 1

    whole = admin.get(f"/admin/messages/{line['id']}").json()
    assert whole["acknowledgement"] == "AA"
    assert b"CLINIC^MR" not in base64.b64decode(whole["raw"])
    (other,) = whole["mended"]
    assert base64.b64decode(other["raw"]) == mended
    assert other["by"]
    assert other["at"]
    still = admin.get("/admin/messages").json()["messages"]
    assert line["id"] not in [each["id"] for each in still]


def test_only_a_keeper_replays(clinic: Caller, admin: Caller, nobody: Caller) -> None:
    line, _ = failed(clinic, admin)
    path = f"/admin/messages/{line['id']}/replay"
    assert clinic("POST", path).status_code == 403
    assert nobody("POST", path).status_code == 401
    assert admin("POST", "/admin/messages/nosuch/replay").status_code == 404


@pytest.mark.parametrize(("query", "status"), [("?agency=pantry", 409), ("?force=1", 400)])
def test_what_cannot_be_done_is_refused(
    clinic: Caller, pantry: Caller, admin: Caller, query: str, status: int
) -> None:
    line, _ = failed(clinic, admin)
    answer = admin("POST", f"/admin/messages/{line['id']}/replay{query}")
    assert (answer.status_code, bool(issue(answer))) == (status, True)


def test_a_batch_is_not_replayed(clinic: Caller, admin: Caller) -> None:
    id = uuid4().hex[:18]
    wrong = (
        b"BHS|^~\\&|EHR|CLINIC|GATEWAY|HUB|20260302||||%b\r" % id.encode() + adt(id) + b"BTS|3\r"
    )
    clinic("POST", "/intake/hl7v2", content=wrong, headers=HL7)
    listed = admin.get("/admin/messages").json()["messages"]
    (envelope,) = [each for each in listed if each["controlId"] == id]
    assert admin("POST", f"/admin/messages/{envelope['id']}/replay").status_code == 409


def test_what_waits_for_a_task_is_listed(clinic: Caller, admin: Caller) -> None:
    assert clinic.get("/intake/messages?task=nosuch").json() == {"messages": []}
    assert admin.get("/admin/messages?task=nosuch").json() == {"messages": []}
    assert admin.get("/admin/messages?task=x&status=failed").status_code == 400
    assert admin.get("/admin/messages?status=failed&more=1").status_code == 400


def test_messages_are_found_by_what_they_are_a_page_at_a_time(
    clinic: Caller, admin: Caller
) -> None:
    line, _ = failed(clinic, admin)
    good = uuid4().hex[:20]
    clinic("POST", "/intake/hl7v2", content=adt(good, f"M{good}"), headers=HL7)

    def found(query: str) -> list[str]:
        listed = admin.get(f"/admin/messages?{query}").json()["messages"]
        return [each["controlId"] for each in listed]

    bad = line["controlId"]
    assert found(f"controlId={good}&status=all") == [good]
    assert found(f"controlId={bad}") == [bad]
    assert line["event"] == "ADT^A08"
    assert found(f"controlId={bad}&event=ADT^A08&status=failed") == [bad]
    assert found(f"status=failed&agency=clinic&stage={line['stage']}")[0] == bad
    assert bad not in found("status=accepted&agency=clinic")
    assert found("agency=nobody") == []
    assert found(f"controlId={bad}&since=2001-01-01") == [bad]
    assert found(f"controlId={bad}&until=2001-01-01T00:00:00Z") == []
    page = admin.get("/admin/messages?status=all").json()
    older = admin.get(f"/admin/messages?status=all&before={page['before']}").json()
    shown, more = ({each["id"] for each in some["messages"]} for some in (page, older))
    assert not shown & more


def test_what_a_sender_calls_an_event_is_listed_where_it_can_be_one(
    clinic: Caller, admin: Caller
) -> None:
    for told, listed in ((b"ZZZ^Z99", "ZZZ^Z99"), (b"Jane Doe", ""), (b"", "")):
        id = uuid4().hex[:20]
        raw = adt(id, f"M{id}").replace(b"ADT^A08^ADT_A01", told)
        assert clinic("POST", "/intake/hl7v2", content=raw, headers=HL7).status_code != 200
        (line,) = admin.get(f"/admin/messages?controlId={id}").json()["messages"]
        assert line["event"] == listed


@pytest.mark.parametrize("query", ["colour=red", "since=yesterday", "before=x"])
def test_what_messages_are_not_found_by_is_refused(admin: Caller, query: str) -> None:
    assert admin.get(f"/admin/messages?{query}").status_code == 400
