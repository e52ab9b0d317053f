"""The engine's loop: plan, run, apply.

`Engine` is synchronous and single-threaded: `submit` requests, call `step` until nothing is left, read deltas. Everything
around it (threads, sockets, HTTP) is somebody else's. With an executor that plans ahead, a step's result is collected
after the next step has been launched, so that the device never waits for the host; what the host does with the
result, and the masks of constrained sequences, are worked out while the device runs.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from inference_backend.adapters import AdapterRegistry
from inference_backend.errors import (
    CancelledError,
    ConstraintError,
    DeadlineError,
    EngineError,
    ExecutorError,
    InvalidParameterError,
    UnknownAdapterError,
)
from inference_backend.executor import Capacity, Executor
from inference_backend.kv import root_hash
from inference_backend.metrics import Ended, EngineMetrics
from inference_backend.outcome import Outcome
from inference_backend.planning import PlannedStep
from inference_backend.prepared import PreparedRequest
from inference_backend.scheduler import Scheduler
from inference_backend.sequence import Phase, Sequence
from inference_backend.settings import SchedulerSettings, SpeculationSettings
from inference_backend.speculation import Drafter
from inference_backend.step import StepResult, TokenMasks
from inference_backend.stream import Stream
from inference_backend.text import ConstraintCompiler, Detokenizer, Matcher, Tokenizer
from inference_backend.tracing import RequestTrace, TraceSink
from inference_backend.values import Delta, FinishReason, Request, Usage

_ALL_ALLOWED = -1  # every bit of an int32 word


@dataclass(slots=True)
class _Group:
    """The choices of one request that are still under way."""

    request: Request
    arrived: float
    streams: dict[int, Stream]
    started_at: float | None = None
    first_token_at: float | None = None
    usage: Usage = field(default_factory=Usage)
    preemptions: int = 0
    last_token_at: float | None = None


@dataclass(frozen=True, slots=True)
class EngineParts:
    """What an engine is put together from. `tokenizer` None serves token ids alone."""

    executor: Executor
    scheduler: SchedulerSettings = field(default_factory=SchedulerSettings)
    speculation: SpeculationSettings = field(default_factory=SpeculationSettings)
    tokenizer: Tokenizer | None = None
    compiler: ConstraintCompiler | None = None
    drafter: Drafter | None = None
    adapters: AdapterRegistry | None = None
    metrics: EngineMetrics = field(default_factory=EngineMetrics)
    trace: TraceSink | None = None
    clock: Callable[[], float] = time.monotonic


class Engine:
    """One model, one loop. Not thread-safe, except for `prepare`."""

    def __init__(self, parts: EngineParts, capacity: Capacity) -> None:
        self.parts = parts
        self.capacity = capacity
        self.executor = parts.executor
        self.scheduler = Scheduler(parts.scheduler, capacity)
        self.metrics = parts.metrics
        slots = parts.adapters.slots if parts.adapters is not None else 0
        self.metrics.describe(capacity, slots, prefix_caching=parts.scheduler.prefix_caching)
        self.failure: ExecutorError | None = None
        self._groups: dict[str, _Group] = {}
        self._arrivals = 0
        self._under_way: PlannedStep | None = None
        self._deadlines: dict[str, float] = {}
        self._gaps: dict[float, int] = {}

    # --- requests -------------------------------------------------------------------------------------------

    def prepare(self, request: Request) -> PreparedRequest:
        """Check a request and compile its constraint. Touches no state: may run in any thread.

        Raises:
            RequestError: the request can never be served; the subclass says why.
        """
        sampling = request.sampling
        limit = self.scheduler.limit(
            len(request.prompt_ids), sampling.max_tokens, generates=request.pooling is None
        )
        _check_ids("logit_bias", [token for token, _ in sampling.logit_bias], self.capacity.vocab_size)
        _check_ids("stop_token_ids", sampling.stop_token_ids, self.capacity.vocab_size)
        self._check_prompt(request)
        if request.deadline_s is not None and not request.deadline_s > 0:
            raise InvalidParameterError(
                f"deadline_s is {request.deadline_s}, but must be above 0", param="deadline_s"
            )
        return PreparedRequest(request, limit, self._matcher(request))

    def submit(self, prepared: PreparedRequest) -> None:
        """Put a request into the waiting line. Each of its choices will get exactly one delta with a `finish`.

        Raises:
            OverloadedError: the line is full.
            InvalidParameterError: a request of this id is under way.
            UnknownAdapterError: its adapter is not loaded.
            ExecutorError: the executor has failed for good.
        """
        request = prepared.request
        if self.failure is not None:
            raise self.failure
        if request.id in self._groups:
            raise InvalidParameterError(f"a request with the id {request.id!r} is under way", param="id")
        count = 1 if request.pooling else request.sampling.n
        self.scheduler.accept(count)
        adapter, name = self._adapter(request)
        streams = {}
        for index in range(count):
            sequence = self._sequence(prepared, index, adapter, name)
            streams[index] = Stream(sequence, self._detokenizer(request), _fork(prepared.matcher))
            self.scheduler.add(sequence)
        self._arrivals += 1
        now = self.parts.clock()
        self._groups[request.id] = _Group(request, now, streams)
        if request.deadline_s is not None:
            self._deadlines[request.id] = now + request.deadline_s

    def cancel(self, request_id: str, error: EngineError | None = None) -> list[Delta]:
        """End what is left of a request; unknown ids are ignored."""
        group = self._groups.get(request_id)
        if group is None:
            return []
        cause = error or CancelledError(f"request {request_id} was cancelled")
        deltas = self._end(group, "cancelled" if error is None else "error", cause)
        self.metrics.observe_load(self.scheduler)
        return deltas

    def knows(self, request_id: str) -> bool:
        """Whether a request has choices under way."""
        return request_id in self._groups

    @property
    def adapter_registry(self) -> AdapterRegistry:
        """The loaded adapters.

        Raises:
            UnknownAdapterError: this engine was set up without any.
        """
        if self.parts.adapters is None:
            raise UnknownAdapterError("this engine was set up without adapters")
        return self.parts.adapters

    @property
    def busy(self) -> bool:
        """Whether `step` has anything to do."""
        return bool(self._groups) or self._under_way is not None

    # --- the loop -------------------------------------------------------------------------------------------

    def step(self) -> list[Delta]:
        """Launch the next step and apply the last one's result (or this one's, if the executor plans no ahead)."""
        deltas = self._expire()
        try:
            deltas += self._step()
        except ExecutorError as error:
            deltas += self._fail(error)
        self.metrics.observe_load(self.scheduler)
        self.metrics.observe_tokens(self._gaps)
        self._gaps = {}
        return deltas

    def _step(self) -> list[Delta]:
        deltas = []
        speculating = self._speculating
        if speculating:
            deltas += self._apply_under_way()
            self._draft()
        planned = self.scheduler.plan()
        failed: ExecutorError | None = None
        if planned is not None:
            self._observe_starts(planned)
            self.metrics.observe_step(planned.plan.tokens)
            failed = self._launch(planned)
        deltas += self._apply_under_way()
        if planned is not None and failed is None and len(planned.plan.masked):
            failed = self._sample(self._masks(planned))
        if planned is not None and failed is not None:
            deltas += self._abandon(planned, failed)
            planned = None
        self._under_way = planned
        if speculating or not self.executor.plans_ahead:
            deltas += self._apply_under_way()
        return deltas

    def _launch(self, planned: PlannedStep) -> ExecutorError | None:
        """Start a step; the error that ends it alone, if one does."""
        try:
            self.executor.launch(planned.plan)
        except ExecutorError as error:
            if error.lasting:
                raise
            return error
        return None if len(planned.plan.masked) else self._sample(None)

    def _sample(self, masks: TokenMasks | None) -> ExecutorError | None:
        try:
            self.executor.sample(masks)
        except ExecutorError as error:
            if error.lasting:
                raise
            return error
        return None

    def _apply_under_way(self) -> list[Delta]:
        planned, self._under_way = self._under_way, None
        if planned is None:
            return []
        result = self.executor.collect()
        outcomes = self.scheduler.apply(planned, result)
        now = self.parts.clock()
        self.metrics.observe_generated(sum(len(outcome.tokens) for outcome in outcomes))
        return [delta for outcome in outcomes if (delta := self._delta(outcome, result, now))]

    def _delta(self, outcome: Outcome, result: StepResult, now: float) -> Delta | None:
        sequence = outcome.sequence
        group = self._groups[sequence.request.id]
        delta = group.streams[sequence.index].advance(outcome, result)
        if outcome.tokens:
            self._observe(group, now)
        if delta.finish is not None:
            self.scheduler.finish(sequence)
            self._close(group, sequence.index, delta.finish)
        return delta if delta.token_ids or delta.finish or delta.prompt_logprobs else None

    def _masks(self, planned: PlannedStep) -> TokenMasks:
        """Masks of the step just launched; all earlier tokens are known by now."""
        plan = planned.plan
        words = np.full((len(plan.masked), -(-self.capacity.vocab_size // 32)), _ALL_ALLOWED, dtype=np.int32)
        for at, sample in enumerate(plan.masked):
            sequence = planned.rows[int(plan.sample_rows[sample])].sequence
            group = self._groups.get(sequence.request.id)
            stream = group.streams.get(sequence.index) if group else None
            if stream is not None and stream.matcher is not None and sequence.phase is not Phase.FINISHED:
                words[at] = stream.matcher.mask()
        return TokenMasks(words)

    @property
    def _speculating(self) -> bool:
        limit = self.parts.speculation.max_running
        return self.parts.drafter is not None and 0 < len(self.scheduler.running) <= limit

    def _draft(self) -> None:
        ready = [s for s in self.scheduler.running if s.remaining == 1 and not s.pending and not s.masked]
        if self.parts.drafter is not None:
            self.parts.drafter.propose(ready)

    # --- ends -----------------------------------------------------------------------------------------------

    def _expire(self) -> list[Delta]:
        if not self._deadlines:
            return []
        now = self.parts.clock()
        late = [self._groups[name] for name, at in self._deadlines.items() if now > at]
        deltas = []
        for group in late:
            error = DeadlineError(f"not complete within its deadline of {group.request.deadline_s} s")
            deltas += self._end(group, "error", error)
        return deltas

    def _abandon(self, planned: PlannedStep, error: ExecutorError) -> list[Delta]:
        """End the requests of a step that did not run; the others go on."""
        self.scheduler.forget(planned)
        names = dict.fromkeys(row.sequence.request.id for row in planned.rows)
        groups = [self._groups[name] for name in names if name in self._groups]
        return [delta for group in groups for delta in self._end(group, "error", error)]

    def _fail(self, error: ExecutorError) -> list[Delta]:
        """The device is gone: everyone gets the error, and new requests too."""
        self.failure = error
        self._under_way = None
        return [delta for group in tuple(self._groups.values()) for delta in self._end(group, "error", error)]

    def _end(self, group: _Group, finish: FinishReason, error: EngineError) -> list[Delta]:
        deltas = []
        for index, stream in tuple(group.streams.items()):
            self.scheduler.finish(stream.sequence)
            deltas.append(stream.end(finish, error))
            self._close(group, index, finish)
        return deltas

    def _close(self, group: _Group, index: int, finish: FinishReason) -> None:
        stream = group.streams.pop(index)
        now = self.parts.clock()
        usage = stream.usage
        self.metrics.observe_end(
            Ended(
                sampling=group.request.sampling,
                usage=usage,
                finish=finish,
                arrived=group.arrived,
                started=group.started_at,
                first_token=group.first_token_at,
                at=now,
            )
        )
        group.usage = _sum(group.usage, usage)
        group.preemptions += stream.sequence.preemptions
        if not group.streams:
            if self.parts.trace is not None:
                self.parts.trace(_trace(group, now, finish))
            del self._groups[group.request.id]
            self._deadlines.pop(group.request.id, None)
            if self.parts.adapters is not None and group.request.adapter:
                self.parts.adapters.release(group.request.adapter)

    def _observe_starts(self, planned: PlannedStep) -> None:
        """Note when requests leave the waiting line, in the steps in which some do."""
        if not planned.plan.joins:
            return
        now = self.parts.clock()
        for row in planned.rows:
            group = self._groups[row.sequence.request.id]
            if group.started_at is None:
                group.started_at = now
                self.metrics.observe_start(len(group.request.prompt_ids), now - group.arrived)

    def _observe(self, group: _Group, now: float) -> None:
        last, group.last_token_at = group.last_token_at, now
        if last is None:
            group.first_token_at = now
            self.metrics.observe_first_token(now - group.arrived)
        else:
            gap = now - last
            self._gaps[gap] = self._gaps.get(gap, 0) + 1

    # --- what a request needs -------------------------------------------------------------------------------

    def _sequence(self, prepared: PreparedRequest, index: int, adapter: int, name: str) -> Sequence:
        request = prepared.request
        sampling = request.sampling
        stops = sampling.stop_token_ids + (() if sampling.ignore_eos else self.capacity.eos_ids)
        seed = secrets.randbits(63) if sampling.seed is None else (sampling.seed + index) & (2**63 - 1)
        return Sequence(
            request=request,
            index=index,
            arrival=self._arrivals,
            limit=prepared.limit,
            stop_ids=frozenset(stops),
            seed=seed,
            root=root_hash(request.cache_salt, name),
            adapter=adapter,
            masked=prepared.matcher is not None,
        )

    def _adapter(self, request: Request) -> tuple[int, str]:
        """The slot of the request's adapter, held until it ends, and the name under which prefixes are shared."""
        if self.parts.adapters is None:
            if request.adapter is not None:
                raise AdapterRegistry.unknown(request.adapter, ())
            return 0, ""
        return self.parts.adapters.hold(request.adapter)

    def _check_prompt(self, request: Request) -> None:
        rows = self.parts.adapters.prefix_rows if self.parts.adapters is not None else 0
        _check_ids("prompt", request.prompt_ids, self.capacity.vocab_size + rows)
        if (
            request.sampling.prompt_logprobs is not None
            and max(request.prompt_ids) >= self.capacity.vocab_size
        ):
            raise InvalidParameterError(
                "the virtual tokens of a prompt-tuned prefix have no log probabilities",
                param="prompt_logprobs",
            )

    def _matcher(self, request: Request) -> Matcher | None:
        if request.sampling.constraint is None:
            return None
        if self.parts.compiler is None:
            raise ConstraintError("constrained output needs the model's tokenizer")
        return self.parts.compiler.compile(request.sampling.constraint)

    def _detokenizer(self, request: Request) -> Detokenizer | None:
        if self.parts.tokenizer is None:
            return None
        skip = request.sampling.skip_special_tokens
        return Detokenizer(self.parts.tokenizer, request.prompt_ids, skip_special=skip)


def _sum(first: Usage, second: Usage) -> Usage:
    return Usage(
        first.prompt_tokens + second.prompt_tokens,
        first.completion_tokens + second.completion_tokens,
        first.cached_tokens + second.cached_tokens,
    )


def _trace(group: _Group, now: float, finish: FinishReason) -> RequestTrace:
    return RequestTrace(
        request_id=group.request.id,
        arrived_at=group.arrived,
        started_at=group.started_at,
        first_token_at=group.first_token_at,
        ended_at=now,
        usage=group.usage,
        preemptions=group.preemptions,
        finish=finish,
    )


def _fork(matcher: Matcher | None) -> Matcher | None:
    return None if matcher is None else matcher.fork()


def _check_ids(what: str, ids: list[int] | tuple[int, ...], size: int) -> None:
    if ids and not 0 <= min(ids) <= max(ids) < size:
        wrong = next(token for token in ids if not 0 <= token < size)
        raise InvalidParameterError(f"{what} has the token id {wrong}, but ids run to {size - 1}", param=what)
