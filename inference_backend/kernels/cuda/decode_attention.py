"""Paged attention for rows of one query: split over the context, query heads of one KV head taken together.

One program reads one share of one sequence's keys and values for one KV head, for all the query heads that use it,
so each byte of the cache is read once (Flash-Decoding, Dao et al. 2023, with grouped heads). Where a sequence is
split, each program leaves its partial output, and the last one to arrive adds them up, in order, so that the result
does not depend on who was last. The grid never depends on lengths, which are read on the device: a CUDA graph
replays it for any step.
"""

from typing import Final

import torch
import triton
import triton.language as tl
from torch import Tensor

from inference_backend.kernels.cuda.attention import cache_rows, online_step, scaled_scores, scaled_step
from inference_backend.kernels.cuda.launch import early_launch, launch_options, release_next, wait_previous
from inference_backend.kernels.cuda.scratch import arrival_counters
from inference_backend.kernels.values import AttentionInputs, AttentionSpec, LayerCache

PROGRAMS_WANTED: Final = 264  # two for each of an H200's 132 multiprocessors
SMALLEST_SHARE: Final = 64  # tokens; the kernel's own tile
MOST_SPLITS: Final = 32
FEWER_WARPS_FROM: Final = 208  # rows; from here on more programs beat more warps in each
FEWER_STAGES_FROM: Final = 128  # rows
NARROW_FEWER_WARPS_FROM: Final = 64  # rows


