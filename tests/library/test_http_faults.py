"""Each rail that asks a server, given each answer that is none: nothing passes, through whichever door it is asked.

All of them hold the words of a verdict that would let the text pass, in a place where they are none.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from nemoguardrails import Guardrails
from rails_engine import LLMRails
from rails_engine.config import RailsConfig
from tests.library.fault_table import (
    ANSWER,
    DIALECTS,
    EXCEPTION,
    RAILS,
    Rail,
    Row,
    colang_of,
    messages_of,
    yaml_of,
)
from tests.library.faulty_server import completion
from tests.library.raw_server import RawServer, answered, raw_server

ASKING = tuple(rail for rail in RAILS if rail.asks)
_VERDICTS = {
    "self check input": ("No", "Yes"),
    "self check output": ("No", "Yes"),
    "self check facts": ("Yes", "No"),
    "self check hallucination": ("Yes", "No"),
    "(NemoGuard)": tuple(json.dumps({"User Safety": v, "Response Safety": v}) for v in ("safe", "unsafe")),
    "(Nemotron)": (
        "User Safety: safe\nResponse Safety: safe",
        "User Safety: unsafe\nResponse Safety: unsafe",
    ),
    "with reasoning": (
        "Prompt harm: unharmful\nResponse harm: unharmful",
        "Prompt harm: harmful\nResponse harm: harmful",
    ),
    "(Llama Guard)": ("safe", "unsafe\nS1"),
    "topic safety": ("on-topic", "off-topic"),
    "llama guard check": ("safe", "unsafe\nS1"),
}
"""Part of a rail's name to what its model says of a text that may pass, and of one that may not."""


def bodies_of(rail: Rail) -> tuple[bytes, bytes]:
    """The answer that lets a text pass, and the one that does not."""
    if rail.asks == "endpoint":
        return b'{"jailbreak": false}', b'{"jailbreak": true}'
    passing, refusing = next(said for part, said in _VERDICTS.items() if part in rail.name)
    return json.dumps(completion(passing)).encode(), json.dumps(completion(refusing)).encode()


def faults_of(rail: Rail) -> dict[str, bytes]:
    """What is no answer, by name, as it goes over the wire."""
    passing, refusing = bodies_of(rail)
    statuses = ("204 No Content", "302 Found", "401 Unauthorized", "404 Not Found", "429 Too Many Requests",
                "500 Internal Server Error", "502 Bad Gateway")  # fmt: skip
    faults = {status: answered(b"" if status[0] == "2" else passing, status) for status in statuses}
    return {
        **faults,
        "asks to come again": answered(passing, "503 Service Unavailable", "Retry-After: 3600"),
        "hangs up": b"",
        "no HTTP": passing,
        "cut off": answered(passing)[:-2],
        "cut off in a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n999\r\n" + passing,
        "no gzip": answered(passing, "200 OK", "Content-Encoding: gzip"),
        "two lengths": answered(passing, "200 OK", "Content-Length: 2"),
        "empty": answered(b""),
        "half of the JSON": answered(passing[:-3]),
        "more than the JSON": answered(passing + refusing),
        "null": answered(b"null"),
        "a list": answered(b"[" + passing + b"]"),
        "too deep": answered(b"[" * 100_000),
        "a page": answered(b"<html>" + passing + b"</html>", kind="text/html"),
        "an error with status 200": answered(b'{"error": {"message": "over capacity"}}'),
        **(_of_endpoints() if rail.asks == "endpoint" else _of_models(rail)),
    }


def _of_endpoints() -> dict[str, bytes]:
    said = {"null": "null", "0": "0", "text": '"false"', "list": "[false]", "nothing": ""}
    answers = {f"jailbreak is {name}": f'{{"jailbreak": {value}}}' for name, value in said.items()}
    both = {"jailbreak is both": '{"jailbreak": true, "jailbreak": false}'}
    return {name: answered(text.encode()) for name, text in (answers | both).items()}


