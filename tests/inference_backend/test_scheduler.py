"""Scheduler and block pool under random load, against what each sequence would give alone."""

from __future__ import annotations

import random
from collections.abc import Sequence as Tokens

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_backend.errors import OverloadedError, RequestTooLongError
from inference_backend.executor import Capacity
from inference_backend.kv import root_hash
from inference_backend.outcome import Outcome
from inference_backend.planning import PlannedStep
from inference_backend.scheduler import Scheduler
from inference_backend.sequence import Phase, Sequence
from inference_backend.settings import SchedulerSettings
from inference_backend.testing import ScriptedExecutor
from inference_backend.values import Request, SamplingParameters

VOCAB = 50


def script(tokens: Tokens[int]) -> int:
    """A model that depends on every token before; 0 ends a sequence now and then."""
    return (sum((i + 1) * t for i, t in enumerate(tokens)) * 31 + len(tokens)) % VOCAB


def alone(prompt: list[int], max_tokens: int) -> list[int]:
    tokens = list(prompt)
    while len(tokens) < len(prompt) + max_tokens:
        tokens.append(script(tokens))
        if tokens[-1] == 0:
            break
    return tokens[len(prompt) :]


class Bench:
    """A scheduler with its executor, driven step by step and checked after each."""

    def __init__(self, blocks: int = 64, block_size: int = 4, ahead: bool = False, **limits: int) -> None:
        capacity = Capacity(blocks, block_size, 1000, VOCAB, 1, (0,))
        defaults = {"max_sequences": 8, "max_step_tokens": 16, "max_waiting": 100}
        self.scheduler = Scheduler(SchedulerSettings(**{**defaults, **limits}), capacity)
        self.executor = ScriptedExecutor(capacity, script, plans_ahead=ahead)
        self.under_way: PlannedStep | None = None
        self.ahead = ahead
        self.ended: dict[str, Outcome] = {}
        self.arrivals = 0

    def add(self, prompt: list[int], max_tokens: int = 8, priority: int = 0, salt: str = "") -> Sequence:
        request = Request(
            f"r{self.arrivals}",
            tuple(prompt),
            SamplingParameters(max_tokens=max_tokens),
            priority=priority,
            cache_salt=salt,
        )
        limit = self.scheduler.limit(len(prompt), max_tokens)
        self.scheduler.accept(1)
        sequence = Sequence(request, 0, self.arrivals, limit, frozenset({0}), 0, root_hash(salt))
        self.arrivals += 1
        self.scheduler.add(sequence)
        return sequence

    def step(self) -> bool:
        """One turn of the engine's loop; False when nothing is left to do."""
        planned = self.scheduler.plan()
        if planned:
            self.executor.launch(planned.plan)
            self.executor.sample(None)
        if self.under_way:
            self._apply(self.under_way)
            self.under_way = None
        if planned and self.ahead:
            self.under_way = planned
        elif planned:
            self._apply(planned)
        self.scheduler.check()
        return planned is not None

    def _apply(self, planned: PlannedStep) -> None:
        for outcome in self.scheduler.apply(planned, self.executor.collect()):
            if outcome.finish:
                self.ended[outcome.sequence.request.id] = outcome

    def run(self) -> None:
        while self.step() or self.under_way:
            pass


arrivals = st.tuples(
    st.lists(st.integers(1, 3), min_size=1, max_size=40),  # few distinct tokens: prefixes often agree
    st.integers(1, 12),
    st.integers(0, 2),
    st.sampled_from(["", "tenant"]),
)
moves = st.lists(
    st.one_of(arrivals, st.integers(1, 4), st.tuples(st.just("cancel"), st.integers(0, 20))),
    min_size=1,
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(moves, st.booleans(), st.integers(14, 40), st.integers(8, 20))
def test_every_sequence_gets_the_answer_it_would_get_alone(
    script_of_moves: list[object], ahead: bool, blocks: int, budget: int
) -> None:
    bench = Bench(blocks=blocks, ahead=ahead, max_step_tokens=budget)
    added: list[tuple[Sequence, list[int], int]] = []
    cancelled = set()
    for move in script_of_moves:
        match move:
            case int(steps):
                for _ in range(steps):
                    bench.step()
            case ("cancel", int(which)):
                if which < len(added):
                    cancelled.add(added[which][0].request.id)
                    bench.scheduler.finish(added[which][0])
                    bench.scheduler.check()
            case (list(prompt), int(max_tokens), int(priority), str(salt)):
                added.append((bench.add(prompt, max_tokens, priority, salt), prompt, max_tokens))
    bench.run()
    for sequence, prompt, max_tokens in added:
        assert sequence.phase is Phase.FINISHED
        if sequence.request.id not in cancelled:
            assert sequence.tokens[len(prompt) :] == alone(prompt, max_tokens)
            assert sequence.request.id in bench.ended
    assert bench.scheduler.usage == 0.0


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=30), min_size=1, max_size=6), st.integers(0, 3)
)
def test_verified_drafts_change_no_token(prompts: list[list[int]], wrong: int) -> None:
    bench = Bench()
    added = [bench.add(prompt, 10) for prompt in prompts]
    while bench.step():
        for number, sequence in enumerate(bench.scheduler.running):
            right = alone(sequence.tokens, 4)
            sequence.drafts = [t if i != wrong + number % 2 else 1 for i, t in enumerate(right)]
    for sequence, prompt in zip(added, prompts, strict=True):
        assert sequence.tokens[len(prompt) :] == alone(prompt, 10)


