"""Random arrivals and departures over real sockets: right answers, nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from inference_backend import AdapterSettings, ChatModel, SchedulerSettings, SpeculationSettings
from tests.app.engine_serving import serving
from tests.inference_backend.checkpoints import Checkpoint, make_chat
from tests.inference_backend.conftest import open_chat
from tests.inference_backend.test_adapters import write_adapter

REQUESTS = 160
PROMPTS = ["Tell me", "Tell me about the sea", "What is this thing? " * 3, "x", "é漢🙂 and more"]
SCHEMA = {
    "type": "object",
    "properties": {"ok": {"type": "boolean"}},
    "required": ["ok"],
    "additionalProperties": False,
}


@dataclass
class Soak:
    """Sends requests to a server and keeps what came of them."""

    url: str
    model: ChatModel
    expected: dict[tuple[str, str], str]
    chance: random.Random
    came: Counter[str] = field(default_factory=Counter)

    async def run(self, count: int) -> None:
        async with aiohttp.ClientSession(self.url) as session, asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(self._one(session))
                await asyncio.sleep(self.chance.expovariate(60))
                if not self.chance.randrange(20):
                    await self.model.engine.check()

    async def _one(self, session: aiohttp.ClientSession) -> None:
        kind = self.chance.choice(
            [
                "answer",
                "answer",
                "answer",
                "stream",
                "stream",
                "leave",
                "leave",
                "embed",
                "wrong",
                "late",
                "form",
            ]
        )
        self.came[await getattr(self, f"_{kind}")(session)] += 1

    def _body(self, **more: Any) -> dict[str, Any]:
        prompt, model = self.chance.choice(PROMPTS), self.chance.choice([*self.model.models])
        body = {"model": model, "prompt": prompt, "max_tokens": 24, "temperature": 0.0, "ignore_eos": True}
        return {**body, "cache_salt": self.chance.choice(["a", "b"]), **more}

    async def _answer(self, session: aiohttp.ClientSession) -> str:
        body = self._body(n=self.chance.choice([1, 2]), logprobs=self.chance.choice([None, 1]))
        async with session.post("/v1/completions", json=body) as response:
            if response.status == 503:
                assert response.headers["Retry-After"]
                return "refused"
            answer = await response.json()
            assert response.status == 200, answer
        for choice in answer["choices"]:
            assert choice["text"] == self.expected[body["model"], body["prompt"]]
        return "answered"

    async def _stream(self, session: aiohttp.ClientSession) -> str:
        body = self._body(stream=True)
        async with session.post("/v1/completions", json=body) as response:
            if response.status == 503:
                return "refused"
            text = "".join([piece async for piece in pieces(response)])
        assert text == self.expected[body["model"], body["prompt"]]
        return "streamed"

    async def _leave(self, session: aiohttp.ClientSession) -> str:
        body = self._body(stream=self.chance.random() < 0.5, max_tokens=300, n=self.chance.choice([1, 3]))
        sent = asyncio.create_task(session.post("/v1/completions", json=body))
        await asyncio.sleep(self.chance.random() * 0.4)
        sent.cancel()
        with contextlib.suppress(asyncio.CancelledError, aiohttp.ClientError):
            (await sent).close()
        return "left"

    async def _embed(self, session: aiohttp.ClientSession) -> str:
        body = {"model": self.model.name, "input": PROMPTS[:2]}
        async with session.post("/v1/embeddings", json=body) as response:
            assert response.status in {200, 503}
        return "embedded"

    async def _wrong(self, session: aiohttp.ClientSession) -> str:
        wrong = self.chance.choice(
            [{"temperature": -1}, {"max_tokens": 10_000}, {"model": "nobody"}, {"prompt": {}}]
        )
        async with session.post("/v1/completions", json=self._body(**wrong)) as response:
            assert response.status in {400, 404}
        return "corrected"

    async def _late(self, session: aiohttp.ClientSession) -> str:
        async with session.post(
            "/v1/completions", json=self._body(deadline_s=0.01, max_tokens=300)
        ) as response:
            assert response.status in {503, 504}
        return "late"

    async def _form(self, session: aiohttp.ClientSession) -> str:
        body = self._body(guided_json=SCHEMA, max_tokens=60, temperature=1.0)
        async with session.post("/v1/completions", json=body) as response:
            if response.status == 503:
                return "refused"
            answer = await response.json()
        assert isinstance(json.loads(answer["choices"][0]["text"])["ok"], bool)
        return "formed"


async def pieces(response: aiohttp.ClientResponse) -> AsyncIterator[str]:
    async for line in response.content:
        if line.startswith(b"data: {"):
            yield json.loads(line[6:])["choices"][0]["text"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return make_chat(tmp_path_factory.mktemp("soaked"))


def open_crowded(made: Checkpoint, adapter: Path) -> ChatModel:
    """A model with too few blocks and places for what comes, and everything switched on."""
    opened = open_chat(
        made,
        kv_blocks=95,
        plan_ahead=True,
        scheduler=SchedulerSettings(block_size=4, max_sequences=12, max_step_tokens=48, max_waiting=24),
        adapters=AdapterSettings(max_adapters=2, max_rank=8),
        speculation=SpeculationSettings("ngram", max_running=3, ngram_min=1),
    )
    opened.engine.adapter_registry.load("tuned", str(adapter))
    return ChatModel(opened)


async def alone(model: ChatModel) -> dict[tuple[str, str], str]:
    """What each model answers to each prompt when nobody else asks."""
    found = {}
    for name in model.models:
        for prompt in PROMPTS:
            body = {"model": name, "prompt": prompt, "max_tokens": 24, "temperature": 0.0, "ignore_eos": True}
            [prepared] = model.completions(body)
            found[name, prompt] = "".join([delta.text async for delta in model.generate(prepared)])
    return found


async def test_a_crowd_that_comes_and_goes_leaves_nothing_behind(made: Checkpoint, tmp_path: Path) -> None:
    write_adapter(made, tmp_path / "tuned", ("q_proj", "v_proj"), seed=1)
    model = open_crowded(made, tmp_path / "tuned")
    with serving(model) as url:
        soak = Soak(url, model, await alone(model), random.Random(5))
        await soak.run(REQUESTS)
        engine = model.opened.engine
        for _ in range(3000):
            if not engine.busy:
                break
            await asyncio.sleep(0.02)
        await model.engine.check()
    # The server has ended: whatever clients that left had still sent has been answered to nobody or dropped.
    engine.scheduler.check()
    assert not engine.busy
    assert not engine.scheduler.unfinished()
    assert engine.scheduler.usage == 0.0
    assert model.engine.readers == 0
    engine.adapter_registry.drop("tuned")  # refused if any request still held it
    text = engine.metrics.text().decode()
    assert {"answered", "streamed", "left", "late", "formed"} <= set(soak.came)
    assert f'vllm:num_requests_running{{model_name="{model.name}"}} 0.0' in text
