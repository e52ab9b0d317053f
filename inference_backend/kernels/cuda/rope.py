"""Rotary embedding of queries and keys, and the write of keys and values to the paged cache, in one kernel.

One program takes a few neighbouring heads of one token of the packed projection: query heads go out rotated, key heads
go rotated into the cache, value heads go into the cache as they are, each rounded to the cache's dtype. A head is
held as two halves, so that both of a rotation's partners are in registers and every access is contiguous; where only
a part of a head turns, or pairs are interleaved, partners are read a second time instead.
"""

import torch
import triton
import triton.language as tl

from inference_backend.kernels.cuda.chunk_attention import fits_chunks
from inference_backend.kernels.cuda.launch import early_launch, launch_options, release_next, wait_previous
from inference_backend.kernels.cuda.rounding import nearest_even
from inference_backend.kernels.values import (
    AttentionInputs,
    AttentionSpec,
    Deferred,
    LayerCache,
    Output,
    Product,
    Queries,
    RopeTable,
    Rotated,
)

# The time goes with the number of programs: with 8 heads each a step of 16,384 tokens took an eighth more.
HEADS_PER_PROGRAM = 16


@triton.jit
def _scaled(row_ptr, at, columns_ptr, size, ok, PRODUCT: tl.constexpr):
    """Values at element offsets `at` of a token's packed row; a product's scales multiplied in."""
    value = tl.load(row_ptr + at, mask=ok, other=0.0)
    if PRODUCT:
        value = (value.to(tl.float32) * size * tl.load(columns_ptr + at, mask=ok, other=0.0)).to(value.dtype)
    return value


@triton.jit
def _rounded(values, scale, LIMIT: tl.constexpr, to):
    wide = values.to(tl.float32)
    if LIMIT == 127:
        return nearest_even(wide / scale[:, None]).to(tl.int8)
    if LIMIT == 448:
        return tl.minimum(tl.maximum(wide, -448.0), 448.0).to(to)
    return values.to(to)


@triton.jit
def _write(
    store_ptr, scale_ptr, heads, slot, low, high, dims, K: tl.constexpr, D: tl.constexpr, LIMIT: tl.constexpr
):
    """Heads [lanes, HALF] and [lanes, HALF] into the cache row `slot`."""
    half: tl.constexpr = (D + 1) // 2
    lane = (heads < K)[:, None]
    size = tl.maximum(tl.max(tl.abs(low.to(tl.float32)), axis=1), tl.max(tl.abs(high.to(tl.float32)), axis=1))
    scale = tl.maximum(size / 127, 1e-12)
    if LIMIT == 127:
        tl.store(scale_ptr + slot * K + heads, scale, mask=heads < K)
    at = store_ptr + (slot * K + heads)[:, None] * D + dims[None, :]
    to = store_ptr.dtype.element_ty
    tl.store(at, _rounded(low, scale, LIMIT, to), mask=lane & (dims < half)[None, :])
    tl.store(at + half, _rounded(high, scale, LIMIT, to), mask=lane & (dims < D - half)[None, :])


@triton.jit
def _put(to_ptr, first, heads, count, low, high, dims, D: tl.constexpr):
    """Heads [lanes, HALF] and [lanes, HALF] as they are, to a tensor of heads; `first` is the token's first head there."""
    half: tl.constexpr = (D + 1) // 2
    lane = (heads < count)[:, None]
    at = to_ptr + (first + heads)[:, None] * D + dims[None, :]
    tl.store(at, low, mask=lane & (dims < half)[None, :])
    tl.store(at + half, high, mask=lane & (dims < D - half)[None, :])


@triton.jit
def _turned(x, row_ptr, base, at, columns_ptr, table_ptr, size, ROTATED: tl.constexpr, INTERLEAVED: tl.constexpr,
            PRODUCT: tl.constexpr):  # fmt: skip
    """Rotate `x`, the values at dimensions `at` of the heads at offsets `base`, reading each one's partner."""
    half: tl.constexpr = ROTATED // 2
    turns = at < ROTATED
    if INTERLEAVED:
        second = (at % 2) == 1
        angle = at // 2
        partner = tl.where(second, at - 1, at + 1)
    else:
        second = at >= half
        angle = tl.where(second, at - half, at)
        partner = tl.where(second, at - half, at + half)
    partner = tl.where(turns, partner, at)
    other = _scaled(row_ptr, base + partner[None, :], columns_ptr, size, turns[None, :], PRODUCT)
    cos = tl.load(table_ptr + angle, mask=turns, other=1.0)
    sin = tl.load(table_ptr + half + angle, mask=turns, other=0.0)
    signed = tl.where(second, sin, -sin)
    return (x.to(tl.float32) * cos[None, :] + other.to(tl.float32) * signed[None, :]).to(x.dtype)


