"""One model over several processes gives the tokens of one process."""

from __future__ import annotations

import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest

from inference_backend.adapters import AdapterRegistry
from inference_backend.engine import Engine, EngineParts
from inference_backend.errors import CheckpointError, ExecutorError
from inference_backend.executors import CpuExecutor
from inference_backend.opening import make_executor
from inference_backend.parallel import TensorGroup
from inference_backend.planning import Step, build
from inference_backend.ranks import RankPlace
from inference_backend.ranks.wire import decode, encode, plan_message, read_plan
from inference_backend.settings import AdapterSettings, EngineSettings, ParallelSettings, SchedulerSettings
from inference_backend.values import Choice, Request, SamplingParameters
from tests.inference_backend.conftest import Maker, collect, greedy, open_engine, tokens
from tests.inference_backend.test_adapters import answer, write_adapter

PROMPTS = [[5, 17, 31, 8, 60, 61], [(5 * i) % 90 + 3 for i in range(30)], [3, 4]]
SCHEDULER = SchedulerSettings(block_size=4, max_sequences=4, max_step_tokens=16)


def answers(engine: Engine) -> tuple[list[list[int]], list[float]]:
    """Greedy, sampled with penalties and log probabilities, a scored prompt and an embedding, in one mixed batch.

    The tokens of each answer, and the numbers that are not tokens.
    """
    for number, prompt in enumerate(PROMPTS):
        engine.submit(engine.prepare(greedy(f"g{number}", prompt, 10)))
    sampling = SamplingParameters(
        seed=3,
        max_tokens=10,
        presence_penalty=0.5,
        logprobs=2,
        logit_bias=((7, 1.0),),
        top_k=20,
        ignore_eos=True,
    )
    engine.submit(engine.prepare(Request("s", tuple(PROMPTS[0]), sampling)))
    engine.submit(
        engine.prepare(Request("p", tuple(PROMPTS[1]), SamplingParameters(max_tokens=1, prompt_logprobs=0)))
    )
    engine.submit(engine.prepare(Request("e", tuple(PROMPTS[0]), pooling="mean")))
    got = collect(engine)
    numbers = [entry.logprob for delta in got["p", 0] for entry in delta.prompt_logprobs]
    numbers += got["e", 0][-1].embedding or ()
    return [tokens(got[name, 0]) for name in ("g0", "g1", "g2", "s")], numbers


def over_ranks(
    folder: Path, parallel: ParallelSettings, *, ahead: bool = False
) -> tuple[list[list[int]], list[float]]:
    settings = EngineSettings(
        str(folder), device="cpu", kv_blocks=100, scheduler=SCHEDULER, parallel=parallel, plan_ahead=ahead
    )
    executor = make_executor(settings)
    try:
        return answers(Engine(EngineParts(executor, SCHEDULER), executor.load()))
    finally:
        executor.close()


@pytest.mark.parametrize(
    ("family", "parallel", "ahead"),
    [
        ("phi3", ParallelSettings(tensor=2), True),
        ("mixtral", ParallelSettings(tensor=2), False),
        ("llama-mqa-tied", ParallelSettings(pipeline=2), True),
    ],
)
def test_two_processes_give_the_tokens_of_one(
    checkpoint: Maker, family: str, parallel: ParallelSettings, ahead: bool
) -> None:
    folder = checkpoint(family).folder
    found, numbers = over_ranks(folder, parallel, ahead=ahead)
    expected, expected_numbers = answers(open_engine(folder, blocks=100))
    assert found == expected
    assert numbers == pytest.approx(expected_numbers, abs=1e-4)


