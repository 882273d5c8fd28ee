from __future__ import annotations

import base64
from uuid import uuid4

import pytest

from tests.api.calls import Caller, issue

HL7 = {"content-type": "application/hl7-v2"}


def adt(control_id: str, mrn: str = "MRN-1") -> bytes:
    return (
        f"MSH|^~\\&|EHR|CLINIC|GATEWAY|HUB|20260302150405-0600||ADT^A08^ADT_A01|{control_id}|P|2.5.1\r"
        "EVN|A08|20260302150405-0600\r"
        f"PID|1||{mrn}^^^CLINIC^MR||Rivera^Ana||19840719|F\r"
        "PV1|1|O\r"
    ).encode()


def msa(answer: bytes) -> list[str]:
    lines = answer.decode().split("\r")
    return next(line for line in lines if line.startswith("MSA")).split("|")


def test_a_message_is_taken_and_answered_by_its_acknowledgement(clinic: Caller) -> None:
    id = uuid4().hex[:20]
    answer = clinic("POST", "/intake/hl7v2", content=adt(id, f"M{id}"), headers=HL7)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/hl7-v2"
    assert msa(answer.content)[1:3] == ["AA", id]
    found = clinic.get(f"/fhir/Patient?identifier=M{id}").json()
    assert len(found["entry"]) == 1


def test_the_same_message_again_gets_the_same_answer(clinic: Caller) -> None:
    raw = adt(uuid4().hex[:20])
    first, second = (clinic("POST", "/intake/hl7v2", content=raw, headers=HL7) for _ in range(2))
    assert first.content == second.content


def test_a_status_query_is_answered_by_the_status(clinic: Caller) -> None:
    id = uuid4().hex[:18]

    def referral(event: str) -> bytes:
        return (
            f"MSH|^~\\&|EHR|CLINIC|GATEWAY|HUB|20260302||REF^{event}^REF_I12|{event[1:]}{id}|P|2.5.1\r"
            f"RF1||R|FOOD|||R{id}^CLINIC\rPRD|RP|Powell^Robert\rPID|1||M{id}^^^CLINIC^MR||Rivera^Ana\r"
        ).encode()

    unknown = clinic("POST", "/intake/hl7v2", content=referral("I15"), headers=HL7)
    assert (unknown.status_code, msa(unknown.content)[1]) == (422, "AE")
    clinic("POST", "/intake/hl7v2", content=referral("I12"), headers=HL7)
    answer = clinic("POST", "/intake/hl7v2", content=referral("I15"), headers=HL7)
    assert (answer.status_code, msa(answer.content)[1:3]) == (200, ["AA", f"15{id}"])
    assert b"|RRI^I15^RRI_I12|" in answer.content
    assert b"\rRF1|P^Pending^HL70283|" in answer.content


def test_the_answer_comes_as_plain_text_to_who_asks_for_it(clinic: Caller) -> None:
    headers = {"content-type": "text/plain", "accept": "text/plain"}
    answer = clinic("POST", "/intake/hl7v2", content=adt(uuid4().hex[:20]), headers=headers)
    assert answer.headers["content-type"] == "text/plain"
    assert msa(answer.content)[1] == "AA"


def test_what_cannot_be_processed_is_kept_and_listed_to_its_sender(
    clinic: Caller, pantry: Caller, admin: Caller
) -> None:
    id = uuid4().hex[:20]
    raw = adt(id).replace(b"MRN-1^^^CLINIC^MR", b"")
    answer = clinic("POST", "/intake/hl7v2", content=raw, headers=HL7)
    assert answer.status_code == 422
    assert msa(answer.content)[1:3] == ["AE", id]
    assert "Rivera" not in answer.text

    mine = clinic.get("/intake/messages?status=failed").json()["messages"]
    failed = next(each for each in mine if each["controlId"] == id)
    assert failed["agency"] == "clinic"
    assert failed["place"].startswith("PID")
    assert failed["reason"]
    assert "raw" not in failed
    assert id not in pantry.get("/intake/messages").text
    assert id in admin.get("/admin/messages").text

    whole = admin.get(f"/admin/messages/{failed['id']}").json()
    assert base64.b64decode(whole["raw"]) == raw
    assert base64.b64decode(whole["answer"]) == answer.content


def test_a_numbered_sender_is_told_which_number_comes_next(clinic: Caller) -> None:
    def number(raw: bytes, said: bytes) -> bytes:
        return raw.replace(b"|P|2.5.1", b"|P|2.5.1|" + said).replace(b"|EHR|", b"|COUNTER|")

    start = number(adt("start").split(b"\r")[0] + b"\r", b"-1")
    heard = []
    for raw in (start, number(adt("n5"), b"5"), number(adt("n7"), b"7")):
        answer = clinic("POST", "/intake/hl7v2", content=raw, headers=HL7)
        heard.append((answer.status_code, msa(answer.content)[1], msa(answer.content)[4]))
    assert heard == [(200, "AA", "-1"), (200, "AA", "5"), (422, "AE", "6")]