@triton.jit
def _merge(
    out_ptr, partial_ptr, stats_ptr, arrivals_ptr, out_rows, ok, dims, cell, active,
    SPLITS: tl.constexpr, BLOCK_H: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """The last program of a (sequence, head) cell adds up its `active` partial outputs, in order of their split."""
    tl.debug_barrier()
    arrived = tl.atomic_add(arrivals_ptr + cell, 1, sem="acq_rel")
    if arrived == active - 1:
        lanes = tl.arange(0, BLOCK_H)
        splits = tl.arange(0, SPLITS)
        base = cell * SPLITS
        stats = stats_ptr + ((base + splits)[:, None] * BLOCK_H + lanes[None, :]) * 2
        filled = (splits < active)[:, None] & (lanes < BLOCK_H)[None, :]
        tops = tl.load(stats, mask=filled, other=float("-inf"), cache_modifier=".cg")
        totals = tl.load(stats + 1, mask=filled, other=0.0, cache_modifier=".cg")
        top = tl.max(tops, axis=0)
        top = tl.where(top == float("-inf"), 0.0, top)
        total = tl.sum(tl.exp2(tops - top[None, :]) * totals, axis=0)
        acc = tl.zeros((BLOCK_H, BLOCK_D), dtype=tl.float32)
        for split in tl.range(active, num_stages=3):
            own = tl.load(stats_ptr + ((base + split) * BLOCK_H + lanes) * 2, cache_modifier=".cg")
            part = partial_ptr + ((base + split) * BLOCK_H + lanes)[:, None] * BLOCK_D + dims[None, :]
            acc += tl.load(part, cache_modifier=".cg") * tl.exp2(own - top)[:, None]
        total = tl.where(total > 0, total, 1.0)
        tl.store(out_ptr + out_rows, (acc / total[:, None]).to(out_ptr.dtype.element_ty), mask=ok)
        tl.store(arrivals_ptr + cell, 0)


@triton.jit(do_not_specialize=["table_stride"])
def _decode_kernel(
    q_ptr,
    keys_ptr,
    values_ptr,
    key_scale_ptr,
    value_scale_ptr,
    out_ptr,
    partial_ptr,
    stats_ptr,
    arrivals_ptr,
    tables_ptr,
    lengths_ptr,
    starts_ptr,
    table_stride,
    scale,
    K: tl.constexpr,
    GROUP: tl.constexpr,
    D: tl.constexpr,
    PAGE: tl.constexpr,
    BLOCK_H: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_N: tl.constexpr,
    SPLITS: tl.constexpr,
    WINDOW: tl.constexpr,
    SOFT_CAP: tl.constexpr,
    SCALED: tl.constexpr,
    BY_LENGTH: tl.constexpr,
    STAGES: tl.constexpr,
    PDL: tl.constexpr,
):
    head = tl.program_id(0)
    row = tl.program_id(1).to(tl.int64)
    split = tl.program_id(2)
    lanes = tl.arange(0, BLOCK_H)
    dims = tl.arange(0, BLOCK_D)
    ok = (lanes < GROUP)[:, None] & (dims < D)[None, :]
    out_rows = ((row * K + head) * GROUP + lanes)[:, None] * D + dims[None, :]
    wait_previous(PDL)
    length = tl.load(lengths_ptr + row)
    # fp8 and int8 become float16 at a convert's cost; bfloat16 would take several instructions.
    narrow: tl.constexpr = keys_ptr.dtype.element_ty.primitive_bitwidth == 8
    q = tl.load(q_ptr + out_rows, mask=ok, other=0.0)
    if narrow:
        q = q.to(tl.float16)
    first = 0
    if WINDOW > 0:
        first = tl.maximum(length - WINDOW, 0)
    share = tl.cdiv(tl.cdiv(length - first, SPLITS), BLOCK_N) * BLOCK_N
    if SPLITS > 1:
        # A share of less than two tiles is not worth its part of the merge.
        share = tl.maximum(share, 128)
    start = first + split * share
    end = tl.minimum(start + share, length)
    # Only shares that hold tokens leave a partial result; a row without tokens (padding) has one empty share.
    active = tl.maximum(tl.cdiv(length - first, tl.maximum(share, 1)), 1)
    if BY_LENGTH:
        # Decode rows come first, so that such a row's number is its token's.
        single = tl.load(starts_ptr + row + 1) - tl.load(starts_ptr + row) == 1
        active = tl.where(single, active, 0)
    if split < active:
        top = tl.full((BLOCK_H,), float("-inf"), dtype=tl.float32)
        total = tl.zeros((BLOCK_H,), dtype=tl.float32)
        acc = tl.zeros((BLOCK_H, BLOCK_D), dtype=tl.float32)
        table = tables_ptr + row * table_stride
        for n in tl.range(start, end, BLOCK_N, num_stages=STAGES):
            at = n + tl.arange(0, BLOCK_N)
            inside = at < end
            rows = cache_rows(table, at, inside, PAGE)
            where = (rows * K + head)[:, None] * D + dims[None, :]
            seen = inside[:, None] & (dims < D)[None, :]
            k = tl.load(keys_ptr + where, mask=seen, other=0.0)
            v = tl.load(values_ptr + where, mask=seen, other=0.0)
            if narrow:
                k = k.to(tl.float16)
                v = v.to(tl.float16)
            scores = tl.dot(q, k.T, input_precision="ieee")
            if SCALED:
                scores *= tl.load(key_scale_ptr + rows * K + head, mask=inside, other=0.0)[None, :]
            scores = scaled_scores(scores, scale, SOFT_CAP)
            scores = tl.where(inside[None, :], scores, float("-inf"))
            if SCALED:
                size = tl.load(value_scale_ptr + rows * K + head, mask=inside, other=0.0)
                acc, top, total = scaled_step(scores, v, size, acc, top, total)
            else:
                acc, top, total = online_step(scores, 1.0, v, acc, top, total)
        release_next(PDL)
        if (SPLITS == 1) | (active == 1):
            total = tl.where(total > 0, total, 1.0)
            tl.store(out_ptr + out_rows, (acc / total[:, None]).to(out_ptr.dtype.element_ty), mask=ok)
        else:
            cell = row * K + head
            part = (cell * SPLITS + split) * BLOCK_H + lanes
            tl.store(partial_ptr + part[:, None] * BLOCK_D + dims[None, :], acc)
            tl.store(stats_ptr + part * 2, top)
            tl.store(stats_ptr + part * 2 + 1, total)
            _merge(
                out_ptr, partial_ptr, stats_ptr, arrivals_ptr, out_rows, ok, dims, cell, active,
                SPLITS, BLOCK_H, BLOCK_D,
            )  # fmt: skip


def splits_for(rows: int, kv_heads: int, max_context: int) -> int:
    """Into how many shares a sequence's context is cut: enough programs to fill the card, no share too small."""
    wanted = PROGRAMS_WANTED // max(1, rows * kv_heads)
    useful = max_context // SMALLEST_SHARE
    return 1 << (max(1, min(MOST_SPLITS, wanted, useful)).bit_length() - 1)


def _tiling(rows: int, *, narrow: bool) -> tuple[int, int, int]:
    """Keys of a tile, stages of the loop over tiles, and warps, for a cache of two bytes an element or a `narrow` one.

    Many rows fill the card with programs: small tiles and two warps let more of them live side by side. Few rows need
    more bytes under way in each, and so does a cache of one byte an element, at any number of rows. Measured on an
    H200 over contexts of 192, 300 to 1,000 and 1,152 tokens, longest first.
    """
    if narrow:
        return 64, 3, 2 if rows >= NARROW_FEWER_WARPS_FROM else 4
    if rows >= FEWER_WARPS_FROM:
        return 32, 2, 2
    return 64, 2 if rows >= FEWER_STAGES_FROM else 3, 4


def paged_attention_decode(
    queries: Tensor,
    cache: LayerCache,
    inputs: AttentionInputs,
    spec: AttentionSpec,
    out: Tensor | None = None,
) -> Tensor:
    """See `reference.paged_attention_decode`; a row of length 0 (padding) gives zeros. Writes to `out` if given."""
    rows = len(inputs.context_lengths) if inputs.by_length else inputs.decode_rows
    out = torch.empty_like(queries) if out is None else out
    splits = splits_for(rows, spec.kv_heads, inputs.max_context)
    group = spec.heads // spec.kv_heads
    block_h = max(16, triton.next_power_of_2(group))
    block_d = max(16, triton.next_power_of_2(spec.head_dim))
    partial, stats, arrivals = _workspace(queries, rows * spec.kv_heads, splits, (block_h, block_d))
    scaled = cache.key_scales is not None
    tile, stages, warps = _tiling(rows, narrow=cache.keys.element_size() == 1)
    if rows:
        _decode_kernel[(spec.kv_heads, rows, splits)](
            queries,
            cache.keys,
            cache.values,
            cache.key_scales if scaled else stats,
            cache.value_scales if scaled else stats,
            out,
            partial,
            stats,
            arrivals,
            inputs.block_tables,
            inputs.context_lengths,
            inputs.query_starts,
            inputs.block_tables.stride(0),
            spec.scale,
            K=spec.kv_heads,
            GROUP=group,
            D=spec.head_dim,
            PAGE=cache.block_size,
            BLOCK_H=block_h,
            BLOCK_D=block_d,
            BLOCK_N=tile,
            SPLITS=splits,
            WINDOW=spec.window or 0,
            SOFT_CAP=spec.soft_cap or 0.0,
            SCALED=scaled,
            BY_LENGTH=inputs.by_length,
            STAGES=stages,
            PDL=early_launch(),
            num_warps=warps,
            **launch_options(),
        )
    return out


def _workspace(
    like: Tensor, cells: int, splits: int, block: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor]:
    if splits == 1:
        empty = torch.empty(1, dtype=torch.float32, device=like.device)
        return empty, empty, empty
    height, width = block
    partial = torch.empty((cells, splits, height, width), dtype=torch.float32, device=like.device)
    stats = torch.empty((cells, splits, height, 2), dtype=torch.float32, device=like.device)
    return partial, stats, arrival_counters(like.device, cells)
