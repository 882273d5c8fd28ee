"""The scenes: each plays one referral to its end and returns what became of it."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from gateway.demo import templates
from gateway.demo.clinic import Clinic, Sent
from gateway.demo.files import Casework, Files
from gateway.demo.inbox import DidNotComeError
from gateway.demo.loops import Desk, Keeper
from gateway.demo.partner import Partner, Referral
from gateway.demo.people import Person
from gateway.demo.story import Loop, Story
from gateway.demo.worker import Worker


class Need(NamedTuple):
    """Why somebody is referred: an ICD-10-CM code and its words."""

    code: str
    reason: str


FOOD: Final = Need("Z59.41", "Food insecurity")
SHELTER: Final = Need("Z59.00", "Homelessness unspecified")
RIDES: Final = Need("Z59.82", "Transportation insecurity")
OUTCOMES: Final = {"oru": ("ORU^R01", "OBR", 2), "rri": ("RRI^I12", "RF1", 6)}
"""What brings the end by a closing profile, and where it bears the referral's number."""

NO_BED: Final = "No capacity: every bed is taken tonight"


@dataclass
class Cast:
    """Who plays. ``desks`` are the clinics' own views of the hub, by agency id."""

    story: Story
    general: Clinic
    northside: Clinic
    food_bank: Partner
    haven: Partner
    harbor: Partner
    open_door: Partner
    riverside: Clinic
    legal: Casework
    pantry: Files
    nightly: Files
    rides: Worker
    safe: Partner
    keeper: Keeper
    desks: dict[str, Desk]
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1001))


class Named(Protocol):
    """Whoever is asked, by the name that a referral has for them."""

    @property
    def name(self) -> str:
        """The member's name."""


Whom = TypeVar("Whom", bound=Named)
Whom_co = TypeVar("Whom_co", bound=Named, covariant=True)


@dataclass(frozen=True, slots=True)
class Asked(Generic[Whom_co]):
    """A referral that was sent: its number (RF1-6), the message, and what it was made from."""

    number: str
    clinic: Clinic
    partner: Whom_co
    sent: Sent
    values: dict[str, str]


Scene = Callable[[Cast, Person], Awaitable[Loop]]


async def food_is_given(cast: Cast, person: Person) -> Loop:
    """A clinic asks, the food bank accepts and serves; the clinic hears both."""
    asked = await refer(cast, cast.general, cast.food_bank, FOOD, person)
    referral, answer = await accepted(asked)
    return await given(cast, asked, referral, answer)


async def shelter_is_full(cast: Cast, person: Person) -> Loop:
    """A clinic asks a shelter that has no bed; the refusal and its reason come back."""
    asked = await refer(cast, cast.northside, cast.haven, SHELTER, person)
    referral = await cast.haven.referred(asked.number)
    await cast.haven.move(referral, "rejected", NO_BED)
    how = await reply(asked, "R")
    return await closed(cast, asked, "rejected", how)


async def clinic_cancels(cast: Cast, person: Person) -> Loop:
    """A clinic takes its referral back after the food bank accepted it."""
    asked = await refer(cast, cast.general, cast.food_bank, FOOD, person)
    referral, how = await accepted(asked)
    await asked.clinic.send(f"REF^I14 cancels {asked.number}", templates.CANCEL, asked.values)
    await asked.partner.cancelled(referral)
    await asked.clinic.hear(
        f"RRI^I14 that answers the cancellation of {asked.number}",
        lambda heard: (
            heard.event == "RRI^I14" and heard.field("RF1", 6).split("^")[0] == asked.number
        ),
    )
    return await closed(cast, asked, "cancelled", f"{how}, REF^I14, RRI^I14")


async def clinic_is_down(cast: Cast, person: Person) -> Loop:
    """The outcome is due while the clinic's listener is down; it is sent until it arrives."""
    asked = await refer(cast, cast.northside, cast.food_bank, FOOD, person)
    referral, answer = await accepted(asked)
    asked.clinic.go_down()
    cast.story.note(asked.clinic.name, "its listener is down")
    await asked.partner.move(referral, "in-progress")
    await asked.partner.serve(referral)
    for attempt in (1, 2):
        await asked.clinic.was_called()
        cast.story.tell("Care Gateway", asked.clinic.name, f"attempt {attempt}: no answer")
    asked.clinic.come_back()
    cast.story.note(asked.clinic.name, "its listener is up again")
    end = await outcome(asked)
    return await closed(cast, asked, "completed", f"{answer}, {end} after retries")


