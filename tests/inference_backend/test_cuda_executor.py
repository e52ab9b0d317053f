"""The GPU executor gives the CPU executor's tokens, in graphs and outside them, and its sampling features work."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from inference_backend.adapters import AdapterRegistry
from inference_backend.engine import Engine, EngineParts
from inference_backend.errors import ExecutorError
from inference_backend.executor import Capacity
from inference_backend.executors import Stage
from inference_backend.opening import make_executor
from inference_backend.settings import EngineSettings, ParallelSettings, SchedulerSettings
from inference_backend.step import StepPlan, StepResult, TokenMasks
from inference_backend.values import Request, SamplingParameters
from tests.inference_backend.checkpoints import FAMILIES, VOCAB
from tests.inference_backend.conftest import Maker, collect, greedy, open_engine, tokens
from tests.inference_backend.test_adapters import TARGETS, adapting_engine, write_adapter
from tests.inference_backend.test_models import PROMPTS

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"),
]


def open_on_gpu(folder: Path, *, blocks: int = 200, **limits: int) -> Engine:
    from inference_backend.executors.cuda import CudaExecutor

    scheduler = SchedulerSettings(**{"block_size": 4, "max_sequences": 8, "max_step_tokens": 64, **limits})
    settings = EngineSettings(
        str(folder), dtype="float32", device="cuda", kv_blocks=blocks, scheduler=scheduler
    )
    executor = CudaExecutor(settings)
    return Engine(EngineParts(executor, scheduler), executor.load())


def ask(engine: Engine, requests: list[Request]) -> dict[str, list[int]]:
    for request in requests:
        engine.submit(engine.prepare(request))
    return {name: tokens(deltas) for (name, _), deltas in collect(engine).items()}


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_tokens_of_every_family(family: str, checkpoint: Maker) -> None:
    made = checkpoint(family)
    sampling = SamplingParameters(temperature=0.0, max_tokens=20, ignore_eos=True)
    requests = [Request(f"r{i}", tuple(prompt), sampling) for i, prompt in enumerate(PROMPTS)]
    expected = ask(open_engine(made.folder), requests)
    for limits in ({}, {"blocks": 16, "max_step_tokens": 10}):
        assert ask(open_on_gpu(made.folder, **limits), requests) == expected


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_different_adapters_in_one_batch(checkpoint: Maker, tmp_path: Path, family: str) -> None:
    from inference_backend.executors.cuda import CudaExecutor

    made = checkpoint(family)
    reference = adapting_engine(made.folder)
    settings = replace(reference.executor.settings, device="cuda", dtype="float32")
    executor = CudaExecutor(settings)
    capacity = executor.load()
    registry = AdapterRegistry(executor, settings.adapters, capacity.vocab_size)
    engine = Engine(EngineParts(executor, settings.scheduler, adapters=registry), capacity)
    for seed, name in enumerate(("first", "second")):
        write_adapter(made, tmp_path / name, TARGETS[family], seed)
    found = []
    for each in (engine, reference):
        for name in ("first", "second"):
            each.adapter_registry.load(name, str(tmp_path / name))
        adapters = (None, "first", "second", "first")
        requests = [
            replace(greedy(f"r{i}", PROMPTS[i % 2], 12), adapter=name) for i, name in enumerate(adapters)
        ]
        found.append(ask(each, requests))
    assert found[0] == found[1]
    assert len({tuple(answer) for answer in found[0].values()}) > 2


class Chained:
    """Pipeline stages in one process, on one GPU: states pass from one to the next through a queue. An `Executor`."""

    plans_ahead = False

    def __init__(self, settings: EngineSettings, count: int) -> None:
        from inference_backend.executors.cuda import CudaExecutor

        self.states: deque[torch.Tensor] = deque()
        self.stages = [
            CudaExecutor(settings, stage=Stage(number, count, self))  # type: ignore[arg-type]
            for number in range(count)
        ]

    def receive_states(self, like: torch.Tensor) -> torch.Tensor:
        states = self.states.popleft()
        assert states.shape == like.shape
        return states

    def send_states(self, states: torch.Tensor) -> None:
        self.states.append(states.clone())

    def load(self) -> Capacity:
        return [stage.load() for stage in self.stages][-1]

    def launch(self, plan: StepPlan) -> None:
        for stage in self.stages:
            stage.launch(plan)

    def sample(self, masks: TokenMasks | None) -> None:
        self.stages[-1].sample(masks)

    def collect(self) -> StepResult:
        return self.stages[-1].collect()


@pytest.mark.parametrize("family", FAMILIES)
def test_pipeline_stages_give_the_tokens_of_one(family: str, checkpoint: Maker) -> None:
    made = checkpoint(family)
    scheduler = SchedulerSettings(block_size=4, max_sequences=8, max_step_tokens=64)
    settings = EngineSettings(
        str(made.folder), dtype="float32", device="cuda", kv_blocks=200, scheduler=scheduler
    )
    executor = Chained(settings, 2)
    engine = Engine(EngineParts(executor, scheduler), executor.load())  # type: ignore[arg-type]
    sampling = SamplingParameters(temperature=0.0, max_tokens=20, ignore_eos=True)
    requests = [Request(f"r{i}", tuple(prompt), sampling) for i, prompt in enumerate(PROMPTS)]
    assert ask(engine, requests) == ask(open_engine(made.folder), requests)


@pytest.mark.parametrize("stage", ["_launch", "_sample"])
def test_a_step_without_memory_ends_its_own_requests_alone(
    checkpoint: Maker, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    from inference_backend.executors.cuda import CudaExecutor

    made = checkpoint("llama")
    engine = open_on_gpu(made.folder)
    expected = ask(engine, [greedy("r", PROMPTS[0], 8)])["r"]

    def too_much(*_: object) -> None:
        torch.empty(2**50, dtype=torch.uint8, device="cuda")

    with monkeypatch.context() as patched:
        patched.setattr(CudaExecutor, stage, too_much)
        engine.submit(engine.prepare(greedy("starved", PROMPTS[0], 8)))
        ended = engine.step() + engine.step()
    assert isinstance(ended[0].error, ExecutorError)
    assert not ended[0].error.lasting
    assert ask(engine, [greedy("later", PROMPTS[0], 8)])["later"] == expected
    engine.scheduler.check()


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two NVIDIA GPUs")
@pytest.mark.parametrize(
    ("family", "parallel"),
    [
        ("llama", ParallelSettings(tensor=2)),
        ("gemma2", ParallelSettings(tensor=2)),
        ("mixtral", ParallelSettings(tensor=2)),
        ("llama", ParallelSettings(pipeline=2)),
        ("gptj", ParallelSettings(pipeline=2)),
    ],
)
def test_two_gpus_give_the_tokens_of_one(checkpoint: Maker, family: str, parallel: ParallelSettings) -> None:
    made = checkpoint(family)
    scheduler = SchedulerSettings(block_size=4, max_sequences=8, max_step_tokens=64)
    settings = EngineSettings(
        str(made.folder),
        dtype="float32",
        device="cuda",
        kv_blocks=200,
        scheduler=scheduler,
        parallel=parallel,
    )
    executor = make_executor(settings)
    engine = Engine(EngineParts(executor, scheduler), executor.load())
    sampling = SamplingParameters(temperature=0.0, max_tokens=20, ignore_eos=True)
    requests = [Request(f"r{i}", tuple(prompt), sampling) for i, prompt in enumerate(PROMPTS)]
    found = ask(engine, requests)
    executor.close()
    assert found == ask(open_on_gpu(made.folder), requests)


SPECIAL = {
    "minimum": SamplingParameters(temperature=0.0, max_tokens=12, min_tokens=12),
    "bias": SamplingParameters(temperature=0.0, max_tokens=12, ignore_eos=True, logit_bias=((7, 100.0),)),
    "penalties": SamplingParameters(
        temperature=0.0, max_tokens=12, ignore_eos=True, presence_penalty=0.5, frequency_penalty=0.9
    ),
    "repetition": SamplingParameters(temperature=0.0, max_tokens=12, ignore_eos=True, repetition_penalty=1.7),
    "logprobs": SamplingParameters(temperature=0.0, max_tokens=12, ignore_eos=True, logprobs=3),
}


@pytest.mark.parametrize("name", SPECIAL)
def test_special_sampling_is_the_cpu_samplers(name: str, checkpoint: Maker) -> None:
    made = checkpoint("llama")
    requests = [Request(f"r{i}", tuple(prompt), SPECIAL[name]) for i, prompt in enumerate(PROMPTS)]
    plain = Request("plain", tuple(PROMPTS[0]), replace(SPECIAL["logprobs"], logprobs=None))
    requests.append(plain)
    assert ask(open_on_gpu(made.folder), requests) == ask(open_engine(made.folder), requests)


def test_logprobs_are_those_of_the_cpu(checkpoint: Maker) -> None:
    made = checkpoint("llama")
    request = Request("r", tuple(PROMPTS[0]), SPECIAL["logprobs"])
    found = []
    for engine in (open_on_gpu(made.folder), open_engine(made.folder)):
        engine.submit(engine.prepare(request))
        deltas = collect(engine)["r", 0]
        found.append([entry.logprob for delta in deltas for entry in delta.logprobs or ()])
    assert found[0]
    assert found[0] == pytest.approx(found[1], abs=1e-3)


def test_a_seed_gives_the_same_tokens_in_any_batch(checkpoint: Maker) -> None:
    made = checkpoint("llama")
    sampling = SamplingParameters(
        temperature=1.0, top_p=0.9, top_k=40, seed=5, max_tokens=16, ignore_eos=True
    )
    seeded = Request("seeded", tuple(PROMPTS[0]), sampling)
    others = [greedy(f"r{i}", prompt, 12) for i, prompt in enumerate(PROMPTS[1:])]
    alone = ask(open_on_gpu(made.folder), [seeded])["seeded"]
    assert ask(open_on_gpu(made.folder), [*others, seeded])["seeded"] == alone
    assert all(0 <= token < VOCAB for token in alone)


def test_embeddings_are_those_of_the_cpu(checkpoint: Maker) -> None:
    made = checkpoint("llama")
    found = []
    for engine in (open_on_gpu(made.folder), open_engine(made.folder)):
        engine.submit(engine.prepare(Request("e", tuple(PROMPTS[3]), pooling="mean")))
        found.append(collect(engine)["e", 0][-1].embedding)
    assert found[0] == pytest.approx(found[1], abs=1e-3)
