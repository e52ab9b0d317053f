"""The two values that planner and executor say to each other: what to run, and what came of it.

Arrays are flat numpy arrays, so that any executor (torch, CUDA graphs, TensorRT, another process) can take them.
T counts the step's tokens, R its rows (one row is one sequence's run of tokens), S the positions whose logits are
sampled, B the widest block table. Rows with one token come first ("decode rows"), then the longer ones.

A sequence keeps one *slot* (a small integer below the engine's `max_sequences`) from the step that joins it until it
leaves. What an executor must remember between steps (sampling parameters, token counts for penalties, the last
sampled token) it keeps in tables indexed by slot, filled from `joins`.

A step may be planned while the one before still runs. The tokens it needs from that step are marked `pending`: the
executor takes them from its own table of last sampled tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from inference_backend.values import SamplingParameters

Int32s: TypeAlias = NDArray[np.int32]
Floats: TypeAlias = NDArray[np.float32]
Bools: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Join:
    """A sequence takes a slot (new, or back after a preemption).

    `seed` is always concrete. `prompt_ids` and `output_ids` are int32 and fill the tables that penalties read.
    `stop_ids` (end-of-sequence and stop tokens) are masked until `sampling.min_tokens` tokens are out.
    """

    slot: int
    sampling: SamplingParameters
    seed: int
    prompt_ids: Int32s
    output_ids: Int32s
    stop_ids: Int32s


@dataclass(frozen=True, slots=True, eq=False)
class StepPlan:
    """One forward pass over flat tokens of many sequences.

    Attributes:
        number: steps count up from 0.
        token_ids: int32 [T]; 0 where `pending`.
        pending: bool [T]; the token is the last one sampled in its row's slot.
        positions: int32 [T]; position of each token in its sequence.
        slot_mapping: int32 [T]; block * block_size + offset, where the token's keys and values are written.
        slots: int32 [R].
        query_starts: int32 [R + 1]; row r owns tokens query_starts[r] to query_starts[r + 1].
        context_lengths: int32 [R]; tokens of the row's sequence in the cache once this step has written its own.
        block_tables: int32 [R, B]; the sequence's blocks in order, 0 beyond its end.
        decode_rows: how many rows, from the first, have exactly one token.
        sample_tokens: int32 [S]; indexes into T, ascending. A row samples its last token, or, where it verifies k
            drafted tokens, its last k + 1; an unfinished prompt chunk samples none, and one whose tokens are scored all.
        targets: int32 [S]; -1, or, where a prompt is scored, the token that follows in it: its log probability is
            returned instead of the sampled token's, which means nothing there.
        sample_rows: int32 [S]; the row of each.
        sample_indexes: int32 [S]; how many tokens the sequence had generated before this one (the counter
            of its random stream).
        masked: int32 [M]; indexes into S whose sampling waits for a mask.
        hidden_tokens: int32 [E]; indexes into T whose final hidden states are returned.
        adapters: int32 [R]; adapter slot per row, 0 for the base model.
        joins: sequences that take a slot with this step.
    """

    number: int
    token_ids: Int32s
    pending: Bools
    positions: Int32s
    slot_mapping: Int32s
    slots: Int32s
    query_starts: Int32s
    context_lengths: Int32s
    block_tables: Int32s
    decode_rows: int
    sample_tokens: Int32s
    targets: Int32s
    sample_rows: Int32s
    sample_indexes: Int32s
    masked: Int32s
    hidden_tokens: Int32s
    adapters: Int32s
    joins: tuple[Join, ...] = ()

    @property
    def tokens(self) -> int:
        """T."""
        return len(self.token_ids)

    @property
    def rows(self) -> int:
        """R."""
        return len(self.slots)

    @property
    def decode_only(self) -> bool:
        """Whether every row has exactly one token."""
        return self.decode_rows == self.rows


@dataclass(frozen=True, slots=True, eq=False)
class TokenMasks:
    """Allowed tokens of the plan's `masked` positions: bit t % 32 of word t // 32 is 1 where token t is allowed.

    Attributes:
        words: int32 [M, ceil(vocabulary / 32)].
    """

    words: Int32s


@dataclass(frozen=True, slots=True, eq=False)
class StepResult:
    """What one step gave, row by row of the plan's S sampled positions.

    Attributes:
        number: the plan's number.
        tokens: int32 [S].
        bad: bool [S]; the logits held NaN or no finite value: the token means nothing.
        logprobs: float32 [S] of the sampled tokens (of the plan's targets), or None where no sequence asked.
        top_ids, top_logprobs: int32 and float32 [S, K], most likely first; None where no sequence asked.
        hidden: float32 [E, hidden size], or None where the plan asked for none.
    """

    number: int
    tokens: Int32s
    bad: Bools
    logprobs: Floats | None = None
    top_ids: Int32s | None = None
    top_logprobs: Floats | None = None
    hidden: Floats | None = None
