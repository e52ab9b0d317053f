from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from inference_backend.engine import Engine, EngineParts
from inference_backend.executors import CpuExecutor
from inference_backend.settings import EngineSettings, SchedulerSettings
from inference_backend.values import Delta, Request, SamplingParameters
from tests.inference_backend.checkpoints import Checkpoint, make

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
