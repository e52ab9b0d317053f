"""Servers that behave as they are told, down to the byte, on sockets of this machine."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
import trustme

from rails_engine.http import Exchange, HTTPTLSConfig, Pool, RequestLine, Terms


@dataclass
class Visit:
    """One connection of a client, from the server's side."""

    server: Server
    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def request(self) -> tuple[bytes, bytes]:
        """The next request: its head and its body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        body = await self.reader.readexactly(int(lengths[0].split(b":")[1])) if lengths else b""
        self.server.requests.append((head, body))
        return head, body

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, body: bytes, *fields: bytes, status: bytes = b"200 OK") -> None:
        lines = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *fields]
        await self.say(b"\r\n".join(lines) + b"\r\n\r\n" + body)

    async def left(self) -> None:
        """Return once the client has closed the connection."""
        with suppress(ConnectionError):
            while await self.reader.read(65536):
                pass


Manners = Callable[[Visit], Awaitable[None]]


@dataclass
class Server:
    """Treats every connection with `manners`; a server that is done with one closes it."""

    manners: Manners
    requests: list[tuple[bytes, bytes]] = field(default_factory=list)
    visits: int = 0
    open_now: int = 0
    most_open: int = 0
    port: int = 0
    scheme: str = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.visits += 1
        self.open_now += 1
        self.most_open = max(self.most_open, self.open_now)
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                await self.manners(Visit(self, self.visits, reader, writer))
        finally:
            self.open_now -= 1
            writer.close()

    def line(self, method: str = "POST", tls: HTTPTLSConfig | None = None, **headers: str) -> RequestLine:
        return RequestLine.of(method, self.url, headers, tls=tls or HTTPTLSConfig())


Serve = Callable[..., Awaitable[Server]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start a server with these manners, with TLS where a context is given."""
    running: list[asyncio.Server] = []

    async def start(manners: Manners, tls: ssl.SSLContext | None = None) -> Server:
        server = Server(manners, scheme="https" if tls else "http")
        running.append(await asyncio.start_server(server.handle, "127.0.0.1", 0, ssl=tls, backlog=1024))
        server.port = running[-1].sockets[0].getsockname()[1]
        return server

    yield start
    for one in running:
        one.close()


async def polite(visit: Visit) -> None:
    """Answers every request with its own body."""
    while True:
        _, body = await visit.request()
        await visit.answer(body)


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    pool = Pool()
    yield pool
    await pool.close()


async def asked(pool: Pool, line: RequestLine, body: bytes = b"hello", terms: Terms | None = None) -> bytes:
    """The body of the answer."""
    async with Exchange(pool, line, body, terms or Terms(total_s=20)) as answer:
        return await answer.read()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what the other side of a socket is about to notice."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 -- another process or thread may be the one that changes it
            await asyncio.sleep(0.005)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """A certificate authority that nobody but these tests knows."""
    return trustme.CA()