def _of_models(rail: Rail) -> dict[str, bytes]:
    passing, refusing = next(said for part, said in _VERDICTS.items() if part in rail.name)
    messages: dict[str, Mapping[str, Any] | None] = {
        "no message": None,
        "no content": {"content": None},
        "blank": {"content": " \n"},
        "no parts": {"content": []},
        "a mapping": {"content": {"text": passing}},
        "a number": {"content": 0},
        "reasoning alone": {"content": None, "reasoning_content": passing},
        "a thought alone": {"content": f"<think>{passing}</think>"},
        "a thought cut off": {"content": f"<think>\n{passing}\n"},
        "a tool call": {"content": None, "tool_calls": [{"id": "c", "function": {"name": passing}}]},
        "a refusal": {"content": None, "refusal": passing},
        "another verdict thought of": {"content": refusing, "reasoning_content": passing},
        "both verdicts": {"content": f"{refusing}\n{passing}"},
        "garbage": {"content": "?! forty-two"},
    }
    choices = {name: [{"index": 0, "message": message}] for name, message in messages.items()}
    bodies = {
        **{name: {"choices": each} for name, each in choices.items()},
        "no choices": {"choices": []},
        "choices of null": {"choices": None},
        "a second choice": {"choices": [{"message": {"content": text}} for text in (refusing, passing)]},
    }
    return {name: answered(json.dumps(body).encode()) for name, body in bodies.items()}


FEW = {"401 Unauthorized", "429 Too Many Requests", "hangs up", "cut off", "half of the JSON", "empty", "no content",
       "reasoning alone", "another verdict thought of", "both verdicts", "garbage", "jailbreak is text",
       "jailbreak is both"}  # fmt: skip
"""Of each kind one: what an answer amounts to is read in one place for all doors and dialects."""


@pytest.fixture(scope="module")
def server() -> Iterator[RawServer]:
    with raw_server() as running:
        yield running


def config_of(rail: Rail, dialect: str, on_error: str, url: str) -> RailsConfig:
    row = Row(rail, EXCEPTION, on_error, dialect)
    return RailsConfig.from_content(colang_of(row), yaml_of(row, url))


async def passed(app: LLMRails, rail: Rail, door: str) -> bool:
    """Whether the text came through."""
    messages = messages_of(Row(rail, EXCEPTION, "block", "1.0"))
    if door == "generate":
        return ANSWER in str(await app.generate_async(messages=messages))
    if door == "stream":
        return ANSWER in "".join([str(piece) async for piece in app.stream_async(messages=messages)])
    result = await app.check_async([*messages, {"role": "assistant", "content": ANSWER}])
    return result.status.value != "blocked"


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("rail", ASKING, ids=lambda rail: rail.name)
@pytest.mark.parametrize("door", ["generate", "stream", "check"])
async def test_no_answer_lets_anything_pass(rail: Rail, dialect: str, door: str, server: RawServer) -> None:
    passing, refusing = bodies_of(rail)
    is_read_here = (door, dialect) == ("generate", "1.0")
    faults = {name: answer for name, answer in faults_of(rail).items() if is_read_here or name in FEW}
    async with Guardrails(config_of(rail, dialect, "block", server.url)) as app:
        server.answer = answered(passing)
        assert await passed(app, rail, door)
        server.answer = answered(refusing)
        assert not await passed(app, rail, door)
        through, unasked = [], []
        for name, answer in faults.items():
            server.answer, before = answer, server.asked
            through += [name] if await passed(app, rail, door) else []
            unasked += [name] if server.asked == before else []
    assert (through, unasked) == ([], [])


CONTRADICTIONS = {"another verdict thought of", "both verdicts", "a second choice", "jailbreak is both"}
"""What a model may be taken to have refused by."""


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("rail", ASKING, ids=lambda rail: rail.name)
async def test_a_rail_that_may_fail_open_does(rail: Rail, dialect: str, server: RawServer) -> None:
    async with Guardrails(config_of(rail, dialect, "allow", server.url)) as app:
        server.answer = answered(bodies_of(rail)[1])
        assert not await passed(app, rail, "generate")
        faults, stopped = faults_of(rail), list[str]()
        for name in FEW & faults.keys():
            server.answer = faults[name]
            stopped += [] if await passed(app, rail, "generate") else [name]
    assert set(stopped) <= CONTRADICTIONS
