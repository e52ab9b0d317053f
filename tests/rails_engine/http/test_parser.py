"""Bytes of a connection become answers, wherever the network cuts them, and nothing else does."""

from __future__ import annotations

import itertools
import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rails_engine.http import HTTPAnswerSizeError, HTTPClientError, HTTPConnectionError, Incoming
from rails_engine.http.parser import MAX_HEAD_BYTES, AnswerParser

BODY = b'{"text": "hello"}'


def with_length(body: bytes, *fields: bytes) -> bytes:
    head = [b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), *fields]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def in_chunks(pieces: list[bytes], *fields: bytes) -> bytes:
    head = b"\r\n".join([b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked", *fields]) + b"\r\n\r\n"
    framed = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece)
    return head + framed + b"0\r\n\r\n"


def packed(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    return packer.compress(body) + packer.flush()


def read(
    data: bytes, cuts: list[int], *, limit: int = 1 << 20, bodiless: bool = False
) -> tuple[AnswerParser, Incoming]:
    parser, answer = AnswerParser(), Incoming(limit=limit, bodiless=bodiless)
    parser.expect(answer)
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, end in itertools.pairwise(places):
        if start < end:
            parser.feed(data[start:end])
    return parser, answer


cuts = st.lists(st.integers(0, 10_000), max_size=12)
pieces = st.lists(st.binary(max_size=200), max_size=6)


@given(pieces, cuts, st.sampled_from(["length", "chunks", "gzip", "gzip chunks"]))
async def test_an_answer_is_the_same_wherever_it_is_cut(
    parts: list[bytes], places: list[int], form: str
) -> None:
    body = b"".join(parts)
    data = {
        "length": lambda: with_length(body),
        "chunks": lambda: in_chunks(parts),
        "gzip": lambda: with_length(packed(body), b"Content-Encoding: gzip"),
        "gzip chunks": lambda: in_chunks([packed(body)[:9], packed(body)[9:]], b"content-encoding: GZIP"),
    }[form]()
    parser, answer = read(data, places)
    assert (answer.status, answer.complete, answer.keep, parser.surplus) == (200, True, True, False)
    assert await answer.read() == body


@given(st.binary(max_size=400), cuts)
def test_any_bytes_at_all_give_an_answer_or_a_typed_error(data: bytes, places: list[int]) -> None:
    try:
        _, answer = read(data, places)
    except HTTPClientError:
        return
    assert not answer.complete or data.lstrip(b"\r\n").startswith(b"HTTP/")


@given(st.integers(0, 400), st.binary(min_size=1, max_size=4), cuts)
async def test_a_damaged_answer_is_no_longer_than_what_came_or_a_typed_error(
    place: int, damage: bytes, places: list[int]
) -> None:
    good = in_chunks([BODY, b"more"], b"Content-Encoding: identity", b"X-A: b")
    place %= len(good)
    data = good[:place] + damage + good[place + len(damage) :]
    with suppress(HTTPClientError):
        _, answer = read(data, places)
        assert not answer.complete or len(await answer.read()) < len(data)


@given(cuts)
async def test_one_connection_carries_answer_after_answer(places: list[int]) -> None:
    parser = AnswerParser()
    for body in (b"one", b"", b"three"):
        answer = Incoming()
        parser.expect(answer)
        data = with_length(body, b"X-Number: 1")
        for start in range(len(data)):
            parser.feed(data[start : start + 1])
        assert (await answer.read(), answer.headers["x-number"], parser.surplus) == (body, "1", False)


def test_interim_answers_are_passed_over() -> None:
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    _, answer = read(early + with_length(BODY), [])
    assert (answer.status, answer.complete, dict(answer.headers)) == (200, True, {"content-length": "17"})


def test_fields_of_one_name_are_joined_and_names_are_lower_case() -> None:
    _, answer = read(with_length(b"", b"X-A: 1", b"x-a: 2"), [])
    assert answer.headers["x-a"] == "1, 2"


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    parser, answer = read(b"HTTP/1.1 200 OK\r\n\r\n" + BODY, [])
    assert (answer.complete, parser.closed(), answer.complete, answer.keep) == (False, True, True, False)


@pytest.mark.parametrize(
    "data", [with_length(BODY)[:-1], in_chunks([BODY])[:-5], b"HTTP/1.1 200 OK\r\nA: b", b""]
)
def test_an_answer_that_stops_in_the_middle_does_not_end(data: bytes) -> None:
    parser, answer = read(data, [])
    assert (parser.closed(), answer.complete) == (False, False)


def test_a_server_may_ask_to_close() -> None:
    _, answer = read(with_length(BODY, b"Connection: close"), [])
    assert (answer.complete, answer.keep) == (True, False)
    _, old = read(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", [])
    assert (old.complete, old.keep) == (True, False)


def test_an_answer_to_head_has_no_body() -> None:
    _, answer = read(with_length(BODY)[: -len(BODY)], [], bodiless=True)
    assert (answer.status, answer.complete, answer.keep) == (200, True, False)


def test_what_no_request_asked_for_is_noticed() -> None:
    parser, answer = read(with_length(BODY) * 2, [])
    assert (answer.complete, parser.surplus) == (True, True)
    idle = AnswerParser()
    idle.feed(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
    assert idle.surplus


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * (MAX_HEAD_BYTES + 1),
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 20_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n" + b"a: b\r\n" * 20_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"x" * (MAX_HEAD_BYTES + 1),
    ],
)
def test_what_is_no_body_is_bounded(data: bytes) -> None:
    with pytest.raises(HTTPConnectionError, match=r"more than 64 KiB|no HTTP"):
        read(data, list(range(0, len(data), 5000)))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", "no HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "no HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "no HTTP"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "no HTTP"),
        (with_length(b"abc", b"Content-Encoding: gzip"), "damaged"),
        (with_length(b"abc", b"Content-Encoding: br"), "not asked for"),
        (with_length(packed(b"abc" * 99)[:-9], b"Content-Encoding: gzip"), "ends in the middle"),
    ],
)
def test_what_is_no_answer_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(HTTPConnectionError, match=words):
        read(data, [])


def test_bodies_are_bounded_packed_or_not() -> None:
    with pytest.raises(HTTPAnswerSizeError):
        read(with_length(b"x" * 1025), [], limit=1024)
    with pytest.raises(HTTPAnswerSizeError):
        read(with_length(packed(b"x" * (1 << 20)), b"Content-Encoding: gzip"), [], limit=1024)
