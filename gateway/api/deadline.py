"""Where uvicorn falls short: deadlines for slow clients, refusals that a FHIR client reads, answers
in one piece.

A middleware would come too late: it runs once the headers are in. So the protocol itself is
wrapped. A connection that is late gets 408 and is closed; one that trickles bytes to look alive is
late all the same, since a deadline isn't moved by data. RFC 9110, section 15.5.9. What can't be
read as HTTP has no route that could answer it: it gets its 400 here.
"""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.api.refusals import RequestError, TooSlow
from gateway.api.requests import FHIR
from gateway.fhir.json import dumps
from gateway.fhir.outcome import outcome


def _refusal(status: str, error: RequestError) -> bytes:
    body = dumps(outcome(error.issues))
    head = f"content-type: {FHIR}\r\ncontent-length: {len(body)}\r\nconnection: close"
    return f"HTTP/1.1 {status}\r\n{head}\r\n\r\n".encode() + body


_INTERIM: Final = b"HTTP/1.1 100"
_LATE: Final = _refusal("408 Request Timeout", TooSlow("the request didn't arrive in time"))
_UNREADABLE: Final = _refusal("400 Bad Request", RequestError("this can't be read as HTTP/1.1"))


class Outlet:
    """What of a transport an answer needs: its head goes out with the beginning of its body.

    In two pieces each costs a call of the system's and a packet.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""
        self._begun = False

    def write(self, data: bytes) -> None:
        """A piece of the answer; the first is its head, but for an interim one."""
        if self._head:
            self._transport.writelines((self._head, data))
            self._head = b""
        elif self._begun or data.startswith(_INTERIM):
            self._transport.write(data)
        else:
            self._head, self._begun = data, True

    def end(self) -> None:
        """The answer is whole: what comes next is another's head."""
        if self._head:
            self._transport.write(self._head)
        self._head, self._begun = b"", False

    def close(self) -> None:
        """No more will come."""
        self.end()
        self._transport.close()

    def is_closing(self) -> bool:
        """Whether nothing more is taken."""
        return self._transport.is_closing()


class DeadlineProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 protocol with a deadline for each request's headers and body.

    Between two requests of a connection uvicorn's own keep-alive timeout holds. A request that
    comes whole costs no timer: a deadline is set when all that came has been read.
    """

    header_timeout: float
    body_timeout: float
    _deadline: asyncio.TimerHandle | None = None
    _due: float | None = None
    _outlet: Outlet

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock: a connection that says nothing is late too."""
        super().connection_made(transport)
        self._outlet = Outlet(transport)
        self._within(self.header_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._met()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Start the clock on the first byte after a pause, even if it is only a line end."""
        waiting = self.cycle is None or self.cycle.response_complete
        if waiting and self._deadline is None:
            self._due = self.header_timeout
        super().data_received(data)
        if self._due is not None:
            self._within(self._due)

    def send_400_response(self, msg: str) -> None:
        """As every refusal: an OperationOutcome. What follows on the connection isn't read."""
        self._met()
        self.transport.write(_UNREADABLE)
        self.transport.close()

    def on_message_begin(self) -> None:
        """Start the clock of a request that came in one piece with the one before it."""
        super().on_message_begin()
        if self._deadline is None:
            self._due = self.header_timeout

    def on_headers_complete(self) -> None:
        """The headers are in: now the body."""
        self._due = self.body_timeout
        super().on_headers_complete()
        if self.cycle is not None:
            self.cycle.transport = self._outlet  # type: ignore[assignment]  # all that it asks of one

    def on_message_complete(self) -> None:
        """The request is in; how long its answer takes is not the client's doing."""
        self._met()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The answer is out, if it is but a head, too."""
        self._outlet.end()
        super().on_response_complete()

    def _within(self, seconds: float) -> None:
        self._met()
        self._deadline = self.loop.call_later(seconds, self._late)

    def _met(self) -> None:
        self._due = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        cycle = self.cycle
        answered = cycle is not None and cycle.response_started
        if not answered or (cycle.response_complete and not cycle.more_body):
            self.transport.write(_LATE)
        # close() waits for what is unsent, and a client that reads nothing would make it wait.
        unsent = self.transport.get_write_buffer_size()
        self.transport.abort() if unsent else self.transport.close()


def deadline_protocol(header: float, body: float) -> type[DeadlineProtocol]:
    """The class for uvicorn's ``http=``, with ``header`` and ``body`` deadlines in seconds."""
    return type(
        "DeadlineProtocol", (DeadlineProtocol,), {"header_timeout": header, "body_timeout": body}
    )
