"""The API over the real pipeline and a hub on disk, on each engine in turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gateway.api import build_api
from gateway.pipeline import Pipeline
from gateway.receive.arrival import as_message, take_in
from gateway.settings import Settings
from gateway.store import open_hub
from tests.api.calls import Caller
from tests.shipped import library


@pytest.fixture(scope="module")
def settings(module_url: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("hub")
    return Settings(data_dir=folder, database_url=module_url, message_limit=200_000)


@pytest.fixture(scope="module")
def pipeline(settings: Settings) -> Iterator[Pipeline]:
    hub = open_hub(settings.database)
    yield Pipeline(hub, library(), settings, as_message)
    hub.close()


@pytest.fixture(scope="module")
def ready() -> list[bool]:
    """What /readyz hears; a test may change it."""
    return [True]


@pytest.fixture(scope="module")
def app(pipeline: Pipeline, settings: Settings, ready: list[bool]) -> Any:
    return build_api(pipeline, settings, take_in=take_in, ready=lambda: ready[0])


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """One event loop for a module's calls."""
    with asyncio.Runner() as running:
        yield running


@pytest.fixture(scope="module")
def caller(app: Any, pipeline: Pipeline, runner: asyncio.Runner) -> Callable[..., Caller]:
    """``caller("food-bank")`` makes the agency a member and gives its client."""
    made: dict[str, Caller] = {}

    def call_as(agency: str | None, **key: Any) -> Caller:
        name = f"{agency}{key}"
        if name not in made:
            made[name] = Caller(app, runner, _secret(pipeline, agency, **key))
        return made[name]

    return call_as


def _secret(pipeline: Pipeline, agency: str | None, **key: Any) -> str | None:
    if agency is None:
        return None
    if agency == "admin":
        return pipeline.members.add_key("", admin=True, granted=frozenset())
    pipeline.members.add(agency, None, agency)
    granted = frozenset(key.get("scopes", ()))
    return pipeline.members.add_key(agency, admin=False, granted=granted)


@pytest.fixture(scope="module")
def clinic(caller: Callable[..., Caller]) -> Caller:
    return caller("clinic")


@pytest.fixture(scope="module")
def pantry(caller: Callable[..., Caller]) -> Caller:
    return caller("pantry")


@pytest.fixture(scope="module")
def nobody(caller: Callable[..., Caller]) -> Caller:
    return caller(None)


@pytest.fixture(scope="module")
def admin(caller: Callable[..., Caller]) -> Caller:
    return caller("admin")
