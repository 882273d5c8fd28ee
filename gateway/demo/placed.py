"""Scenes of referrals that the hub places, of visits that are missed, of records that merge."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from gateway.demo import scenes, templates
from gateway.demo.inbox import DidNotComeError
from gateway.demo.people import Person
from gateway.demo.scenes import FOOD, SHELTER, Asked, Cast, Named, Scene
from gateway.demo.story import Loop

BED: Final = "homelessness"
"""The SDOH category of a need for a bed."""

TAKEN: Final = "Every bed is taken tonight"


async def a_bed_opens(cast: Cast, person: Person) -> Loop:
    """A clinic names nobody. Two shelters say no, the third has a waiting list; a bed opens."""
    rooms = ("capacity", "additional-assessment-required", "waitlist")
    shelters = (cast.haven, cast.open_door, cast.harbor)
    for shelter, room in zip(shelters, rooms, strict=True):
        await shelter.offers("Emergency shelter", BED, room)
    asked = await scenes.refer(
        cast, cast.northside, cast.harbor, SHELTER, person, templates.REFER_ANYONE, "to anybody"
    )
    for shelter in (cast.haven, cast.open_door):
        referral = await shelter.referred(asked.number)
        await shelter.move(referral, "rejected", TAKEN)
    await cast.desks[asked.clinic.id].stands(asked.number, "waiting")
    cast.story.note("Care Gateway", f"{asked.number} waits on the list of {cast.harbor.name}")
    await cast.harbor.offers("Emergency shelter", BED, "capacity")
    referral, answer = await scenes.accepted(asked)
    await cast.harbor.move(referral, "in-progress")
    await cast.harbor.move(referral, "completed")
    end = await scenes.outcome(asked)
    for shelter in shelters:
        await shelter.offers("Emergency shelter", BED, "no-capacity")
    return await scenes.closed(cast, asked, "completed", f"{answer}, {end}")


async def nobody_comes(cast: Cast, person: Person) -> Loop:
    """A clinic refers by IHE 360X; the shelter books a visit, and nobody comes."""
    asked = await scenes.refer(
        cast, cast.riverside, cast.haven, SHELTER, person, templates.ORDER, "by 360X"
    )
    referral = await cast.haven.referred(asked.number)
    await cast.haven.move(referral, "accepted")
    await _hear(asked, "OSU^O51", "accepted")
    await cast.haven.move(referral, "in-progress", state="5.1.1")
    await _hear(asked, "SIU^S12", "a visit is booked")
    await cast.haven.move(referral, "in-progress", state="5.1.2")
    await _hear(asked, "SIU^S26", "nobody came")
    await cast.haven.move(referral, "failed", "Did not come, and could not be reached since")
    await _hear(asked, "OSU^O51", "it ended")
    how = "OSU^O51, SIU^S12, SIU^S26, OSU^O51"
    return await scenes.closed(cast, asked, "failed", how)


async def two_records_become_one(cast: Cast, person: Person) -> Loop:
    """While a referral is open, the clinic finds that it has two records of the person."""
    asked = await scenes.refer(cast, cast.general, cast.food_bank, FOOD, person)
    referral, answer = await scenes.accepted(asked)
    heir = replace(person, mrn=f"9{person.mrn}")
    await asked.clinic.send(
        f"ADT^A40 merges {person.mrn} into {heir.mrn}",
        templates.MERGE,
        {**heir.values(), "old": person.mrn},
    )
    after = await cast.food_bank.again(referral)
    if after.task["for"] == referral.task["for"]:
        raise DidNotComeError(f"the heir in the Task of {asked.number}")
    cast.story.tell(
        cast.food_bank.name,
        "Care Gateway",
        f"GETs Task {asked.number}: it is for {after.person} by the new record now",
    )
    return await scenes.given(cast, asked, after, answer)


async def _hear(asked: Asked[Named], event: str, what: str) -> None:
    await asked.clinic.hear(
        f"{event} about {asked.number}: {what}", lambda heard: heard.event == event
    )


SCENES: Final[tuple[tuple[str, Scene], ...]] = (
    *scenes.SCENES,
    ("Every shelter is full, and a bed opens", a_bed_opens),
    ("A visit is booked, and nobody comes", nobody_comes),
    ("Two records become one while a referral is open", two_records_become_one),
)
