from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inference_backend.engine import Engine, EngineParts
from inference_backend.executors import CpuExecutor
from inference_backend.opening import OpenedModel, open_model
from inference_backend.settings import EngineSettings, SchedulerSettings
from inference_backend.values import Delta, Request, SamplingParameters
from tests.inference_backend.checkpoints import Checkpoint, make, make_chat

Maker = Callable[..., Checkpoint]


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Maker:
    """`checkpoint(family)`: the tiny checkpoint of a family, made once."""
    made: dict[tuple[str, bool], Checkpoint] = {}

    def get(family: str, *, shards: bool = False) -> Checkpoint:
        key = (family, shards)
        if key not in made:
            made[key] = make(family, tmp_path_factory.mktemp(family), shards=shards)
        return made[key]

    return get


def open_engine(folder: Path, *, ahead: bool = False, blocks: int = 200, **limits: int) -> Engine:
    scheduler = SchedulerSettings(**{"block_size": 4, "max_sequences": 8, "max_step_tokens": 64, **limits})
    settings = EngineSettings(
        str(folder), dtype="float32", device="cpu", kv_blocks=blocks, plan_ahead=ahead, scheduler=scheduler
    )
    executor = CpuExecutor(settings)
    return Engine(EngineParts(executor, scheduler), executor.load())


def collect(engine: Engine) -> dict[tuple[str, int], list[Delta]]:
    """Run to the end; all deltas by request and choice."""
    found: dict[tuple[str, int], list[Delta]] = {}
    while engine.busy:
        for delta in engine.step():
            found.setdefault((delta.request_id, delta.index), []).append(delta)
        engine.scheduler.check()
    return found


def tokens(deltas: list[Delta]) -> list[int]:
    return [token for delta in deltas for token in delta.token_ids]


def greedy(name: str, prompt: list[int], count: int) -> Request:
    sampling = SamplingParameters(temperature=0.0, max_tokens=count, min_tokens=count)
    return Request(name, tuple(prompt), sampling)


@pytest.fixture(scope="session")
def chat_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return make_chat(tmp_path_factory.mktemp("chat"))


def open_chat(made: Checkpoint, **more: Any) -> OpenedModel:
    settings = EngineSettings(
        str(made.folder),
        device="cpu",
        kv_blocks=600,
        scheduler=SchedulerSettings(block_size=4, max_sequences=8, max_step_tokens=64),
    )
    return open_model(replace(settings, **more))


@pytest.fixture
def opened(chat_checkpoint: Checkpoint) -> OpenedModel:
    return open_chat(chat_checkpoint)


def submit(opened: OpenedModel, *requests: Request) -> None:
    for request in requests:
        opened.engine.submit(opened.engine.prepare(request))


def ask(opened: OpenedModel, prompt: str, name: str = "r", **sampling: Any) -> list[Delta]:
    """All deltas of one request's first choice."""
    submit(opened, request_of(opened, prompt, name, **sampling))
    return collect(opened.engine)[name, 0]


def request_of(opened: OpenedModel, prompt: str, name: str = "r", **sampling: Any) -> Request:
    if opened.tokenizer is None:
        pytest.fail("the model has no tokenizer")
    parameters = SamplingParameters(**{"max_tokens": 16, **sampling})
    return Request(name, tuple(opened.tokenizer.encode(prompt)), parameters)


def text(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas)
