"""A scene of a victim service provider: a pseudonym goes there, and a status comes back."""

from __future__ import annotations

from typing import Final

from gateway.demo import scenes
from gateway.demo.inbox import DidNotComeError
from gateway.demo.partner import HUB, Referral
from gateway.demo.people import Person
from gateway.demo.scenes import Cast, Need, Scene
from gateway.demo.story import Loop

VIOLENCE: Final = Need("Z69.11", "Violence at home")
PSEUDONYM: Final = "HERON-7"
TOLD: Final = frozenset(
    {"resourceType", "id", "meta", "active", "identifier", "name", "managingOrganization"}
)
"""What a Patient under a pseudonym has."""


async def a_pseudonym_finds_shelter(cast: Cast, person: Person) -> Loop:
    """A clinic refers somebody under a pseudonym; who it is stays with the clinic and the haven."""
    asked = await scenes.refer_under(PSEUDONYM, cast, cast.northside, cast.safe, VIOLENCE)
    referral, answer = await scenes.accepted(asked)
    _check(cast, referral, person)
    client = {"name": [{"family": person.family, "given": [person.given]}]}
    await cast.safe.may_not_bring({"resourceType": "Patient", **client}, "its client's record")
    here = {"name": "The house", "address": {"line": [person.street]}}
    await cast.safe.may_not_bring({"resourceType": "Location", **here}, "where it is")
    await cast.safe.move(referral, "in-progress")
    await cast.safe.move(referral, "completed")
    end = await scenes.outcome(asked)
    await cast.keeper.knows_nobody(person)
    how = f"{answer}, {end}, under a pseudonym"
    return await scenes.closed(cast, asked, "completed", how)


def _check(cast: Cast, referral: Referral, person: Person) -> None:
    """What the haven sees of the person is a pseudonym and nothing else."""
    more = sorted(referral.patient.keys() - TOLD)
    seen = str((referral.patient, referral.request, referral.task, referral.reason))
    if more or any(word in seen for word in (person.family, person.given, person.phone)):
        raise DidNotComeError(f"a pseudonym alone at {cast.safe.name}")
    cast.story.tell(HUB, cast.safe.name, f"all that it sees of the person: {referral.person}")


SCENES: Final[tuple[tuple[str, Scene], ...]] = (
    ("Somebody flees: a pseudonym goes to Safe Harbor, a status comes back",
     a_pseudonym_finds_shelter),
)  # fmt: skip
