"""Paged causal attention for rows of many queries (prompt chunks, drafts to verify), over prefix and chunk alike.

One program takes BLOCK_Q neighbouring queries of one row with all the query heads of one KV head (FlashAttention's
loop, Dao et al. 2022, over a gathered cache). Which row a program belongs to is found by bisection over the query
starts, so the launch needs nothing from the host but upper bounds.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from inference_backend.kernels.cuda.attention import (
    cache_rows,
    online_step,
    scaled_scores,
    scaled_step,
    tile_of,
)
from inference_backend.kernels.cuda.chunk_attention import chunk_attention
from inference_backend.kernels.cuda.decode_attention import paged_attention_decode
from inference_backend.kernels.cuda.launch import early_launch, launch_options, release_next, wait_previous
from inference_backend.kernels.values import AttentionInputs, AttentionSpec, LayerCache, Queries, Rotated


@triton.jit(do_not_specialize=["table_stride", "rows"])
def _prefill_kernel(
    q_ptr,
    keys_ptr,
    values_ptr,
    key_scale_ptr,
    value_scale_ptr,
    out_ptr,
    tables_ptr,
    lengths_ptr,
    starts_ptr,
    rows,
    table_stride,
    scale,
    K: tl.constexpr,
    GROUP: tl.constexpr,
    D: tl.constexpr,
    PAGE: tl.constexpr,
    BLOCK_Q: tl.constexpr,
    BLOCK_G: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_N: tl.constexpr,
    WINDOW: tl.constexpr,
    SOFT_CAP: tl.constexpr,
    SCALED: tl.constexpr,
    BY_LENGTH: tl.constexpr,
    STAGES: tl.constexpr,
    PDL: tl.constexpr,
):
    head = tl.program_id(0)
    wait_previous(PDL)
    row, begin, queries, first = tile_of(tl.program_id(1), starts_ptr, rows, BLOCK_Q, BY_LENGTH)
    if first < queries:
        length = tl.load(lengths_ptr + row)
        lanes = tl.arange(0, BLOCK_Q * BLOCK_G)
        dims = tl.arange(0, BLOCK_D)
        query = first + lanes // BLOCK_G
        member = lanes % BLOCK_G
        ok = ((query < queries) & (member < GROUP))[:, None] & (dims < D)[None, :]
        at_rows = (begin + query).to(tl.int64) * (K * GROUP) + head * GROUP + member
        at_q = at_rows[:, None] * D + dims[None, :]
        q = tl.load(q_ptr + at_q, mask=ok, other=0.0)
        narrow: tl.constexpr = keys_ptr.dtype.element_ty.primitive_bitwidth == 8
        if narrow:
            q = q.to(tl.float16)
        place = length - queries + query
        end = tl.minimum(length - queries + first + BLOCK_Q, length)
        start = 0
        if WINDOW > 0:
            start = tl.maximum(length - queries + first - WINDOW + 1, 0) // BLOCK_N * BLOCK_N
        # Tiles wholly before the first query need no causal mask.
        plain_end = (length - queries + first + 1) // BLOCK_N * BLOCK_N
        if WINDOW > 0:
            plain_end = start
        plain_end = tl.maximum(plain_end, start)
        top = tl.full((BLOCK_Q * BLOCK_G,), float("-inf"), dtype=tl.float32)
        total = tl.zeros((BLOCK_Q * BLOCK_G,), dtype=tl.float32)
        acc = tl.zeros((BLOCK_Q * BLOCK_G, BLOCK_D), dtype=tl.float32)
        table = tables_ptr + row.to(tl.int64) * table_stride
        for n in tl.range(start, plain_end, BLOCK_N, num_stages=STAGES):
            acc, top, total = _tile(
                q, keys_ptr, values_ptr, key_scale_ptr, value_scale_ptr, table, n, end, place, dims, head, scale,
                acc, top, total, K, D, PAGE, BLOCK_N, WINDOW, SOFT_CAP, SCALED, False,
            )  # fmt: skip
        for n in tl.range(plain_end, end, BLOCK_N, num_stages=STAGES):
            acc, top, total = _tile(
                q, keys_ptr, values_ptr, key_scale_ptr, value_scale_ptr, table, n, end, place, dims, head, scale,
                acc, top, total, K, D, PAGE, BLOCK_N, WINDOW, SOFT_CAP, SCALED, True,
            )  # fmt: skip
        total = tl.where(total > 0, total, 1.0)
        tl.store(out_ptr + at_q, (acc / total[:, None]).to(out_ptr.dtype.element_ty), mask=ok)
    release_next(PDL)


@triton.jit
def _tile(
    q, keys_ptr, values_ptr, key_scale_ptr, value_scale_ptr, table, n, end, place, dims, head, scale,
    acc, top, total,
    K: tl.constexpr, D: tl.constexpr, PAGE: tl.constexpr, BLOCK_N: tl.constexpr,
    WINDOW: tl.constexpr, SOFT_CAP: tl.constexpr, SCALED: tl.constexpr, MASKED: tl.constexpr,
):  # fmt: skip
    at = n + tl.arange(0, BLOCK_N)
    inside = at < end
    rows = cache_rows(table, at, inside if MASKED else None, PAGE)
    where = (rows * K + head)[:, None] * D + dims[None, :]
    if MASKED:
        seen = inside[:, None] & (dims < D)[None, :]
        k = tl.load(keys_ptr + where, mask=seen, other=0.0)
        v = tl.load(values_ptr + where, mask=seen, other=0.0)
    elif dims.shape[0] == D:
        k = tl.load(keys_ptr + where)
        v = tl.load(values_ptr + where)
    else:
        k = tl.load(keys_ptr + where, mask=(dims < D)[None, :], other=0.0)
        v = tl.load(values_ptr + where, mask=(dims < D)[None, :], other=0.0)
    if keys_ptr.dtype.element_ty.primitive_bitwidth == 8:
        k = k.to(tl.float16)
        v = v.to(tl.float16)
    scores = tl.dot(q, k.T, input_precision="ieee")
    if SCALED:
        scores *= tl.load(key_scale_ptr + rows * K + head, mask=inside, other=0.0)[None, :]
    scores = scaled_scores(scores, scale, SOFT_CAP)
    if MASKED:
        visible = inside[None, :] & (at[None, :] <= place[:, None])
        if WINDOW > 0:
            visible = visible & (at[None, :] > place[:, None] - WINDOW)
        scores = tl.where(visible, scores, float("-inf"))
    if SCALED:
        size = tl.load(value_scale_ptr + rows * K + head, mask=inside, other=0.0)
        acc, top, total = scaled_step(scores, v, size, acc, top, total)
    else:
        acc, top, total = online_step(scores, 1.0, v, acc, top, total)
    return acc, top, total


def paged_attention_prefill(
    queries: Tensor,
    cache: LayerCache,
    inputs: AttentionInputs,
    spec: AttentionSpec,
    out: Tensor | None = None,
) -> Tensor:
    """See `reference.paged_attention_prefill`. Writes to `out` if given."""
    out = torch.empty_like(queries) if out is None else out
    group = spec.heads // spec.kv_heads
    block_g = triton.next_power_of_2(group)
    block_q = max(1, 64 // block_g)
    skipped = 0 if inputs.by_length else inputs.decode_rows
    rows = len(inputs.context_lengths) - skipped
    tiles = len(queries) // block_q + rows
    scaled = cache.key_scales is not None
    if rows:
        _prefill_kernel[(spec.kv_heads, tiles)](
            queries,
            cache.keys,
            cache.values,
            cache.key_scales if scaled else queries,
            cache.value_scales if scaled else queries,
            out,
            inputs.block_tables[skipped:],
            inputs.context_lengths[skipped:],
            inputs.query_starts[skipped:],
            rows,
            inputs.block_tables.stride(0),
            spec.scale,
            K=spec.kv_heads,
            GROUP=group,
            D=spec.head_dim,
            PAGE=cache.block_size,
            BLOCK_Q=block_q,
            BLOCK_G=block_g,
            BLOCK_D=max(16, triton.next_power_of_2(spec.head_dim)),
            BLOCK_N=32,
            WINDOW=spec.window or 0,
            SOFT_CAP=spec.soft_cap or 0.0,
            SCALED=scaled,
            BY_LENGTH=inputs.by_length,
            STAGES=2,
            PDL=early_launch(),
            num_warps=4,
            **launch_options(),
        )
    return out


def paged_attention(
    queries: Queries, cache: LayerCache, inputs: AttentionInputs, spec: AttentionSpec
) -> Tensor:
    """See `reference.paged_attention`."""
    given = queries if isinstance(queries, Tensor) else queries.queries
    out = torch.empty_like(given)
    # By length, every row is looked at by both kernels, and each leaves the other's alone.
    split = 0 if inputs.by_length else inputs.decode_rows
    if inputs.by_length:
        paged_attention_decode(given, cache, inputs, spec, out)
    elif split:
        paged_attention_decode(given[:split], cache, inputs, spec, out[:split])
    if isinstance(queries, Rotated):
        chunk_attention(queries.after(split), cache, inputs, spec, out[split:])
    elif inputs.has_chunks:
        paged_attention_prefill(given[split:], cache, inputs, spec, out[split:])
    return out.view(len(given), -1)
