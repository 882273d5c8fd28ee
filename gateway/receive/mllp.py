"""The MLLP listener: one protocol object a connection, no task, so that thousands cost little.

Answers go out strictly in the order of the messages. A connection takes up a few messages at a
time and then stops reading until it has answered (backpressure); so it does while its agency, or
the gateway as a whole, has too much in hand (``Turnstile``). A frame that outgrows the limit is
refused and the connection closed; one that brings no whole message for a while is closed too.

Whose a message is: the port's fixed agency, or what the client's certificate names, or, for a
peer on loopback only, whatever the header claims (which the gateway looks up, not this file).
"""

from __future__ import annotations

import asyncio
import functools
import ssl
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, cast

import structlog

from gateway import meters
from gateway.errors import GatewayError, Throttled
from gateway.protect.limits import Limits, Place
from gateway.receive.batch import peeked
from gateway.receive.framing import Deframer, frame
from gateway.receive.keepalive import keep_alive
from gateway.receive.peer import whose
from gateway.receive.room import HALVES, Room
from gateway.receive.taking import NO_ROOM, TOO_LARGE, Accept, Answer, Arrival, Rules, Turnstile
from gateway.receive.wording import Promise, accepted, code_of, content, refusal

WINDOW: Final = 16
"""How many messages of one connection may be under way at a time."""

INLINE: Final = 64 * 1024
"""A larger message is computed on a thread, so that it doesn't hold up the event loop."""

LINGER: Final = 5.0
"""How long a refused sender may go on writing before it is cut off, in seconds: closing with
unread bytes would reset the connection, and the refusal would be lost."""

HANDSHAKE: Final = 10.0
"""How long TLS may take to be agreed, in seconds."""

_log = structlog.get_logger("gateway.receive.mllp")


