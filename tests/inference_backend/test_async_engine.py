"""The engine among coroutines."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest
import torch

from inference_backend.async_engine import AsyncEngine
from inference_backend.errors import DeadlineError, ExecutorError, OverloadedError, RequestTooLongError
from inference_backend.opening import OpenedModel
from inference_backend.settings import SchedulerSettings
from inference_backend.values import Choice, Delta, Request, SamplingParameters
from tests.inference_backend.checkpoints import Checkpoint
from tests.inference_backend.conftest import ask, open_chat, request_of, text


@pytest.fixture
def serving(opened: OpenedModel) -> Iterator[AsyncEngine]:
    engine = AsyncEngine(opened.engine)
    yield engine
    engine.close()


async def read(stream: AsyncIterator[Delta]) -> list[Delta]:
    return [delta async for delta in stream]


async def test_many_requests_at_once_get_their_own_answers(
    serving: AsyncEngine, opened: OpenedModel, chat_checkpoint: Checkpoint
) -> None:
    reference = open_chat(chat_checkpoint)
    prompts = [f"Prompt {number}" for number in range(12)]
    expected = [text(ask(reference, prompt, temperature=0.0)) for prompt in prompts]
    requests = [
        request_of(opened, prompt, f"r{number}", temperature=0.0) for number, prompt in enumerate(prompts)
    ]
    got = await asyncio.gather(*(read(serving.generate(request)) for request in requests))
    assert [text(deltas) for deltas in got] == expected


async def test_a_reader_that_leaves_frees_its_blocks(serving: AsyncEngine, opened: OpenedModel) -> None:
    stream = serving.generate(request_of(opened, "Go on", max_tokens=400, ignore_eos=True))
    async for _ in stream:
        break
    await stream.aclose()  # type: ignore[attr-defined]
    await read(serving.generate(request_of(opened, "Next", "next", max_tokens=2)))
    assert not opened.engine.scheduler.running
    assert opened.engine.scheduler.usage == 0.0


async def test_a_slow_reader_loses_nothing(serving: AsyncEngine, opened: OpenedModel) -> None:
    request = request_of(opened, "Go on", max_tokens=60, ignore_eos=True, temperature=0.0)
    slow = []
    async for delta in serving.generate(request):
        slow.append(delta)
        await asyncio.sleep(0.05)
    fast = await read(serving.generate(replace(request, id="fast")))
    assert text(slow) == text(fast)
    assert len(slow) < len(fast)


async def test_errors_reach_the_caller_alone(serving: AsyncEngine, opened: OpenedModel) -> None:
    good = asyncio.create_task(read(serving.generate(request_of(opened, "Fine", "good", max_tokens=20))))
    with pytest.raises(RequestTooLongError):
        await read(serving.generate(request_of(opened, "Too long", "bad", max_tokens=10_000)))
    assert (await good)[-1].finish in {"stop", "length"}


async def test_a_full_line_says_so(chat_checkpoint: Checkpoint) -> None:
    limits = SchedulerSettings(block_size=4, max_sequences=1, max_step_tokens=64, max_waiting=1)
    opened = open_chat(chat_checkpoint, scheduler=limits)
    serving = AsyncEngine(opened.engine)
    requests = [
        request_of(opened, "Go on", f"r{number}", max_tokens=100, ignore_eos=True) for number in range(6)
    ]
    results = await asyncio.gather(
        *(read(serving.generate(request)) for request in requests), return_exceptions=True
    )
    serving.close()
    assert any(isinstance(result, OverloadedError) for result in results)
    assert any(isinstance(result, list) for result in results)


async def test_closing_answers_everyone(opened: OpenedModel) -> None:
    serving = AsyncEngine(opened.engine)
    request = request_of(opened, "Go on", max_tokens=400, ignore_eos=True)
    reading = asyncio.create_task(read(serving.generate(request)))
    await asyncio.sleep(0.05)
    await asyncio.to_thread(serving.close)
    with pytest.raises(ExecutorError, match="closed"):
        await reading
    with pytest.raises(ExecutorError):
        await read(serving.generate(replace(request, id="later")))


async def test_a_worker_that_breaks_answers_everyone(
    opened: OpenedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving = AsyncEngine(opened.engine)
    monkeypatch.setattr(opened.engine.scheduler, "plan", lambda: 1 / 0)
    with pytest.raises(ExecutorError, match="ZeroDivisionError"):
        await read(serving.generate(request_of(opened, "Go on")))
    assert not serving.healthy


async def test_a_call_that_fails_is_its_callers_and_the_worker_goes_on(
    serving: AsyncEngine, opened: OpenedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opened.engine.scheduler, "check", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(serving.check(), 30)
    monkeypatch.undo()
    assert (await read(serving.generate(request_of(opened, "Go on"))))[-1].finish in {"stop", "length"}


async def test_beams_are_those_of_transformers(
    serving: AsyncEngine, opened: OpenedModel, chat_checkpoint: Checkpoint
) -> None:
    request = request_of(opened, "Find the best", beam_width=3, n=3, max_tokens=8)
    got = await read(serving.generate(request))
    with torch.inference_mode():
        expected = chat_checkpoint.model.generate(
            torch.tensor([request.prompt_ids]),
            num_beams=3,
            num_return_sequences=3,
            max_new_tokens=8,
            do_sample=False,
            pad_token_id=0,
        )
    for delta, row in zip(got, expected.tolist(), strict=True):
        assert list(delta.token_ids) == [token for token in row[len(request.prompt_ids) :] if token]


async def test_beams_end_where_those_of_transformers_end(
    serving: AsyncEngine, opened: OpenedModel, chat_checkpoint: Checkpoint
) -> None:
    """Widths, length penalties and an end of sequence that is likely, drawn at random."""
    chance = random.Random(1)
    for trial in range(14):
        ids = tuple(chance.randrange(3, 250) for _ in range(chance.randrange(3, 12)))
        end = chat_checkpoint.greedy(list(ids), 6)[chance.randrange(1, 5)]
        width, penalty, longest = (
            chance.choice([2, 3, 4]),
            chance.choice([0.0, 1.0, 2.0]),
            chance.choice([5, 12]),
        )
        count = chance.choice([1, width])
        sampling = SamplingParameters(
            beam_width=width, n=count, max_tokens=longest, length_penalty=penalty, stop_token_ids=(end,)
        )
        got = await read(serving.generate(Request(f"beams{trial}", ids, sampling)))
        with torch.inference_mode():
            expected = chat_checkpoint.model.generate(
                torch.tensor([ids]),
                num_beams=width,
                num_return_sequences=count,
                max_new_tokens=longest,
                do_sample=False,
                length_penalty=penalty,
                eos_token_id=[end, 2],
                pad_token_id=0,
            )
        rows = [until_end(row[len(ids) :], {end, 2}) for row in expected.tolist()]
        assert [list(delta.token_ids) for delta in got] == rows


def until_end(tokens: list[int], ends: set[int]) -> list[int]:
    """What comes after the end is padding."""
    at = next((at for at, token in enumerate(tokens) if token in ends), len(tokens))
    return tokens[: at + 1]


async def test_beams_under_a_constraint_are_the_likeliest_of_its_texts(
    serving: AsyncEngine, opened: OpenedModel, chat_checkpoint: Checkpoint
) -> None:
    """Each option has one spelling in tokens, so that the model's own probability of each can be worked out."""
    options = ("yes", "no", "maybe", "never")
    request = request_of(
        opened, "Is it so?", beam_width=6, n=4, max_tokens=8, length_penalty=0.0, constraint=Choice(options)
    )
    got = await read(serving.generate(request))
    likeliest = dict.fromkeys(options, 0.0)
    for option in options:
        ids = [*request.prompt_ids, *spelt(opened, option)]
        logprobs = torch.log_softmax(chat_checkpoint.logits(ids), dim=-1)
        for at in range(len(request.prompt_ids), len(ids)):
            likeliest[option] += float(logprobs[at - 1, ids[at]])
    assert [delta.text for delta in got] == sorted(options, key=lambda option: -likeliest[option])
    assert {delta.finish for delta in got} == {"stop"}
    assert not opened.engine.scheduler.unfinished()