def test_prompts_sent_together_compute_a_shared_beginning_once() -> None:
    bench = Bench(blocks=600, block_size=16, max_sequences=64, max_step_tokens=2048)
    shared = [i % 40 + 1 for i in range(600)]
    for number in range(64):
        bench.add([*shared, number % 40 + 1, *(3,) * 20], max_tokens=1)
    bench.run()
    computed = sum(plan.tokens for plan in bench.executor.steps)
    own = 21 + 600 % 16
    assert computed <= 592 + 64 * own
    assert len(bench.ended) == 64


def test_a_salt_keeps_tenants_apart() -> None:
    bench = Bench()
    prompt = [1, 2, 3] * 6
    bench.add(prompt, salt="a")
    bench.run()
    other = bench.add(prompt, salt="b")
    bench.run()
    same = bench.add(prompt, salt="a")
    bench.run()
    assert (other.cached, same.cached) == (0, 16)


def test_the_longest_unused_prefix_is_evicted_first() -> None:
    bench = Bench(blocks=8)
    bench.add([1] * 9, max_tokens=1)
    bench.run()
    bench.add([2] * 9, max_tokens=1)
    bench.run()
    bench.add([3] * 17, max_tokens=1)  # five blocks: more than the four that hold no content
    bench.run()
    recent = bench.add([2] * 9, max_tokens=1)
    bench.run()
    oldest = bench.add([1] * 9, max_tokens=1)
    bench.run()
    assert recent.cached == 8
    assert oldest.cached < 8


def test_a_request_too_long_for_the_cache_is_refused_at_once() -> None:
    bench = Bench(blocks=4, block_size=4)
    with pytest.raises(RequestTooLongError, match="at most 17"):
        bench.add([1] * 12, max_tokens=6)
    fits = bench.add([1] * 12, max_tokens=5)
    bench.run()
    assert fits.phase is Phase.FINISHED


def test_a_full_line_refuses_instead_of_dropping() -> None:
    bench = Bench(max_waiting=2)
    bench.add([1])
    bench.add([1])
    with pytest.raises(OverloadedError):
        bench.add([1])


def test_a_smaller_priority_starts_and_survives_first() -> None:
    bench = Bench(blocks=8, max_sequences=2)
    late = bench.add([1] * 4, max_tokens=12, priority=5)
    early = bench.add([2] * 4, max_tokens=12, priority=0)
    bench.step()
    assert bench.scheduler.running[0] is early
    bench.run()
    assert early.preemptions == 0
    assert late.phase is Phase.FINISHED


def test_a_tenant_with_many_prompts_does_not_delay_anothers_first() -> None:
    bench = Bench(max_sequences=1, max_step_tokens=8)
    for _ in range(20):
        bench.add([1] * 8, max_tokens=1, salt="crowd")
    single = bench.add([2] * 8, max_tokens=1, salt="single")
    for _ in range(4):
        bench.step()
    assert single.phase is Phase.FINISHED


def test_decoding_goes_on_while_a_long_prompt_is_read_in_chunks() -> None:
    bench = Bench(blocks=200)
    talking = bench.add([1, 2], max_tokens=30)
    bench.step()
    bench.add([3] * 100, max_tokens=1)
    for _ in range(5):
        before = len(talking.tokens)
        bench.step()
        assert len(talking.tokens) == before + 1


def test_less_than_four_percent_of_the_cache_is_lost_on_a_ragged_trace() -> None:
    bench = Bench(blocks=6000, block_size=16, max_sequences=64, max_step_tokens=4096, max_waiting=200)
    for number in range(128):
        bench.add([number % 49 + 1] * (256 + number * 97 % 512), max_tokens=16 + number * 31 % 224)
    wasted = []
    while bench.step():
        wasted.append(bench.scheduler.waste())
    assert max(wasted[:200]) < 0.04


def test_in_flight_batching_reaches_most_of_the_gain_that_there_is() -> None:
    """Against static batching of the same trace, in steps: at least 85 % of max / mean."""
    width, chance = 16, random.Random(7)
    lengths = [min(max(int(chance.expovariate(1 / 24)), 1), 160) for _ in range(640)]
    static = [max(lengths[at : at + width]) for at in range(0, len(lengths), width)]
    bench = Bench(blocks=800, max_sequences=width, max_step_tokens=256, max_waiting=1000)
    bench.executor = ScriptedExecutor(bench.executor.load(), lambda _: 5)
    for length in lengths:
        bench.add([3, 4], max_tokens=length)
    steps = 0
    while bench.step():
        steps += 1
    ideal = width * sum(static) / sum(lengths)
    assert sum(static) / steps > 0.85 * ideal
