"""Requests over real sockets: kept connections, servers with bad manners, and clients that leave."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from rails_engine.http import (
    Exchange,
    HTTPAnswerSizeError,
    HTTPClientError,
    HTTPConnectionError,
    HTTPTimeoutError,
    Pool,
    RequestLine,
    Terms,
)
from rails_engine.http.pool import MAX_LANES
from tests.rails_engine.http.conftest import Serve, Visit, asked, polite, until

AGAIN = Terms(total_s=20, resend=True)
STREAMED = Terms(idle_s=20, streaming=True)


# --- connections are kept and shared -----------------------------------------------------------------------------------


async def test_a_connection_serves_request_after_request(serve: Serve, pool: Pool) -> None:
    server = await serve(polite)
    for number in range(5):
        assert await asked(pool, server.line(), b"%d" % number) == b"%d" % number
    assert (server.visits, [body for _, body in server.requests]) == (1, [b"0", b"1", b"2", b"3", b"4"])


async def test_512_requests_at_once_get_each_its_own_answer(serve: Serve, pool: Pool) -> None:
    server = await serve(polite)
    line = server.line()
    for _ in range(2):
        answers = await asyncio.gather(*(asked(pool, line, b"nonce %d" % n) for n in range(512)))
        assert answers == [b"nonce %d" % n for n in range(512)]
    assert server.visits <= 512


async def test_connections_of_one_server_are_bounded(serve: Serve) -> None:
    server = await serve(polite)
    pool = Pool(at_most=4)
    line = server.line()
    answers = await asyncio.gather(*(asked(pool, line, b"%d" % n) for n in range(60)))
    assert answers == [b"%d" % n for n in range(60)]
    assert server.most_open <= 4
    await pool.close()


async def test_who_gives_up_waiting_takes_no_connection_along(serve: Serve) -> None:
    release = asyncio.Event()

    async def slow(visit: Visit) -> None:
        while True:
            _, body = await visit.request()
            await release.wait()
            await visit.answer(body)

    server = await serve(slow)
    pool = Pool(at_most=1)
    line = server.line()
    first = asyncio.create_task(asked(pool, line, b"first"))
    await until(lambda: bool(server.requests))
    with pytest.raises(HTTPTimeoutError):
        await asked(pool, line, b"impatient", Terms(total_s=0.05))
    cancelled = asyncio.create_task(asked(pool, line, b"cancelled"))
    last = asyncio.create_task(asked(pool, line, b"last"))
    await asyncio.sleep(0.01)
    release.set()
    cancelled.cancel()
    assert (await first, await last, server.visits) == (b"first", b"last", 1)
    await pool.close()


async def test_a_pool_serves_several_event_loops(serve: Serve, pool: Pool) -> None:
    server = await serve(polite)
    line, answers = server.line(), []
    assert await asked(pool, line, b"here") == b"here"

    def elsewhere() -> None:
        async def ask() -> None:
            answers.append(await asked(pool, line, b"there"))
            await pool.close()

        asyncio.run(ask())

    thread = threading.Thread(target=elsewhere)
    thread.start()
    await until(lambda: not thread.is_alive())
    assert (answers, await asked(pool, line, b"again"), server.visits) == ([b"there"], b"again", 3)


async def test_servers_that_were_asked_once_are_forgotten(pool: Pool) -> None:
    lines = [RequestLine.of("GET", f"http://h{number}/", {}) for number in range(MAX_LANES + 1)]
    first = pool.lane(lines[0].route)
    assert pool.lane(lines[0].route) is first
    for line in lines:
        pool.lane(line.route)
    assert pool.lane(lines[0].route) is not first


@pytest.mark.parametrize("end", [b"Connection: close", b"X-Nothing: 1"])
async def test_a_server_that_closes_after_each_answer(serve: Serve, pool: Pool, end: bytes) -> None:
    async def brusque(visit: Visit) -> None:
        _, body = await visit.request()
        await visit.answer(body, end)

    server = await serve(brusque)
    for number in range(3):
        assert await asked(pool, server.line(), b"%d" % number, AGAIN) == b"%d" % number


async def test_more_than_was_asked_for_ends_the_connection(serve: Serve, pool: Pool) -> None:
    async def talkative(visit: Visit) -> None:
        _, body = await visit.request()
        await visit.answer(body)
        await visit.answer(b"unasked")
        await visit.left()

    server = await serve(talkative)
    for number in range(3):
        assert await asked(pool, server.line(), b"%d" % number) == b"%d" % number
    assert server.visits == 3


# --- a kept connection that the server has closed ----------------------------------------------------------------------


async def shuts_on_the_second(visit: Visit) -> None:
    _, body = await visit.request()
    await visit.answer(body)
    if visit.number == 1:
        await visit.request()
    else:
        await polite(visit)


async def test_a_request_that_met_a_closing_connection_is_sent_again(serve: Serve, pool: Pool) -> None:
    server = await serve(shuts_on_the_second)
    assert [await asked(pool, server.line(), body, AGAIN) for body in (b"1", b"2", b"3")] == [
        b"1",
        b"2",
        b"3",
    ]
    assert [body for _, body in server.requests] == [b"1", b"2", b"2", b"3"]


async def test_it_is_not_sent_again_where_that_may_do_harm(serve: Serve, pool: Pool) -> None:
    server = await serve(shuts_on_the_second)
    await asked(pool, server.line(), b"1")
    with pytest.raises(HTTPConnectionError, match="had closed"):
        await asked(pool, server.line(), b"2")
    assert len(server.requests) == 2


async def test_it_is_not_sent_again_once_something_came(serve: Serve, pool: Pool) -> None:
    async def breaks_off(visit: Visit) -> None:
        await visit.request()
        await visit.answer(b"whole")
        await visit.request()
        await visit.say(b"HTTP/1.1 2")

    server = await serve(breaks_off)
    await asked(pool, server.line(), b"1", AGAIN)
    with pytest.raises(HTTPConnectionError, match="before its answer was whole"):
        await asked(pool, server.line(), b"2", AGAIN)
    assert len(server.requests) == 2


async def test_a_new_connection_that_closes_is_no_stale_one(serve: Serve, pool: Pool) -> None:
    async def deaf(visit: Visit) -> None:
        await visit.request()

    server = await serve(deaf)
    with pytest.raises(HTTPConnectionError):
        await asked(pool, server.line(), b"1", AGAIN)
    assert len(server.requests) == 1


# --- answers that come slowly, in pieces, or not at all ----------------------------------------------------------------


async def test_a_body_that_comes_byte_by_byte(serve: Serve, pool: Pool) -> None:
    async def stammering(visit: Visit) -> None:
        while True:
            await visit.request()
            for sign in b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello":
                await visit.say(bytes([sign]))
                await asyncio.sleep(0)

    server = await serve(stammering)
    assert [await asked(pool, server.line()) for _ in range(2)] == [b"hello"] * 2
    assert server.visits == 1


async def test_silence_ends_at_the_limit_and_closes(serve: Serve, pool: Pool) -> None:
    async def silent(visit: Visit) -> None:
        await visit.request()
        await visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal")
        await visit.left()

    server = await serve(silent)
    with pytest.raises(HTTPTimeoutError):
        await asked(pool, server.line(), terms=Terms(total_s=0.1))
    await until(lambda: server.open_now == 0)


async def test_the_limit_between_pieces_is_not_one_for_all(serve: Serve, pool: Pool) -> None:
    async def steady(visit: Visit) -> None:
        await visit.request()
        await visit.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(10):
            await asyncio.sleep(0.05)
            await visit.say(b"1\r\nx\r\n")
        await visit.left()

    server = await serve(steady)
    seen: list[bytes] = []

    async def follow() -> None:
        async with Exchange(pool, server.line(), b"", Terms(idle_s=0.3, streaming=True)) as answer:
            async for piece in answer.pieces():
                seen.append(piece)  # noqa: PERF401 -- what came before the error counts

    with pytest.raises(HTTPTimeoutError):
        await follow()
    assert b"".join(seen) == b"x" * 10


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ],
)
@pytest.mark.parametrize("terms", [AGAIN, STREAMED])
async def test_a_server_that_leaves_early(serve: Serve, pool: Pool, said: bytes, terms: Terms) -> None:
    async def leaving(visit: Visit) -> None:
        await visit.request()
        await visit.say(said)

    server = await serve(leaving)
    with pytest.raises(HTTPConnectionError, match="before its answer was whole"):
        await asked(pool, server.line(), terms=terms)


@pytest.mark.parametrize(
    "said",
    [
        b"220 mail.example ESMTP\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
    ],
)
async def test_a_server_that_speaks_something_else(serve: Serve, pool: Pool, said: bytes) -> None:
    async def foreign(visit: Visit) -> None:
        await visit.request()
        await visit.say(said)
        await visit.left()

    server = await serve(foreign)
    with pytest.raises(HTTPConnectionError, match="no HTTP"):
        await asked(pool, server.line())
    await until(lambda: server.open_now == 0)


async def test_a_refusal_before_the_request_is_through(serve: Serve, pool: Pool) -> None:
    async def curt(visit: Visit) -> None:
        await visit.reader.readuntil(b"\r\n\r\n")
        await visit.answer(b"too much", b"Connection: close", status=b"413 Content Too Large")
        await visit.left()

    server = await serve(curt)
    async with Exchange(pool, server.line(), b"x" * (8 << 20), Terms(total_s=20)) as answer:
        assert (answer.status, await answer.read()) == (413, b"too much")


# --- large ones --------------------------------------------------------------------------------------------------------


async def test_large_requests_and_answers_arrive_whole(serve: Serve, pool: Pool) -> None:
    server = await serve(polite)
    body = bytes(range(256)) * (32 << 10)
    assert await asked(pool, server.line(), body) == body
    assert await asked(pool, server.line(), body, STREAMED) == body
    assert server.visits == 1


@pytest.mark.parametrize(
    ("terms", "bound"), [(Terms(total_s=20), "64 MiB"), (Terms(total_s=20, limit=2 << 20), "2 MiB")]
)
async def test_an_answer_beyond_the_bound_is_refused(
    serve: Serve, pool: Pool, terms: Terms, bound: str
) -> None:
    async def endless(visit: Visit) -> None:
        await visit.request()
        await visit.say(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await visit.say(b"x" * (1 << 20))

    server = await serve(endless)
    with pytest.raises(HTTPAnswerSizeError, match=f"more than {bound}"):
        await asked(pool, server.line(), terms=terms)
    await until(lambda: server.open_now == 0)


async def test_a_reader_that_falls_behind_holds_the_server_up(serve: Serve, pool: Pool) -> None:
    total, written = 48 << 20, 0

    async def eager(visit: Visit) -> None:
        nonlocal written
        await visit.request()
        await visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        while written < total:
            await visit.say(b"x" * (1 << 20))
            written += 1 << 20
        await polite(visit)

    server = await serve(eager)
    async with Exchange(pool, server.line(), b"", Terms(idle_s=0.2, streaming=True)) as answer:
        before = -1
        while written != before:
            before = written
            await asyncio.sleep(0.3)
        assert written < total
        assert sum([len(piece) async for piece in answer.pieces()]) == total
    assert await asked(pool, server.line(), b"next") == b"next"
    assert server.visits == 1


# --- clients that leave ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("terms", [AGAIN, STREAMED])
async def test_cancelling_a_request_closes_its_connection(serve: Serve, pool: Pool, terms: Terms) -> None:
    async def slow(visit: Visit) -> None:
        await visit.request()
        await visit.left()

    server = await serve(slow)
    task = asyncio.create_task(asked(pool, server.line(), terms=terms))
    await until(lambda: bool(server.requests))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: server.open_now == 0)


async def test_leaving_a_stream_closes_it_and_reading_it_out_keeps_it(serve: Serve, pool: Pool) -> None:
    async def chatty(visit: Visit) -> None:
        while True:
            await visit.request()
            await visit.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
            await asyncio.sleep(0.01)
            await visit.say(b"1\r\nb\r\n0\r\n\r\n")

    server = await serve(chatty)
    assert [await asked(pool, server.line(), terms=STREAMED) for _ in range(2)] == [b"ab"] * 2
    assert server.visits == 1
    async with Exchange(pool, server.line(), b"", STREAMED) as answer:
        async for piece in answer.pieces():
            assert piece == b"a"
            break
    await until(lambda: server.open_now == 0)
    assert await asked(pool, server.line(), terms=STREAMED) == b"ab"
    assert server.visits == 2


async def test_closing_the_pool_ends_what_is_under_way(serve: Serve, pool: Pool) -> None:
    async def slow(visit: Visit) -> None:
        await visit.request()
        await visit.left()

    server = await serve(slow)
    task = asyncio.create_task(asked(pool, server.line()))
    await until(lambda: bool(server.requests))
    await pool.close()
    with pytest.raises(HTTPConnectionError):
        await task
    await until(lambda: server.open_now == 0)


async def test_a_connection_that_opens_once_the_pool_is_closed_is_dropped(
    serve: Serve, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await serve(polite)
    opening = asyncio.Event()
    gate = asyncio.Event()
    loop = asyncio.get_running_loop()
    connect = loop.create_connection

    async def slowly(*args: Any, **kwargs: Any) -> Any:
        opening.set()
        await gate.wait()
        return await connect(*args, **kwargs)

    monkeypatch.setattr(loop, "create_connection", slowly)
    task = asyncio.create_task(asked(pool, server.line()))
    await opening.wait()
    await pool.close()
    gate.set()
    with pytest.raises(HTTPConnectionError, match="was closed"):
        await task
    await until(lambda: server.visits == 1 and server.open_now == 0)
    assert server.requests == []


# --- what is sent ------------------------------------------------------------------------------------------------------


async def test_the_bytes_of_a_request(serve: Serve, pool: Pool) -> None:
    server = await serve(polite)
    line = RequestLine.of(
        "POST", f"{server.url}a b/ü?x=1&y=ä", {"X-A": "b", "accept": "text/plain"}, {"z": "q r"}
    )
    await asked(pool, line, b"{}")
    head, body = server.requests[0]
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /a%20b/%C3%BC?x=1&y=%C3%A4&z=q+r HTTP/1.1"
    assert body == b"{}"
    assert set(lines[1:-2]) == {
        f"Host: 127.0.0.1:{server.port}",
        "Accept-Encoding: gzip",
        "User-Agent: interlock-rails",
        "X-A: b",
        "accept: text/plain",
        "Content-Length: 2",
    }


@pytest.mark.parametrize(
    ("url", "host", "port", "authority"),
    [
        ("http://[::1]:81/x", "::1", 81, "[::1]:81"),
        ("https://[2001:db8::1]/", "2001:db8::1", 443, "[2001:db8::1]"),
        ("HTTP://Example.ORG:80", "example.org", 80, "example.org"),
        ("https://bücher.example/", "xn--bcher-kva.example", 443, "xn--bcher-kva.example"),
    ],
)
def test_an_address_names_its_host_and_port(url: str, host: str, port: int, authority: str) -> None:
    line = RequestLine.of("GET", url, {})
    assert (line.route.origin.host, line.route.origin.port) == (host, port)
    assert f"\r\nHost: {authority}\r\n".encode() in line.head


def test_a_user_and_password_in_the_url_become_a_header() -> None:
    assert b"\r\nAuthorization: Basic dTpwQHNz\r\n" in RequestLine.of("GET", "http://u:p%40ss@h/", {}).head


@pytest.mark.parametrize(
    "url", ["", "h/path", "ftp://h/", "http://", "http://h:99999/", "http://a b/", "http://[::1/"]
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(HTTPConnectionError, match="no URL"):
        RequestLine.of("GET", url, {})


@pytest.mark.parametrize(
    ("method", "headers"),
    [("GET", {"X": "a\r\nY: b"}), ("GET", {"X\r\nY": "b"}), ("GET", {"": "b"}), ("GET / HTTP/1.1\r\nX:", {})],
)
def test_nothing_can_be_smuggled_into_a_head(method: str, headers: dict[str, str]) -> None:
    with pytest.raises(HTTPClientError):
        RequestLine.of(method, "http://h/a\r\nb", headers)
