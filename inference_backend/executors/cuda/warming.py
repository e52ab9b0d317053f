"""Steps that stand for real ones before there are any: nothing they compute is kept."""

from __future__ import annotations

import numpy as np

from inference_backend.step import StepPlan


def warm_step(tokens: int, longest: int, sequences: int, block_size: int) -> StepPlan:
    """A step of so many tokens: some rows of one token each, and prompts of at most `longest` for the others.

    Every token writes nowhere, every row is sampled greedily, and all blocks are block 0.
    """
    singles = min(sequences - 1, tokens // 16)
    counts = [1] * singles
    rest = tokens - singles
    while rest and len(counts) < sequences:
        counts.append(min(rest, longest))
        rest -= counts[-1]
    sizes = np.asarray(counts, dtype=np.int32)
    starts = np.zeros(len(sizes) + 1, dtype=np.int32)
    np.cumsum(sizes, out=starts[1:])
    total = int(starts[-1])
    zeros = np.zeros(total, dtype=np.int32)
    rows = np.arange(len(sizes), dtype=np.int32)
    return StepPlan(
        number=0,
        token_ids=zeros,
        pending=zeros.astype(np.bool_),
        positions=np.concatenate([np.arange(count, dtype=np.int32) for count in sizes]),
        slot_mapping=zeros - 1,
        slots=rows,
        query_starts=starts,
        context_lengths=sizes,
        block_tables=np.zeros((len(sizes), -(-int(sizes.max()) // block_size)), dtype=np.int32),
        decode_rows=int((sizes == 1).sum()),
        sample_tokens=starts[1:] - 1,
        targets=rows * 0 - 1,
        sample_rows=rows,
        sample_indexes=rows * 0,
        masked=rows[:0],
        hidden_tokens=rows[:0],
        adapters=rows * 0,
    )
