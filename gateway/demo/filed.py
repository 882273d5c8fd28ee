"""Scenes of agencies that send files and JSON of their own."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from gateway.demo.files import written, zipped
from gateway.demo.inbox import DidNotComeError
from gateway.demo.people import Person
from gateway.demo.scenes import Cast, Scene
from gateway.demo.story import Loop
from gateway.settings import shipped

HUB: Final = "Care Gateway"


async def legal_aid_posts_json(cast: Cast, person: Person) -> Loop:
    """Legal aid posts a referral in its own JSON, and hears the end by a callback."""
    number = f"SB-{next(cast.numbers)}"
    await cast.legal.refer(number, person, "food", cast.food_bank.name)
    referral = await cast.food_bank.referred(number)
    await cast.food_bank.move(referral, "accepted")
    await cast.food_bank.move(referral, "in-progress")
    await cast.food_bank.serve(referral)
    task = await cast.legal.hear(number)
    how = "signed webhook, JSON callback"
    return Loop(
        number, cast.legal.name, cast.food_bank.name, task["status"], how, _now(), closed=True
    )


async def pantry_sends_its_spreadsheet(cast: Cast, person: Person) -> Loop:
    """A pantry sends its sheet, mends the row that is set aside, and sends it back."""
    sheet = shipped("mappings") / "agencies" / cast.pantry.id / "visits" / "samples" / "week-10.csv"
    told = await cast.pantry.load("visits", sheet.name, sheet.read_bytes())
    name, rows = await cast.pantry.aside(told)
    mended = [{**row, "Card no": "E-20"} for row in rows]
    told = await cast.pantry.load("visits", name, written(mended))
    if any(file["aside"] for file in told["files"]):
        raise DidNotComeError(f"the mended row of {cast.pantry.name}")
    return _sent(cast.pantry.name, sheet.name, "CSV, a row mended and sent back")


async def shelter_leaves_its_export(cast: Cast, person: Person) -> Loop:
    """A shelter's HMIS export comes every night; the same again changes nothing."""
    export = zipped(shipped("mappings") / "hmis" / "samples" / "fy2026")
    await cast.nightly.load("hmis", "export.zip", export)
    told = await cast.nightly.load("hmis", "export.zip", export)
    changes = told["resources"].values()
    if any(one["created"] or one["updated"] or one["deleted"] for one in changes):
        raise DidNotComeError(f"no change by the same export of {cast.nightly.name}")
    return _sent(cast.nightly.name, "export.zip", "HMIS CSV, sent twice, in once")


def _sent(who: str, what: str, how: str) -> Loop:
    return Loop(what, who, HUB, "completed", how, _now(), closed=True)


def _now() -> str:
    return f"{datetime.now().astimezone():%H:%M:%S}"


SCENES: Final[tuple[tuple[str, Scene], ...]] = (
    ("Legal aid posts its own JSON, and hears the end by callback", legal_aid_posts_json),
    ("A pantry sends its spreadsheet, and mends a row", pantry_sends_its_spreadsheet),
    ("A shelter's nightly HMIS export, twice", shelter_leaves_its_export),
)
