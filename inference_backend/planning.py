"""From chosen rows to the flat arrays of a `StepPlan`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Final, NamedTuple

import numpy as np

from inference_backend.sequence import Sequence
from inference_backend.step import Int32s, Join, StepPlan


class Row(NamedTuple):
    """A sequence's part in one step: tokens [start, start + length), of which the last `drafts` are guesses.

    `samples` positions at the row's end are sampled, the first `scored` of them only to score the prompt's next token;
    `epoch` is the sequence's preemption count at planning.
    """

    sequence: Sequence
    start: int
    length: int
    drafts: tuple[int, ...]
    samples: int
    epoch: int
    scored: int = 0


_START: Final = itemgetter(Row._fields.index("start"))


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
        """Take a row in and its tokens off the budget."""
        self.rows.append(row)
        self.budget -= row.length


def build(number: int, step: Step, tables: Int32s, block_size: int) -> PlannedStep:
    """Lay rows out flat, decode rows first. `tables` is int32 [slots, blocks].

    Decode rows go from the longest context to the shortest, so that a kernel that takes them in this order ends on
    short ones, with all of the device busy to the end (Graham, Bounds on multiprocessing timing anomalies, 1969).
    """
    singles = sorted((row for row in step.rows if row.length == 1), key=_START, reverse=True)
    longer = [row for row in step.rows if row.length > 1]
    rows = [*singles, *longer]
    flat = _Flat()
    flat.add_singles(singles)
    for index, row in enumerate(longer, start=len(singles)):
        flat.add(index, row)
    counts = np.asarray([row.length for row in rows], dtype=np.int32)
    starts = np.asarray([row.start for row in rows], dtype=np.int32)
    slots = np.asarray([row.sequence.slot for row in rows], dtype=np.int32)
    query_starts = np.zeros(len(rows) + 1, dtype=np.int32)
    np.cumsum(counts, out=query_starts[1:])
    positions = starts if not longer else _ranges(starts, counts, query_starts)
    lengths = starts + counts
    width = -(-int(lengths.max()) // block_size)
    block_tables = tables[slots, :width]
    row_of_token = np.repeat(np.arange(len(rows)), counts)
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
        decode_rows=len(singles),
        sample_tokens=np.asarray(flat.sample_tokens, dtype=np.int32),
        targets=flat.all_targets(),
        sample_rows=np.asarray(flat.sample_rows, dtype=np.int32),
        sample_indexes=np.asarray(flat.sample_indexes, dtype=np.int32),
        masked=np.asarray(flat.masked, dtype=np.int32),
        hidden_tokens=np.asarray(flat.hidden, dtype=np.int32),
        adapters=np.asarray([row.sequence.adapter for row in rows], dtype=np.int32),
        joins=tuple(step.joins),
    )
    return PlannedStep(plan, tuple(rows))


class _Flat:
    """The token-wise and sample-wise lists while rows are added."""

    def __init__(self) -> None:
        self.tokens: list[int] = []
        self.pending: list[bool] = []
        self.sample_tokens: list[int] = []
        self.sample_rows: list[int] = []
        self.sample_indexes: list[int] = []
        self.targets: dict[int, int] = {}
        self.masked: list[int] = []
        self.hidden: list[int] = []

    def add_singles(self, rows: list[Row]) -> None:
        """The first rows, of one token each; flat, since it runs once per sequence and step."""
        tokens, pending, indexes = self.tokens, self.pending, self.sample_indexes
        for index, (sequence, start, _, _, samples, _, scored) in enumerate(rows):
            known = sequence.tokens
            unseen = start >= len(known)
            tokens.append(0 if unseen else known[start])
            pending.append(unseen)
            if samples:
                if scored:
                    self.targets[len(indexes)] = known[start + 1]
                elif sequence.masked:
                    self.masked.append(len(indexes))
                self.sample_tokens.append(index)
                indexes.append(max(start + 1 - sequence.prompt_length, 0))
            elif sequence.request.pooling:
                self.hidden += _hidden(rows[index], index)
        self.sample_rows += self.sample_tokens

    def add(self, index: int, row: Row) -> None:
        """A further row."""
        sequence, begin = row.sequence, len(self.tokens)
        known = sequence.tokens[row.start : row.start + row.length - len(row.drafts)]
        unseen = row.length - len(row.drafts) - len(known)
        self.tokens += [*known, *(0,) * unseen, *row.drafts]
        self.pending += [*(False,) * len(known), *(True,) * unseen, *(False,) * len(row.drafts)]
        end = begin + row.length
        for at in range(end - row.samples, end):
            position = row.start + at - begin
            if at - (end - row.samples) < row.scored:
                self.targets[len(self.sample_tokens)] = sequence.tokens[position + 1]
            elif sequence.masked:
                self.masked.append(len(self.sample_tokens))
            self.sample_tokens.append(at)
            self.sample_rows.append(index)
            self.sample_indexes.append(max(position + 1 - sequence.prompt_length, 0))
        self.hidden += _hidden(row, begin)

    def all_targets(self) -> Int32s:
        """One per sampled position, -1 where the prompt is not scored."""
        targets = np.full(len(self.sample_tokens), -1, dtype=np.int32)
        for at, token in self.targets.items():
            targets[at] = token
        return targets


def _hidden(row: Row, begin: int) -> Iterable[int]:
    """An embedding needs all positions for a mean, the prompt's last one otherwise."""
    request, end = row.sequence.request, row.start + row.length
    if request.pooling == "mean":
        return range(begin, begin + row.length)
    if request.pooling == "last" and end == row.sequence.prompt_length:
        return (begin + row.length - 1,)
    return ()


def _ranges(starts: Int32s, counts: Int32s, query_starts: Int32s) -> Int32s:
    """For each row, start, start + 1 ... start + count - 1, one after the other."""
    flat = np.arange(int(query_starts[-1]), dtype=np.int32)
    return (flat + np.repeat(starts - query_starts[:-1], counts)).astype(np.int32)


def _beyond_end_zero(tables: Int32s, lengths: Int32s, block_size: int) -> Int32s:
    used = -(-lengths // block_size)
    return np.where(np.arange(tables.shape[1]) < used[:, None], tables, 0).astype(np.int32)
