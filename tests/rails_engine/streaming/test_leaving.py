"""A reader that goes away stops the model: a real server sees its connection close."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.streaming import StreamingHandler
from nemoguardrails.testing import FakeLLMModel
from nemoguardrails.types import LLMResponseChunk
from rails_engine.streaming import HELD, Frame, Outlet, relay
from tests.loopback import serving

PATIENCE_S = 20.0


class Endless:
    """An OpenAI-compatible server whose answers have no end; it knows when somebody has hung up."""

    def __init__(self) -> None:
        self.url = ""
        self.asked = asyncio.Event()
        self.left = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        self.asked.set()
        chunk = json.dumps({"choices": [{"index": 0, "delta": {"content": "word "}}]}).encode()
        try:
            while request.transport is not None and not request.transport.is_closing():
                await response.write(b"data: " + chunk + b"\n\n")
                await asyncio.sleep(0.005)
        finally:
            self.left.set()
        return response


@asynccontextmanager
async def endless() -> AsyncIterator[Endless]:
    server = Endless()
    async with serving(server.answer, "/v1/chat/completions", "POST") as url:
        server.url = f"{url}/v1"
        yield server


RAILS = "rails: {output: {flows: [gate out], streaming: {chunk_size: 4, context_size: 1}}}\n"
GATE = 'define subflow gate out\n  if "bad" in $bot_message\n    stop\n'


def opened(server: Endless, extra: str = "") -> LLMRails:
    model = f"{{type: main, engine: openai, model: m, parameters: {{base_url: '{server.url}', api_key: k}}}}"
    return LLMRails(RailsConfig.from_content(GATE, f"models: [{model}]\n{extra}"))


@pytest.mark.parametrize("extra", ["", RAILS])
async def test_closing_the_stream_hangs_up(extra: str) -> None:
    async with endless() as server:
        app = opened(server, extra)
        stream = app.stream_async(messages=[{"role": "user", "content": "x"}])
        assert (await anext(stream)).strip() == "word"
        await stream.aclose()
        await asyncio.wait_for(server.left.wait(), PATIENCE_S)
        await app.aclose()


TWO = """
import core
flow main
  user said something as $said
  $answer = await PassthroughLLMAction(user_message=$said.transcript)
  bot say $answer
flow gate out
  global $bot_message
  if "bad" in $bot_message
    abort
"""


@pytest.mark.parametrize("extra", ["", RAILS])
async def test_closing_the_stream_of_a_2x_answer_hangs_up(extra: str) -> None:
    async with endless() as server:
        model = (
            f"{{type: main, engine: openai, model: m, parameters: {{base_url: '{server.url}', api_key: k}}}}"
        )
        yaml = f'colang_version: "2.x"\nmodels: [{model}]\n{extra}'
        app = LLMRails(RailsConfig.from_content(TWO, yaml))
        stream = app.stream_async(messages=[{"role": "user", "content": "x"}])
        assert (await anext(stream)).strip() == "word"
        await stream.aclose()
        await asyncio.wait_for(server.left.wait(), PATIENCE_S)
        await app.aclose()


async def test_cancelling_the_task_that_reads_hangs_up() -> None:
    async with endless() as server:
        app = opened(server, RAILS)

        async def read() -> None:
            async for _ in app.stream_async(messages=[{"role": "user", "content": "x"}]):
                pass

        reading = asyncio.create_task(read())
        await asyncio.wait_for(server.asked.wait(), PATIENCE_S)
        reading.cancel()
        await asyncio.wait_for(server.left.wait(), PATIENCE_S)
        with pytest.raises(asyncio.CancelledError):
            await reading
        await app.aclose()


async def test_cancelling_a_call_with_a_handler_hangs_up() -> None:
    async with endless() as server:
        app, handler = opened(server), StreamingHandler()
        work = asyncio.create_task(
            app.generate_async(messages=[{"role": "user", "content": "x"}], streaming_handler=handler)
        )
        assert str(await anext(handler)).strip() == "word"
        work.cancel()
        await asyncio.wait_for(server.left.wait(), PATIENCE_S)
        await app.aclose()


class Counting(FakeLLMModel):
    """A model without an end that counts its words."""

    written = 0

    async def stream_async(self, prompt: Any, **_: Any) -> AsyncIterator[LLMResponseChunk]:
        while True:
            self.written += 1
            yield LLMResponseChunk(delta_content=" word")


async def test_a_reader_that_lags_holds_the_model_up() -> None:
    model = Counting()
    app = LLMRails(RailsConfig.from_content("", "models: []"), llm=model)
    stream = app.stream_async(messages=[{"role": "user", "content": "x"}])
    await anext(stream)
    for _ in range(1000):
        await asyncio.sleep(0)
    assert HELD <= model.written < 200
    await stream.aclose()


class Pieces:
    """A caller's own stream, without an end; it may be one that can be closed."""

    def __init__(self) -> None:
        self.closed = 0

    def __aiter__(self) -> Pieces:
        return self

    async def __anext__(self) -> str:
        return "word "


