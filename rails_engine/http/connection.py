"""One connection: a request goes out, an answer comes in, and then perhaps the next request."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import cast

from rails_engine.http.alarm import Alarm
from rails_engine.http.incoming import MAX_ANSWER_BYTES, Incoming
from rails_engine.http.messages import HTTPClientError, HTTPConnectionError, HTTPTimeoutError
from rails_engine.http.parser import AnswerParser
from rails_engine.values import value_class

KEEP_ALIVE_S = 60.0


@value_class
class Terms:
    """How a request is made.

    Seconds: to connect, until the whole answer is there, between two pieces of it; None: for ever. `streaming`: the
    answer is read piece by piece. `resend`: it may be sent again where nothing of an answer has come over a connection
    that had been kept. `bodiless`: its answer has no body (HEAD). `limit`: bytes of an answer that is read whole.
    """

    connect_s: float | None = 5.0
    total_s: float | None = None
    idle_s: float | None = None
    streaming: bool = False
    resend: bool = False
    bodiless: bool = False
    limit: int = MAX_ANSWER_BYTES


class StaleConnectionError(HTTPConnectionError):
    """A kept connection had been closed by the server before anything of this answer came."""


class Connection(asyncio.Protocol):
    """Carries one request at a time; `lost` is told when it can carry no more. Implements `Tap` for its answer."""

    def __init__(self, loop: asyncio.AbstractEventLoop, lost: Callable[[Connection], None]) -> None:
        self._loop = loop
        self._lost = lost
        self._parser = AnswerParser()
        self._alarm = Alarm(loop, self._too_late)
        self._transport: asyncio.Transport | None = None
        self._answer: Incoming | None = None
        self._idle_s: float | None = None
        self._paused = False
        self._untouched = False
        self.served = 0

    @property
    def usable(self) -> bool:
        """True while a request may be sent."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def transport(self) -> asyncio.Transport | None:
        """The socket as asyncio knows it; None once the connection is lost."""
        return self._transport

    def send(self, request: bytes, answer: Incoming, until: float | None, idle_s: float | None) -> None:
        """Send `request`, whose answer goes into `answer`: whole by `until`, with `idle_s` between pieces at most."""
        transport = self._transport
        if transport is None:
            raise StaleConnectionError("the connection is closed")
        self._answer = answer
        self._untouched = True
        self._idle_s = idle_s
        self._parser.expect(answer)
        self._alarm.set(until if idle_s is None else self._loop.time() + idle_s)
        transport.write(request)

    def rest(self) -> bool:
        """The answer was taken: whether the connection can be kept for another request."""
        answer, self._answer = self._answer, None
        if answer is None or not (answer.complete and answer.keep and self.usable):
            self.abort()
            return False
        if self._parser.surplus or self._paused:
            self.abort()
            return False
        self.served += 1
        self._alarm.set(self._loop.time() + KEEP_ALIVE_S)
        return True

    def abort(self) -> None:
        """Drop the connection, at once and whatever it is doing."""
        if self._transport is not None:
            self._transport.abort()

    def pause(self) -> None:
        """See `Tap`: nobody reads, so nobody is late either."""
        if not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
            self._alarm.set(None)

    def resume(self) -> None:
        """See `Tap`."""
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
            self._put_off()

    def _put_off(self) -> None:
        if self._idle_s is not None:
            self._alarm.set(self._loop.time() + self._idle_s)

    def _too_late(self) -> None:
        if self._answer is not None:
            self._broken(HTTPTimeoutError("no answer in time"))
        elif self._transport is not None:
            self._transport.close()

    def _broken(self, error: BaseException) -> None:
        if self._answer is not None:
            self._answer.fail(error)
        self.abort()

    # --- called by the event loop ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)
        _watch(transport.get_extra_info("socket"))

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`; what no answer was asked for ends the connection."""
        self._untouched = False
        if self._idle_s is not None and not self._paused:
            self._put_off()
        try:
            self._parser.feed(data)
        except HTTPClientError as error:
            self._broken(error)
        else:
            if self._parser.surplus:
                self.abort()

    def eof_received(self) -> bool:
        """See `asyncio.Protocol`; an answer without a length ends here."""
        try:
            self._parser.closed()
        except HTTPClientError as error:
            self._broken(error)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`; an answer under way fails."""
        self._transport = None
        self._alarm.stop()
        if self._answer is not None:
            self._answer.fail(self._reason(exc))
        self._lost(self)

    def _reason(self, exc: Exception | None) -> HTTPConnectionError:
        if self._untouched and self.served:
            return StaleConnectionError("the server had closed the kept connection")
        return HTTPConnectionError(
            str(exc) if exc else "the server closed the connection before its answer was whole"
        )


def _watch(sock: socket.socket | None) -> None:
    """Let the system see whether the other side is still there while an answer takes minutes."""
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
