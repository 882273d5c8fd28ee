"""OpenTelemetry spans of a record's journey, where an endpoint for them is set; else nothing.

A message's journey is a trace of its own, whose ids are made of the message's id; so is each
version that a unit of work wrote, which links to the request or message that had it written. So a
delivery, days later or in another process, links to both without anybody having kept them. A
version's ids are made with the hub's secret: clients choose resources' ids, and may mean somebody
by them. Attributes name places, types, codes and ids of ours. OpenTelemetry's SDK is the extra
``otel``, and is imported by ``begin`` alone; without it every call here is one look at a list.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from hashlib import blake2b
from types import TracebackType
from typing import Any, Final, Literal

from gateway.errors import GatewayError, SettingError

Kind = Literal["internal", "server", "client"]
Ids = tuple[int, int]

HEADER: Final = "traceparent"
"""W3C Trace Context."""

MOST: Final = 50
"""Of a unit that wrote more versions than that none is a trace: it is a load."""

_PARENT: Final = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_tracer: list[Any] = []
_ids: ContextVar[Ids | None] = ContextVar("ids", default=None)


class Span:
    """A span that nobody keeps: every method does nothing."""

    traceparent = ""

    def __enter__(self) -> Span:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, _: TracebackType | None
    ) -> None:
        """End it."""

    def note(self, **attributes: str | int | None) -> None:
        """Say more of it."""

    def end(self) -> None:
        """It is over."""

    def until(self, done: Future[Any], name: str) -> None:
        """A part of it that began now and ends with this future."""

    def inside(self) -> AbstractContextManager[None]:
        """What is begun in there is of it; it isn't over at the end."""
        return _NOWHERE


_NOWHERE: Final = nullcontext()
NOTHING: Final = Span()


def is_on() -> bool:
    """Whether anybody keeps spans."""
    return bool(_tracer)


def span(
    name: str, kind: Kind = "internal", *, parent: str = "", links: Sequence[Ids] = ()
) -> Span:
    """A span to be entered; inside it is the parent of others.

    ``parent`` is a traceparent that a caller sent, else it is the span that one stands in;
    ``links`` are those of messages and versions.
    """
    if not _tracer:
        return NOTHING
    return _Kept(_started(name, kind, parent, links))


def journey(message: str) -> Span:
    """A message's own trace; it links to the request that brought it."""
    if not _tracer:
        return NOTHING
    from opentelemetry import trace

    here = trace.get_current_span().get_span_context()
    return _Kept(_alone("message", message_ids(message), here))


def traceparent() -> str:
    """What to send of the span that one stands in; "" where there is none."""
    if not _tracer:
        return ""
    from opentelemetry import trace

    here = trace.get_current_span().get_span_context()
    if not here.is_valid:
        return ""
    return f"00-{here.trace_id:032x}-{here.span_id:016x}-{here.trace_flags:02x}"


def message_ids(message: str) -> Ids:
    """The trace and span of a message's journey, by its id."""
    whole = uuid.UUID(message).int
    return whole, whole & (2**64 - 1)


def version_ids(secret: bytes, type_: str, id_: str, number: int) -> Ids:
    """The trace and span of a version of the hub whose secret it is."""
    name = f"{type_}/{id_}/_history/{number}".encode()
    whole = int.from_bytes(blake2b(name, digest_size=16, key=secret, person=b"version").digest())
    return whole, whole & (2**64 - 1)


def begin(endpoint: str, instance: str) -> Callable[[], None]:
    """Keep spans from now on and send them by OTLP over HTTP; the call that ends it.

    Does nothing for an ``endpoint`` of "". Raises SettingError where the extra isn't installed.
    """
    if not endpoint:
        return lambda: None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
    except ImportError:
        raise SettingError(
            "traces need the extra: pip install care-gateway[otel]", place="GATEWAY_OTEL_ENDPOINT"
        ) from None

    class OfMessages(RandomIdGenerator):
        def generate_trace_id(self) -> int:
            named = _ids.get()
            return named[0] if named else super().generate_trace_id()

        def generate_span_id(self) -> int:
            named = _ids.get()
            return named[1] if named else super().generate_span_id()

    about = Resource.create({"service.name": "care-gateway", "service.instance.id": instance})
    provider = TracerProvider(resource=about, id_generator=OfMessages(), shutdown_on_exit=False)
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    _tracer[:] = [provider.get_tracer("gateway")]

    def end() -> None:
        _tracer.clear()
        provider.shutdown()

    return end