class Closable(Pieces):
    async def aclose(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("pieces", [Pieces(), Closable()])
async def test_a_callers_own_stream_is_closed_if_it_can_be(pieces: Pieces) -> None:
    app = LLMRails(RailsConfig.from_content(GATE, f"models: []\n{RAILS}"))
    stream = app.stream_async(messages=[{"role": "user", "content": "x"}], generator=pieces)
    assert str(await anext(stream)).strip() == "word"
    await stream.aclose()
    assert pieces.closed == isinstance(pieces, Closable)


SIDE_BY_SIDE_1 = (
    "define subflow one\n  $x = execute wait_long\ndefine subflow two\n  $y = execute wait_long\n",
    "models: []\nrails: {input: {flows: [one, two], parallel: true, speculative_generation: true}}\n",
)
SIDE_BY_SIDE_2 = (
    "import core\n\nflow main\n  user said something\n  start WaitLongAction()\n  await WaitLongAction()\n",
    'models: []\ncolang_version: "2.x"\n',
)


class Waiting:
    """A model and an action that wait for ever, and count who waits."""

    model_name, provider_name, provider_url = "waiting", "test", None

    def __init__(self) -> None:
        self.waiting = 0
        self.two_wait = asyncio.Event()

    async def generate_async(self, prompt: Any, **_given: Any) -> Any:
        del prompt
        return await self.wait_long()

    async def stream_async(self, prompt: Any, **_given: Any) -> AsyncIterator[LLMResponseChunk]:
        del prompt
        yield LLMResponseChunk(delta_content="x")
        await self.wait_long()

    async def wait_long(self) -> None:
        self.waiting += 1
        if self.waiting == 2:
            self.two_wait.set()
        try:
            await asyncio.sleep(PATIENCE_S)
        finally:
            self.waiting -= 1


@pytest.mark.parametrize(("colang", "yaml"), [SIDE_BY_SIDE_1, SIDE_BY_SIDE_2], ids=["1.0", "2.x"])
@pytest.mark.parametrize("streamed", [False, True])
async def test_who_leaves_in_the_middle_of_a_turn_leaves_nothing_running(
    colang: str, yaml: str, streamed: bool
) -> None:
    there = Waiting()
    app = LLMRails(RailsConfig.from_content(colang, yaml), llm=there)
    app.register_action(there.wait_long, "wait_long")
    said = [{"role": "user", "content": "hi"}]

    async def read() -> None:
        _ = [piece async for piece in app.stream_async(messages=said)]

    before = asyncio.all_tasks()
    turn = asyncio.ensure_future(read() if streamed else app.generate_async(messages=said))
    await asyncio.wait_for(there.two_wait.wait(), PATIENCE_S)
    turn.cancel()
    await asyncio.wait({turn})
    await asyncio.sleep(0)
    assert there.waiting == 0
    assert asyncio.all_tasks() == before


async def test_the_reader_of_a_stream_that_somebody_else_ends_is_told() -> None:
    async def produce(outlet: Outlet) -> None:
        outlet.give(Frame("word"))
        raise asyncio.CancelledError

    frames = [frame.text async for frame in relay(produce)]
    assert frames[0] == "word"
    assert "generation_error" in frames[1]
    assert len(frames) == 2
