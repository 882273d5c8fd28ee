"""The composition root: the only place that builds things and hands them to each other."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import os
import resource
import shutil
import signal
import socket
import ssl
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import structlog
import uvicorn
import uvloop
from fastapi import FastAPI
from pydantic import SecretStr

from gateway import logs, traces
from gateway.api.application import ENDPOINTS, WATCHED, build_api
from gateway.api.deadline import deadline_protocol
from gateway.demo.county import County, play
from gateway.demo.mailroom import ADDRESS
from gateway.errors import SettingError
from gateway.peers import Peers
from gateway.pipeline import Pipeline
from gateway.protect.limits import Limits, limits_of
from gateway.receive.arrival import accept_from, as_message, take_in, turnstile, window
from gateway.receive.dropbox import Dropbox
from gateway.receive.keepalive import keep_alive
from gateway.receive.mllp import Listener, listen
from gateway.settings import Settings
from gateway.sole import Sole, sole
from gateway.store import Hub, open_hub
from gateway.translate import load
from gateway.work import Work

log = structlog.get_logger()

TURN: Final = 0.0002
"""Seconds that a busy thread may make another wait. The store's writer lets go of the interpreter
at each row; at Python's 5 ms it got less than a hundredth of its speed beside a busy event loop."""

LITTER: Final = 50_000
"""Objects made before the garbage collector looks: a group of referrals makes tens of thousands."""


@contextlib.contextmanager
def opened(settings: Settings) -> Iterator[Pipeline]:
    """A pipeline over the hub that the settings name, for a command: nothing listens or drains."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    hub = open_hub(settings.database)
    try:
        yield Pipeline(hub, load(settings.folders), settings, as_message)
    finally:
        hub.close()


def serve(settings: Settings) -> None:
    """Run the gateway until SIGTERM or SIGINT, then drain (DESIGN, section 8)."""
    logs.configure(settings.log_level, settings.log_format)
    traced = settings.otel_endpoint or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")
    end = traces.begin(traced, settings.root)
    try:
        _open_many()
        uvloop.run(_serve(settings))
    finally:
        end()


def demo(settings: Settings) -> int:
    """Run the gateway with Cedar County around it; the exit code of ``play``."""
    logs.configure("error", settings.log_format)
    folder = Path(tempfile.mkdtemp(prefix="cedar-county-"))
    try:
        return uvloop.run(_demo(settings, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def openapi() -> str:
    """The OpenAPI document, built from the same tables as the routes, as JSON text."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), database_url="")
        with opened(settings) as pipeline:
            return str(_api(pipeline, settings, lambda: True).state.openapi)


class Gateway:
    """One gateway process: the hub, the pipeline, background work, and what listens.

    Made by ``await Gateway.start(settings)``; ``port`` and ``mllp_port`` are the real ones.
    """

    def __init__(self, settings: Settings) -> None:
        self._ready = False
        self._socket = _bind(settings.host, settings.port)
        keep_alive(self._socket)  # each connection that it accepts is kept like it
        self.port: int = self._socket.getsockname()[1]
        # With port 0 it is known only now where others reach us.
        self._settings = settings.model_copy(update={"port": self.port})
        try:
            self._build(self._settings)
        except BaseException:
            self._socket.close()
            raise

    def _build(self, settings: Settings) -> None:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        self._hub = open_hub(settings.database)
        self._sole = _alone(self._hub, settings)
        works = "work" in settings.roles
        self._peers = peers = Peers(self._hub, works=works)
        living = (lambda: peers.living) if self._hub.shared else None
        self._work = Work(settings, executor=peers.id, living=living, durable=works)
        library = load(settings.folders)
        self.pipeline = Pipeline(self._hub, library, settings, as_message, self._work, peers)
        self._limits = limits_of(settings, self.pipeline.members.allowance)
        api = _api(self.pipeline, settings, self._is_ready, self._limits)
        self._http = _Server(_http(api, settings))
        self._listeners: list[Listener] = []
        self._serving: asyncio.Task[None] | None = None
        self._dropbox = _dropbox(self.pipeline, settings)
        self.mllp_port = 0

    @classmethod
    async def start(cls, settings: Settings) -> Gateway:
        """Open everything; it takes calls when this returns."""
        sys.setswitchinterval(TURN)
        gc.disable()  # what is loaded now stays: looking through it was a fifth of the start
        gateway = cls(settings)
        pipeline = gateway.pipeline
        gateway._peers.start(pipeline.heard)
        gateway._work.start(pipeline.drain, pipeline.behind, pipeline.close)
        gateway._serving = asyncio.create_task(gateway._http.serve(sockets=[gateway._socket]))
        pipeline.start()
        if "mllp" in settings.roles:
            await gateway._listen(settings.mllp_port, None)
            for port, agency in settings.mllp_ports.items():
                await gateway._listen(port, agency)
            gateway.mllp_port = gateway._listeners[0].port
        if gateway._dropbox is not None:
            gateway._dropbox.start()
        while not gateway._http.started:
            await asyncio.sleep(0.005)
        gateway._ready = True
        gc.collect()
        gc.freeze()  # maps and definitions stay: they needn't be looked through again
        gc.set_threshold(LITTER, 20, 100)
        gc.enable()
        return gateway

    async def _listen(self, port: int, agency: str | None) -> None:
        listener = await listen(
            self._settings.host,
            port,
            accept=accept_from(self.pipeline, self._settings),
            agency=agency,
            tls=_tls(self._settings),
            limit=self._settings.message_limit,
            idle_timeout=self._settings.idle_timeout,
            turnstile=turnstile(self.pipeline, self._settings, self._limits),
            window=window(self.pipeline),
        )
        self._listeners.append(listener)

    def _is_ready(self) -> bool:
        """Whether the hub can be read and written, and nobody has said stop."""
        return self._ready and self.pipeline.reachable()

    async def stop(self) -> None:
        """Unready, take nothing new, finish what is in hand, release what is held."""
        self._ready = False
        patience = self._settings.drain_timeout
        await asyncio.gather(*(listener.close(patience) for listener in self._listeners))
        if self._dropbox is not None:
            await asyncio.to_thread(self._dropbox.stop)
        await asyncio.to_thread(self.pipeline.stop)
        self._http.should_exit = True
        if self._serving is not None:
            await self._serving
        await asyncio.to_thread(self._work.stop, patience)
        await asyncio.to_thread(self._peers.stop)
        self._hub.close()
        if self._sole is not None:
            self._sole.close()


