"""What goes wrong, seen from outside: a model that cannot be served is explained, and a request that fails fails alone."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import torch
from typer.testing import CliRunner

from app.cli.engine import engine
from app.cli.engine.server import ServerOptions
from inference_backend import AdapterSettings, ChatModel
from tests.app.engine_serving import serving
from tests.inference_backend.checkpoints import Checkpoint, make_chat
from tests.inference_backend.conftest import open_chat
from tests.inference_backend.test_adapters import write_adapter
from tests.inference_backend.test_checkpoints import SPOILT

POISON = 200  # the token id whose embedding is no number
LONG: dict[str, Any] = {
    "prompt": "Tell me about the sea", "max_tokens": 60, "temperature": 0.0, "ignore_eos": True, "stream": True,
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return make_chat(tmp_path_factory.mktemp("faulty"))


@pytest.mark.parametrize(
    "fault", ["truncated", "pickle", "architecture", "dtype", "integers", "missing tensor"]
)
def test_a_model_that_cannot_be_served_is_explained(made: Checkpoint, tmp_path: Path, fault: str) -> None:
    folder = tmp_path / "spoilt"
    shutil.copytree(made.folder, folder)
    spoil, _, message = SPOILT[fault]
    spoil(folder)
    result = CliRunner().invoke(engine, ["serve", str(folder), "--device", "cpu"])
    assert result.exit_code == 1
    assert message.replace("\\", "") in " ".join((result.output + result.stderr).split())
    assert "Traceback" not in result.output + result.stderr


def test_too_little_memory_is_explained(made: Checkpoint) -> None:
    arguments = ["serve", str(made.folder), "--device", "cpu", "--kv-memory-gib", "0.000001"]
    result = CliRunner().invoke(engine, arguments)
    assert result.exit_code == 1
    assert "one KV block needs" in " ".join((result.output + result.stderr).split())


@dataclass(frozen=True)
class Served:
    url: str
    model: ChatModel
    alone: str


async def streamed(session: aiohttp.ClientSession, **more: Any) -> str:
    """The text of a streamed completion."""
    async with session.post("/v1/completions", json={**LONG, **more}) as response:
        assert response.status == 200, await response.text()
        lines = [line async for line in response.content if line.startswith(b"data: {")]
    return "".join(json.loads(line[6:])["choices"][0]["text"] for line in lines)


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(4000):
        if condition():
            return
        await asyncio.sleep(0.005)
    pytest.fail("it did not happen within twenty seconds")


@pytest.fixture(scope="module")
def served(made: Checkpoint) -> Iterator[Served]:
    opened = open_chat(made, plan_ahead=True, adapters=AdapterSettings(max_adapters=2, max_rank=8))
    model = ChatModel(opened)
    with torch.no_grad():
        opened.engine.executor.loaded.model.embedding.weight[POISON] = float("nan")  # type: ignore[attr-defined]
    with serving(model, ServerOptions(adapter_routes=True)) as url:

        async def ask() -> str:
            async with aiohttp.ClientSession(url) as session:
                return await streamed(session, model=model.name)

        yield Served(url, model, asyncio.run(ask()))


class Beside:
    """A streamed answer that must come out whole whatever happens inside the block."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.session = aiohttp.ClientSession(served.url)

    async def __aenter__(self) -> aiohttp.ClientSession:
        self.neighbour = asyncio.create_task(streamed(self.session, model=self.served.model.name))
        await until(lambda: bool(self.served.model.opened.engine.scheduler.running))
        return self.session

    async def __aexit__(self, *_: object) -> None:
        assert await self.neighbour == self.served.alone
        await self.session.close()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_nan_in_the_logits_ends_that_request_alone(served: Served, stream: bool) -> None:
    body = {"model": served.model.name, "prompt": [5, POISON, 6], "max_tokens": 8, "stream": stream}
    async with Beside(served) as session, session.post("/v1/completions", json=body) as response:
        answer = await response.json()
        assert response.status == 500
        assert answer["error"]["type"] == "server_error"
        assert "NaN" in answer["error"]["message"]


async def test_a_client_that_vanishes_mid_stream_ends_that_request_alone(served: Served) -> None:
    scheduler = served.model.opened.engine.scheduler
    async with Beside(served) as session:
        body = {**LONG, "model": served.model.name, "prompt": "x", "max_tokens": 400}
        async with session.post("/v1/completions", json=body) as response:
            await response.content.readline()
            assert len(scheduler.unfinished()) == 2
            response.close()
        await until(lambda: len(scheduler.unfinished()) == 1)
    assert scheduler.usage == 0.0


async def test_a_prompt_too_long_for_the_cache_is_refused_at_once(served: Served) -> None:
    body = {"model": served.model.name, "prompt": [5] * 600, "max_tokens": 4}
    async with Beside(served) as session, session.post("/v1/completions", json=body) as response:
        answer = await response.json()
        assert (response.status, answer["error"]["code"]) == (400, "context_length_exceeded")


async def test_a_corrupt_adapter_is_refused_while_others_are_served(
    served: Served, made: Checkpoint, tmp_path: Path
) -> None:
    write_adapter(made, tmp_path / "tuned", ("q_proj",), seed=1)
    weights = tmp_path / "tuned" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    load = {"lora_name": "tuned", "lora_path": str(tmp_path / "tuned")}
    async with Beside(served) as session, session.post("/v1/load_lora_adapter", json=load) as response:
        answer = await response.json()
        assert response.status == 400
        assert "adapter_model.safetensors" in answer["error"]["message"]
    assert served.model.models == (served.model.name,)
