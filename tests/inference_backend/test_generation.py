"""Sampling parameters, speculation, embeddings, figures: through the engine, on a real model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from prometheus_client.parser import text_string_to_metric_families

from inference_backend.errors import DeadlineError, InvalidParameterError, NumericError, UnknownAdapterError
from inference_backend.opening import OpenedModel
from inference_backend.sampling.sampler import truncated
from inference_backend.settings import AdapterSettings, SpeculationSettings
from inference_backend.tracing import RequestTrace
from inference_backend.values import Request, SamplingParameters
from tests.inference_backend.checkpoints import Checkpoint
from tests.inference_backend.conftest import ask, collect, open_chat, request_of, submit, text, tokens


def test_a_seed_gives_the_same_answer_whatever_else_is_in_the_batch(opened: OpenedModel) -> None:
    wanted = {"seed": 5, "temperature": 1.3, "top_p": 0.9}
    alone = text(ask(opened, "Tell me", **wanted))
    others = [request_of(opened, f"Other {number}", f"o{number}", seed=number) for number in range(5)]
    submit(opened, *others[:2], request_of(opened, "Tell me", **wanted), *others[2:])
    assert text(collect(opened.engine)["r", 0]) == alone


def test_different_seeds_differ(opened: OpenedModel) -> None:
    answers = {text(ask(opened, "Tell me", seed=seed, temperature=2.0)) for seed in range(4)}
    assert len(answers) == 4


@pytest.mark.parametrize("narrow", [{"top_k": 1}, {"top_p": 1e-6}, {"min_p": 1.0}, {"temperature": 1e-3}])
def test_the_narrowest_sampling_is_greedy(opened: OpenedModel, narrow: dict[str, Any]) -> None:
    assert text(ask(opened, "Tell me", **narrow)) == text(ask(opened, "Tell me", temperature=0.0))


def test_sampled_frequencies_follow_the_model(opened: OpenedModel, chat_checkpoint: Checkpoint) -> None:
    request = request_of(opened, "Once", n=100, seed=1, max_tokens=1, top_k=4)
    counts: dict[int, int] = {}
    for start in range(4):
        again = replace(request, sampling=replace(request.sampling, seed=1000 * start))
        submit(opened, again)
        for deltas in collect(opened.engine).values():
            token = tokens(deltas)[0]
            counts[token] = counts.get(token, 0) + 1
    expected = torch.softmax(chat_checkpoint.logits(list(request.prompt_ids))[-1].topk(4).values, dim=-1)
    best = chat_checkpoint.logits(list(request.prompt_ids))[-1].topk(4).indices.tolist()
    assert set(counts) <= set(best)
    for token, share in zip(best, expected.tolist(), strict=True):
        assert counts.get(token, 0) / 400 == pytest.approx(share, abs=0.08)


def test_n_choices_share_their_prompt(opened: OpenedModel) -> None:
    submit(opened, request_of(opened, "A prompt of some length", n=4, seed=3, temperature=2.0))
    got = collect(opened.engine)
    assert {index for _, index in got} == {0, 1, 2, 3}
    assert len({text(deltas) for deltas in got.values()}) == 4
    assert opened.engine.scheduler.counters.prefix_hits


def test_penalties_end_repetition(opened: OpenedModel) -> None:
    plain = tokens(ask(opened, "aaa", temperature=0.0, max_tokens=40, ignore_eos=True))
    varied = tokens(
        ask(
            opened,
            "aaa",
            temperature=0.0,
            max_tokens=40,
            ignore_eos=True,
            presence_penalty=2.0,
            frequency_penalty=2.0,
            repetition_penalty=5.0,
        )
    )
    assert len(set(varied)) == 40
    assert len(set(plain)) < 40


@pytest.mark.parametrize("penalty", [1.2, 3.0, 0.7])
def test_the_repetition_penalty_is_that_of_transformers(
    opened: OpenedModel, chat_checkpoint: Checkpoint, penalty: float
) -> None:
    request = request_of(
        opened, "abc abc", temperature=0.0, repetition_penalty=penalty, max_tokens=20, ignore_eos=True
    )
    submit(opened, request)
    with torch.inference_mode():
        expected = chat_checkpoint.model.generate(
            torch.tensor([request.prompt_ids]), max_new_tokens=20, do_sample=False,
            repetition_penalty=penalty, eos_token_id=None, pad_token_id=0,
        )  # fmt: skip
    assert tokens(collect(opened.engine)["r", 0]) == expected[0, len(request.prompt_ids) :].tolist()


@pytest.mark.parametrize(
    ("parameters", "warper"),
    [
        ({"top_k": 7}, transformers.TopKLogitsWarper(7)),
        ({"top_p": 0.6}, transformers.TopPLogitsWarper(0.6)),
        ({"top_p": 0.05}, transformers.TopPLogitsWarper(0.05)),
        ({"min_p": 0.2}, transformers.MinPLogitsWarper(0.2)),
        ({"temperature": 0.3}, transformers.TemperatureLogitsWarper(0.3)),
    ],
)
def test_truncation_keeps_what_transformers_keeps(parameters: dict[str, Any], warper: Any) -> None:
    generator = torch.Generator().manual_seed(2)
    for _ in range(20):
        logits = torch.randn(200, generator=generator) * 3
        kept = truncated(logits, SamplingParameters(**parameters))
        expected = torch.softmax(warper(None, logits[None].double())[0], dim=-1)
        assert torch.allclose(kept / kept.sum(), expected, atol=1e-9)


def test_a_bias_decides(opened: OpenedModel) -> None:
    assert set(tokens(ask(opened, "x", logit_bias=((70, 100.0),), max_tokens=5))) == {70}


def test_choices_with_a_bias_and_a_minimum_length_keep_to_all_of_it(opened: OpenedModel) -> None:
    """Two letters and the end are all that is left; the end may not come before five tokens are out."""
    letters = [token for text in "ab" for token in opened.tokenizer.encode(text)]  # type: ignore[union-attr]
    wanted = ((letters[0], 100.0), (letters[1], 100.0), (2, 101.0))
    request = request_of(
        opened, "Go", n=4, seed=3, temperature=1.0, max_tokens=20, min_tokens=5, logit_bias=wanted, top_p=0.99
    )
    opened.engine.submit(opened.engine.prepare(request))
    got = collect(opened.engine)
    answers = [tokens(got["r", index]) for index in range(4)]
    for answer in answers:
        assert set(answer[:5]) <= set(letters)
        assert set(answer) <= {*letters, 2}
        assert len(answer) > 5
    assert len({tuple(answer) for answer in answers}) > 1


def test_a_stop_string_is_not_shown_and_ends(opened: OpenedModel) -> None:
    whole = text(ask(opened, "Tell me", temperature=0.0, max_tokens=30, ignore_eos=True))
    stop = whole[8:11]
    deltas = ask(opened, "Tell me", temperature=0.0, max_tokens=30, ignore_eos=True, stop=(stop,))
    assert text(deltas) == whole[: whole.find(stop)]
    assert deltas[-1].finish == "stop"
    assert deltas[-1].stop_reason == stop


def test_min_tokens_holds_stop_tokens_back(opened: OpenedModel) -> None:
    first = tokens(ask(opened, "Tell me", temperature=0.0))[0]
    short = ask(opened, "Tell me", temperature=0.0, stop_token_ids=(first,))
    longer = ask(opened, "Tell me", temperature=0.0, stop_token_ids=(first,), min_tokens=6)
    assert (text(short), short[-1].stop_reason) == ("", first)
    assert len(tokens(longer)) >= 6
    assert first not in tokens(longer)[:6]


def test_min_tokens_holds_stop_strings_back(opened: OpenedModel) -> None:
    free = {"temperature": 0.0, "max_tokens": 30, "ignore_eos": True}
    whole = text(ask(opened, "Tell me", **free))
    stop = whole[3]
    early = ask(opened, "Tell me", **free, stop=(stop,))
    later = ask(opened, "Tell me", **free, stop=(stop,), min_tokens=10)
    assert text(early) == whole[: whole.index(stop)]
    assert len(tokens(later)) > 10
    assert whole.startswith(text(later))


@pytest.mark.parametrize("method", ["ngram", "draft"])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_speculation_changes_no_token(chat_checkpoint: Checkpoint, method: Any, temperature: float) -> None:
    speculation = SpeculationSettings(method, draft_model=str(chat_checkpoint.folder), ngram_min=1)
    fast = open_chat(chat_checkpoint, speculation=speculation)
    plain = open_chat(chat_checkpoint)
    for number in range(2):
        wanted = {
            "seed": number,
            "temperature": temperature,
            "max_tokens": 40,
            "presence_penalty": 0.1 * number,
        }
        expected = tokens(ask(plain, f"abcabcabc{number}", **wanted))
        assert tokens(ask(fast, f"abcabcabc{number}", **wanted)) == expected
    if method == "draft" and temperature == 0.0:
        assert fast.engine.scheduler.counters.steps < plain.engine.scheduler.counters.steps / 2


def test_a_stop_string_among_verified_tokens_ends_there(chat_checkpoint: Checkpoint) -> None:
    speculation = SpeculationSettings("draft", draft_model=str(chat_checkpoint.folder))
    fast, plain = open_chat(chat_checkpoint, speculation=speculation), open_chat(chat_checkpoint)
    free = {"temperature": 0.0, "max_tokens": 30, "ignore_eos": True, "logprobs": 1}
    whole = text(ask(plain, "Tell me", **free))
    for at in range(2, 12, 3):
        stop = (whole[at : at + 2],)
        expected, got = ask(plain, "Tell me", **free, stop=stop), ask(fast, "Tell me", **free, stop=stop)
        assert (text(got), tokens(got)) == (text(expected), tokens(expected))
        used, wanted = got[-1].usage, expected[-1].usage
        assert used is not None
        assert wanted is not None
        assert used.completion_tokens == wanted.completion_tokens == len(tokens(got))
        assert sum(len(delta.logprobs) for delta in got) == len(tokens(got))


def test_speculation_stops_under_load(chat_checkpoint: Checkpoint) -> None:
    speculation = SpeculationSettings("ngram", max_running=1, ngram_min=1)
    opened = open_chat(chat_checkpoint, speculation=speculation)
    submit(opened, *(request_of(opened, "abab" * 5, f"r{number}", temperature=0.0) for number in range(3)))
    seen = []
    while opened.engine.busy:
        opened.engine.step()
        seen += [
            len(s.drafts) for s in opened.engine.scheduler.running if len(opened.engine.scheduler.running) > 1
        ]
    assert not any(seen)


@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_an_embedding_is_the_pooled_last_hidden_state(
    opened: OpenedModel, chat_checkpoint: Checkpoint, pooling: Any
) -> None:
    ids = (
        tuple(opened.tokenizer.encode("A text that needs more than one chunk, " * 3))
        if opened.tokenizer
        else ()
    )
    submit(opened, Request("e", ids, SamplingParameters(), pooling=pooling))
    got = collect(opened.engine)["e", 0][-1].embedding
    with torch.inference_mode():
        states = chat_checkpoint.model.model(torch.tensor([ids])).last_hidden_state[0]
    pooled = states.mean(dim=0) if pooling == "mean" else states[-1]
    assert got == pytest.approx((pooled / pooled.norm()).tolist(), abs=1e-4)


def test_a_nan_ends_one_request_and_no_other(opened: OpenedModel, chat_checkpoint: Checkpoint) -> None:
    model = opened.engine.executor.loaded.model  # type: ignore[attr-defined]
    poison = 200
    with torch.no_grad():
        model.embedding.weight[poison] = float("nan")
    healthy = request_of(opened, "Tell me", "good", temperature=0.0)
    expected_alone = text(ask(open_chat(chat_checkpoint), "Tell me", temperature=0.0))
    submit(opened, Request("bad", (5, poison, 6), SamplingParameters(max_tokens=4)), healthy)
    got = collect(opened.engine)
    assert isinstance(got["bad", 0][-1].error, NumericError)
    assert text(got["good", 0]) == expected_alone


def test_a_deadline_ends_one_request(chat_checkpoint: Checkpoint) -> None:
    opened = open_chat(chat_checkpoint)
    now = [0.0]
    opened.engine.parts = replace(opened.engine.parts, clock=lambda: now[0])
    hurried = replace(request_of(opened, "Tell", "hurried", max_tokens=30), deadline_s=1.0)
    submit(opened, hurried, request_of(opened, "Tell", "patient", max_tokens=30, ignore_eos=True))
    opened.engine.step()
    now[0] = 2.0
    got = collect(opened.engine)
    assert isinstance(got["hurried", 0][-1].error, DeadlineError)
    assert got["patient", 0][-1].finish == "length"


@pytest.mark.parametrize("deadline", [0.0, -1.0, float("nan")])
def test_a_deadline_that_is_none_is_refused(opened: OpenedModel, deadline: float) -> None:
    with pytest.raises(InvalidParameterError, match="deadline_s"):
        opened.engine.prepare(replace(request_of(opened, "x"), deadline_s=deadline))


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"temperature": -1.0}, "temperature"),
        ({"top_p": 0.0}, "top_p"),
        ({"top_p": float("nan")}, "top_p"),
        ({"n": 0}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"min_tokens": 20}, "min_tokens"),
        ({"stop": ("",)}, "stop"),
        ({"logprobs": 1000}, "logprobs"),
    ],
)
def test_a_parameter_out_of_range_is_named(opened: OpenedModel, wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        request_of(opened, "x", **wrong)
    assert caught.value.param == field


def test_ids_outside_the_vocabulary_are_refused(opened: OpenedModel) -> None:
    with pytest.raises(InvalidParameterError, match="token id 9999"):
        opened.engine.prepare(Request("r", (5, 9999)))
    with pytest.raises(InvalidParameterError, match="logit_bias"):
        opened.engine.prepare(request_of(opened, "x", logit_bias=((99999, 1.0),)))


def test_an_unknown_adapter_is_refused(opened: OpenedModel) -> None:
    prepared = opened.engine.prepare(replace(request_of(opened, "x"), adapter="nobody"))
    with pytest.raises(UnknownAdapterError, match="nobody"):
        opened.engine.submit(prepared)


def test_usage_counts_tokens(opened: OpenedModel) -> None:
    ask(opened, "the same prompt again and again", max_tokens=3, ignore_eos=True)
    usage = ask(opened, "the same prompt again and again", max_tokens=3, ignore_eos=True)[-1].usage
    assert usage is not None
    assert usage.completion_tokens == 3
    assert 0 < usage.cached_tokens < usage.prompt_tokens


def test_metrics_have_the_names_and_sums_that_dashboards_read(chat_checkpoint: Checkpoint) -> None:
    speculation = SpeculationSettings("draft", draft_model=str(chat_checkpoint.folder))
    opened = open_chat(chat_checkpoint, speculation=speculation, adapters=AdapterSettings(max_adapters=3))
    answered = ask(opened, "Tell me", temperature=0.0, max_tokens=9, ignore_eos=True)
    submit(opened, request_of(opened, "Tell me", "left"))
    opened.engine.step()
    opened.engine.cancel("left")
    families = {
        family.name: family
        for family in text_string_to_metric_families(opened.engine.metrics.text().decode())
    }
    values = {
        sample.name.removeprefix("vllm:"): sample.value
        for family in families.values()
        for sample in family.samples
        if "le" not in sample.labels
        and not {"created", "finished_reason"} & {*sample.labels, sample.name[-7:]}
    }
    prompt = len(request_of(opened, "Tell me").prompt_ids)
    assert values["prompt_tokens_total"] == 2 * prompt
    assert values["generation_tokens_total"] >= len(tokens(answered)) == 9
    assert values["request_generation_tokens_sum"] >= 9
    assert values["request_prompt_tokens_sum"] == 2 * prompt
    assert values["request_params_max_tokens_sum"] == 9 + 16
    assert values["iteration_tokens_total_sum"] >= prompt + 9
    assert 0 < values["spec_decode_num_accepted_tokens_total"] <= values["spec_decode_num_draft_tokens_total"]
    for histogram in ("time_to_first_token", "inter_token_latency", "e2e_request_latency", "request_queue_time",
                      "request_prefill_time", "request_decode_time", "request_inference_time"):  # fmt: skip
        assert values[f"{histogram}_seconds_count"] >= 1, histogram
    for gauge in (
        "num_requests_running",
        "num_requests_waiting",
        "kv_cache_usage_perc",
        "gpu_cache_usage_perc",
    ):
        assert values[gauge] == 0.0
    reasons = {s.labels["finished_reason"]: s.value for s in families["vllm:request_success"].samples
               if s.name.endswith("_total")}  # fmt: skip
    assert reasons == {"length": 1.0, "abort": 1.0}
    [cache] = families["vllm:cache_config_info"].samples
    assert cache.labels["num_gpu_blocks"] == "600"
    [adapters] = families["vllm:lora_requests_info"].samples
    assert adapters.labels["max_lora"] == "3"


def test_logits_that_are_float32_arrays_stay_untouched(opened: OpenedModel) -> None:
    request = request_of(
        opened, "Tell me", temperature=0.0, logprobs=3, logit_bias=((70, 50.0),), max_tokens=2
    )
    submit(opened, request)
    entry = collect(opened.engine)["r", 0][0].logprobs[0]
    assert entry.token_id == 70
    assert entry.logprob < entry.top[0][1]
    assert np.isfinite(entry.logprob)


def test_a_trace_tells_a_requests_life(chat_checkpoint: Checkpoint) -> None:
    opened = open_chat(chat_checkpoint)
    seen: list[RequestTrace] = []
    ticks = iter(range(10_000))
    opened.engine.parts = replace(opened.engine.parts, clock=lambda: float(next(ticks)), trace=seen.append)
    submit(opened, request_of(opened, "Tell me", n=2, max_tokens=4, ignore_eos=True))
    collect(opened.engine)
    [trace] = seen
    assert trace.started_at is not None
    assert trace.first_token_at is not None
    assert trace.arrived_at < trace.started_at < trace.first_token_at < trace.ended_at
    assert trace.usage.completion_tokens == 8
    assert trace.finish == "length"