class Connection(asyncio.Protocol):
    """One sender. Everything runs on the event loop but ``accept`` of a large message."""

    _transport: asyncio.Transport
    _idle: asyncio.TimerHandle

    def __init__(self, rules: Rules, open_ones: set[Connection]) -> None:
        self._rules = rules
        self._open_ones = open_ones
        self._loop = asyncio.get_running_loop()
        self._deframer = Deframer(rules.limit)
        self._why: GatewayError = TOO_LARGE
        self.held = 0
        self._waiting: deque[bytes] = deque()
        self._queued = 0
        self._next: Arrival | None = None
        self._held_back = False
        self._answers: deque[Answer] = deque()
        self._computing = False
        self._choked = False
        self._reading = True
        self._last = False
        self._lingering = False
        self._since = self._loop.time()
        self._agency: str | None = None
        self._loopback = False

    # --- called by the transport ------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Learn who is there and start the idle clock."""
        self._transport = cast("asyncio.Transport", transport)
        self._agency, self._loopback = whose(
            self._rules.agency,
            transport.get_extra_info("peercert"),
            transport.get_extra_info("peername"),
        )
        keep_alive(transport.get_extra_info("socket"))
        self._open_ones.add(self)
        meters.CONNECTIONS.inc()
        self._idle = self._loop.call_later(self._rules.idle_timeout, self._check_idle)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it. What is under way is finished and kept; its sender will ask again."""
        self._idle.cancel()
        self._forget()
        self._answers.clear()
        self._rules.room.count(self, 0, self._open_ones)
        self._open_ones.discard(self)
        meters.CONNECTIONS.dec()

    def data_received(self, data: bytes) -> None:
        """Cut the stream into messages and take up as many as the window lets in."""
        if self._last:
            return
        messages = self._deframer.feed(data)
        if messages:
            self._since = self._loop.time()
            self._waiting.extend(messages)
            self._queued += sum(map(len, messages))
        self._advance()
        self._rules.room.count(self, self._queued + self._deframer.held, self._open_ones)

    def give_way(self) -> None:
        """There is no room for what it has sent and nobody has taken up."""
        self._why = NO_ROOM
        self._deframer.give_up(self._waiting[0] if self._waiting else None)
        self._forget()
        self._rules.room.count(self, 0, self._open_ones)
        self._advance()

    def eof_received(self) -> bool:
        """The sender has no more to say, but may still read its answers."""
        self._last = True
        self._close_when_done()
        halves = self._transport.get_extra_info("ssl_object") is None  # TLS can't close by halves
        return halves and not self._lingering

    def pause_writing(self) -> None:
        """The sender doesn't read its answers: take up nothing more from it."""
        self._choked = True
        self._advance()

    def resume_writing(self) -> None:
        """It reads again."""
        self._choked = False
        self._advance()

    # --- messages in ------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Take up what the window lets in, and read on only where nothing waits."""
        while self._waiting and not self._full():
            self._take_next()
        if self._deframer.overflow is not None and not self._waiting and not self._last:
            self._refuse(self._deframer.overflow)
        self._read(not self._waiting and not self._full())
        self._close_when_done()

    def _full(self) -> bool:
        alone = bool(self._answers) and self._answers[-1].alone
        held_back = self._computing or self._choked or self._held_back
        return held_back or alone or len(self._answers) >= self._rules.window

    def _take_next(self) -> None:
        """Take up the first that waits, if it is its turn, or hold it back until it is."""
        fresh = self._next is None
        arrival = self._next = self._next or self._arrival(self._waiting[0])
        turnstile, place = self._rules.turnstile, None
        if turnstile is not None:
            if fresh and not self._is_due(turnstile.limits, arrival):
                return
            place = turnstile.limits.seek(arrival.agency or "", len(arrival.raw), self._come)
            if place is None:
                self._held_back = True
                return
        self._passed()
        self._take_up(arrival, place)

    def _arrival(self, raw: bytes) -> Arrival:
        arrival = Arrival(raw, peeked(raw), self._agency, self._loopback)
        turnstile = self._rules.turnstile
        if turnstile is None or self._agency is not None:
            return arrival
        return Arrival(raw, arrival.header, turnstile.whose(arrival), self._loopback)

    def _is_due(self, limits: Limits, arrival: Arrival) -> bool:
        """Whether it is its turn; else it comes when it is, or is turned away."""
        try:
            delay = limits.delay(arrival.agency or "")
        except Throttled as error:
            self._turn_away(arrival, error)
            return False
        if delay:
            self._held_back = True
            self._loop.call_later(delay, self._come)
        return not delay

    def _come(self) -> None:
        """It may be the turn of what was held back."""
        self._held_back = False
        self._advance()

    def _passed(self) -> None:
        self._next = None
        self._queued -= len(self._waiting.popleft())

    def _forget(self) -> None:
        """What nobody has taken up its sender will send again."""
        self._waiting.clear()
        self._queued = 0
        self._next = None

    def _turn_away(self, arrival: Arrival, error: GatewayError) -> None:
        """Its agency sends so much that its turn would come too late."""
        self._passed()
        _log.info("mllp.turned_away", agency=self._agency, **error.log())
        self._answers.append(Answer(arrival.header, content=refusal(arrival.header, error)))
        self._flush()

    def _take_up(self, arrival: Arrival, place: Place | None) -> None:
        meters.received("mllp").inc()
        answer = Answer(arrival.header, len(arrival.raw), place=place)
        self._answers.append(answer)
        self._begin(answer, functools.partial(self._rules.accept, arrival))

    def _begin(self, answer: Answer, accept: Callable[[], Promise]) -> None:
        if answer.size <= INLINE:
            self._await(answer, accepted(accept))
            return
        self._computing = True  # later messages wait: they may not be stored before this one
        computed = self._rules.executor.submit(accepted, accept)
        computed.add_done_callback(functools.partial(self._call, self._computed, answer))

    def _computed(self, answer: Answer, computed: Future[Promise]) -> None:
        self._computing = False
        if not computed.cancelled():
            self._await(answer, computed.result())
        self._advance()

    def _await(self, answer: Answer, receipt: Promise) -> None:
        receipt.add_done_callback(functools.partial(self._call, self._answered, answer))

    def _call(self, step: Callable[..., None], *arguments: object) -> None:
        """Go on with ``step`` on the event loop, from whatever thread this is."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(step, *arguments)

    def _refuse(self, beginning: bytes) -> None:
        """Answer after what was asked before, then let the sender finish writing."""
        _log.warning("mllp.cut_off", agency=self._agency, **self._why.log())
        head = peeked(beginning)
        self._answers.append(Answer(head, content=refusal(head, self._why)))
        self._last = True
        self._flush()

    # --- answers out ------------------------------------------------------------------------------

    def _answered(self, answer: Answer, receipt: Promise) -> None:
        answer.content, then = content(answer.header, receipt)
        answer.code = code_of(receipt)
        if then is not None:
            following = Answer(answer.header, answer.size, place=answer.place)
            following.began = answer.began
            if answer in self._answers:  # else the sender has left; its message goes on
                self._answers.insert(self._answers.index(answer) + 1, following)
            self._begin(following, then)
        self._flush()
        self._advance()
        if then is None and answer.place is not None:
            answer.place.leave()

    def _flush(self) -> None:
        """Write the answers that are due: those before which none is outstanding."""
        now = time.perf_counter()
        due: list[bytes] = []
        while self._answers and (content := self._answers[0].content) is not None:
            if content:
                due.append(frame(content))
            answer = self._answers.popleft()
            if content and answer.code:
                meters.answered_after("mllp", answer.code).observe(now - answer.began)
        if due and not self._transport.is_closing():
            self._since = self._loop.time()
            self._transport.write(b"".join(due))

    # --- the end ----------------------------------------------------------------------------------

    def finish(self) -> None:
        """Take up nothing more, answer what is under way, then close."""
        self._forget()
        self._last = True
        self._close_when_done()

    def abort(self) -> None:
        """Close now, answered or not."""
        self._transport.abort()

    def _close_when_done(self) -> None:
        if not self._last or self._waiting or self._answers or self._transport.is_closing():
            return
        if self._deframer.overflow is None:
            self._transport.close()
        elif not self._lingering:
            self._linger()

    def _linger(self) -> None:
        """Say that nothing more comes, and let the sender finish writing, for a while."""
        self._lingering = True
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._idle.cancel()
        self._idle = self._loop.call_later(LINGER, self.abort)

    def _read(self, wanted: bool) -> None:
        """Read on or stop. After the last message bytes are read only to be passed over."""
        wanted = wanted or self._last
        if wanted == self._reading or self._transport.is_closing():
            return
        self._reading = wanted
        if wanted:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def _check_idle(self) -> None:
        """Close where no whole message and no answer has passed for the time allowed."""
        busy = (self._answers or self._waiting) and not self._choked
        left = self._since + self._rules.idle_timeout - self._loop.time()
        if busy or left > 0:
            again = left if left > 0 else self._rules.idle_timeout
            self._idle = self._loop.call_later(again, self._check_idle)
        elif self._transport.get_write_buffer_size():
            self._transport.abort()  # nobody reads: there is no use in waiting for the buffer
        else:
            self._transport.close()


class Listener:
    """An open MLLP port."""

    def __init__(
        self, server: asyncio.Server, connections: set[Connection], executor: ThreadPoolExecutor
    ) -> None:
        self._server = server
        self._connections = connections
        self._executor = executor
        self.port: int = server.sockets[0].getsockname()[1]
        """The port in force, also where 0 was asked for."""

    @property
    def connections(self) -> int:
        """How many senders are connected."""
        return len(self._connections)

    async def close(self, drain_timeout: float) -> None:
        """Accept nobody, answer what is under way, then close; cut off after ``drain_timeout``.

        A message that was received but not taken up isn't answered: its sender sends it again.
        """
        self._server.close()
        for connection in tuple(self._connections):
            connection.finish()
        deadline = asyncio.get_running_loop().time() + drain_timeout
        while self._connections and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.01)
        for connection in tuple(self._connections):
            connection.abort()
        self._executor.shutdown(wait=False, cancel_futures=True)


async def listen(
    host: str,
    port: int,
    *,
    accept: Accept,
    agency: str | None = None,
    tls: ssl.SSLContext | None = None,
    limit: int = 10 * 2**20,
    idle_timeout: float = 600.0,
    turnstile: Turnstile | None = None,
    window: int = WINDOW,
) -> Listener:
    """Open an MLLP port; ``port`` 0 takes a free one.

    ``agency`` owns all that comes in here; ``limit`` is the largest message in bytes,
    ``idle_timeout`` seconds. ``tls`` decides by its ``verify_mode`` whether clients need a
    certificate. ``turnstile`` holds messages back. Of a connection ``window`` messages are taken up
    at a time: 1 where they might overtake each other. Raises OSError where the port can't be had.
    """
    connections: set[Connection] = set()
    executor = ThreadPoolExecutor(1, thread_name_prefix="mllp-large")
    room = Room(HALVES * limit)
    rules = Rules(accept, agency, limit, idle_timeout, executor, room, turnstile, window)
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(rules, connections),
        host,
        port,
        ssl=tls,
        ssl_handshake_timeout=HANDSHAKE if tls else None,
        backlog=1024,
    )
    return Listener(server, connections, executor)
