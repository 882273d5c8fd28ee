"""A gateway in a process of its own, and the keys of two agencies whose clients call it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.api.clients.referral import PERFORMER, REQUESTER, Place
from tests.process import SERVE, Process


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The gateway's FHIR base, and each agency's key; SQLite, as ``gateway serve`` has it."""
    folder = tmp_path_factory.mktemp("clients")
    process = Process(folder, SERVE, {"GATEWAY_TRANSLATORS": "0"})
    keys = process.join(REQUESTER, PERFORMER)
    with asyncio.Runner() as runner:
        runner.run(process.start())
        try:
            yield Place(f"{process.root}/fhir", *keys)
        finally:
            assert runner.run(process.stop()) == 0, process.log.read_text()[-4000:]
