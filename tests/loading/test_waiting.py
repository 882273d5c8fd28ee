"""``unmapped: task`` over rows and JSON records: who is asked, what waits, and what frees it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import Cut
from gateway.messages import unmapped
from gateway.model import Context
from gateway.pipeline import Pipeline
from tests import feeds
from tests.agencies import parts
from tests.loading.conftest import Find, Put
from tests.loading.larder import LARDER, Larder, guest

PANTRY = Context("pantry", "test")


@pytest.fixture
def larder(pipeline: Pipeline, tmp_path: Path) -> Larder:
    return Larder(pipeline, tmp_path / "larder")


def test_an_unknown_code_goes_in_and_makes_one_task(larder: Larder) -> None:
    tally = larder.sends(guest("1", "c1", "Q7"), guest("2", "c2", "Q7"), guest("3", "c3"))
    assert tally.is_whole
    assert {text for _, text in tally.warnings} == {"a code that the table 'sex' lacks"}
    task = larder.task
    assert task["owner"] == {"reference": "Organization/larder"}
    assert parts(task) == {
        "agency": {"reference": "Organization/larder"},
        "feed": "guests",
        "table": "sex",
        "place": "guests.csv:2:Sex",
        "code": "Q7",
        "rows": f"/intake/rows?task={task['id']}",
    }
    assert task["reasonReference"]["identifier"]["value"] == tally.load
    waits = [("guests", "guests.csv", 2, False), ("guests", "guests.csv", 3, False)]
    assert larder.waiting(task) == waits
    assert larder.waiting(task, PANTRY) == []
    assert larder.has("Task", PANTRY) == []


def test_what_waited_is_taken_again_once_the_table_has_it(larder: Larder) -> None:
    larder.sends(guest("1", "c1", "Q7"), guest("2", "c2", "Q7"))
    assert larder.pipeline.replay.release() == 0
    larder.tables(sex="Q7,other")
    assert larder.pipeline.replay.release() == 1
    assert [each["gender"] for each in larder.has("Patient")] == ["other", "other"]
    task = larder.task
    assert task["status"] == "completed"
    assert parts(task, "output") == {"replayed": 2, "failed": 0}
    assert larder.pipeline.replay.release() == 0


def test_a_row_that_must_have_the_code_comes_in_by_itself(larder: Larder) -> None:
    tally = larder.sends(guest("1", state="odd"), guest("2", "c2"))
    assert (tally.set_aside, len(larder.has("Encounter"))) == (1, 1)
    assert larder.waiting(larder.task) == [("guests", "guests.csv", 2, True)]
    larder.tables(state="odd,cancelled")
    assert larder.pipeline.replay.release() == 1
    assert {each["status"] for each in larder.has("Encounter")} == {"finished", "cancelled"}
    assert larder.pipeline.loading.asides.open(LARDER) == []
    assert parts(larder.task, "output") == {"replayed": 1, "failed": 0}


def test_newer_rows_of_the_same_person_stay_newer(larder: Larder) -> None:
    larder.sends(guest("1", "c1", "Q7"), guest("2", "c1"), guest("3", "c2"))
    larder.tables(sex="Q7,other")
    assert larder.pipeline.replay.release() == 1
    people = {one["identifier"][0]["value"]: one for one in larder.has("Patient")}
    assert people["c1"]["name"] == [{"family": "L2"}]
    assert people["c1"]["gender"] == "female"


def test_json_records_wait_for_their_own_feed_s_table(larder: Larder) -> None:
    larder.tells({"no": "a", "person": {"sex": "Q7"}})
    assert parts(larder.task)["place"].endswith("person/sex")
    larder.tables(sex="Q7,male")
    assert larder.pipeline.replay.release() == 0
    larder.tables(cases="Q7,other")
    assert larder.pipeline.replay.release() == 1
    assert [each["gender"] for each in larder.has("Patient")] == ["other"]


def test_who_keeps_the_tables_is_asked(larder: Larder) -> None:
    larder.tables(said="tables-kept-by: pantry\n")
    larder.sends(guest("1", "c1", "Q7"))
    assert larder.has("Task") == []
    (task,) = larder.has("Task", PANTRY)
    assert parts(task)["code"] == "Q7"


def test_a_row_that_comes_again_better_waits_no_longer(larder: Larder) -> None:
    larder.sends(guest("1", "c1", "Q7"))
    larder.sends(guest("1", "c1", "F"))
    assert larder.waiting(larder.task) == []
    larder.tables(sex="Q7,other")
    assert larder.pipeline.replay.release() == 1
    assert [each["gender"] for each in larder.has("Patient")] == ["female"]
    assert parts(larder.task, "output") == {"replayed": 1, "failed": 0}


def test_what_was_given_up_holds_up_nobody(larder: Larder) -> None:
    larder.sends(guest("1", state="odd"))
    (aside,) = larder.pipeline.loading.asides.open(LARDER)
    larder.pipeline.loading.drop(LARDER, aside.id)
    larder.tables(state="odd,cancelled")
    assert larder.pipeline.replay.release() == 1
    assert larder.task["status"] == "completed"


def test_a_spreadsheet_of_prose_does_not_drown_its_keeper(
    larder: Larder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unmapped, "MOST", 2)
    larder.sends(*(guest(str(n), f"c{n}", f"Q{n}") for n in range(4)))
    assert len(larder.has("Task")) == 2


def test_a_release_that_is_cut_off_goes_on_later(larder: Larder) -> None:
    larder.sends(guest("1", "c1", "Q7"))
    larder.tables(sex="Q7,other")
    with larder.pipeline._hub.read() as reader:
        (lack,) = reader.lacking()
    with pytest.raises(Cut):
        larder.pipeline.loading.release(lack.key, lambda: False)
    assert larder.pipeline.replay.release() == 1
    assert [each["gender"] for each in larder.has("Patient")] == ["other"]


def test_rows_without_an_id_are_the_same_rows_by_other_maps(
    larder: Larder,
) -> None:
    larder.guest = larder.guest.replace("id: Visit\n", "")
    larder.tables()
    larder.sends(guest("1", "c1", "Q7"))
    larder.tables(sex="Q7,other")
    assert larder.pipeline.replay.release() == 1
    tally = larder.sends(guest("1", "c1", "Q7"))
    assert tally.files["guests.csv"]["unchanged"] == 1
    with larder.pipeline._hub.read() as reader:
        assert len(list(reader.rows(LARDER, "guests", "guest"))) == 1


def test_the_last_of_rows_of_one_id_counts_though_it_is_what_was_kept(put: Put, find: Find) -> None:
    put({"clients.csv": feeds.table(feeds.CLIENTS, feeds.client("1", Last="One"))})
    rows = [feeds.client("1", Last="Two"), feeds.client("1", Last="One")]
    put({"clients.csv": feeds.table(feeds.CLIENTS, *rows)})
    assert [one["name"][0]["family"] for one in find("Patient")] == ["One"]