@triton.jit
def _rope_kernel(
    qkv_ptr,
    queries_ptr,
    keys_ptr,
    values_ptr,
    key_scale_ptr,
    value_scale_ptr,
    own_keys_ptr,
    own_values_ptr,
    positions_ptr,
    slots_ptr,
    table_ptr,
    rows_ptr,
    columns_ptr,
    row_stride,
    H: tl.constexpr,
    K: tl.constexpr,
    D: tl.constexpr,
    ROTATED: tl.constexpr,
    INTERLEAVED: tl.constexpr,
    LIMIT: tl.constexpr,
    PRODUCT: tl.constexpr,
    OWN_KEYS: tl.constexpr,
    OWN_VALUES: tl.constexpr,
    HALF_BLOCK: tl.constexpr,
    GROUP: tl.constexpr,
    PDL: tl.constexpr,
):
    token = tl.program_id(0).to(tl.int64)
    part = tl.program_id(1)
    half: tl.constexpr = (D + 1) // 2
    dims = tl.arange(0, HALF_BLOCK)
    lanes = tl.arange(0, GROUP)
    query_parts: tl.constexpr = (H + GROUP - 1) // GROUP
    key_parts: tl.constexpr = (K + GROUP - 1) // GROUP
    wait_previous(PDL)
    slot = tl.load(slots_ptr + token).to(tl.int64)
    size = 1.0
    if PRODUCT:
        size = tl.load(rows_ptr + token)
    is_value = part >= query_parts + key_parts
    first = part * GROUP
    count = H
    offset = 0
    if part >= query_parts:
        first = (part - query_parts) * GROUP
        count = K
        offset = H
    if is_value:
        first = (part - query_parts - key_parts) * GROUP
        offset = H + K
    heads = first + lanes
    base = (offset + tl.minimum(heads, count - 1))[:, None] * D
    row = qkv_ptr + token * row_stride
    in_low = (dims < half)[None, :]
    in_high = (dims < D - half)[None, :]
    low = _scaled(row, base + dims[None, :], columns_ptr, size, in_low, PRODUCT)
    high = _scaled(row, base + half + dims[None, :], columns_ptr, size, in_high, PRODUCT)
    if ROTATED > 0:
        if not is_value:
            table = table_ptr + tl.load(positions_ptr + token).to(tl.int64) * ROTATED
            if ROTATED == D and not INTERLEAVED:
                cos = tl.load(table + dims, mask=dims < half, other=0.0)[None, :]
                sin = tl.load(table + half + dims, mask=dims < half, other=0.0)[None, :]
                a = low.to(tl.float32)
                b = high.to(tl.float32)
                low = (a * cos - b * sin).to(low.dtype)
                high = (b * cos + a * sin).to(high.dtype)
            else:
                low = _turned(low, row, base, dims, columns_ptr, table, size, ROTATED, INTERLEAVED, PRODUCT)
                high = _turned(
                    high, row, base, dims + half, columns_ptr, table, size, ROTATED, INTERLEAVED, PRODUCT
                )
    release_next(PDL)
    if part < query_parts:
        _put(queries_ptr, token * H, heads, H, low, high, dims, D)
    elif is_value:
        if OWN_VALUES:
            _put(own_values_ptr, token * K, heads, K, low, high, dims, D)
        if slot >= 0:
            _write(values_ptr, value_scale_ptr, heads, slot, low, high, dims, K, D, LIMIT)
    else:
        if OWN_KEYS:
            _put(own_keys_ptr, token * K, heads, K, low, high, dims, D)
        if slot >= 0:
            _write(keys_ptr, key_scale_ptr, heads, slot, low, high, dims, K, D, LIMIT)


def cache_limit(cache: LayerCache) -> int:
    """0 for a cache in the model's dtype, else the largest magnitude that its dtype stores."""
    return {torch.float8_e4m3fn: 448, torch.int8: 127}.get(cache.keys.dtype, 0)


def rope_and_cache_kv(
    given: Output, spec: AttentionSpec, table: RopeTable | None, cache: LayerCache, inputs: AttentionInputs
) -> Queries:
    """See `reference.rope_and_cache_kv`; a token whose slot is negative (padding) is not written.

    Where a prompt chunk is among the rows, its keys and values come back beside the queries, if attention takes them.
    """
    if isinstance(given, Deferred):
        given = given.plain
    qkv = given.data if isinstance(given, Product) else given
    tokens, dim = len(qkv), spec.head_dim
    queries = qkv.new_empty((tokens, spec.heads, dim))
    own = keys = values = None
    if inputs.has_chunks and fits_chunks(spec, cache, qkv):
        keys = qkv.new_empty((tokens, spec.kv_heads, dim))
        # Values are not rotated: where they need no scales either, the projection has them already.
        held = qkv.unflatten(1, (-1, dim))[:, spec.heads + spec.kv_heads :]
        values = torch.empty_like(keys) if isinstance(given, Product) else None
        own = Rotated(queries, keys, held if values is None else values)
    group = min(HEADS_PER_PROGRAM, triton.next_power_of_2(max(spec.heads, spec.kv_heads)))
    parts = triton.cdiv(spec.heads, group) + 2 * triton.cdiv(spec.kv_heads, group)
    if tokens:
        _rope_kernel[(tokens, parts)](
            qkv,
            queries,
            cache.keys,
            cache.values,
            cache.key_scales if cache.key_scales is not None else qkv,
            cache.value_scales if cache.value_scales is not None else qkv,
            keys if keys is not None else qkv,
            values if values is not None else qkv,
            inputs.positions,
            inputs.slot_mapping,
            table.cos_sin if table is not None else qkv,
            given.rows if isinstance(given, Product) else qkv,
            given.columns if isinstance(given, Product) else qkv,
            qkv.stride(0),
            H=spec.heads,
            K=spec.kv_heads,
            D=dim,
            ROTATED=table.rotated if table is not None else 0,
            INTERLEAVED=table.interleaved if table is not None else False,
            LIMIT=cache_limit(cache),
            PRODUCT=isinstance(given, Product),
            OWN_KEYS=keys is not None,
            OWN_VALUES=values is not None,
            HALF_BLOCK=triton.next_power_of_2((dim + 1) // 2),
            GROUP=group,
            PDL=early_launch(),
            num_warps=4,
            **launch_options(),
        )
    return own if own is not None else queries
