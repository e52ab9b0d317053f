"""From chosen rows to the flat arrays of a `StepPlan`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from inference_backend.sequence import Sequence
from inference_backend.step import Int32s, Join, StepPlan


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """A sequence's part in one step: tokens [start, start + count), of which the last `drafts` are guesses.

    `samples` positions at the row's end are sampled; `epoch` is the sequence's preemption count at planning.
    """

    sequence: Sequence
    start: int
    count: int
    drafts: tuple[int, ...]
    samples: int
    epoch: int


@dataclass(frozen=True, slots=True, eq=False)
class PlannedStep:
    """A plan and, in the plan's row order, whose rows they are."""

    plan: StepPlan
    rows: tuple[Row, ...]


@dataclass(slots=True)
class Step:
    """A step while it is being planned: what has been added, and the token budget that is left."""

    budget: int
    rows: list[Row] = field(default_factory=list)
    joins: list[Join] = field(default_factory=list)

    def add(self, row: Row) -> None:
        self.rows.append(row)
        self.budget -= row.count


def build(number: int, step: Step, tables: Int32s, block_size: int) -> PlannedStep:
    """Lay rows out flat, decode rows first. `tables` is int32 [slots, blocks]."""
    ordered = sorted(step.rows, key=lambda row: row.count > 1)
    flat = _Flat()
    for index, row in enumerate(ordered):
        flat.add(index, row)
    counts = np.asarray([row.count for row in ordered], dtype=np.int32)
    starts = np.asarray([row.start for row in ordered], dtype=np.int32)
    slots = np.asarray([row.sequence.slot for row in ordered], dtype=np.int32)
    query_starts = np.zeros(len(ordered) + 1, dtype=np.int32)
    np.cumsum(counts, out=query_starts[1:])
    positions = _ranges(starts, counts, query_starts)
    lengths = starts + counts
    width = -(-int(lengths.max()) // block_size)
    block_tables = tables[slots, :width]
    row_of_token = np.repeat(np.arange(len(ordered)), counts)
    blocks = block_tables[row_of_token, positions // block_size]
    plan = StepPlan(
        number=number,
        token_ids=np.asarray(flat.tokens, dtype=np.int32),
        pending=np.asarray(flat.pending, dtype=np.bool_),
        positions=positions,
        slot_mapping=(blocks * block_size + positions % block_size).astype(np.int32),
        slots=slots,
        query_starts=query_starts,
        context_lengths=lengths.astype(np.int32),
        block_tables=_beyond_end_zero(block_tables, lengths, block_size),
        decode_rows=int((counts == 1).sum()),
        sample_tokens=np.asarray(flat.sample_tokens, dtype=np.int32),
        sample_rows=np.asarray(flat.sample_rows, dtype=np.int32),
        sample_indexes=np.asarray(flat.sample_indexes, dtype=np.int32),
        masked=np.asarray(flat.masked, dtype=np.int32),
        hidden_tokens=np.asarray(flat.hidden, dtype=np.int32),
        adapters=np.asarray([row.sequence.adapter for row in ordered], dtype=np.int32),
        joins=tuple(step.joins),
    )
    return PlannedStep(plan, tuple(ordered))


class _Flat:
    """The token-wise and sample-wise lists while rows are added."""

    def __init__(self) -> None:
        self.tokens: list[int] = []
        self.pending: list[bool] = []
        self.sample_tokens: list[int] = []
        self.sample_rows: list[int] = []
        self.sample_indexes: list[int] = []
        self.masked: list[int] = []
        self.hidden: list[int] = []

    def add(self, index: int, row: Row) -> None:
        sequence, begin = row.sequence, len(self.tokens)
        known = sequence.tokens[row.start : row.start + row.count - len(row.drafts)]
        unseen = row.count - len(row.drafts) - len(known)
        self.tokens += [*known, *(0,) * unseen, *row.drafts]
        self.pending += [*(False,) * len(known), *(True,) * unseen, *(False,) * len(row.drafts)]
        end = begin + row.count
        for offset in range(row.samples):
            at = end - row.samples + offset
            if sequence.masked:
                self.masked.append(len(self.sample_tokens))
            self.sample_tokens.append(at)
            self.sample_rows.append(index)
            self.sample_indexes.append(row.start + at - begin + 1 - sequence.prompt_length)
        self.hidden += _hidden(row, begin)


def _hidden(row: Row, begin: int) -> Iterable[int]:
    """An embedding needs all positions for a mean, the prompt's last one otherwise."""
    request, end = row.sequence.request, row.start + row.count
    if request.pooling == "mean":
        return range(begin, begin + row.count)
    if request.pooling == "last" and end == row.sequence.prompt_length:
        return (begin + row.count - 1,)
    return ()


def _ranges(starts: Int32s, counts: Int32s, query_starts: Int32s) -> Int32s:
    """For each row, start, start + 1 ... start + count - 1, one after the other."""
    flat = np.arange(int(query_starts[-1]), dtype=np.int32)
    return (flat + np.repeat(starts - query_starts[:-1], counts)).astype(np.int32)


def _beyond_end_zero(tables: Int32s, lengths: Int32s, block_size: int) -> Int32s:
    used = -(-lengths // block_size)
    return np.where(np.arange(tables.shape[1]) < used[:, None], tables, 0).astype(np.int32)
