"""Causal attention of prompt chunks whose own keys and values still lie side by side, as the projection left them.

The loop is that of `prefill_attention.py`, but only the keys of earlier steps are gathered from the paged cache. Those
of the chunk itself, nearly all of them in a long prompt step, come through the tensor memory accelerator: one
instruction a tile, where gathering costs each thread a look at the block table and an address for every 16 bytes.
"""

from dataclasses import dataclass
from typing import Final

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor

from inference_backend.kernels.cuda.attention import cache_rows, online_step, scaled_scores, tile_of
from inference_backend.kernels.cuda.launch import (
    early_launch,
    has_tensor_memory_accelerator,
    launch_options,
    release_next,
    wait_previous,
)
from inference_backend.kernels.values import AttentionInputs, AttentionSpec, LayerCache, Rotated


@dataclass(frozen=True, slots=True)
class ChunkTiling:
    """Rows (queries times heads of a group) and keys of a tile, warps, and stages of the loops."""

    rows: int
    keys: int
    warps: int
    stages: int


# Measured on an H200, 16,384 tokens of prompts of 256 to 768: 284 us a layer; 64 keys a tile take 318, 128 rows 301.
TILING: Final = ChunkTiling(rows=64, keys=32, warps=4, stages=3)


@triton.jit
def _causal(scores, at, place, WINDOW: tl.constexpr):
    """Minus infinity where the key at position `at` is not visible from `place`."""
    visible = at[None, :] <= place[:, None]
    if WINDOW > 0:
        visible = visible & (at[None, :] > place[:, None] - WINDOW)
    return tl.where(visible, scores, float("-inf"))


@triton.jit
def _scores(q, k, scale, SOFT_CAP: tl.constexpr):
    """The scores of a tile for `online_step`, whose factor is `_factor`'s."""
    scores = tl.dot(q, k.T, input_precision="ieee")
    if SOFT_CAP > 0:
        scores = scaled_scores(scores, scale, SOFT_CAP)
    return scores


@triton.jit
def _factor(scale, SOFT_CAP: tl.constexpr):
    """What makes exponents of base 2 of `_scores`: capped ones are such already."""
    return 1.0 if SOFT_CAP > 0 else scale * 1.4426950408889634


