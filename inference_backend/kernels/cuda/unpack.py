"""Spreads a step's packed int32 words into the tensors that its kernels read, at their fixed addresses."""

from dataclasses import dataclass

import triton
import triton.language as tl
from torch import Tensor

BLOCK = 256


@dataclass(frozen=True, slots=True)
class StepTensors:
    """What a step's kernels read, each as large as the largest step.

    Attributes:
        token_ids, positions, slot_mapping: int64 [T].
        query_starts: int32 [R + 1]; context_lengths: int32 [R]; block_tables: int32 [R, B].
        sample_tokens: int64 [S]; sample_slots: int32 [S].
        temperature, top_p, min_p: float32 [S]; top_k, counters: int32 [S]; seeds: int64 [S].
        last_tokens: int32 [slots + 1]; the token sampled last in each slot, and one place for padding.
    """

    token_ids: Tensor
    positions: Tensor
    slot_mapping: Tensor
    query_starts: Tensor
    context_lengths: Tensor
    block_tables: Tensor
    sample_tokens: Tensor
    sample_slots: Tensor
    temperature: Tensor
    top_k: Tensor
    top_p: Tensor
    min_p: Tensor
    counters: Tensor
    seeds: Tensor
    last_tokens: Tensor


@dataclass(frozen=True, slots=True)
class PackedSizes:
    """How many tokens, rows, table columns and sampled positions a packed step has, padding included.

    The words lie one section after the other: token ids, the slots that pending ones are taken from (-1: known),
    positions, slot mapping; query starts (rows + 1), context lengths, block tables; sampled tokens, their slots,
    temperature, top-k, top-p, min-p, counters, and seeds of two words each.
    """

    tokens: int
    rows: int
    columns: int
    samples: int

    @property
    def words(self) -> int:
        """How long the packed step is, in int32 words."""
        return 4 * self.tokens + 2 * self.rows + 1 + self.rows * self.columns + 9 * self.samples


@triton.jit(do_not_specialize=["T", "R", "C", "S", "table_stride"])
def _unpack_kernel(
    packed_ptr,
    token_ids_ptr,
    positions_ptr,
    slot_mapping_ptr,
    query_starts_ptr,
    lengths_ptr,
    tables_ptr,
    sample_tokens_ptr,
    sample_slots_ptr,
    temperature_ptr,
    top_k_ptr,
    top_p_ptr,
    min_p_ptr,
    counters_ptr,
    seeds_ptr,
    last_tokens_ptr,
    T,
    R,
    C,
    S,
    table_stride,
    BLOCK: tl.constexpr,
):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    token = at < T
    row = at < R
    start = at < R + 1
    entry = at < R * C
    sample = at < S
    rows_ptr = packed_ptr + 4 * T
    tables = rows_ptr + 2 * R + 1
    samples = tables + R * C
    # All loads before the first store: none of them may then wait for a store to an address that might be the same.
    known = tl.load(packed_ptr + at, mask=token, other=0)
    source = tl.load(packed_ptr + T + at, mask=token, other=-1)
    position = tl.load(packed_ptr + 2 * T + at, mask=token, other=0)
    slot = tl.load(packed_ptr + 3 * T + at, mask=token, other=0)
    begin = tl.load(rows_ptr + at, mask=start, other=0)
    length = tl.load(rows_ptr + R + 1 + at, mask=row, other=0)
    block = tl.load(tables + at, mask=entry, other=0)
    sampled_token = tl.load(samples + at, mask=sample, other=0)
    sampled_slot = tl.load(samples + S + at, mask=sample, other=0)
    temperature = tl.load(samples + 2 * S + at, mask=sample, other=0)
    top_k = tl.load(samples + 3 * S + at, mask=sample, other=0)
    top_p = tl.load(samples + 4 * S + at, mask=sample, other=0)
    min_p = tl.load(samples + 5 * S + at, mask=sample, other=0)
    counter = tl.load(samples + 6 * S + at, mask=sample, other=0)
    low = tl.load(samples + 7 * S + 2 * at, mask=sample, other=0)
    high = tl.load(samples + 7 * S + 2 * at + 1, mask=sample, other=0)
    last = tl.load(last_tokens_ptr + source, mask=token & (source >= 0), other=0)
    tl.store(token_ids_ptr + at, tl.where(source >= 0, last, known).to(tl.int64), mask=token)
    tl.store(positions_ptr + at, position.to(tl.int64), mask=token)
    tl.store(slot_mapping_ptr + at, slot.to(tl.int64), mask=token)
    tl.store(query_starts_ptr + at, begin, mask=start)
    tl.store(lengths_ptr + at, length, mask=row)
    tl.store(tables_ptr + at // C * table_stride + at % C, block, mask=entry)
    tl.store(sample_tokens_ptr + at, sampled_token.to(tl.int64), mask=sample)
    tl.store(sample_slots_ptr + at, sampled_slot, mask=sample)
    tl.store(temperature_ptr + at, temperature.to(tl.float32, bitcast=True), mask=sample)
    tl.store(top_k_ptr + at, top_k, mask=sample)
    tl.store(top_p_ptr + at, top_p.to(tl.float32, bitcast=True), mask=sample)
    tl.store(min_p_ptr + at, min_p.to(tl.float32, bitcast=True), mask=sample)
    tl.store(counters_ptr + at, counter, mask=sample)
    tl.store(seeds_ptr + at, (high.to(tl.int64) << 32) | (low.to(tl.int64) & 0xFFFFFFFF), mask=sample)


def unpack_step(packed: Tensor, sizes: PackedSizes, to: StepTensors) -> None:
    """Spread `packed` (int32, as `PackedSizes` lays it out) into `to`."""
    longest = max(sizes.tokens, sizes.rows + 1, sizes.rows * sizes.columns, sizes.samples)
    _unpack_kernel[(triton.cdiv(longest, BLOCK),)](
        packed, to.token_ids, to.positions, to.slot_mapping, to.query_starts, to.context_lengths, to.block_tables,
        to.sample_tokens, to.sample_slots, to.temperature, to.top_k, to.top_p, to.min_p, to.counters, to.seeds,
        to.last_tokens, sizes.tokens, sizes.rows, sizes.columns, sizes.samples, to.block_tables.stride(0),
        BLOCK=BLOCK,
    )  # fmt: skip
