"""Who runs in the next step, and with how many tokens.

In-flight batching (Yu et al., Orca, 2022): membership is decided anew each step. Running sequences come first, in
order of rank, one token each (or one and its drafts). What is left of the step's token budget goes to prompts, in chunks
(Agrawal et al., Sarathi-Serve, 2024): those already started, then from the waiting line while slots and blocks last.
A prompt gets the blocks for all its known tokens when it starts, so that only decoding can run out of them; then the
running sequence of the lowest rank is preempted: its blocks go back, it waits again, and is recomputed later (its full
blocks are often still in the prefix cache).

Blocks are named for reuse as soon as the step that fills them is planned, not when it has run. That is safe: steps run in
order, and within a step each layer writes all keys and values before any row reads. So prompts sent together compute
what they share once.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter

import numpy as np

from inference_backend.bookkeeping import check_blocks, check_places
from inference_backend.errors import (
    InvalidParameterError,
    NumericError,
    OverloadedError,
    RequestTooLongError,
)
from inference_backend.executor import Capacity
from inference_backend.kv import PrefixCache
from inference_backend.outcome import Outcome, accepted, hidden_rows, until_end
from inference_backend.planning import PlannedStep, Row, Step, build
from inference_backend.sequence import Phase, Sequence
from inference_backend.settings import SchedulerSettings
from inference_backend.step import Join, StepResult
from inference_backend.waiting import WaitingLine

_rank = attrgetter("rank")
_SCORED_AT_ONCE = 256  # tokens of one prompt: each needs its logits over the whole vocabulary


@dataclass(slots=True)
class SchedulerCounters:
    """Totals since the start, in tokens; `preemptions`, `steps` and `drafts` count themselves."""

    prefix_queries: int = 0
    prefix_hits: int = 0
    preemptions: int = 0
    steps: int = 0
    drafts: int = 0
    drafted: int = 0
    accepted: int = 0


class Scheduler:
    """Owns waiting line, running list, slots and the prefix cache. Plans and applies; runs nothing."""

    def __init__(self, settings: SchedulerSettings, capacity: Capacity) -> None:
        if settings.max_step_tokens < settings.max_sequences:
            raise InvalidParameterError(
                f"max_step_tokens ({settings.max_step_tokens}) is below max_sequences ({settings.max_sequences}): "
                "a step could not give each running sequence its token",
                param="max_step_tokens",
            )
        self.settings = settings
        self.block_size = capacity.block_size
        self.cache = PrefixCache(capacity.blocks)
        longest = min(capacity.max_positions, settings.max_positions or capacity.max_positions)
        self.max_tokens = min(longest, capacity.blocks * capacity.block_size + 1)
        self.counters = SchedulerCounters()
        self.waiting = WaitingLine()
        self.running: list[Sequence] = []
        self._slots = list(range(settings.max_sequences - 1, -1, -1))
        width = -(-self.max_tokens // self.block_size)
        self._tables = np.zeros((settings.max_sequences, width), dtype=np.int32)

    # --- requests come and go ---------------------------------------------------------------------------------

    def limit(self, prompt_length: int, max_tokens: int | None, *, generates: bool = True) -> int:
        """Total tokens at which such a request ends.

        Raises:
            RequestTooLongError: it can never fit.
        """
        if not prompt_length:
            raise RequestTooLongError("the prompt is empty: at least one token is needed", param="prompt")
        wanted = prompt_length + ((max_tokens or 1) if generates else 0)
        if wanted > self.max_tokens:
            raise RequestTooLongError(
                f"the prompt has {prompt_length} tokens and {wanted - prompt_length} more were asked for, but a "
                f"sequence can have at most {self.max_tokens} here",
                param="prompt",
            )
        return wanted if max_tokens is not None or not generates else self.max_tokens

    def accept(self, count: int) -> None:
        """Check that the waiting line has room for `count` more.

        Raises:
            OverloadedError: it has not.
        """
        if len(self.waiting) + count > self.settings.max_waiting:
            raise OverloadedError(f"{len(self.waiting)} sequences are waiting already; try again later")

    def add(self, sequence: Sequence) -> None:
        """Put a new sequence into the waiting line."""
        self.waiting.push(sequence)

    def finish(self, sequence: Sequence) -> None:
        """Take a sequence out wherever it is; its blocks go back. Idempotent."""
        if sequence.phase is Phase.RUNNING:
            self.running.remove(sequence)
            self._leave(sequence)
        elif sequence.phase is Phase.WAITING:
            self.waiting.remove(sequence)
        sequence.phase = Phase.FINISHED

    def forget(self, step: PlannedStep) -> None:
        """Let nobody reuse what a step would have computed: it did not run."""
        for row in step.rows:
            self.cache.forget(row.sequence.blocks[row.start // self.block_size :])

    def unfinished(self) -> list[Sequence]:
        """All sequences that run or wait."""
        return [*self.running, *self.waiting]

    # --- planning ---------------------------------------------------------------------------------------------

    def plan(self) -> PlannedStep | None:
        """The next step, or None where nothing can run now (nothing to do, or all wait for a step's result)."""
        step = Step(self.settings.max_step_tokens)
        preemptions = self.counters.preemptions
        self.running.sort(key=_rank)
        self._plan_tokens(step)
        if len(step.rows) < len(self.running):
            for sequence in self.running:
                if sequence.remaining > 1 and not sequence.verifying:
                    self._plan_chunk(sequence, step)
        if self.counters.preemptions == preemptions:
            self._admit(step)
        if not step.rows:
            return None
        self.counters.steps += 1
        return build(self.counters.steps - 1, step, self._tables, self.block_size)

    def _plan_tokens(self, step: Step) -> None:
        """One token for every running sequence that needs just one; sequences may be preempted on the way.

        Flat, and with the plain case first, since it runs once per sequence and step.
        """
        size = self.block_size
        for sequence in tuple(self.running):
            start = sequence.computed
            total = len(sequence.tokens) + sequence.pending
            if (
                min(total, sequence.end) - start != 1
                or sequence.verifying
                or sequence.phase is not Phase.RUNNING
            ):
                continue
            if sequence.drafts:
                self._plan_drafts(sequence, step)
                continue
            if start == len(sequence.blocks) * size and not self._grow(sequence, start + 1):
                continue
            samples = int(start + 1 == total and not sequence.request.pooling)
            sequence.computed = start + 1
            sequence.pending += samples
            step.rows.append(Row(sequence, start, 1, (), samples, sequence.preemptions))
            step.budget -= 1
            if not (start + 1) % size:
                self._name_blocks(sequence)

    def _plan_drafts(self, sequence: Sequence, step: Step) -> None:
        """One token and the drafts behind it."""
        room = min(sequence.limit - sequence.total - 1, step.budget - self.settings.max_sequences)
        drafts = tuple(sequence.drafts[: max(room, 0)])
        if self._grow(sequence, sequence.computed + 1 + len(drafts)):
            self._schedule(sequence, 1, drafts, step)

    def _plan_chunk(self, sequence: Sequence, step: Step) -> None:
        if step.budget <= 0:
            return
        count = min(sequence.remaining, step.budget)
        if sequence.scores and sequence.scored < sequence.prompt_length:
            # What was scored before a preemption is recomputed by itself; then the scores go on.
            done = sequence.scored - 1 - sequence.computed
            count = min(count, done or min(_SCORED_AT_ONCE, sequence.prompt_length - sequence.computed))
        self._schedule(sequence, count, (), step)

    def _schedule(self, sequence: Sequence, count: int, drafts: tuple[int, ...], step: Step) -> None:
        """Record the row and move the sequence on as if the step had run."""
        start = sequence.computed
        sequence.computed += count
        complete = sequence.computed == sequence.total and not sequence.request.pooling
        samples = 1 + len(drafts) if complete else 0
        scored = 0
        if sequence.scores and start == sequence.scored - 1:
            scored = min(sequence.computed, sequence.prompt_length - 1) - start
            sequence.scored += scored
            samples += scored
        sequence.computed += len(drafts)
        sequence.verifying = bool(drafts)
        sequence.pending += complete
        sequence.drafts = []
        step.add(Row(sequence, start, count + len(drafts), drafts, samples, sequence.preemptions, scored))
        self._name_blocks(sequence)

    def _grow(self, sequence: Sequence, tokens: int) -> bool:
        """Blocks for so many tokens, preempting from the lowest rank up; False if the sequence itself had to go."""
        missing = -(-tokens // self.block_size) - len(sequence.blocks)
        while missing > self.cache.available:
            victim = max(self.running, key=_rank)
            self._preempt(victim)
            if victim is sequence:
                return False
        self._append(sequence, self.cache.take(max(missing, 0)))
        return True

    def _preempt(self, sequence: Sequence) -> None:
        self.running.remove(sequence)
        self._leave(sequence)
        sequence.computed = 0
        sequence.verifying = False
        sequence.drafts = []
        sequence.preemptions += 1
        self.counters.preemptions += 1
        sequence.phase = Phase.WAITING
        self.waiting.push(sequence)

    def _admit(self, step: Step) -> None:
        """Start waiting sequences, in the line's order, until the first that does not fit."""
        while step.budget > 0 and self._slots and (sequence := self.waiting.first()):
            if not self._take_prompt_blocks(sequence):
                return
            self.waiting.pop()
            sequence.phase = Phase.RUNNING
            self.running.append(sequence)
            step.joins.append(_join(sequence))
            self._plan_chunk(sequence, step)

    def _take_prompt_blocks(self, sequence: Sequence) -> bool:
        """Shared blocks for what is cached, new ones for the rest of the known tokens, and a slot; all or none.

        At least one token is left to compute: its hidden state is what the first sample is drawn from.
        """
        known = len(sequence.tokens)
        found: list[int] = []
        if self._caching and sequence.reusable:
            sequence.extend_names(self.block_size)
            found = self.cache.match(sequence.names[: (known - 1) // self.block_size])
        missing = -(-known // self.block_size) - len(found)
        # A block in reserve per running sequence keeps a new prompt from preempting it at its next full block.
        if missing + self.cache.idle(found) + len(self.running) > self.cache.available and self.running:
            return False
        self.cache.share(found)
        sequence.slot = self._slots.pop()
        self._append(sequence, found + self.cache.take(missing))
        sequence.computed = sequence.cached = len(found) * self.block_size
        sequence.named = len(found)
        self.counters.prefix_queries += known
        self.counters.prefix_hits += sequence.computed
        return True

    def _append(self, sequence: Sequence, blocks: list[int]) -> None:
        held = len(sequence.blocks)
        self._tables[sequence.slot, held : held + len(blocks)] = blocks
        sequence.blocks += blocks

    def _leave(self, sequence: Sequence) -> None:
        """A running sequence gives slot and blocks back."""
        self.cache.release(sequence.blocks)
        sequence.blocks = []
        sequence.named = 0
        self._slots.append(sequence.slot)

    def _name_blocks(self, sequence: Sequence) -> None:
        """Let others find the blocks that planned steps fill with known tokens."""
        if not self._caching:
            return
        full = min(sequence.computed, len(sequence.tokens)) // self.block_size
        if full > sequence.named:
            sequence.extend_names(self.block_size)
            for block in range(sequence.named, full):
                self.cache.name(sequence.blocks[block], sequence.names[block])
            sequence.named = full

    @property
    def _caching(self) -> bool:
        return self.settings.prefix_caching

    # --- results ----------------------------------------------------------------------------------------------

    def apply(self, step: PlannedStep, result: StepResult) -> list[Outcome]:
        """Take a step's result in; sequences that ended meanwhile are passed over."""
        outcomes: list[Outcome] = []
        tokens, bad = result.tokens.tolist(), result.bad.tolist()
        sample = hidden = 0
        for row in step.rows:
            sequence = row.sequence
            if sequence.phase is not Phase.FINISHED:
                if row.samples == 1 and not bad[sample] and not row.drafts and not row.scored:
                    outcomes.append(self._one_token(sequence, tokens[sample], sample))
                elif (outcome := self._outcome(row, result, sample, hidden)) is not None:
                    outcomes.append(outcome)
            sample += row.samples
            if sequence.request.pooling:
                hidden += hidden_rows(row)
        return outcomes

    def _one_token(self, sequence: Sequence, token: int, sample: int) -> Outcome:
        """The plain case: one more token."""
        sequence.pending -= 1
        sequence.tokens.append(token)
        length = len(sequence.tokens)
        if token in sequence.stop_ids and sequence.generated > sequence.request.sampling.min_tokens:
            self.finish(sequence)
            return Outcome(sequence, (token,), (sample,), "stop", token)
        if length >= sequence.limit:
            self.finish(sequence)
            return Outcome(sequence, (token,), (sample,), "length")
        if not length % self.block_size and sequence.phase is Phase.RUNNING:
            self._name_blocks(sequence)
        return Outcome(sequence, (token,), (sample,))

    def _outcome(self, row: Row, result: StepResult, sample: int, hidden: int) -> Outcome | None:
        sequence = row.sequence
        if sequence.request.pooling:
            return self._pooled(row, result, hidden)
        if not row.samples:
            return None
        own = range(sample + row.scored, sample + row.samples)
        sequence.pending -= bool(own)
        if result.bad[sample : own.stop].any():
            return self._failed(row)
        scored, scored_from = tuple(range(sample, own.start)), row.start + 1
        if not own:
            return Outcome(sequence, scored=scored, scored_from=scored_from)
        held = accepted(row.drafts, result.tokens[own.start : own.stop].tolist())
        if row.drafts:
            self.counters.drafts += 1
            self.counters.drafted += len(row.drafts)
            self.counters.accepted += len(held) - 1
        tokens, finish = until_end(sequence, held)
        sequence.tokens += tokens
        if row.drafts and row.epoch == sequence.preemptions:
            sequence.computed = len(sequence.tokens) - 1
            sequence.verifying = False
        stop = tokens[-1] if finish == "stop" else None
        if finish:
            self.finish(sequence)
        elif sequence.phase is Phase.RUNNING:
            self._name_blocks(sequence)
        return Outcome(
            sequence,
            tuple(tokens),
            tuple(own[: len(tokens)]),
            finish,
            stop,
            scored=scored,
            scored_from=scored_from,
        )

    def _pooled(self, row: Row, result: StepResult, hidden: int) -> Outcome | None:
        count = hidden_rows(row)
        states = None if result.hidden is None else result.hidden[hidden : hidden + count]
        done = row.start + row.length == row.sequence.prompt_length
        if states is not None and not np.isfinite(states).all():
            return self._failed(row)
        if done:
            self.finish(row.sequence)
        return Outcome(row.sequence, finish="stop" if done else None, hidden=states)

    def _failed(self, row: Row) -> Outcome:
        """End one sequence whose numbers are no numbers, and let nobody reuse what it computed."""
        self.cache.forget(row.sequence.blocks[row.start // self.block_size :])
        self.finish(row.sequence)
        error = NumericError("the model gave NaN or infinite logits for this request")
        return Outcome(row.sequence, finish="error", error=error)

    # --- watching ---------------------------------------------------------------------------------------------

    @property
    def usage(self) -> float:
        """Share of the cache's blocks that sequences hold."""
        return self.cache.used / self.cache.size

    def waste(self) -> float:
        """Share of the held token places that no known or planned token fills."""
        held = {block for sequence in self.running for block in sequence.blocks}
        if not held:
            return 0.0
        empty = sum(len(s.blocks) * self.block_size - max(s.computed, len(s.tokens)) for s in self.running)
        return max(empty, 0) / (len(held) * self.block_size)

    def check(self) -> None:
        """All bookkeeping agrees.

        Raises:
            InvariantError: it does not.
        """
        check_blocks(self.cache, self.running, self.block_size)
        check_places(self.running, self.waiting, self._slots, self.settings.max_sequences)


def _join(sequence: Sequence) -> Join:
    length = sequence.prompt_length
    return Join(
        slot=sequence.slot,
        sampling=sequence.request.sampling,
        seed=sequence.seed,
        prompt_ids=np.asarray(sequence.tokens[:length], dtype=np.int32),
        output_ids=np.asarray(sequence.tokens[length:], dtype=np.int32),
        stop_ids=np.asarray(sorted(sequence.stop_ids), dtype=np.int32),
    )