@triton.jit
def _earlier_keys(
    q, query, oldest, prefix, keys_ptr, values_ptr, table, head, scale, acc, top, total,
    K: tl.constexpr, D: tl.constexpr, PAGE: tl.constexpr, BLOCK_N: tl.constexpr, WINDOW: tl.constexpr,
    SOFT_CAP: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """The keys of earlier steps, [oldest, prefix) of the sequence, gathered from the cache; `query` from the chunk's start."""
    dims = tl.arange(0, D)
    for n in tl.range(oldest // BLOCK_N * BLOCK_N, prefix, BLOCK_N, num_stages=STAGES):
        at = n + tl.arange(0, BLOCK_N)
        inside = at < prefix
        where = (cache_rows(table, at, inside, PAGE) * K + head)[:, None] * D + dims[None, :]
        k = tl.load(keys_ptr + where, mask=inside[:, None], other=0.0)
        v = tl.load(values_ptr + where, mask=inside[:, None], other=0.0)
        scores = _causal(_scores(q, k, scale, SOFT_CAP), at - prefix, query, WINDOW)
        scores = tl.where(inside[None, :], scores, float("-inf"))
        acc, top, total = online_step(scores, _factor(scale, SOFT_CAP), v, acc, top, total)
    return acc, top, total


@triton.jit
def _own_keys(
    q, query, start, end, begin, queries, k_desc, v_desc, column, scale, acc, top, total,
    BLOCK_N: tl.constexpr, WINDOW: tl.constexpr, SOFT_CAP: tl.constexpr, MASKED: tl.constexpr,
    CLEANED: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """The chunk's own keys [start, end), of the `queries` that begin at token `begin`."""
    for n in tl.range(start, end, BLOCK_N, num_stages=STAGES):
        k = k_desc.load([begin + n, column])
        v = v_desc.load([begin + n, column])
        scores = _scores(q, k, scale, SOFT_CAP)
        at = n + tl.arange(0, BLOCK_N)
        if MASKED:
            scores = _causal(scores, at, query, WINDOW)
        if CLEANED:
            # The tile reaches into the next row, which no query sees; but that row's NaN times a weight of 0 is NaN.
            v = tl.where((at < queries)[:, None], v, 0.0)
        acc, top, total = online_step(scores, _factor(scale, SOFT_CAP), v, acc, top, total)
    return acc, top, total


@triton.jit(do_not_specialize=["table_stride", "rows"])
def _chunk_kernel(
    q_ptr, k_desc, v_desc, keys_ptr, values_ptr, out_ptr, tables_ptr, lengths_ptr, starts_ptr, rows, table_stride,
    scale,
    K: tl.constexpr, GROUP: tl.constexpr, D: tl.constexpr, PAGE: tl.constexpr, BLOCK_Q: tl.constexpr,
    BLOCK_G: tl.constexpr, BLOCK_N: tl.constexpr, WINDOW: tl.constexpr, SOFT_CAP: tl.constexpr,
    BY_LENGTH: tl.constexpr, STAGES: tl.constexpr, PDL: tl.constexpr,
):  # fmt: skip
    head = tl.program_id(0)
    wait_previous(PDL)
    row, begin, queries, first = tile_of(tl.program_id(1), starts_ptr, rows, BLOCK_Q, BY_LENGTH)
    if first < queries:
        prefix = tl.load(lengths_ptr + row) - queries
        lanes = tl.arange(0, BLOCK_Q * BLOCK_G)
        query = first + lanes // BLOCK_G
        member = lanes % BLOCK_G
        ok = ((query < queries) & (member < GROUP))[:, None]
        at_rows = (begin + query).to(tl.int64) * (K * GROUP) + head * GROUP + member
        at_q = at_rows[:, None] * D + tl.arange(0, D)[None, :]
        q = tl.load(q_ptr + at_q, mask=ok, other=0.0)
        top = tl.full((BLOCK_Q * BLOCK_G,), float("-inf"), dtype=tl.float32)
        total = tl.zeros((BLOCK_Q * BLOCK_G,), dtype=tl.float32)
        acc = tl.zeros((BLOCK_Q * BLOCK_G, D), dtype=tl.float32)
        oldest = 0
        start = 0
        # Own tiles wholly before the first query need no causal mask, the others end with the last query.
        # Those beyond the row's last whole tile hold the next row's keys too. A window cuts through most tiles.
        end = tl.minimum(first + BLOCK_Q, queries)
        unmasked = (first + 1) // BLOCK_N * BLOCK_N
        whole = tl.minimum(tl.cdiv(end, BLOCK_N) * BLOCK_N, queries // BLOCK_N * BLOCK_N)
        if WINDOW > 0:
            oldest = tl.maximum(prefix + first - WINDOW + 1, 0)
            start = tl.maximum(first - WINDOW + 1, 0) // BLOCK_N * BLOCK_N
            unmasked = start
        acc, top, total = _earlier_keys(
            q, query, oldest, prefix, keys_ptr, values_ptr, tables_ptr + row.to(tl.int64) * table_stride, head, scale,
            acc, top, total, K, D, PAGE, BLOCK_N, WINDOW, SOFT_CAP, STAGES,
        )  # fmt: skip
        acc, top, total = _own_keys(
            q, query, start, unmasked, begin, queries, k_desc, v_desc, head * D, scale, acc, top, total,
            BLOCK_N, WINDOW, SOFT_CAP, False, False, STAGES,
        )  # fmt: skip
        acc, top, total = _own_keys(
            q, query, unmasked, whole, begin, queries, k_desc, v_desc, head * D, scale, acc, top, total,
            BLOCK_N, WINDOW, SOFT_CAP, True, False, STAGES,
        )  # fmt: skip
        acc, top, total = _own_keys(
            q, query, tl.maximum(whole, unmasked), end, begin, queries, k_desc, v_desc, head * D, scale, acc, top,
            total, BLOCK_N, WINDOW, SOFT_CAP, True, True, 1,
        )  # fmt: skip
        total = tl.where(total > 0, total, 1.0)
        tl.store(out_ptr + at_q, (acc / total[:, None]).to(out_ptr.dtype.element_ty), mask=ok)
    release_next(PDL)


def fits_chunks(spec: AttentionSpec, cache: LayerCache, qkv: Tensor) -> bool:
    """Whether `chunk_attention` serves a layer: keys as they are cached, heads of a power of two, and the hardware.

    A narrower cache is left to the gathering kernel: there every query is to see what later ones will see.
    """
    return (
        cache.keys.dtype == qkv.dtype
        and qkv.dtype != torch.float32
        and qkv.stride(-1) == 1
        and spec.head_dim in {64, 128, 256}
        and has_tensor_memory_accelerator(qkv.device)
    )


def chunk_attention(
    rotated: Rotated,
    cache: LayerCache,
    inputs: AttentionInputs,
    spec: AttentionSpec,
    out: Tensor,
    tiling: ChunkTiling = TILING,
) -> Tensor:
    """As `reference.paged_attention_prefill`, with the step's own keys and values at hand.

    `rotated` and `out`, float16 or bfloat16 [tokens, H, D], begin behind the decode rows' tokens (by length: with the
    step's first). Writes to `out`, and nothing where a row has one query and rows are told by length.
    """
    group = spec.heads // spec.kv_heads
    block_g = triton.next_power_of_2(group)
    block_q = max(1, tiling.rows // block_g)
    skipped = 0 if inputs.by_length else inputs.decode_rows
    rows = len(inputs.context_lengths) - skipped
    queries = rotated.queries
    tiles = len(queries) // block_q + rows
    block = [tiling.keys, spec.head_dim]
    if rows:
        _chunk_kernel[(spec.kv_heads, tiles)](
            queries, _described(rotated.keys, block), _described(rotated.values, block),
            cache.keys, cache.values, out, inputs.block_tables[skipped:], inputs.context_lengths[skipped:],
            inputs.query_starts[skipped:], rows, inputs.block_tables.stride(0), spec.scale,
            K=spec.kv_heads, GROUP=group, D=spec.head_dim, PAGE=cache.block_size, BLOCK_Q=block_q,
            BLOCK_G=block_g, BLOCK_N=tiling.keys, WINDOW=spec.window or 0, SOFT_CAP=spec.soft_cap or 0.0,
            BY_LENGTH=inputs.by_length, STAGES=tiling.stages, PDL=early_launch(),
            num_warps=tiling.warps, **launch_options(),
        )  # fmt: skip
    return out


def _described(heads: Tensor, block: list[int]) -> TensorDescriptor:
    """A descriptor of [T, heads times dimensions] over [T, heads, dimensions] whose tokens may lie apart."""
    tokens, count, width = heads.shape
    return TensorDescriptor(heads, [tokens, count * width], [heads.stride(0), 1], block)
