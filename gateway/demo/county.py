"""Cedar County, joined: its agencies open their doors, become members, and play."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import shutil
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from gateway.demo import filed, hidden, mailed, placed
from gateway.demo.clinic import Clinic, Profile
from gateway.demo.fhir_client import FhirClient, RefusedError
from gateway.demo.files import Casework, Files
from gateway.demo.inbox import DidNotComeError
from gateway.demo.loops import Desk, Keeper
from gateway.demo.mailroom import Mailroom
from gateway.demo.partner import Partner
from gateway.demo.people import PEOPLE, Person
from gateway.demo.scenes import EVERYDAY, Cast, Scene
from gateway.demo.story import Loop, Story
from gateway.demo.worker import Worker
from gateway.settings import shipped

GENERAL: Final = Profile("cedar-general", "Cedar General", "CEDARGEN", "oru")
NORTHSIDE: Final = Profile("northside", "Northside Clinic", "NORTHSIDE", "rri")
RIVERSIDE: Final = Profile("riverside", "Riverside Clinic", "RIVERSIDE", "osu")
FOOD_BANK: Final = ("food-bank", "County Food Bank")
HAVEN: Final = ("family-haven", "Family Haven")
HARBOR: Final = ("harbor-shelter", "Harbor Shelter")
OPEN_DOOR: Final = ("open-door", "Open Door Shelter")
LEGAL_AID: Final = ("st-brigid", "St Brigid's Legal Aid")
PANTRY: Final = ("eastside-pantry", "Eastside Pantry")
RIDES: Final = ("cedar-rides", "Cedar Rides")
SAFE_HARBOR: Final = ("safe-harbor", "Safe Harbor")
PARTNERS: Final = (FOOD_BANK, HAVEN, HARBOR, OPEN_DOOR, SAFE_HARBOR)

SCENES: Final = (*placed.SCENES, *filed.SCENES, *mailed.SCENES, *hidden.SCENES)

INBOX: Final = "rides@cedar-rides.example"
"""Where Cedar Rides reads its e-mails, as its agency.yaml says."""

PAUSE: Final = 4.0
"""Seconds between two referrals, when the demo keeps running."""


@dataclass
class County:
    """What the gateway's keeper tells the agencies, and how members are made.

    ``root`` (``http://127.0.0.1:8080``), ``api`` (``…/fhir``), ``docs`` and ``mllp`` (host, port)
    are where the gateway is; ``secret`` is what St Brigid signs its webhooks with; ``mail`` is the
    socket to which the gateway brings e-mails; ``add_agency`` takes an id, the folder of its
    agency.yaml (or None) and its name; ``add_key`` takes an agency's id and gives its key;
    ``keeper`` is the key of whoever keeps the hub. ``folder`` is scratch space; ``once`` plays the
    scenes and ends.
    """

    root: str
    api: str
    docs: str
    mllp: tuple[str, int]
    add_agency: Callable[[str, Path | None, str], object]
    add_key: Callable[[str], str]
    keeper: str
    secret: str
    mail: socket.socket
    folder: Path
    once: bool


async def play(county: County) -> int:
    """Play the scenes, print how each referral closed; 0 if every loop closed, else 1.

    Without ``once`` it then repeats everyday scenes until SIGINT or SIGTERM.
    """
    story = Story()
    async with contextlib.AsyncExitStack() as stack:
        stopping = None if county.once else _signals(stack)
        cast = await _gather(county, story, stack)
        loops = await _play_scenes(cast)
        story.close(loops)
        if stopping is not None:
            await _go_on(cast, stopping)
    return 0 if all(loop.closed for loop in loops) else 1


async def _gather(county: County, story: Story, stack: contextlib.AsyncExitStack) -> Cast:
    profiles = (GENERAL, NORTHSIDE, RIVERSIDE)
    clinics = [Clinic(profile, county.mllp, story) for profile in profiles]
    for clinic in clinics:
        await clinic.open()
        stack.push_async_callback(clinic.close)
        await asyncio.to_thread(county.add_agency, clinic.id, _folder(county, clinic), clinic.name)
    for id, name in (*PARTNERS, LEGAL_AID, PANTRY, RIDES):
        await asyncio.to_thread(county.add_agency, id, None, name)
    others = (*PARTNERS, LEGAL_AID, PANTRY)
    ids = (*(each.id for each in profiles), *(id for id, _ in others))
    keys = {id: await asyncio.to_thread(county.add_key, id) for id in ids}
    _introduce(county, story, keys)
    views = {
        id: await stack.enter_async_context(FhirClient(county.api, key)) for id, key in keys.items()
    }
    partners = [Partner(id, name, views[id], story) for id, name in PARTNERS]
    bank, haven, harbor, open_door, safe = partners
    for partner in partners:
        stack.push_async_callback(partner.close)
        await partner.open(*(("requested", "cancelled") if partner is bank else ("requested",)))
    desks = {clinic.id: Desk(clinic.name, views[clinic.id]) for clinic in clinics}
    legal = Casework(*LEGAL_AID, county.root, county.secret, views[LEGAL_AID[0]], story)
    stack.push_async_callback(legal.close)
    await legal.open()
    pantry, nightly = [
        await stack.enter_async_context(Files(id, name, county.root, keys[id], story))
        for id, name in (PANTRY, HARBOR)
    ]
    rides = await _volunteers(county, story, stack)
    general, northside, riverside = clinics
    keeper = await stack.enter_async_context(FhirClient(county.api, county.keeper))
    return Cast(
        story=story,
        general=general,
        northside=northside,
        riverside=riverside,
        food_bank=bank,
        haven=haven,
        harbor=harbor,
        open_door=open_door,
        legal=legal,
        pantry=pantry,
        nightly=nightly,
        rides=rides,
        safe=safe,
        keeper=Keeper(keeper, story),
        desks=desks,
    )


async def _volunteers(county: County, story: Story, stack: contextlib.AsyncExitStack) -> Worker:
    """Those who have an e-mail address alone, and the county's mail server."""
    mailroom = Mailroom(county.mail)
    stack.push_async_callback(mailroom.close)
    await mailroom.open()
    return await stack.enter_async_context(Worker(*RIDES, INBOX, mailroom, story))


def _folder(county: County, clinic: Clinic) -> Path:
    """The clinic's shipped folder, with the port at which it listens today."""
    folder = county.folder / "agencies" / clinic.id
    shutil.copytree(shipped("mappings") / "agencies" / clinic.id, folder)
    described = folder / "agency.yaml"
    text = described.read_text(encoding="utf-8")
    here = f"mllp://127.0.0.1:{clinic.port}"
    described.write_text(re.sub(r"mllp://[\w.:]+", here, text), encoding="utf-8")
    return folder


def _introduce(county: County, story: Story, keys: dict[str, str]) -> None:
    mllp = f"mllp://{county.mllp[0]}:{county.mllp[1]}"
    addresses = [("FHIR API", county.api), ("API docs", county.docs), ("HL7 v2 (MLLP)", mllp)]
    story.open(
        "Care Gateway and Cedar County: everybody is invented",
        [*addresses, *((f"key of {id}", key) for id, key in keys.items())],
    )


async def _play_scenes(cast: Cast) -> list[Loop]:
    return [
        await _play(cast, title, scene, person)
        for (title, scene), person in zip(SCENES, PEOPLE, strict=False)
    ]


async def _play(cast: Cast, title: str, scene: Scene, person: Person) -> Loop:
    cast.story.scene(title)
    try:
        return await scene(cast, person)
    except (DidNotComeError, RefusedError, httpx.HTTPError, OSError, EOFError) as error:
        cast.story.trouble(str(error) or type(error).__name__)
        return Loop(title, person.name, "", "unknown", str(error), "", closed=False)


async def _go_on(cast: Cast, stopping: asyncio.Event) -> None:
    """One everyday scene after another, with a pause, until told to stop."""
    for (title, scene), person in zip(
        itertools.cycle(EVERYDAY), itertools.cycle(PEOPLE), strict=False
    ):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), PAUSE)
        if stopping.is_set():
            return
        await _play(cast, title, scene, person)


def _signals(stack: contextlib.AsyncExitStack) -> asyncio.Event:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
        stack.callback(loop.remove_signal_handler, number)
    return stopping
