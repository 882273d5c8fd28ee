"""What we send, taken by others' listeners: python-hl7, hl7apy and Node's node-hl7-server.

Each reads the message with its own parser and acknowledges with its own words.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.core import Message
from hl7apy.mllp import AbstractHandler, MLLPServer
from hl7apy.parser import parse_message

from gateway.close import build
from gateway.close.osu import profile
from gateway.deliver import Doors
from gateway.deliver.endpoint import Guard
from tests.close.cases import APPOINTMENT, BOOKED, ask, case
from tests.deliver.sinks import notice, subscriber
from tests.node import node_modules

Heard = list[tuple[str, str, str]]
"""MSH-9.1, MSH-9.2 and MSH-10 of what a listener understood."""
Listener = Callable[[], AbstractAsyncContextManager[tuple[int, Heard]]]

NODE = "node-hl7-server@2.5.0"


def closing_messages() -> dict[tuple[str, str, str], bytes]:
    """One of each kind and event, as they are sent, by what a listener must have understood."""
    made = {}
    cases = [
        ("rri", "accepted", "REF^I12", "I12"),
        ("rri", "accepted", "REF^I13", "I13"),
        ("rri", "cancelled", "REF^I14", "I14"),
        ("rri", "on-hold", "REF^I15", "I15"),
        ("rri", "completed", "REF^I12", "I12"),
        ("osu", "accepted", "OMG^O19", "O51"),
        ("oru", "completed", "OMG^O19", "R01"),
        ("siu", "in-progress", "OMG^O19", "S12"),
    ]
    for number, (kind, status, event, trigger) in enumerate(cases):
        moved: dict[str, Any] = (
            {"output": BOOKED, "outputs": (APPOINTMENT,)} if kind == "siu" else {}
        )
        why = {"text": "Jos\u00e9 & the bed | is ^ taken"}
        told = case(status, asked=ask(event), statusReason=why, **moved)
        raw = build(kind, told).replace(b"|CG0001|", b"|CG%04d|" % number, 1)
        made[(kind.upper(), trigger, f"CG{number:04}")] = raw
    return made


@asynccontextmanager
async def python_hl7() -> AsyncIterator[tuple[int, Heard]]:
    """The asyncio server of python-hl7."""
    mllp = pytest.importorskip("hl7.mllp", reason="pip install hl7")
    heard: Heard = []

    async def serve(reader: Any, writer: Any) -> None:
        while True:
            try:
                message = await reader.readmessage()
            except asyncio.IncompleteReadError:
                break
            kind, trigger, number = (
                message[path] for path in ("MSH.F9.R1.C1", "MSH.F9.R1.C2", "MSH.F10")
            )
            heard.append((kind, trigger, number))
            writer.writemessage(message.create_ack())
            await writer.drain()
        writer.close()

    server = await mllp.start_hl7_server(serve, host="127.0.0.1", port=0, encoding="utf-8")
    async with server:
        yield server.sockets[0].getsockname()[1], heard


@asynccontextmanager
async def hl7apy_mllp() -> AsyncIterator[tuple[int, Heard]]:
    """hl7apy's threading server; it parses strictly before it says AA."""
    heard: Heard = []

    class Take(AbstractHandler):  # type: ignore[misc]
        def reply(self) -> str:
            osu = "^OSU_O51" in self.incoming_message
            asked = parse_message(
                self.incoming_message,
                VALIDATION_LEVEL.STRICT,
                message_profile=profile("2.5.1") if osu else None,
            )
            asked.validate()
            msh = asked.msh
            heard.append((msh.msh_9.msh_9_1.value, msh.msh_9.msh_9_2.value, msh.msh_10.value))
            ack = Message("ACK", version="2.5.1")
            ack.msh.msh_9 = "ACK^A01^ACK"
            ack.msa.msa_1, ack.msa.msa_2 = "AA", msh.msh_10.value
            return str(ack.to_mllp())

    kinds = {raw.split(b"|")[8].decode(): (Take,) for raw in closing_messages().values()}
    with MLLPServer("127.0.0.1", 0, kinds) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_address[1], heard
        finally:
            await asyncio.to_thread(server.shutdown)
            thread.join()


@pytest.fixture(scope="session")
def node_server() -> Path:
    """A folder where node-hl7-server is installed."""
    return node_modules(NODE)


def node_hl7(installed: Path) -> Listener:
    """node-hl7-server in a process of its own."""

    @asynccontextmanager
    async def listen() -> AsyncIterator[tuple[int, Heard]]:
        script = Path(__file__).with_name("foreign.mjs")
        process = await asyncio.create_subprocess_exec(
            "node", script, installed, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        heard: Heard = []
        try:
            yield int(await process.stdout.readline()), heard
        finally:
            process.kill()
            lines = (await process.stdout.read()).decode().splitlines()
            heard += [tuple(json.loads(line)) for line in lines]
            await process.wait()

    return listen


def send_all(listener: Listener, sent: dict[tuple[str, str, str], bytes]) -> Heard:
    """Send each by one client, as a drain does; what the listener understood."""

    async def run() -> Heard:
        doors = Doors(Guard(["127.0.0.0/8"]))
        async with listener() as (port, heard):
            to = subscriber(f"mllp://127.0.0.1:{port}", channel="mllp")
            for raw in sent.values():
                await doors.send(to, notice(1, raw), secret="")
            await doors.close()
        return heard

    return asyncio.run(run())


@pytest.mark.parametrize("listener", [python_hl7, hl7apy_mllp])
def test_listeners_of_python_libraries_take_every_closing_message(listener: Listener) -> None:
    sent = closing_messages()
    assert send_all(listener, sent) == list(sent)


def test_the_listener_of_node_hl7_server_takes_every_closing_message(node_server: Path) -> None:
    """On one connection it takes all that came before for new each time: it gets one for each."""
    sent = closing_messages()
    heard = send_all(node_hl7(node_server), sent)
    first, second, *rest = sent
    assert heard == [first, first, second, second, *rest]
