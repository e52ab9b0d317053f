"""Greedy tokens equal those of transformers for every family: alone, and in every way a batch can be mixed."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from inference_backend.layers import StepContext
from inference_backend.values import Request, SamplingParameters, TokenLogprob
from tests.inference_backend.checkpoints import FAMILIES, VOCAB
from tests.inference_backend.conftest import Maker, collect, greedy, open_engine, tokens

SHARED = [(7 * i) % (VOCAB - 3) + 3 for i in range(14)]
PROMPTS = [
    [*SHARED, 5, 9],
    [*SHARED, 11],
    [4, 8, 15, 16, 23, 42],
    [(5 * i) % (VOCAB - 3) + 3 for i in range(37)],
    [3],
]
COUNT = 12


@pytest.mark.parametrize("family", FAMILIES)
def test_a_prompt_alone_is_answered_as_by_transformers(family: str, checkpoint: Maker) -> None:
    made = checkpoint(family)
    engine = open_engine(made.folder)
    for number, prompt in enumerate(PROMPTS):
        engine.submit(engine.prepare(greedy(f"r{number}", prompt, COUNT)))
        got = collect(engine)
        assert tokens(got[f"r{number}", 0]) == made.greedy(prompt, COUNT)


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_mixed_batch_with_chunks_prefix_hits_and_preemption_is_answered_so_too(
    family: str, ahead: bool, checkpoint: Maker
) -> None:
    made = checkpoint(family)
    engine = open_engine(made.folder, ahead=ahead, blocks=16, max_step_tokens=10)
    for number, prompt in enumerate(PROMPTS):
        engine.submit(engine.prepare(greedy(f"r{number}", prompt, 20)))
    got = collect(engine)
    for number, prompt in enumerate(PROMPTS):
        assert tokens(got[f"r{number}", 0]) == made.greedy(prompt, 20)
    counters = engine.scheduler.counters
    assert counters.preemptions
    assert counters.prefix_hits


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3", "phi3", "mixtral"])
def test_the_last_layer_needs_no_queries_but_those_of_sampled_tokens(family: str, checkpoint: Maker) -> None:
    made = checkpoint(family)
    engine = open_engine(made.folder, max_step_tokens=10)
    model = engine.executor.loaded.model
    forward, seen = model.forward, []

    def both(x: torch.Tensor, step: StepContext) -> torch.Tensor:
        whole = forward(x, step)
        last = step.inputs.query_starts[1:].long() - 1
        for wanted in (last, last[:1], last[:0]):
            torch.testing.assert_close(forward(x, replace(step, wanted=wanted)), whole[wanted])
        seen.append(len(last))
        return whole

    model.forward = both
    for number, prompt in enumerate(PROMPTS):
        engine.submit(engine.prepare(greedy(f"r{number}", prompt, COUNT)))
    got = collect(engine)
    assert max(seen) > 1
    for number, prompt in enumerate(PROMPTS):
        assert tokens(got[f"r{number}", 0]) == made.greedy(prompt, COUNT)


def test_dynamic_rope_beyond_the_trained_length(checkpoint: Maker) -> None:
    made = checkpoint("llama-dynamic")
    made.model.config.max_position_embeddings = 256
    engine = open_engine(made.folder)
    prompt = PROMPTS[3]
    engine.submit(engine.prepare(greedy("r", prompt, 40)))
    assert tokens(collect(engine)["r", 0]) == made.greedy(prompt, 40)


def test_a_sharded_checkpoint_is_the_same_model(checkpoint: Maker) -> None:
    made = checkpoint("llama", shards=True)
    assert len(list(made.folder.glob("*.safetensors"))) > 1
    engine = open_engine(made.folder)
    engine.submit(engine.prepare(greedy("r", PROMPTS[0], COUNT)))
    assert tokens(collect(engine)["r", 0]) == made.greedy(PROMPTS[0], COUNT)


def test_logprobs_are_those_of_the_model(checkpoint: Maker) -> None:
    made = checkpoint("llama")
    engine = open_engine(made.folder)
    request = greedy("r", PROMPTS[0], 3)
    request = replace(request, sampling=replace(request.sampling, logprobs=5))
    engine.submit(engine.prepare(request))
    entries = [entry for delta in collect(engine)["r", 0] for entry in delta.logprobs]
    sequence = [*PROMPTS[0], *(entry.token_id for entry in entries)]
    expected = torch.log_softmax(made.logits(sequence)[len(PROMPTS[0]) - 1 : -1], dim=-1)
    for row, entry in zip(expected, entries, strict=True):
        assert entry.logprob == pytest.approx(float(row.max()), abs=1e-4)
        assert [token for token, _ in entry.top] == row.topk(5).indices.tolist()


@pytest.mark.parametrize("family", ["llama", "mistral", "gemma2"])
def test_long_prompts_are_attended_to_in_parts(
    family: str, checkpoint: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inference_backend.kernels.reference._SCORES_AT_ONCE", 300)
    made = checkpoint(family)
    engine = open_engine(made.folder)
    engine.submit(engine.prepare(greedy("r", PROMPTS[3], COUNT)))
    assert tokens(collect(engine)["r", 0]) == made.greedy(PROMPTS[3], COUNT)


def scored(name: str, prompt: list[int], count: int, alternatives: int = 2) -> Request:
    request = greedy(name, prompt, count)
    return replace(request, sampling=replace(request.sampling, prompt_logprobs=alternatives))


def assert_scores(entries: list[TokenLogprob], prompt: list[int], logits: torch.Tensor) -> None:
    expected = torch.log_softmax(logits, dim=-1)[:-1]
    assert [entry.token_id for entry in entries] == prompt[1:]
    for row, entry in zip(expected, entries, strict=True):
        assert entry.logprob == pytest.approx(float(row[entry.token_id]), abs=1e-4)
        assert [value for _, value in entry.top] == pytest.approx(row.topk(2).values.tolist(), abs=1e-4)


@pytest.mark.parametrize(("family", "ahead"), [("llama", False), ("llama", True), ("gemma2", True)])
def test_a_prompts_own_log_probabilities(family: str, ahead: bool, checkpoint: Maker) -> None:
    """In chunks of every size, among others, recomputed after preemption, with the prefix already in the cache."""
    made = checkpoint(family)
    engine = open_engine(made.folder, ahead=ahead, blocks=16, max_step_tokens=10)
    for number, prompt in enumerate(PROMPTS):
        engine.submit(engine.prepare(scored(f"r{number}", prompt, 20)))
        engine.submit(engine.prepare(greedy(f"plain{number}", prompt, 20)))
    got = collect(engine)
    for number, prompt in enumerate(PROMPTS):
        deltas = got[f"r{number}", 0]
        assert_scores([e for delta in deltas for e in delta.prompt_logprobs], prompt, made.logits(prompt))
        assert tokens(deltas) == tokens(got[f"plain{number}", 0]) == made.greedy(prompt, 20)
        assert not any(delta.prompt_logprobs for delta in got[f"plain{number}", 0])
    assert engine.scheduler.counters.preemptions


def test_sampling_is_the_same_whether_the_prompt_is_scored_or_not(checkpoint: Maker) -> None:
    answers = []
    for wanted in (None, 1):
        engine = open_engine(checkpoint("llama").folder, max_step_tokens=10)
        sampling = SamplingParameters(
            seed=3, max_tokens=12, n=2, min_tokens=12, presence_penalty=0.5, logit_bias=((9, 1.0),),
            prompt_logprobs=wanted,
        )  # fmt: skip
        engine.submit(engine.prepare(Request("r", tuple(PROMPTS[3]), sampling)))
        got = collect(engine)
        answers.append([tokens(got["r", index]) for index in range(2)])
        assert not any(delta.prompt_logprobs for delta in got["r", 1])
    assert answers[0] == answers[1]
