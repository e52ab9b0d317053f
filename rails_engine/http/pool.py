"""Connections that are kept and shared: for each event loop, for each route, at most so many."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Coroutine
from contextlib import ExitStack
from types import TracebackType
from typing import Any

from rails_engine.http.connection import Connection, StaleConnectionError, Terms
from rails_engine.http.incoming import Incoming
from rails_engine.http.messages import HTTPConnectionError, HTTPTimeoutError, HTTPTLSConfig
from rails_engine.http.opening import opened
from rails_engine.http.requests import RequestLine
from rails_engine.http.routes import Route, secured
from rails_engine.loops import PerLoop

MAX_CONNECTIONS = 1000
"""Of one route in one event loop; further requests wait for one of them."""
MAX_OPENING = 64
"""Of one route in one event loop, being opened at once: a burst of requests leaves each the time it needs."""
MAX_LANES = 256
"""Routes remembered without a connection, in one event loop."""


class Lane:
    """The connections of one route in one event loop; the one used last is used next."""

    def __init__(self, route: Route, contexts: Contexts, at_most: int = MAX_CONNECTIONS) -> None:
        self._route = route
        self._contexts = contexts
        self._at_most = at_most
        self.loop = asyncio.get_running_loop()
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._opening = 0
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        self._closed = False

    @property
    def unused(self) -> bool:
        """No request and no connection of its own."""
        return not (self._open or self._opening or self._waiting)

    @property
    def _full(self) -> bool:
        return self._opening >= MAX_OPENING or len(self._open) + self._opening >= self._at_most

    def serves(self, route: Route) -> bool:
        """Whether this is the lane of this very route in the running loop, and open."""
        return self._route is route and not self._closed and self.loop is asyncio.get_running_loop()

    def kept(self) -> Connection | None:
        """A connection that is open and free."""
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
        return None

    async def new(self, connect_s: float | None, until: float | None) -> Connection:
        """A new connection, or, where there are as many as there may be, the next one that is free.

        Raises:
            HTTPConnectionError: there is none to be had.
            HTTPTimeoutError: not in time.
        """
        try:
            async with asyncio.timeout_at(until):
                while self._full:
                    connection = await self._turn()
                    if connection is not None and connection.usable:
                        return connection
                async with asyncio.timeout(connect_s):
                    return await self._opened()
        except TimeoutError as error:
            raise HTTPTimeoutError("no connection in time") from error

    async def _opened(self) -> Connection:
        self._opening += 1
        with ExitStack() as unfinished:
            unfinished.callback(self._pass_on, None)
            try:
                connection = await opened(
                    self._route, self._contexts.get, lambda: Connection(self.loop, self._lost)
                )
            finally:
                self._opening -= 1
            unfinished.pop_all()
        if self._closed:
            connection.abort()
            raise HTTPConnectionError("the client was closed")
        if not connection.usable:
            raise HTTPConnectionError("the server closed the connection at once")
        self._open.add(connection)
        if not self._full:
            self._pass_on(None)
        return connection

    async def _turn(self) -> Connection | None:
        """The next connection that is free; None where there may be a new one."""
        turn: asyncio.Future[Connection | None] = self.loop.create_future()
        self._waiting.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._to_next(turn.result())
            raise

    def _to_next(self, connection: Connection | None) -> None:
        if not self._pass_on(connection) and connection is not None:
            self._idle.append(connection)

    def _pass_on(self, connection: Connection | None) -> bool:
        """Whether somebody was waiting for it."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(connection)
                return True
        return False

    def free(self, connection: Connection) -> None:
        """`connection` has carried its request: keep it if it can carry another."""
        if self._closed:
            connection.abort()
        elif connection.rest() and not (self._waiting and self._pass_on(connection)):
            self._idle.append(connection)

    def _lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._pass_on(None)

    def close(self) -> None:
        """Drop every connection, and those that are being opened once they are; requests under way fail."""
        self._closed = True
        for connection in tuple(self._open):
            connection.abort()


class Contexts:
    """TLS contexts, made once each; reading certificates takes longer than an event loop may be held."""

    def __init__(self) -> None:
        self._made: dict[HTTPTLSConfig, ssl.SSLContext] = {}

    async def get(self, tls: HTTPTLSConfig) -> ssl.SSLContext:
        """The context for `tls`."""
        if tls not in self._made:
            self._made[tls] = await asyncio.to_thread(secured, tls)
        return self._made[tls]


class Pool:
    """Lanes by route. It may be used from several event loops; each has lanes of its own."""

    def __init__(self, at_most: int = MAX_CONNECTIONS) -> None:
        self._at_most = at_most
        self._contexts = Contexts()
        self._lanes: PerLoop[dict[str, Lane]] = PerLoop(dict)
        self._last: Lane | None = None
        """The one that was asked for last; most pools have no other."""

    def lane(self, route: Route) -> Lane:
        """The lane of `route` in the running loop."""
        last = self._last
        if last is not None and last.serves(route):
            return last
        lanes = self._lanes.get()
        lane = lanes.get(route.key)
        if lane is None:
            if len(lanes) >= MAX_LANES:
                for unused in [known for known, lane in lanes.items() if lane.unused]:
                    lanes.pop(unused).close()
            lane = lanes[route.key] = Lane(route, self._contexts, self._at_most)
        self._last = lane
        return lane

    async def close(self) -> None:
        """Close the connections of every loop; those of other running loops are closed there."""
        here = asyncio.get_running_loop()
        for loop, lanes in self._lanes.drain():
            for lane in lanes.values():
                if loop is here:
                    lane.close()
                elif loop.is_running():
                    loop.call_soon_threadsafe(lane.close)
        await asyncio.sleep(0)


class Exchange:
    """`async with Exchange(…) as answer`: the request is sent, and the connection kept once the answer was read whole.

    Leaving earlier closes it. A kept connection may turn out to have been closed by the server; then the request goes
    over a new one, if its terms let it.

    Entering raises:
        HTTPConnectionError, HTTPTimeoutError, HTTPAnswerSizeError: there is no answer.
    """

    __slots__ = ("_connection", "_lane", "_request", "_terms")

    def __init__(self, pool: Pool, line: RequestLine, body: bytes, terms: Terms) -> None:
        self._lane = pool.lane(line.route)
        self._request = line.request(body)
        self._terms = terms
        self._connection: Connection | None = None

    async def whole(self) -> Incoming:
        """The whole answer, and the connection is free again for others; of an answer that is streamed the head.

        Raises:
            as entering.
        """
        lane, terms = self._lane, self._terms
        until = None if terms.total_s is None else lane.loop.time() + terms.total_s
        connection = lane.kept()
        again = terms.resend and connection is not None
        while True:
            if connection is None:
                connection = await lane.new(terms.connect_s, until)
            answer = Incoming(connection, terms.streaming, terms.bodiless, terms.limit)
            self._connection = connection
            try:
                connection.send(self._request, answer, until, terms.idle_s)
                while not answer.there:
                    await answer.more(lane.loop)
                answer.require()
            except BaseException as error:  # whatever ends it, the connection must not be left behind
                self._left()
                if not (again and isinstance(error, StaleConnectionError)):
                    raise
                connection, again = None, False
            else:
                if not terms.streaming:
                    self._left()
                return answer

    def __aenter__(self) -> Coroutine[Any, Any, Incoming]:
        return self.whole()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left()

    def _left(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._lane.free(connection)