def _alone(hub: Hub, settings: Settings) -> Sole | None:
    """The right to serve a SQLite file, which has one writer. Raises SettingError."""
    if hub.file is None:
        return None
    mine = sole(Path(f"{hub.file}.serving"))
    if mine is None:
        hub.close()
        raise SettingError(
            "another process serves this file; several share a PostgreSQL database",
            place="GATEWAY_DATABASE_URL",
        )
    if "work" not in settings.roles:
        mine.close()
        hub.close()
        raise SettingError("one process serves a file, and must work", place="GATEWAY_ROLES")
    return mine


def _api(
    pipeline: Pipeline,
    settings: Settings,
    ready: Callable[[], bool],
    limits: Limits | None = None,
) -> FastAPI:
    doors = ENDPOINTS if "api" in settings.roles else WATCHED
    return build_api(
        pipeline, settings, take_in=take_in, ready=ready, limits=limits, endpoints=doors
    )


def _dropbox(pipeline: Pipeline, settings: Settings) -> Dropbox | None:
    if settings.dropbox is None or "work" not in settings.roles:
        return None

    def members() -> list[str]:
        return [agency.id for agency in pipeline.members]

    return Dropbox(pipeline.loading, members, settings.dropbox, settings.dropbox_every)


def _http(api: FastAPI, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        api,
        http=deadline_protocol(settings.header_timeout, settings.body_timeout),
        loop="none",
        ws="websockets-sansio",
        ws_max_size=64 * 2**10,  # a client only says which token it has
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        forwarded_allow_ips=list(settings.proxies),
        timeout_graceful_shutdown=int(settings.drain_timeout) or 1,
    )


class _Server(uvicorn.Server):
    """Leaves the signals to ``serve``, which has more than HTTP to drain."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve(settings: Settings) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    gateway = await Gateway.start(settings)
    log.info("ready", host=settings.host, port=gateway.port, mllp_port=gateway.mllp_port)
    await stopping.wait()
    log.info("draining")
    await gateway.stop()
    log.info("stopped")


async def _demo(settings: Settings, folder: Path) -> int:
    once, secret = settings.demo_once, f"whsec_{base64.b64encode(os.urandom(24)).decode()}"
    mail = _bind("127.0.0.1", 0)
    gateway = await Gateway.start(
        settings.model_copy(
            update={
                "data_dir": folder,
                "database_url": "",
                "endpoint_networks": ("127.0.0.0/8",),
                "port": _free(settings.host, settings.port),
                "mllp_port": _free(settings.host, settings.mllp_port),
                "retry_first": 0.2,
                "smtp_host": "127.0.0.1",
                "smtp_port": mail.getsockname()[1],
                "smtp_security": "none",
                "smtp_user": "",
                "smtp_from": ADDRESS,
                "public_url": "",
                "feed_secrets": {"st-brigid/referrals": SecretStr(secret)},
            }
        )
    )
    root = f"http://{settings.host}:{gateway.port}"
    county = County(
        root=root,
        api=f"{root}/fhir",
        docs=f"{root}/docs",
        mllp=(settings.host, gateway.mllp_port),
        add_agency=gateway.pipeline.add_agency,
        add_key=gateway.pipeline.members.add_key,
        keeper=gateway.pipeline.members.add_key("", admin=True),
        secret=secret,
        mail=mail,
        folder=folder,
        once=once,
    )
    try:
        return await play(county)
    finally:
        await gateway.stop()


def _bind(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), reuse_port=False, backlog=2048)
    except OSError as error:
        raise SettingError(f"can't listen: {error.strerror}", place=f"{host}:{port}") from None


def _open_many() -> None:
    """Have as many sockets as the system lets a process have: by default many give it 1,024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _free(host: str, port: int) -> int:
    """The port asked for, or 0 (any free one) where something listens on it already."""
    try:
        _bind(host, port).close()
    except SettingError:
        return 0
    return port


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if settings.mllp_tls_cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(settings.mllp_tls_cert, settings.mllp_tls_key)
    if settings.mllp_tls_ca is not None:
        context.load_verify_locations(settings.mllp_tls_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
