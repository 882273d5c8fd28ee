"""A bare Starlette app that parses, checks and inserts one row: what the bench of FHIR stands on.

``python -m tests.bench.floor PORT URL`` keeps one table in a SQLite file or on PostgreSQL: no
versions, no search rows but two columns, no keys, no access, no audit, no events. On SQLite what
waits shares one fsynced commit; on PostgreSQL each request has its own, on one of 8 connections.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import uuid
from collections.abc import Iterable
from contextlib import closing
from typing import Any, Protocol

import orjson
import psycopg
import sqlalchemy as sa
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.fhir.gates import check

Row = tuple[str, str, str, bytes]

TABLE = "CREATE TABLE r (id TEXT PRIMARY KEY, number TEXT, family TEXT, body {blob})"
INDEXES = ("CREATE INDEX n ON r (number)", "CREATE INDEX f ON r (family)")
INSERT = "INSERT INTO r VALUES (?, ?, ?, ?)"
BODY = "SELECT body FROM r WHERE {} = ? LIMIT 20"
FINDS = {"identifier": "number", "family": "family"}
FHIR = "application/fhir+json"
CONNECTIONS = 8


class Rows(Protocol):
    """The table."""

    async def add(self, rows: list[Row]) -> None:
        """Insert, and return when they are on disk."""

    async def find(self, column: str, text: str) -> list[bytes]:
        """Up to 20 bodies."""


class Sqlite:
    """A connection that reads, one that writes, and who waits for a commit."""

    def __init__(self, file: str) -> None:
        self._reads, self._writes = _opened(file), _opened(file)
        self._waiting: asyncio.Queue[tuple[list[Row], asyncio.Future[None]]] = asyncio.Queue()
        self._keeping = asyncio.create_task(self._keep())

    async def _keep(self) -> None:
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

    async def add(self, rows: list[Row]) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait((rows, done))
        await done

    async def find(self, column: str, text: str) -> list[bytes]:
        found = self._reads.execute(BODY.format(column), (text,)).fetchall()
        return [body for (body,) in found]


class Postgresql:
    """Connections that take turns."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._opened = 0
        self._free: asyncio.Queue[psycopg.AsyncConnection[Any]] = asyncio.Queue()

    async def _taken(self) -> psycopg.AsyncConnection[Any]:
        if self._free.empty() and self._opened < CONNECTIONS:
            self._opened += 1
            return await psycopg.AsyncConnection.connect(self._url, autocommit=True)
        return await self._free.get()

    async def add(self, rows: list[Row]) -> None:
        connection = await self._taken()
        async with connection.transaction(), connection.cursor() as cursor:
            await cursor.executemany(_percent(INSERT), rows)
        self._free.put_nowait(connection)

    async def find(self, column: str, text: str) -> list[bytes]:
        connection = await self._taken()
        cursor = await connection.execute(_percent(BODY.format(column)).encode(), (text,))
        found = await cursor.fetchall()
        self._free.put_nowait(connection)
        return [body for (body,) in found]


def _percent(statement: str) -> Any:
    """With psycopg's marks."""
    return statement.replace("?", "%s")


def _opened(file: str) -> sqlite3.Connection:
    connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    return connection


def fill(url: str, rows: Iterable[Row]) -> None:
    """Make the table, with so many rows."""
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    is_sqlite = engine.dialect.name == "sqlite"
    with closing(engine.raw_connection()) as raw:
        cursor = raw.cursor()
        cursor.execute(TABLE.format(blob="BLOB" if is_sqlite else "BYTEA"))
        cursor.executemany(INSERT if is_sqlite else _percent(INSERT), list(rows))
        for statement in INDEXES:
            cursor.execute(statement)
        raw.commit()
    engine.dispose()


def row(resource: dict[str, Any]) -> Row:
    """A resource as its row; "" where it has no number or name."""
    number = resource.get("identifier", [{}])[0].get("value", "")
    family = resource.get("name", [{}])[0].get("family", "")
    return resource["id"], number, family, orjson.dumps(resource)


class Floor:
    """The app's answers."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def _insert(self, resources: list[dict[str, Any]]) -> list[Row]:
        rows = [row(check({**each, "id": str(uuid.uuid4())}, models=False)) for each in resources]
        await self._rows.add(rows)
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
        (body,) = await self._rows.find("id", request.path_params["id"])
        return Response(body, media_type=FHIR)

    async def search(self, request: Request) -> Response:
        """GET by one parameter: the bodies that match, joined."""
        ((name, text),) = request.query_params.items()
        found = await self._rows.find(FINDS[name], text.rpartition("|")[2])
        entries = b",".join(b'{"resource":' + body + b"}" for body in found)
        answer = b'{"resourceType":"Bundle","type":"searchset","entry":[' + entries + b"]}"
        return Response(answer, media_type=FHIR)


async def serve(port: int, url: str) -> None:
    file = url.removeprefix("sqlite:///")
    floor = Floor(Postgresql(url) if file == url else Sqlite(file))
    routes = [
        Route("/fhir", floor.transaction, methods=["POST"]),
        Route("/fhir/Patient", floor.create, methods=["POST"]),
        Route("/fhir/Patient", floor.search, methods=["GET"]),
        Route("/fhir/Patient/{id}", floor.read, methods=["GET"]),
    ]
    config = uvicorn.Config(
        Starlette(routes=routes), port=port, log_level="warning", access_log=False, loop="none"
    )
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    try:
        import uvloop as runner
    except ImportError:
        import asyncio as runner  # type: ignore[no-redef]
    runner.run(serve(int(sys.argv[1]), sys.argv[2]))