def test_a_rank_that_dies_ends_the_engine_with_an_error(checkpoint: Maker) -> None:
    settings = EngineSettings(
        str(checkpoint("llama").folder),
        device="cpu",
        kv_blocks=100,
        scheduler=SCHEDULER,
        parallel=ParallelSettings(pipeline=2),
    )
    executor = make_executor(settings)
    engine = Engine(EngineParts(executor, SCHEDULER), executor.load())
    engine.submit(engine.prepare(greedy("r", PROMPTS[0], 50)))
    engine.step()
    [other] = [child for child in multiprocessing.active_children() if child.name == "rank-1"]
    other.kill()
    other.join()
    last = collect(engine)["r", 0][-1]
    assert isinstance(last.error, ExecutorError)
    with pytest.raises(ExecutorError, match="a rank of the model is gone"):
        engine.submit(engine.prepare(greedy("later", PROMPTS[0], 5)))
    executor.close()


def test_an_adapter_is_loaded_on_every_rank(checkpoint: Maker, tmp_path: Path) -> None:
    made = checkpoint("llama")
    merged = write_adapter(made, tmp_path / "tuned", ("q_proj", "o_proj", "up_proj", "down_proj"), seed=2)
    limits = AdapterSettings(max_adapters=1, max_rank=8)
    settings = EngineSettings(
        str(made.folder), device="cpu", kv_blocks=100, scheduler=SCHEDULER,
        parallel=ParallelSettings(tensor=2), adapters=limits,
    )  # fmt: skip
    executor = make_executor(settings)
    capacity = executor.load()
    registry = AdapterRegistry(executor, limits, capacity.vocab_size)
    engine = Engine(EngineParts(executor, SCHEDULER, adapters=registry), capacity)
    registry.load("tuned", str(tmp_path / "tuned"))
    engine.submit(engine.prepare(replace(greedy("tuned", PROMPTS[0], 10), adapter="tuned")))
    engine.submit(engine.prepare(greedy("plain", PROMPTS[0], 10)))
    got = collect(engine)
    executor.close()
    assert tokens(got["tuned", 0]) == answer(merged, PROMPTS[0])
    assert tokens(got["plain", 0]) == made.greedy(PROMPTS[0], 10)


def test_a_plan_survives_the_wire() -> None:
    import numpy as np

    from inference_backend.kv import root_hash
    from inference_backend.planning import Row
    from inference_backend.scheduler import _join
    from inference_backend.sequence import Sequence

    sampling = SamplingParameters(
        stop=("a",), stop_token_ids=(4,), logit_bias=((1, 2.0),), constraint=Choice(("x",)), seed=5
    )
    sequence = Sequence(Request("r", (1, 2, 3), sampling), 0, 0, 9, frozenset({4}), 5, root_hash())
    step = Step(8)
    step.add(Row(sequence, 0, 3, (), 1, 0))
    step.joins.append(_join(sequence))
    plan = build(7, step, np.zeros((1, 4), dtype=np.int32), 4).plan
    again = read_plan(decode(encode(plan_message(plan))))
    assert again.number == 7
    for name in ("token_ids", "pending", "positions", "slot_mapping", "block_tables", "sample_indexes"):
        assert np.array_equal(getattr(again, name), getattr(plan, name))
    assert again.joins[0].sampling.logit_bias == ((1, 2.0),)
    assert again.joins[0].sampling.constraint is None
    assert again.joins[0].prompt_ids.tolist() == [1, 2, 3]


def test_places_of_two_stages_of_two() -> None:
    places = [RankPlace(rank, ParallelSettings(tensor=2, pipeline=2)) for rank in range(4)]
    assert [(p.stage, p.tensor_rank) for p in places] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert [p.last_stage for p in places] == [False, False, True, True]
    assert (places[1].after, places[3].before, places[0].answering) == (3, 1, 2)


def test_heads_that_cannot_be_split_are_named(checkpoint: Maker) -> None:
    settings = EngineSettings(str(checkpoint("llama").folder), device="cpu", kv_blocks=10)
    executor = CpuExecutor(settings, TensorGroup(0, 3))
    with pytest.raises(CheckpointError, match="3 tensor-parallel ranks"):
        executor.load()
