"""Scenes of agencies that have an e-mail address, and no system of any kind."""

from __future__ import annotations

from typing import Final

from gateway.demo import scenes
from gateway.demo.inbox import DidNotComeError
from gateway.demo.people import Person
from gateway.demo.scenes import RIDES, Cast, Scene
from gateway.demo.story import Loop


async def volunteers_answer_by_link(cast: Cast, person: Person) -> Loop:
    """A clinic refers to volunteers; they accept and mark served on the page behind a link."""
    asked = await scenes.refer(cast, cast.general, cast.rides, RIDES, person)
    unsaid = (person.family, person.given, person.phone, RIDES.reason)
    page = await cast.rides.mailed(*unsaid)
    if page.lines.get("Name") != person.name:
        raise DidNotComeError(f"the name of who needs a ride on the page of {cast.rides.name}")
    await cast.rides.answer(page, "accept")
    answer = await scenes.reply(asked, "A")
    page = await cast.rides.mailed(*unsaid)
    await cast.rides.answer(page, "serve", text="Driven there and back")
    end = await scenes.outcome(asked)
    return await scenes.closed(cast, asked, "completed", f"e-mail, light page; {answer}, {end}")


SCENES: Final[tuple[tuple[str, Scene], ...]] = (
    ("Volunteers without a system: an e-mail, a link, a page", volunteers_answer_by_link),
)
