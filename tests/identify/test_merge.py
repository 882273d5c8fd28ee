"""Which record stands when two meet, without a hub."""

from __future__ import annotations

import pytest

from gateway.errors import IdentifyError
from gateway.identify.late import filled
from gateway.identify.merge import RETIRED, STANDS, heir, led
from gateway.model import Entry, Resource


def patient(id: str, **links: str) -> Resource:
    """A Patient with links by type: ``replaces="b"``."""
    named = {type.replace("_", "-"): other for type, other in links.items()}
    found = [
        {"other": {"reference": f"Patient/{other}"}, "type": type} for type, other in named.items()
    ]
    return {"resourceType": "Patient", "id": id, **({"link": found} if found else {})}


def merge(loser: str, survivor: str) -> tuple[Entry, Entry]:
    retired = {**patient(loser, replaced_by=survivor), "active": False}
    return Entry(patient(survivor, replaces=loser)), Entry(retired)


def hub(*patients: Resource) -> dict[str, Resource]:
    return {f"Patient/{each['id']}": each for each in patients}


def test_a_merge_that_the_hub_knows_nothing_of_stands_as_it_came() -> None:
    entries = merge("a", "b")
    assert led(entries, hub().get) == (entries, ())


def test_a_record_merged_into_itself_is_refused_at_its_place() -> None:
    with pytest.raises(IdentifyError) as refused:
        led((Entry(patient("a", replaced_by="a")),), hub().get)
    assert (refused.value.place, refused.value.issues[0].condition) == ("MRG-1", "205")


def test_what_is_said_of_a_retired_record_is_about_the_last_of_its_heirs() -> None:
    known = hub(patient("a", replaced_by="b"), patient("b", replaced_by="c"), patient("c"))
    visit = {
        "resourceType": "Encounter",
        "id": "v",
        "subject": {"reference": "Patient/a"},
    }
    (retired, about), warnings = led((Entry(patient("a")), Entry(visit)), known.get)
    assert retired.resource == {"resourceType": "Patient", "id": "a"}
    assert about.resource["subject"] == {"reference": "Patient/c"}
    assert warnings == (RETIRED,)


def test_the_inverse_of_a_merge_changes_nothing() -> None:
    known = hub(patient("a", replaced_by="b"), patient("b", replaces="a"))
    entries, warnings = led(merge("b", "a"), known.get)
    assert [len(each.resource) for each in entries] == [2, 2]
    assert set(warnings) == {RETIRED, STANDS}


def test_a_merge_said_again_after_another_one_leads_to_the_last_heir() -> None:
    known = hub(patient("a", replaced_by="b"), patient("b", replaced_by="c"), patient("c"))
    (_, retired), _ = led(merge("a", "b"), known.get)
    assert heir(retired.resource) == "Patient/c"


def test_a_record_that_has_an_heir_gets_no_second_one() -> None:
    known = hub(patient("a", replaced_by="b"), patient("b", replaces="a"), patient("c"))
    with pytest.raises(IdentifyError):
        led(merge("a", "c"), known.get)


def test_an_heir_of_several_keeps_its_links_to_all() -> None:
    known = hub(patient("a", replaced_by="b"), patient("b", replaces="a"), patient("c"))
    (heir_of_both, _), _ = led(merge("c", "b"), known.get)
    others = [each["other"]["reference"] for each in heir_of_both.resource["link"]]
    assert others == ["Patient/a", "Patient/c"]


def test_records_that_are_unlinked_keep_their_links_to_others() -> None:
    known = hub(
        {**patient("a"), "link": [*patient("a", seealso="b")["link"], *_heirs_of("c")]},
        patient("b", seealso="a"),
    )
    gone = frozenset({"link"})
    (a, b), _ = led((Entry(patient("a"), gone), Entry(patient("b"), gone)), known.get)
    assert (a.resource["link"], a.removes) == (_heirs_of("c"), frozenset())
    assert ("link" in b.resource, b.removes) == (False, gone)


def _heirs_of(retired: str) -> list[Resource]:
    links: list[Resource] = patient("", replaces=retired)["link"]
    return links


def test_what_comes_late_only_fills_in_and_gives_no_second_value_of_a_choice() -> None:
    current = {"resourceType": "Observation", "id": "o", "status": "final", "valueInteger": 1}
    late = {**current, "status": "preliminary", "valueString": "1", "issued": "2026"}
    del late["valueInteger"]
    assert filled(current, Entry(late)) == {**current, "issued": "2026"}


def test_that_two_records_are_one_counts_however_late_it_comes() -> None:
    now = filled({**patient("a"), "active": True}, merge("a", "b")[1])
    assert (heir(now), now["active"]) == ("Patient/b", False)
