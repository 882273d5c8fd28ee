"""Messages are understood in another process, and here when that one is gone."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.errors import GatewayError
from gateway.members import Members
from gateway.messages.meaning import Understood
from gateway.messages.understanding import Understanding
from gateway.model import Message
from gateway.settings import Settings, shipped
from gateway.store import open_hub
from tests.shipped import library

RAW = (shipped("mappings") / "agencies/cedar-general/food-referral.hl7").read_bytes()


def message(agency: str, raw: bytes = RAW) -> Message:
    return Message("m", agency, "mllp", "hl7v2", "c", raw, datetime(2026, 3, 1, tzinfo=UTC))


def until(true: Callable[[], bool]) -> None:
    for _ in range(1200):
        if true():
            return
        time.sleep(0.05)
    pytest.fail("it did not come true")


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Members]:
    hub = open_hub(f"sqlite:///{tmp_path_factory.mktemp('hub') / 'hub.sqlite'}")
    members = Members(hub, library())
    members.add("cedar-general", None)
    yield members
    hub.close()


@pytest.fixture(scope="module")
def beside(members: Members) -> Iterator[Understanding]:
    understanding = Understanding(members, Settings().folders, 1)
    understanding.start()
    until(lambda: understanding._child("cedar-general") is not None)
    yield understanding
    understanding.stop()


def test_another_process_says_what_this_one_would(members: Members, beside: Understanding) -> None:
    here = Understanding(members, Settings().folders, 0)
    weight = RAW + b"OBX|2|NM|29463-7^Weight^LN||72.50|kg^kg^UCUM|||||F\r"
    for raw in (RAW, weight, RAW.replace(b"REF^I12", b"ZZZ^Z99"), b"MSH|no message"):
        one, other = here(message("cedar-general", raw)), beside(message("cedar-general", raw))
        assert one.done()
        mine, theirs = one.result(), other.result(30)
        assert type(mine) is type(theirs)
        if isinstance(mine, GatewayError):
            assert isinstance(theirs, GatewayError)
            assert theirs.issues == mine.issues
        else:
            assert theirs == mine  # search rows and all
            assert theirs.entries == mine.entries


def test_nobodys_message_is_refused_and_asks_no_process(beside: Understanding) -> None:
    outcome = beside(message("")).result()
    assert isinstance(outcome, GatewayError)
    assert outcome.place == "MSH-4"


def test_a_renewed_agency_is_read_anew(
    members: Members, beside: Understanding, tmp_path: Path
) -> None:
    for system in ("urn:oid:1.2.3", "urn:oid:1.2.4"):
        (tmp_path / "agency.yaml").write_text(
            f"agency: renewed\nname: Renewed\nauthorities: {{CEDARGEN: '{system}'}}\n"
        )
        members.add("renewed", tmp_path)
        outcome = beside(message("renewed")).result(30)
        assert isinstance(outcome, Understood)
        (patient,) = [e.resource for e in outcome.entries if e.reference.startswith("Patient/")]
        assert system in {each.get("system") for each in patient["identifier"]}


def test_who_becomes_a_member_is_asked_from_then_on(
    members: Members, beside: Understanding
) -> None:
    def owner() -> str | None:
        outcome = beside(message("cedar-general")).result(30)
        assert isinstance(outcome, Understood)
        (task,) = [e.resource for e in outcome.entries if e.reference.startswith("Task/")]
        return str(task["owner"]["reference"]) if "owner" in task else None

    assert owner() is None
    members.add("food-bank", None)
    assert owner() == "Organization/food-bank"


def test_a_process_that_dies_is_replaced_and_nothing_is_lost(
    members: Members, beside: Understanding
) -> None:
    child = beside._child("cedar-general")
    assert child is not None
    asked = [beside(message("cedar-general")) for _ in range(50)]
    os.kill(child.pid, signal.SIGKILL)
    assert all(isinstance(each.result(60), Understood) for each in asked)
    until(lambda: beside._child("cedar-general") not in (None, child))
    assert isinstance(beside(message("cedar-general")).result(30), Understood)


def test_a_process_that_dies_in_the_middle_of_an_answer_holds_nobody_up(
    members: Members, beside: Understanding
) -> None:
    until(lambda: beside._child("cedar-general") is not None)
    child = beside._child("cedar-general")
    assert child is not None
    go_on = threading.Event()
    first = beside(message("cedar-general"))
    # It runs on the thread that reads: the pipe fills, until an answer stands in it by half.
    first.add_done_callback(lambda _: go_on.wait(60))
    asked = [first, *(beside(message("cedar-general")) for _ in range(100))]
    until(lambda: rests(child.pid))
    os.kill(child.pid, signal.SIGKILL)
    go_on.set()
    assert all(isinstance(each.result(60), Understood) for each in asked)
    until(lambda: beside._child("cedar-general") not in (None, child))


def rests(pid: int) -> bool:
    """Whether a process uses no processor time, though there is work for it."""

    def used() -> list[str]:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]

    before = used()
    time.sleep(0.5)
    return used() == before
