"""Models behind the server that most of them stand behind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from rails_engine.config import Model
from rails_engine.llm import LLM, LLMRequest, Message, complete, create_models

KEPT_S = 1


def app_of(seen: set[tuple[str, int]]) -> FastAPI:
    app = FastAPI()

    @app.post("/v1/chat/completions")
    async def completions(request: Request) -> object:
        body = await request.json()
        seen.add(tuple(request.client or ("", 0)))  # type: ignore[arg-type]
        said = body["messages"][-1]["content"]
        if not body.get("stream"):
            return {"choices": [{"message": {"role": "assistant", "content": said}, "finish_reason": "stop"}]}

        async def events() -> AsyncIterator[str]:
            for word in said.split(" "):
                yield f"data: {json.dumps({'choices': [{'delta': {'content': word}}]})}\n\n"
                await asyncio.sleep(0)
            yield "data: [DONE]\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    return app


@pytest.fixture
def clients() -> set[tuple[str, int]]:
    return set()


@pytest.fixture
async def model(clients: set[tuple[str, int]]) -> AsyncIterator[LLM]:
    config = uvicorn.Config(
        app_of(clients), port=0, log_level="warning", timeout_keep_alive=KEPT_S, lifespan="off"
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 -- uvicorn has no event for it
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    parameters = {"base_url": f"http://127.0.0.1:{port}/v1", "api_key": "k", "max_retries": 0}
    models = create_models([Model(type="main", engine="vllm", model="m", parameters=parameters)])
    yield models["main"]
    await models.close()
    server.should_exit = True
    await serving


def said(text: str, *, streaming: bool = False) -> LLMRequest:
    return LLMRequest(messages=(Message("user", text),), streaming=streaming)


async def test_whole_and_streamed_answers_over_one_connection(
    model: LLM, clients: set[tuple[str, int]]
) -> None:
    for number in range(5):
        assert (await complete(model, said(f"number {number}"))).text == f"number {number}"
        chunks = [chunk.text async for chunk in model.stream(said("one two three", streaming=True))]
        assert "".join(chunks) == "onetwothree"
    assert len(clients) == 1


async def test_a_connection_that_the_server_lets_go_is_replaced(
    model: LLM, clients: set[tuple[str, int]]
) -> None:
    for _ in range(2):
        assert (await complete(model, said("still there"))).text == "still there"
        await asyncio.sleep(KEPT_S + 0.2)
    assert len(clients) == 2


async def test_512_conversations_at_once(model: LLM) -> None:
    answers = await asyncio.gather(*(complete(model, said(f"nonce {n}")) for n in range(512)))
    assert [answer.text for answer in answers] == [f"nonce {n}" for n in range(512)]
