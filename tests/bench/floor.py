"""A bare Starlette app that parses, checks and inserts one row: what the bench of FHIR stands on.

``python tests/bench/floor.py PORT FILE`` keeps one table in a SQLite file: no versions, no search
rows but two columns, no keys, no access, no audit, no events. What waits shares one fsynced commit.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import uuid
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.pop(1)  # this folder, whose fhir.py would hide the library

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.fhir.gates import check

Row = tuple[str, str, str, bytes]

TABLE = "CREATE TABLE r (id TEXT PRIMARY KEY, number TEXT, family TEXT, body BLOB)"
INDEXES = ("CREATE INDEX n ON r (number)", "CREATE INDEX f ON r (family)")
INSERT = "INSERT INTO r VALUES (?, ?, ?, ?)"
FINDS = {"identifier": "number", "family": "family"}
FHIR = "application/fhir+json"


def opened(file: str) -> sqlite3.Connection:
    """The file, with its table."""
    connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    if not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
        for statement in (TABLE, *INDEXES):
            connection.execute(statement)
    return connection


def row(resource: dict[str, Any]) -> Row:
    """A resource as its row; "" where it has no number or name."""
    number = resource.get("identifier", [{}])[0].get("value", "")
    family = resource.get("name", [{}])[0].get("family", "")
    return resource["id"], number, family, orjson.dumps(resource)


class Floor:
    """The app's state: a connection that reads, one that writes, and who waits for a commit."""

    def __init__(self, file: str) -> None:
        self._reads, self._writes = opened(file), opened(file)
        self._waiting: asyncio.Queue[tuple[list[Row], asyncio.Future[None]]] = asyncio.Queue()

    async def keep(self) -> None:
        """Commit what waits, together, for ever."""
        while True:
            group = [await self._waiting.get()]
            while not self._waiting.empty():
                group.append(self._waiting.get_nowait())
            await asyncio.to_thread(self._commit, [row for rows, _ in group for row in rows])
            for _, done in group:
                done.set_result(None)

    def _commit(self, rows: list[Row]) -> None:
        self._writes.execute("BEGIN IMMEDIATE")
        self._writes.executemany(INSERT, rows)
        self._writes.execute("COMMIT")

    async def _insert(self, resources: list[dict[str, Any]]) -> list[Row]:
        rows = [row(check({**each, "id": str(uuid.uuid4())}, models=False)) for each in resources]
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait((rows, done))
        await done
        return rows

    async def create(self, request: Request) -> Response:
        """POST of one resource."""
        (made,) = await self._insert([orjson.loads(await request.body())])
        return Response(made[-1], 201, media_type=FHIR)

    async def transaction(self, request: Request) -> Response:
        """POST of a Bundle."""
        sent = orjson.loads(await request.body())
        made = await self._insert([entry["resource"] for entry in sent["entry"]])
        said = [{"response": {"status": "201", "location": each[0]}} for each in made]
        answer = {"resourceType": "Bundle", "type": "transaction-response", "entry": said}
        return Response(orjson.dumps(answer), media_type=FHIR)

    async def read(self, request: Request) -> Response:
        """GET by id."""
        asked = (request.path_params["id"],)
        (body,) = self._reads.execute("SELECT body FROM r WHERE id = ?", asked).fetchone()
        return Response(body, media_type=FHIR)

    async def search(self, request: Request) -> Response:
        """GET by one parameter: the bodies that match, joined."""
        ((name, text),) = request.query_params.items()
        find = f"SELECT body FROM r WHERE {FINDS[name]} = ? LIMIT 20"
        found = self._reads.execute(find, (text.rpartition("|")[2],)).fetchall()
        entries = b",".join(b'{"resource":' + body + b"}" for (body,) in found)
        answer = b'{"resourceType":"Bundle","type":"searchset","entry":[' + entries + b"]}"
        return Response(answer, media_type=FHIR)


async def serve(port: int, file: str) -> None:
    floor = Floor(file)
    routes = [
        Route("/fhir", floor.transaction, methods=["POST"]),
        Route("/fhir/Patient", floor.create, methods=["POST"]),
        Route("/fhir/Patient", floor.search, methods=["GET"]),
        Route("/fhir/Patient/{id}", floor.read, methods=["GET"]),
    ]
    config = uvicorn.Config(
        Starlette(routes=routes), port=port, log_level="warning", access_log=False, loop="none"
    )
    keeping = asyncio.create_task(floor.keep())
    await uvicorn.Server(config).serve()
    keeping.cancel()


if __name__ == "__main__":
    try:
        import uvloop as runner
    except ImportError:
        import asyncio as runner  # type: ignore[no-redef]
    runner.run(serve(int(sys.argv[1]), sys.argv[2]))