def spelt(opened: OpenedModel, text: str) -> list[int]:
    if opened.tokenizer is None:
        pytest.fail("the model has no tokenizer")
    return opened.tokenizer.encode(text)


async def test_a_stop_string_ends_a_beam(serving: AsyncEngine, opened: OpenedModel) -> None:
    free = request_of(opened, "Find the best", "free", beam_width=3, n=3, max_tokens=8)
    best = (await read(serving.generate(free)))[0].text
    stop = best[2:4]
    held = request_of(
        opened, "Find the best", "held", beam_width=3, n=3, max_tokens=8, stop=(stop,), length_penalty=0.0
    )
    got = await read(serving.generate(held))
    ended = [delta for delta in got if delta.finish == "stop"]
    assert ended
    assert all(stop not in delta.text for delta in got)
    assert {delta.stop_reason for delta in ended} == {stop}


async def test_a_beams_deadline_is_that_of_the_whole_search(
    serving: AsyncEngine, opened: OpenedModel
) -> None:
    request = replace(request_of(opened, "Find", beam_width=4, max_tokens=400), deadline_s=0.1)
    with pytest.raises(DeadlineError):
        await read(serving.generate(request))
    await read(serving.generate(request_of(opened, "Next", "next", max_tokens=1)))
    assert not opened.engine.scheduler.unfinished()
