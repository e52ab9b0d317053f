"""An OpenAI-compatible server on this machine, and models that talk to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from rails_engine.config import Model
from rails_engine.llm import Chunk, Completion, LLMRequest, Message, Models, complete, create_models
from tests.loopback import serving


@dataclass
class Reply:
    """What the stub answers to one request. `pieces` are the deltas of a streamed answer."""

    text: str = ""
    status: int = 200
    body: Any = None
    raw: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    message: dict[str, Any] = field(default_factory=dict)
    pieces: list[dict[str, Any]] | None = None
    further: list[dict[str, Any]] = field(default_factory=list)
    delay_s: float = 0.0
    piece_delay_s: float = 0.0


@dataclass
class Stub:
    """Answers with `replies` in order, the last one again and again; keeps what it was asked."""

    replies: list[Reply] = field(default_factory=lambda: [Reply("hello")])
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    open_now: int = 0
    most_open: int = 0
    url: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.open_now += 1
        self.most_open = max(self.most_open, self.open_now)
        try:
            return await self._reply(request)
        finally:
            self.open_now -= 1

    async def _reply(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.requests.append(body)
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        self.paths.append(str(request.rel_url))
        reply = self.replies[min(len(self.requests), len(self.replies)) - 1]
        await asyncio.sleep(reply.delay_s)
        if reply.raw is not None:
            return web.Response(body=reply.raw, status=reply.status, headers=reply.headers)
        if reply.status != 200:
            error = reply.body or {"error": {"message": "refused", "type": "t", "code": None}}
            return web.json_response(error, status=reply.status, headers=reply.headers)
        if body.get("stream"):
            return await self._stream(request, reply)
        message = {"role": "assistant", "content": reply.text, **reply.message}
        choice = {"index": 0, "message": message, "text": reply.text, "finish_reason": "stop"}
        answer = {"id": "r1", "model": "m-1", "choices": [choice, *reply.further], "usage": USAGE}
        return web.json_response(answer, headers=reply.headers)

    async def _stream(self, request: web.Request, reply: Reply) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        deltas = reply.pieces or [{"content": piece} for piece in reply.text]
        events: list[Any] = [{"id": "r1", "model": "m-1", "choices": [{"delta": delta}]} for delta in deltas]
        events += [{"choices": [{"delta": {}, "finish_reason": "stop"}]}, {"choices": [], "usage": USAGE}]
        for event in events:
            await response.write(b": ping\n\ndata: " + json.dumps(event).encode() + b"\n\n")
            await asyncio.sleep(reply.piece_delay_s)
        await response.write(b"data: [DONE]\n\n")
        return response


USAGE = {
    "prompt_tokens": 7,
    "completion_tokens": 3,
    "total_tokens": 10,
    "completion_tokens_details": {"reasoning_tokens": 2},
    "prompt_tokens_details": {"cached_tokens": 4},
}


@pytest.fixture
async def stub() -> AsyncIterator[Stub]:
    stub = Stub()
    async with serving(stub.handle, method="POST") as url:
        stub.url = f"{url}/v1"
        yield stub


MakeModels = Callable[..., Models]


@pytest.fixture(params=["http", "sdk"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def models(stub: Stub, transport: str) -> AsyncIterator[MakeModels]:
    """Makes a main model on the stub; keyword arguments are `parameters`, `entry` further keys of the entry."""
    made: list[Models] = []

    def make(entry: dict[str, Any] | None = None, **parameters: Any) -> Models:
        given = {
            "base_url": stub.url,
            "api_key": "k-1",
            "transport": transport,
            "max_retries": 0,
            **parameters,
        }
        fields = {"type": "main", "engine": "openai", "model": "gpt-4o-mini", **(entry or {})}
        made.append(create_models([Model(**fields, parameters=given)]))
        return made[-1]

    yield make
    for one in made:
        await one.close()


HELLO = LLMRequest(messages=(Message("user", "hi"),))


async def ask(make: MakeModels, request: LLMRequest = HELLO, **parameters: Any) -> Completion:
    return await complete(make(**parameters)["main"], request)


async def pieces(make: MakeModels, request: LLMRequest) -> list[Chunk]:
    return [chunk async for chunk in make()["main"].stream(request)]