@pytest.mark.parametrize("modes", [b"", b"|||AL|AL"])
def test_a_message_without_its_number_is_kept_and_told_what_it_lacks(
    clinic: Caller, admin: Caller, modes: bytes
) -> None:
    id = uuid4().hex[:20]
    raw = adt("", f"M{id}").replace(b"|P|2.5.1", b"|P|2.5.1" + modes)
    answer = clinic("POST", "/intake/hl7v2", content=raw, headers=HL7)
    assert (answer.status_code, msa(answer.content)[1:3]) == (422, ["AE", ""])
    assert b"\rERR||MSH^1^10|101^Required field missing^HL70357|E||||MSH-10 is required\r" in (
        answer.content
    )
    failed = clinic.get("/intake/messages?status=failed").json()["messages"][0]
    assert (failed["controlId"], failed["place"]) == ("", "MSH-10")
    whole = admin.get(f"/admin/messages/{failed['id']}").json()
    assert base64.b64decode(whole["raw"]) == raw


def test_what_is_no_message_is_refused_and_kept(clinic: Caller) -> None:
    answer = clinic("POST", "/intake/hl7v2", content=b"hello", headers=HL7)
    assert answer.status_code in (400, 422)
    assert msa(answer.content)[1] in ("AR", "AE")


def test_an_empty_body_and_another_media_type_are_no_messages(clinic: Caller) -> None:
    assert issue(clinic("POST", "/intake/hl7v2", headers=HL7))["code"] == "invalid"
    wrong = clinic.post("/intake/hl7v2", {})
    assert (wrong.status_code, issue(wrong)["code"]) == (415, "not-supported")


def test_messages_come_from_an_agency_and_not_from_an_admin(admin: Caller, nobody: Caller) -> None:
    assert admin("POST", "/intake/hl7v2", content=adt("x"), headers=HL7).status_code == 403
    assert nobody("POST", "/intake/hl7v2", content=adt("x"), headers=HL7).status_code == 401


@pytest.mark.parametrize("path", ["/admin/messages", "/admin/messages/x"])
def test_the_keepers_lists_are_the_keepers(clinic: Caller, admin: Caller, path: str) -> None:
    assert clinic.get(path).status_code == 403
    assert admin.get(path).status_code == (404 if path.endswith("x") else 200)


def test_another_status_is_refused_and_not_ignored(admin: Caller) -> None:
    assert admin.get("/admin/messages?status=lost").status_code == 400
    assert admin.get("/admin/messages?status=accepted").status_code == 200


def test_a_batch_is_answered_by_a_batch_and_refused_where_its_count_lies(clinic: Caller) -> None:
    first, second = (uuid4().hex[:20] for _ in range(2))
    head = b"BHS|^~\\&|EHR|CLINIC|GATEWAY|HUB|20260302||||B1\r"
    messages = adt(first, f"M{first}") + adt(second, f"M{second}")
    answer = clinic("POST", "/intake/hl7v2", content=head + messages + b"BTS|2\r", headers=HL7)
    assert answer.status_code == 200
    lines = answer.text.split("\r")
    told = [line.split("|")[1:3] for line in lines if line.startswith("MSA")]
    assert told == [["AA", first], ["AA", second]]
    assert (lines[0][:4], lines[-2]) == ("BHS|", "BTS|2")
    wrong = clinic("POST", "/intake/hl7v2", content=head + messages + b"BTS|3\r", headers=HL7)
    assert wrong.status_code == 400
    assert "ERR||BTS^1^1|" in wrong.text


def test_a_file_of_batches_is_answered_by_one_and_422_where_a_message_failed(
    clinic: Caller,
) -> None:
    first, second = (uuid4().hex[:20] for _ in range(2))
    file, batch = (head + b"|^~\\&|EHR|CLINIC|GATEWAY|HUB|20260302\r" for head in (b"FHS", b"BHS"))
    sound = batch + adt(first, f"M{first}") + b"BTS|1\r"
    ailing = batch + adt(second, "") + b"BTS|1\r"
    raw = file + sound + ailing + b"FTS|2\r"
    answer = clinic("POST", "/intake/hl7v2", content=raw, headers=HL7)
    lines = [line.split("|") for line in answer.text.split("\r")]
    told = [line[1:3] for line in lines if line[0] == "MSA"]
    assert (answer.status_code, told) == (422, [["AA", first], ["AE", second]])
    assert (lines[0][0], lines[-2]) == ("FHS", ["FTS", "2"])
    short = clinic("POST", "/intake/hl7v2", content=raw.replace(b"FTS|2", b"FTS|1"), headers=HL7)
    assert (short.status_code, "ERR||FTS^1^1|" in short.text) == (400, True)
