"""Other networks' words for referrals: the ConceptMaps that ship, and what they decide."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.close.transitions import WRITERS
from gateway.close.vocabulary import ENDS, REASON, reason, vocabularies
from gateway.fhir import codes, gates
from gateway.fhir.codes import TASK_STATUS
from gateway.settings import shipped

OWN = codes.BASE + "CodeSystem/"
FINDHELP, CLARITY, HMIS = (
    OWN + name for name in ("findhelp-outcome", "clarity-referral-status", "hmis-referral-result")
)
FILES = sorted((shipped("mappings") / "referral").glob("*.json"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_is_valid_r4_and_names_only_statuses_that_a_referral_has(path: Any) -> None:
    resource = gates.check(json.loads(path.read_bytes()), type="ConceptMap")
    for group in resource["group"]:
        for element in group["element"]:
            for target in element["target"]:
                if group["target"] == TASK_STATUS:
                    assert target["code"] in WRITERS
            if group["source"] == TASK_STATUS:
                assert element["code"] in {*WRITERS, "received"}


def test_every_word_of_each_network_has_a_status() -> None:
    words = {
        "findhelp-outcome": (
            FINDHELP,
            "Got Help;Referred Elsewhere;Couldn't Contact;Not Eligible;No Capacity;"
            "Couldn't Get Help;No Longer Interested",
        ),
        "clarity-referral-status": (
            CLARITY,
            "Pending;Pending - In Process;Denied by Provider;Denied by Client;Expired;Completed",
        ),
        "hmis-referral-result": (HMIS, "1;2;3"),
    }
    for name, (system, all_) in words.items():
        for word in all_.split(";"):
            found = vocabularies()[name].translate(word, system)
            assert TASK_STATUS in {each.system for each in found}, word


@pytest.mark.parametrize("status", sorted(WRITERS.keys() - {"draft", "entered-in-error"}))
@pytest.mark.parametrize("name", ["task-to-bser", "task-to-clarity-referral-status"])
def test_every_status_of_a_referral_has_a_word_where_steps_are_told(name: str, status: str) -> None:
    assert vocabularies()[name].translate(status, TASK_STATUS)


@pytest.mark.parametrize(
    ("system", "code", "means", "ends"),
    [
        (FINDHELP, "No Capacity", "no-capacity", False),
        (FINDHELP, "no longer interested", "client-declined", True),
        (FINDHELP, "Couldn't Contact", "client-not-reached", True),
        (CLARITY, "Denied by Client", "client-declined", True),
        (CLARITY, "Denied by Provider", "other", False),
        (HMIS, "2", "client-declined", True),
        (codes.SDOH_CODES, "no-capacity", "no-capacity", False),
        (REASON, "not-eligible", "not-eligible", False),
        ("urn:another", "No Capacity", "", False),
    ],
)
def test_a_refusals_reason_is_read_in_whosever_words(
    system: str, code: str, means: str, ends: bool
) -> None:
    said = reason({"coding": [{"system": system, "code": code}], "text": "as it was said"})
    assert (said, said in ENDS) == (means, ends)
    assert reason({"text": "no"}) == reason(None) == ""
