"""The light page in a real browser, as a phone shows it: Debian's Chromium by Playwright."""

from __future__ import annotations

import asyncio
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from gateway.api import build_api
from gateway.pipeline import Pipeline
from gateway.receive.arrival import take_in
from gateway.settings import Settings
from gateway.store import Hub, open_hub
from tests.deliver.sinks import smtp
from tests.light import CANARY, Mails, opened, read, refer

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
EVIL = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser, if there is one."""
    api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    if CHROMIUM is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@contextmanager
def phone(browser: Any, *, script: bool) -> Iterator[Any]:
    size = {"width": 360, "height": 640}
    context = browser.new_context(
        viewport=size, is_mobile=True, has_touch=True, java_script_enabled=script
    )
    context.set_default_timeout(10_000)
    yield context.new_page()
    context.close()


@contextmanager
def served(pipeline: Pipeline) -> Iterator[str]:
    """The gateway's API on a port of loopback."""
    app = build_api(pipeline, Settings(), take_in=take_in, ready=lambda: True)
    with socket.create_server(("127.0.0.1", 0)) as bound:
        server = uvicorn.Server(
            uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
        )
        thread = threading.Thread(target=server.run, args=([bound],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


class Shelter:
    """The gateway, and the mails of a shelter without a system."""

    def __init__(self, hub: Hub, folder: Path) -> None:
        self._hub, self._folder = hub, folder
        self.pipeline: Pipeline | None = None

    def mailed(self, **request: Any) -> tuple[str, str]:
        """A referral to it: the Task, and the path of the mailed link."""

        async def run() -> tuple[str, str]:
            async with smtp() as (port, box):
                pipeline = self.pipeline = opened(self._hub, self._folder, port)
                task = refer(pipeline, **request)
                path = await Mails(pipeline, box).newest()
                await pipeline.close()
                return task, path

        return asyncio.run(run())


@pytest.fixture
def shelter(tmp_path: Path) -> Iterator[Shelter]:
    hub = open_hub(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    yield Shelter(hub, tmp_path)
    hub.close()


def in_a_thread(call: Any) -> Any:
    """Playwright's own loop runs in this thread: asyncio.run needs another."""
    out: list[Any] = []
    thread = threading.Thread(target=lambda: out.append(call()))
    thread.start()
    thread.join()
    return out[0]


@pytest.mark.parametrize("script", [False, True], ids=["without-script", "with-script"])
def test_a_shelter_accepts_and_serves_by_tapping(
    browser: Any, shelter: Shelter, script: bool
) -> None:
    task, path = in_a_thread(lambda: shelter.mailed(code={"text": EVIL}))
    pipeline = shelter.pipeline
    assert pipeline is not None
    with served(pipeline) as address, phone(browser, script=script) as page:
        asked: list[tuple[str, str | None]] = []
        page.on("request", lambda it: asked.append((it.url, it.headers.get("referer"))))
        told: list[str] = []
        page.on("console", lambda it: told.append(it.text))
        page.goto(address + path)
        assert page.locator("h1").inner_text() == EVIL
        assert page.title() == "A referral", "nothing of what people write runs"
        assert CANARY in page.locator("main").inner_text()
        wide = page.locator("html").evaluate("it => it.scrollWidth")
        assert wide <= 360, "nobody scrolls sideways"
        button = page.get_by_role("button", name="Accept")
        assert button.bounding_box()["height"] >= 44
        assert button.evaluate("it => getComputedStyle(it).color") == "rgb(255, 255, 255)"
        button.tap()
        page.get_by_role("button", name="Mark as served").wait_for()
        assert read(pipeline, task)["status"] == "accepted"
        page.get_by_label("In a few words, if you like").fill("Two nights")
        page.get_by_role("button", name="Mark as served").tap()
        page.get_by_text("the person was served").wait_for()
        assert read(pipeline, task)["status"] == "completed"
        assert {url.split("/")[2] for url, _ in asked} == {address.split("/")[2]}
        assert {referer for _, referer in asked} == {None}, "the token leaves by no Referer"
        assert not told, "the policy stops nothing of the page's own"


def test_a_shelter_declines_with_a_reason(browser: Any, shelter: Shelter) -> None:
    task, path = in_a_thread(shelter.mailed)
    pipeline = shelter.pipeline
    assert pipeline is not None
    with served(pipeline) as address, phone(browser, script=True) as page:
        page.goto(address + path)
        page.get_by_role("button", name="Decline").tap()
        assert read(pipeline, task)["status"] == "requested", "the browser asks for a reason"
        page.get_by_label("We have no room now").check()
        page.get_by_role("button", name="Decline").tap()
        page.get_by_text("you declined it").wait_for()
        assert read(pipeline, task)["status"] == "rejected"
        page.goto(address + path)
        page.get_by_text("you declined it").wait_for()
        assert page.get_by_role("button").count() == 0


def test_what_is_focused_is_seen_and_every_field_has_a_name(browser: Any, shelter: Shelter) -> None:
    _, path = in_a_thread(shelter.mailed)
    pipeline = shelter.pipeline
    assert pipeline is not None
    with served(pipeline) as address, phone(browser, script=True) as page:
        page.goto(address + path)
        names = page.eval_on_selector_all(
            "input:not([type=hidden]), textarea, button",
            "all => all.map(it => (it.labels && it.labels.length) ? 'labelled' : it.innerText)",
        )
        assert names
        assert all(names)
        assert page.locator("html").get_attribute("lang") == "en"
        assert page.locator("h1").count() == 1