async def sent_twice(cast: Cast, person: Person) -> Loop:
    """A laboratory result goes to nobody else; the same referral twice makes one."""
    clinic, desk = cast.general, cast.desks[cast.general.id]
    order = {"order": f"L{person.mrn}", "value": "8.1", **person.values()}
    await clinic.send(f"ORU^R01 HbA1c of {person.name}", templates.RESULT, order)
    result = await desk.result("4548-4")
    await cast.food_bank.may_not_see(result)
    asked = await refer(cast, clinic, cast.food_bank, FOOD, person)
    again = await clinic.resend(f"REF^I12 {asked.number}, the same bytes again", asked.sent)
    if again.answer != asked.sent.answer:
        raise DidNotComeError(f"the same acknowledgement for the same message, {asked.number}")
    await desk.only_one(asked.number)
    cast.story.tell("Care Gateway", clinic.name, "the same acknowledgement; nothing new was made")
    referral, answer = await accepted(asked)
    return await given(cast, asked, referral, answer)


SCENES: Final[tuple[tuple[str, Scene], ...]] = (
    ("A food referral, all the way round", food_is_given),
    ("The shelter is full", shelter_is_full),
    ("The clinic cancels after the food bank accepted", clinic_cancels),
    ("The clinic's listener is down when the outcome is due", clinic_is_down),
    ("A laboratory result, and a referral that is sent twice", sent_twice),
)
EVERYDAY: Final = SCENES[:3]
"""What repeats when the demo keeps running."""


async def refer(
    cast: Cast,
    clinic: Clinic,
    partner: Whom,
    need: Need,
    person: Person,
    template: str = templates.REFER,
    whom: str = "",
) -> Asked[Whom]:
    """A clinic registers somebody and refers them, by a message of its own kind.

    ``whom``: how the story calls whoever is asked, where that isn't the partner by name.
    """
    number = f"R-{next(cast.numbers)}"
    values = {
        **person.values(),
        "referral": number,
        "code": need.code,
        "reason": need.reason,
        "performer": partner.name,
    }
    await clinic.send(f"ADT^A04 registers {person.name}", templates.REGISTER, person.values())
    what = f"refers {person.name} ({number}): {need.reason}, {whom or f'to {partner.name}'}"
    sent = await clinic.send(what, template, values)
    return Asked(number, clinic, partner, sent, values)


async def refer_under(
    pseudonym: str, cast: Cast, clinic: Clinic, partner: Whom, need: Need
) -> Asked[Whom]:
    """A clinic refers somebody under a pseudonym, whom it doesn't register with the hub."""
    number = f"R-{next(cast.numbers)}"
    values = {
        "pseudonym": pseudonym,
        "referral": number,
        "code": need.code,
        "reason": need.reason,
        "performer": partner.name,
    }
    what = f"refers {pseudonym} ({number}): {need.reason}, to {partner.name}"
    sent = await clinic.send(what, templates.REFER_PSEUDONYM, values)
    return Asked(number, clinic, partner, sent, values)


async def accepted(asked: Asked[Partner]) -> tuple[Referral, str]:
    """The partner accepts, and the clinic hears so."""
    referral = await asked.partner.referred(asked.number)
    await asked.partner.move(referral, "accepted")
    return referral, await reply(asked, "A")


async def given(cast: Cast, asked: Asked[Partner], referral: Referral, answer: str) -> Loop:
    """The partner serves, and the clinic hears the outcome."""
    await asked.partner.move(referral, "in-progress")
    await asked.partner.serve(referral)
    end = await outcome(asked)
    return await closed(cast, asked, "completed", f"{answer}, {end}")


async def reply(asked: Asked[Named], code: str) -> str:
    """RRI^I12 that answers the message (MSA-2), with RF1-1 A or R (HL7 table 0283)."""
    heard = await asked.clinic.hear(
        f"RRI^I12 that answers {asked.number}",
        lambda heard: heard.event == "RRI^I12" and heard.field("MSA", 2) == asked.sent.control_id,
    )
    if heard.field("RF1", 1).split("^")[0] != code:
        raise DidNotComeError(f"RF1-1 {code} in the RRI^I12 that answers {asked.number}")
    return f"RRI^I12 {heard.gist()}"


async def outcome(asked: Asked[Named]) -> str:
    """The end, in the message of the clinic's closing profile, by its own referral number."""
    event, segment, number = OUTCOMES[asked.clinic.profile.outcome]
    await asked.clinic.hear(
        f"{event} with the outcome of {asked.number}",
        lambda heard: (
            heard.event == event and heard.field(segment, number).split("^")[0] == asked.number
        ),
    )
    return event


async def closed(cast: Cast, asked: Asked[Named], status: str, how: str) -> Loop:
    """Wait for the hub's note that the loop is closed."""
    answered = status in ("rejected", "cancelled")
    kind = "rri" if answered else asked.clinic.profile.outcome
    delivered = await cast.desks[asked.clinic.id].delivered(asked.number, status, kind)
    return Loop(
        asked.number, asked.clinic.name, asked.partner.name, status, how, delivered, closed=True
    )
