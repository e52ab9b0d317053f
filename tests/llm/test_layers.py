"""The layers round a model, told apart from any network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rails_engine.errors import LLMServerError, LLMTimeoutError
from rails_engine.llm import (
    AnswerStore,
    Cached,
    CacheOptions,
    Chunk,
    Completion,
    LLMCall,
    LLMRequest,
    Message,
    Observed,
    Retrying,
    RetryPolicy,
    ScriptedLLM,
    ScriptExhaustedError,
    ThinkSplitter,
    complete,
    gathered,
    split_thinking,
)
from rails_engine.llm.sse import EventBuffer

Q = LLMRequest(prompt="q")


class Pauses:
    """A clock that keeps what it was asked to wait."""

    def __init__(self) -> None:
        self.waited: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.waited.append(seconds)


async def test_pauses_grow_and_stay_bounded() -> None:
    pauses = Pauses()
    script = ScriptedLLM([LLMServerError(500, "x")] * 6 + ["done"])
    model = Retrying(script, RetryPolicy(max_retries=6), pauses)
    assert (await complete(model, Q)).text == "done"
    longest = [0.5, 1, 2, 4, 8, 8]
    assert all(top / 2 <= pause <= top for pause, top in zip(pauses.waited, longest, strict=True))


async def test_the_server_says_how_long() -> None:
    pauses = Pauses()
    error = LLMServerError(503, "x", response_headers={"retry-after-ms": "1500"})
    assert (await complete(Retrying(ScriptedLLM([error, "ok"]), RetryPolicy(), pauses), Q)).text == "ok"
    assert pauses.waited == [1.5]


async def test_no_second_try_once_something_was_given_out() -> None:
    class HalfWay(ScriptedLLM):
        async def stream(self, request: LLMRequest) -> AsyncIterator[Chunk]:
            self.requests.append(request)
            yield Chunk(text="half")
            raise LLMServerError(500, "broke")

    model = HalfWay([])
    with pytest.raises(LLMServerError):
        await gathered(Retrying(model, RetryPolicy(), Pauses()).stream(Q))
    assert len(model.requests) == 1
    with pytest.raises(LLMServerError):
        await complete(Retrying(model, RetryPolicy(max_retries=1), Pauses()), Q)
    assert len(model.requests) == 3, "of a whole answer nothing is given out before its end"


async def test_no_pause_past_the_deadline() -> None:
    pauses = Pauses()
    model = Retrying(ScriptedLLM([LLMTimeoutError(), "late"]), RetryPolicy(), pauses)
    with pytest.raises(LLMTimeoutError):
        await complete(model, LLMRequest(prompt="q", deadline_s=0.1))
    assert pauses.waited == []


async def test_every_call_is_told_of() -> None:
    seen: list[LLMCall] = []
    model = Observed(ScriptedLLM(["a", LLMServerError(500, "x")]), seen.append, "general")
    await complete(model, LLMRequest(messages=(Message("user", "hi"),)))
    with pytest.raises(LLMServerError):
        await complete(model, Q)
    assert [(call.task, call.completion.text, type(call.error)) for call in seen] == [
        ("general", "a", type(None)),
        ("general", "", LLMServerError),
    ]
    assert seen[0].prompt_text == "[user]\nhi"
    uids = [call.uid for call in seen]
    assert [call.uid for call in seen] == uids
    assert uids[0] != uids[1]


async def test_a_streamed_call_is_told_of_with_all_that_was_written() -> None:
    seen: list[LLMCall] = []
    model = Observed(ScriptedLLM(["one two"]), seen.append, "general")
    chunks = [chunk async for chunk in model.stream(Q)]
    assert len(chunks) > 1
    assert [call.completion.text for call in seen] == ["one two"]


async def test_failures_are_not_kept() -> None:
    script = ScriptedLLM([LLMServerError(500, "x"), "ok"])
    model = Cached(script, AnswerStore(CacheOptions()))
    with pytest.raises(LLMServerError):
        await complete(model, Q)
    assert [(await complete(model, Q)).text for _ in range(3)] == ["ok"] * 3
    assert len(script.requests) == 2


async def test_a_caller_that_leaves_does_not_take_the_others_with_it() -> None:
    gate = asyncio.Event()

    class Slow(ScriptedLLM):
        async def stream(self, request: LLMRequest) -> AsyncIterator[Chunk]:
            self.requests.append(request)
            await gate.wait()
            yield Chunk(text="ok")

    model = Cached(Slow([]), AnswerStore(CacheOptions()))
    first, second = (asyncio.create_task(complete(model, Q)) for _ in range(2))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    gate.set()
    assert (await second).text == "ok"


async def test_tenants_do_not_share_answers() -> None:
    script = ScriptedLLM(["one", "two"])
    model = Cached(script, AnswerStore(CacheOptions()))
    answers = [await complete(model, LLMRequest(prompt="q", cache_salt=salt)) for salt in ("a", "b", "a")]
    assert [answer.text for answer in answers] == ["one", "two", "one"]


def test_a_store_is_bounded_in_entries_bytes_and_age() -> None:
    now = [0.0]
    store = AnswerStore(CacheOptions(max_entries=2, max_bytes=4100, ttl_s=10), lambda: now[0])
    for key in "abc":
        store.put(key, Completion(text=key))
    assert [store.get(key) is not None for key in "abc"] == [False, True, True]
    store.put("big", Completion(text="x" * 3000))
    assert (store.stats.entries, store.stats.evictions) == (2, 2)
    now[0] = 11
    assert store.get("big") is None


def test_of_answers_that_do_not_fit_the_one_unused_longest_goes() -> None:
    store = AnswerStore(CacheOptions(max_entries=2))
    for key in "ab":
        store.put(key, Completion(text=key))
    store.get("a")
    store.put("c", Completion(text="c"))
    assert [store.get(key) is not None for key in "abc"] == [True, False, True]


def test_an_answer_put_again_takes_the_place_of_the_one_before() -> None:
    store = AnswerStore(CacheOptions(max_bytes=3 * (512 + 100)))
    for number in range(20):
        store.put("a", Completion(text=f"{number:>100}"))
    store.put("b", Completion(text="b" * 100))
    assert (store.stats.entries, store.stats.evictions) == (2, 0)
    found = store.get("a")
    assert found is not None
    assert found.text.strip() == "19"


async def test_equal_requests_that_arrive_together_are_asked_once_by_either_way() -> None:
    gate, asked = asyncio.Event(), 0

    class Slow(ScriptedLLM):
        async def stream(self, request: LLMRequest) -> AsyncIterator[Chunk]:
            nonlocal asked
            asked += 1
            await gate.wait()
            yield Chunk(text="ok")

    model = Cached(Slow([]), AnswerStore(CacheOptions()))
    calls = [asyncio.create_task(gathered(model.stream(Q))), asyncio.create_task(complete(model, Q))]
    calls.append(asyncio.create_task(gathered(model.stream(Q))))
    await asyncio.sleep(0)
    gate.set()
    assert [answer.text for answer in await asyncio.gather(*calls)] == ["ok"] * 3
    assert asked == 1


async def test_a_script_that_ends_says_so() -> None:
    with pytest.raises(ScriptExhaustedError, match="call 1 of a script of 0 replies"):
        await complete(ScriptedLLM([]), Q)


async def test_a_script_streams_in_words() -> None:
    model = ScriptedLLM(["one two three"])
    assert [c.text async for c in model.stream(LLMRequest(prompt="q", streaming=True)) if c.text] == [
        "one ", "two ", "three",
    ]  # fmt: skip


# --- cutting a text anywhere changes nothing -----------------------------------------------------------------------

THINKING = st.sampled_from(
    [
        "<think>a b</think> c",
        "no tags",
        "<think>never ends",
        " \n<think>x\n</think>\n\ny < z",
        "<thin air",
        "a </think> b",
    ]
)


@given(THINKING, st.lists(st.integers(0, 30), max_size=6))
def test_thinking_is_split_alike_wherever_the_text_is_cut(text: str, cuts: list[int]) -> None:
    whole, parts = ThinkSplitter(), ThinkSplitter()
    assert _fed(parts, _cut(text, cuts)) == _fed(whole, [text])


def _cut(text: str, cuts: list[int]) -> list[str]:
    marks = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [text[a:b] for a, b in pairwise(marks)]


def _fed(splitter: ThinkSplitter, pieces: list[str]) -> tuple[str, str]:
    results = [*(splitter.feed(piece) for piece in pieces), splitter.finish()]
    return "".join(text for text, _ in results), "".join(reasoning for _, reasoning in results)


@pytest.mark.parametrize(
    ("text", "answer", "reasoning"),
    [
        ("<think>a</think>b", "b", "a"),
        ("a</think>b", "b", "a"),
        ("the tag <think> opens, </think> closes", "the tag <think> opens, </think> closes", ""),
        ("plain", "plain", ""),
    ],
)
def test_a_whole_text_is_split(text: str, answer: str, reasoning: str) -> None:
    assert split_thinking(text) == (answer, reasoning)


@given(st.lists(st.integers(0, 90), max_size=8))
def test_events_are_read_alike_wherever_the_bytes_are_cut(cuts: list[int]) -> None:
    data = 'data: {"a": "ü"}\r\n\r\n: ping\n\nevent: x\ndata: one\ndata: two\n\ndata:[DONE]\n'.encode()
    marks = sorted({0, len(data), *(cut % len(data) for cut in cuts)})
    buffer = EventBuffer()
    events = [event for a, b in pairwise(marks) for event in buffer.feed(data[a:b])]
    assert events + buffer.finish() == ['{"a": "ü"}', "one\ntwo", "[DONE]"]


@pytest.mark.parametrize("piece", [b"data: " + b"x" * 65_000, b"data: " + b"x" * 65_000 + b"\n"])
def test_an_event_without_end_is_refused_however_it_is_cut_into_lines(piece: bytes) -> None:
    buffer = EventBuffer()
    with pytest.raises(ValueError, match="more than 8 MiB"):
        list(map(buffer.feed, [piece] * 200))


def test_many_events_may_be_larger_together_than_one_may_be() -> None:
    buffer = EventBuffer()
    event = b"data: " + b"x" * 100_000 + b"\n\n"
    assert sum(len(buffer.feed(event)) for _ in range(100)) == 100