class _Kept(Span):
    """A span of OpenTelemetry's."""

    def __init__(self, live: Any) -> None:
        self._live = live
        self._token: Any = None

    def __enter__(self) -> Span:
        from opentelemetry import context, trace

        self._token = context.attach(trace.set_span_in_context(self._live))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, _: TracebackType | None
    ) -> None:
        from opentelemetry import context

        context.detach(self._token)
        if fault is not None:
            _fail(self._live, fault)
        self._live.end()

    def note(self, **attributes: str | int | None) -> None:
        for name, value in attributes.items():
            if value not in (None, ""):
                self._live.set_attribute(f"gateway.{name}", value)

    def end(self) -> None:
        self._live.end()

    @contextmanager
    def inside(self) -> Iterator[None]:
        from opentelemetry import context, trace

        token = context.attach(trace.set_span_in_context(self._live))
        try:
            yield
        finally:
            context.detach(token)

    def until(self, done: Future[Any], name: str) -> None:
        from opentelemetry import trace

        part = _tracer[0].start_span(name, context=trace.set_span_in_context(self._live))

        def ended(future: Future[Any]) -> None:
            fault = None if future.cancelled() else future.exception()
            if fault is not None:
                _fail(part, fault)
            part.end()

        done.add_done_callback(ended)


class Versions:
    """Those that a unit of work writes: a span each, of no length, once they are on disk.

    They link to the span that one stands in now.
    """

    def __init__(self, secret: bytes) -> None:
        from opentelemetry import trace

        self._secret = secret
        self._cause = trace.get_current_span().get_span_context()
        self._named: list[tuple[str, str, int]] = []

    def begin(self) -> list[tuple[str, str, int]]:
        """Where a run of the unit names what it writes: type, id, number."""
        self._named = []
        return self._named

    def end(self, done: Future[Any]) -> None:
        """The last run's are on disk, or the unit failed."""
        if done.cancelled() or done.exception() is not None or len(self._named) > MOST:
            return
        for type_, id_, number in self._named if _tracer else ():
            live = _alone("version", version_ids(self._secret, type_, id_, number), self._cause)
            live.set_attribute("gateway.type", type_)
            live.set_attribute("gateway.version", number)
            live.end()


def _alone(name: str, ids: Ids, cause: Any) -> Any:
    """A trace of its own, with these ids; it links to what caused it."""
    from opentelemetry import trace
    from opentelemetry.context import Context

    links = [trace.Link(cause)] if cause.is_valid else []
    token = _ids.set(ids)
    try:
        return _tracer[0].start_span(name, context=Context(), links=links)
    finally:
        _ids.reset(token)


def _started(name: str, kind: Kind, parent: str, links: Sequence[Ids]) -> Any:
    from opentelemetry import trace

    said = _PARENT.fullmatch(parent)
    above = None
    if said is not None:
        far = _context(*(int(each, 16) for each in said.groups()))
        above = trace.set_span_in_context(trace.NonRecordingSpan(far))
    return _tracer[0].start_span(
        name,
        context=above,
        kind=trace.SpanKind[kind.upper()],
        links=[trace.Link(_context(*each)) for each in links],
    )


def _context(trace_id: int, span_id: int, flags: int = 1) -> Any:
    """Of a span elsewhere; flag 1 says that somebody keeps it."""
    from opentelemetry import trace

    kept = trace.TraceFlags(flags)
    return trace.SpanContext(trace_id, span_id, is_remote=True, trace_flags=kept)


def _fail(live: Any, fault: BaseException) -> None:
    """That it failed, and where: an exception's text may hold values."""
    from opentelemetry.trace import Status, StatusCode

    live.set_status(Status(StatusCode.ERROR))
    about = fault.log() if isinstance(fault, GatewayError) else {"error": type(fault).__name__}
    for name, value in about.items():
        if value:
            live.set_attribute(f"gateway.{name}", value)
