"""A gateway in a process of its own, shared by a module of hostile tests; what they ask of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.faults.scene import BANK, CALM, CLINIC, members
from tests.process import SERVE, Process

PATIENCE = 60.0
"""Seconds in which anything is answered, however loaded the machine is."""

MB = 2**20


@dataclass
class Target:
    """The process under attack; ``clinic`` and ``bank`` are keys of two agencies."""

    process: Process
    clinic: str
    bank: str
    runner: asyncio.Runner

    @property
    def ticks(self) -> float:
        """Processor seconds that it has used."""
        return sum(map(_ticks, self._tree())) / os.sysconf("SC_CLK_TCK")

    @property
    def peak(self) -> int:
        """The most bytes that it, and what it started, ever had resident."""
        return sum(_status(pid, "VmHWM") for pid in self._tree())

    @property
    def resident(self) -> int:
        """Bytes that it has resident now."""
        return sum(_status(pid, "VmRSS") for pid in self._tree())

    @property
    def sockets(self) -> int:
        """How many sockets it has open."""
        found = 0
        for each in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                found += str(each.readlink()).startswith("socket:")
        return found

    def forget_peak(self) -> None:
        """From now on ``peak`` counts anew."""
        for pid in self._tree():
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def client(self, key: str = "") -> httpx.AsyncClient:
        """A client with an agency's key."""
        return httpx.AsyncClient(
            base_url=self.process.root,
            headers={"authorization": f"Bearer {key or self.clinic}"},
            trust_env=False,
            timeout=PATIENCE,
        )

    async def served(self) -> None:
        """An honest sender and an honest client are served."""
        async with self.client() as client:
            made = await client.post("/fhir/Patient", json={"resourceType": "Patient"})
            assert made.status_code == 201, made.text

    async def alone(self) -> None:
        """Wait until all that attacked it is gone."""
        async with asyncio.timeout(PATIENCE):
            while self.sockets > self.quiet:
                await asyncio.sleep(0.05)

    quiet: int = 0
    """How many sockets it has when nobody calls."""

    def _tree(self) -> list[int]:
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]


@contextlib.contextmanager
def attacked(folder: Path, **settings: str) -> Iterator[Target]:
    """A gateway with these settings (``mllp_port`` and so on), stopped at the end: it must be well
    enough to stop."""
    named = {f"GATEWAY_{name.upper()}": value for name, value in settings.items()}
    process = Process(folder, SERVE, {**CALM, **named})
    keys = members(process, folder)
    with asyncio.Runner() as runner:
        try:
            runner.run(process.start())
            target = Target(process, keys[CLINIC], keys[BANK], runner)
            target.quiet = target.sockets
            yield target
            assert runner.run(process.stop()) == 0
        finally:
            runner.run(process.kill())


def connected(port: int, timeout: float = PATIENCE) -> socket.socket:
    """A plain connection to a port of the gateway."""
    return socket.create_connection(("127.0.0.1", port), timeout)


async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, raw: bytes) -> bytes:
    """What an MLLP sender hears."""
    writer.write(b"\x0b" + raw + b"\x1c\r")
    async with asyncio.timeout(PATIENCE):
        return (await reader.readuntil(b"\x1c\r"))[1:-2]


def field(answer: bytes, name: str, number: int) -> str:
    """A field of an answer's first segment of that name; "" where there is none."""
    for line in answer.decode("latin-1").split("\r"):
        if line.startswith(name):
            return (line.split("|") + [""] * number)[number]
    return ""


def adt(id: str, mrn: str = "M1", *, at: str = "20260302", more: str = "", **patient: Any) -> str:
    """An ADT^A08 of North Clinic; ``patient``: family, given, sex, city."""
    told = {"family": "Rivera", "given": "Ana", "sex": "F", "city": "Cedar"} | patient
    return (
        f"MSH|^~\\&|EHR|NORTH|GATEWAY|HUB|{at}||ADT^A08^ADT_A01|{id}|P|2.5.1{more}\r"
        f"EVN|A08|{at}\r"
        f"PID|1||{mrn}^^^NORTH^MR||{told['family']}^{told['given']}||19840719|{told['sex']}"
        f"|||1 Main^^{told['city']}^IL\rPV1|1|O\r"
    )


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _status(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    return 0
