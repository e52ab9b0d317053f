"""Fuzz the reader of HTTP answers: any bytes give an answer or a typed error, the same wherever the network cuts them."""

from __future__ import annotations

import asyncio
import sys

import atheris

with atheris.instrument_imports(include=["rails_engine.http"]):
    from rails_engine.http import HTTPClientError, Incoming
    from rails_engine.http.parser import AnswerParser

LIMIT = 1 << 16


def read(data: bytes, piece: int) -> tuple[object, ...]:
    """What is known of the answer after `data`, given in pieces of that size."""
    parser, answer = AnswerParser(), Incoming(limit=LIMIT)
    parser.expect(answer)
    try:
        for start in range(0, len(data), piece):
            parser.feed(data[start : start + piece])
        parser.closed()
    except HTTPClientError:
        return ("error",)
    if not answer.complete:
        return ("more",)
    body = asyncio.run(answer.read())
    if len(body) > LIMIT:
        raise RuntimeError("a body beyond its bound")
    return (answer.status, dict(answer.headers), body, answer.keep)


def one_input(data: bytes) -> None:
    """What libFuzzer calls with each input; the first byte says how it is cut."""
    cut, rest = (data[0] % 7) + 1 if data else 1, data[1:]
    whole, pieces = read(rest, max(1, len(rest))), read(rest, cut)
    if "error" not in (whole[0], pieces[0]) and whole != pieces:
        raise RuntimeError(f"cut every {cut} bytes: {pieces}; whole: {whole}")


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
