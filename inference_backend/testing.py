"""Doubles that users' tests may use too: an executor whose model is a function, with a real paged cache of tokens."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import numpy as np

from inference_backend.errors import InvariantError
from inference_backend.executor import Capacity
from inference_backend.step import Int32s, StepPlan, StepResult, TokenMasks


class ScriptedExecutor:
    """An `Executor` whose next token is `script(tokens so far)`; knows no torch.

    Its cache stores token ids where a real one stores keys and values, so a wrong block, a block reused too early or a
    token never computed changes what the script is shown. A mask that forbids the script's token yields the
    smallest allowed one.
    """

    def __init__(
        self, capacity: Capacity, script: Callable[[Sequence[int]], int], *, plans_ahead: bool = False
    ) -> None:
        self.plans_ahead = plans_ahead
        self.steps: list[StepPlan] = []
        self._capacity = capacity
        self._script = script
        self._store = np.full(capacity.blocks * capacity.block_size, -1, dtype=np.int32)
        self._last: dict[int, int] = {}
        self._contexts: list[Int32s] = []
        self._results: deque[StepResult] = deque()

    def load(self) -> Capacity:
        """See `Executor.load`."""
        return self._capacity

    def launch(self, plan: StepPlan) -> None:
        """See `Executor.launch`."""
        self.steps.append(plan)
        tokens = plan.token_ids.copy()
        rows = np.repeat(np.arange(plan.rows), np.diff(plan.query_starts))
        for index in np.flatnonzero(plan.pending):
            tokens[index] = self._last[int(plan.slots[rows[index]])]
        self._store[plan.slot_mapping] = tokens
        self._contexts = [
            self._context(plan, int(row), int(plan.positions[token]) + 1)
            for row, token in zip(plan.sample_rows, plan.sample_tokens, strict=True)
        ]

    def _context(self, plan: StepPlan, row: int, length: int) -> Int32s:
        at = np.arange(length)
        size = self._capacity.block_size
        context: Int32s = self._store[plan.block_tables[row, at // size] * size + at % size]
        if (context < 0).any():
            raise InvariantError("a row reads a cache place that was never written")
        return context

    def sample(self, masks: TokenMasks | None) -> None:
        """See `Executor.sample`."""
        plan = self.steps[-1]
        tokens = np.asarray([self._script(context.tolist()) for context in self._contexts], dtype=np.int32)
        if masks is not None:
            for words, index in zip(masks.words, plan.masked, strict=True):
                tokens[index] = _allowed(words, int(tokens[index]))
        for row, token in zip(plan.sample_rows, tokens, strict=True):
            self._last[int(plan.slots[row])] = int(token)
        hidden = None
        if len(plan.hidden_tokens):
            hidden = plan.token_ids[plan.hidden_tokens, None].astype(np.float32)
        self._results.append(
            StepResult(plan.number, tokens, np.zeros(len(tokens), dtype=np.bool_), hidden=hidden)
        )

    def collect(self) -> StepResult:
        """See `Executor.collect`."""
        return self._results.popleft()

    def load_adapter(self, slot: int, folder: str) -> None:
        """Nothing to load: the script does not know adapters."""

    def load_prefix(self, start: int, folder: str) -> int:
        """A prefix of one virtual token."""
        del start, folder
        return 1

    def close(self) -> None:
        """See `Executor.close`."""
        self._results.clear()


def _allowed(words: Int32s, token: int) -> int:
    bits = np.unpackbits(words.view(np.uint8), bitorder="little")
    return token if bits[token] else int(np.flatnonzero(bits)[0])
