"""What an order that referred is told: OSU, SIU, and a result in its own words."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.close import build
from gateway.errors import CloseError
from gateway.parse.er7 import parse
from tests.close.cases import BOOKED, VERSIONS, ask, business, case
from tests.close.strictly import made, strict, values


@pytest.mark.parametrize(
    ("status", "control", "state"),
    [
        ("requested", "NW", None),
        ("accepted", "OK", "IP"),
        ("rejected", "UA", "CA"),
        ("in-progress", "SC", "IP"),
        ("on-hold", "OH", "HD"),
        ("completed", "SC", "CM"),
        ("failed", "OD", "DC"),
        ("cancelled", "OC", "CA"),
    ],
)
def test_the_osu_says_what_happened_and_what_it_led_to(
    status: str, control: str, state: str | None
) -> None:
    why = {"text": "No beds"}
    back = parse(build("osu", case(status, asked=ask("OMG^O19"), statusReason=why)))
    orc = back.first("ORC")
    assert orc is not None
    assert [orc.text(n) for n in (1, 2, 3, 5)] == [
        control,
        "R&D-77",
        case(status).request["id"],
        state,
    ]
    assert [orc.text(n, component=2) for n in (12, 16, 17)] == [
        "Allen",
        "No beds",
        "County Food Bank",
    ]
    assert values(back, "MSH", 21) == ["360X"]


@pytest.mark.parametrize("control", ["CA", "DC"])
def test_the_osu_of_an_order_that_was_taken_back_confirms_it(control: str) -> None:
    back = parse(build("osu", case("cancelled", asked=ask("OMG^O19", control=control))))
    assert values(back, "ORC", 1, 5) == ["CR", "CA"]


def test_the_osu_of_a_booked_referral_says_scheduled() -> None:
    says: list[dict[str, Any]] = [{"output": BOOKED}, {"businessStatus": business("5.1.1")}]
    for task in says:
        back = parse(build("osu", case("in-progress", asked=ask("OMG^O19"), **task)))
        assert values(back, "ORC", 1, 5) == ["SC", "SC"]
    missed: dict[str, Any] = {"businessStatus": business("5.1.2"), "output": BOOKED}
    back = parse(build("osu", case("in-progress", asked=ask("OMG^O19"), **missed)))
    assert values(back, "ORC", 1, 5) == ["SC", "IP"]


def test_the_osu_has_its_msa_from_28_on() -> None:
    older, newer = (
        parse(build("osu", case("accepted", asked=ask("OMG^O19", v)))) for v in ("2.7", "2.8")
    )
    assert older.first("MSA") is None
    assert values(newer, "MSA", 1, 2) == ["AA", "MSG7"]


def test_the_result_of_an_order_repeats_what_was_ordered_and_by_whom() -> None:
    obr = parse(build("oru", case("completed", asked=ask("ORM^O01")))).first("OBR")
    assert obr is not None
    assert [obr.text(n) for n in (2, 4, 16)] == ["R&D-77", "FOOD", "34225"]
    assert [obr.text(4, component=n) for n in (2, 3)] == ["Food & shelter", "99RIVER"]


def test_an_order_that_is_not_known_again_is_the_first() -> None:
    unknown = case("accepted", asked=ask("OMG^O19"))
    unknown.request["identifier"] = [{"value": "else"}]
    assert values(parse(build("osu", unknown)), "ORC", 2) == ["R&D-70"]


@pytest.mark.parametrize(
    ("task", "event", "state"),
    [
        ({"output": BOOKED}, "S12", "Booked"),
        ({"output": BOOKED, "businessStatus": business("5.1.1")}, "S12", "Booked"),
        ({"output": BOOKED, "businessStatus": business("5.1.2")}, "S26", "Noshow"),
        ({"output": BOOKED, "businessStatus": business("5.1.3")}, "S15", "Cancelled"),
    ],
)
def test_the_siu_tells_what_became_of_an_appointment(
    task: dict[str, Any], event: str, state: str
) -> None:
    back = parse(made("siu", "in-progress", asked=ask("OMG^O19"), **task))
    assert (back.event, back.structure) == (f"SIU^{event}", "SIU_S12")
    assert values(back, "SCH", 1, 2, 25, 26) == [None, "a1", state, "R&D-77"]
    assert values(back, "TQ1", 7, 8) == ["20240509100000-0500", "20240509103000-0500"]
    assert values(back, "AIS", 3, 4) == ["FOOD", "20240509100000-0500"]
    assert values(back, "NTE", 3) == ["Bring a bag & a card"]


def test_the_siu_of_an_old_version_has_the_referral_as_its_placers_number() -> None:
    back = parse(made("siu", "in-progress", "2.3"))
    assert values(back, "SCH", 1, 2, 26) == ["R&D-77", "a1", None]
    sch = back.first("SCH")
    assert sch is not None
    assert [sch.text(11, component=n) for n in (4, 5)] == [
        "20240509100000-0500", "20240509103000-0500"
    ]  # fmt: skip


@pytest.mark.parametrize("version", VERSIONS)
def test_a_booking_in_words_alone_is_told_without_a_time(version: str) -> None:
    raw = build("siu", case("in-progress", version, businessStatus=business("5.1.1")))
    strict(raw)
    assert values(parse(raw), "SCH", 2, 25) == [case("accepted").request["id"], "Booked"]


def test_without_an_appointment_there_is_no_siu() -> None:
    with pytest.raises(CloseError) as caught:
        build("siu", case("in-progress"))
    assert caught.value.place == "Task.output"
