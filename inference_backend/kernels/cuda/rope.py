"""Rotary embedding of queries and keys, and the write of keys and values to the paged cache, in one kernel.

One program per token and head of the packed projection: query heads go out rotated, key heads go rotated into the
cache, value heads go into the cache as they are, each rounded to the cache's dtype.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from inference_backend.kernels.cuda.launch import early_launch, launch_options, release_next, wait_previous
from inference_backend.kernels.cuda.rounding import quantized_row
from inference_backend.kernels.values import AttentionInputs, AttentionSpec, LayerCache, RopeTable

HEADS_PER_PROGRAM = 8


@triton.jit
def _rotate(head_ptr, table_ptr, dims, head_dim, ROTATED: tl.constexpr, INTERLEAVED: tl.constexpr):
    """Each dimension beside its partner: x cos - y sin in the first of a pair, x cos + y sin in the second."""
    own = tl.load(head_ptr + dims[None, :], mask=(dims < head_dim)[None, :], other=0.0)
    if ROTATED > 0:
        own = _turned(own, head_ptr, table_ptr, dims, ROTATED, INTERLEAVED)
    return own


@triton.jit
def _turned(own, head_ptr, table_ptr, dims, ROTATED: tl.constexpr, INTERLEAVED: tl.constexpr):
    half: tl.constexpr = ROTATED // 2
    turned = dims < ROTATED
    if INTERLEAVED:
        second = (dims % 2) == 1
        angle = dims // 2
        partner = tl.where(second, dims - 1, dims + 1)
    else:
        second = dims >= half
        angle = tl.where(second, dims - half, dims)
        partner = tl.where(second, dims - half, dims + half)
    partner = tl.where(turned, partner, dims)
    other = tl.load(head_ptr + partner[None, :], mask=turned[None, :], other=0.0).to(tl.float32)
    cos = tl.load(table_ptr + angle, mask=turned, other=1.0)
    sin = tl.load(table_ptr + half + angle, mask=turned, other=0.0)
    signed = tl.where(second, sin, -sin)
    return (own.to(tl.float32) * cos[None, :] + other * signed[None, :]).to(own.dtype)


@triton.jit
def _store_kv(store_ptr, scale_ptr, heads, slot, values, dims, K: tl.constexpr, D: tl.constexpr, LIMIT: tl.constexpr):
    ok = (heads < K)[:, None] & (dims < D)[None, :]
    at = (slot * K + heads)[:, None] * D + dims[None, :]
    wide = values.to(tl.float32)
    if LIMIT == 127:
        scale = tl.maximum(tl.max(tl.abs(wide), axis=1) / 127, 1e-12)
        tl.store(scale_ptr + slot * K + heads, scale, mask=heads < K)
        rounded = (wide / scale[:, None] + 12582912.0) - 12582912.0
        tl.store(store_ptr + at, rounded.to(tl.int8), mask=ok)
    elif LIMIT == 448:
        clamped = tl.minimum(tl.maximum(wide, -448.0), 448.0)
        tl.store(store_ptr + at, clamped.to(store_ptr.dtype.element_ty), mask=ok)
    else:
        tl.store(store_ptr + at, values.to(store_ptr.dtype.element_ty), mask=ok)


@triton.jit
def _rope_kernel(
    qkv_ptr,
    queries_ptr,
    keys_ptr,
    values_ptr,
    key_scale_ptr,
    value_scale_ptr,
    positions_ptr,
    slots_ptr,
    table_ptr,
    row_stride,
    H: tl.constexpr,
    K: tl.constexpr,
    D: tl.constexpr,
    ROTATED: tl.constexpr,
    INTERLEAVED: tl.constexpr,
    LIMIT: tl.constexpr,
    BLOCK_D: tl.constexpr,
    GROUP: tl.constexpr,
    PDL: tl.constexpr,
):
    token = tl.program_id(0).to(tl.int64)
    part = tl.program_id(1)
    dims = tl.arange(0, BLOCK_D)
    lanes = tl.arange(0, GROUP)
    query_parts: tl.constexpr = (H + GROUP - 1) // GROUP
    key_parts: tl.constexpr = (K + GROUP - 1) // GROUP
    wait_previous(PDL)
    slot = tl.load(slots_ptr + token).to(tl.int64)
    if ROTATED > 0:
        table = table_ptr + tl.load(positions_ptr + token).to(tl.int64) * ROTATED
    else:
        table = table_ptr
    row = qkv_ptr + token * row_stride
    if part < query_parts:
        heads = part * GROUP + lanes
        ok = (heads < H)[:, None] & (dims < D)[None, :]
        safe = tl.minimum(heads, H - 1)
        x = _rotate(row + safe[:, None] * D, table, dims, D, ROTATED, INTERLEAVED)
        tl.store(queries_ptr + (token * H + heads)[:, None] * D + dims[None, :], x, mask=ok)
    elif part < query_parts + key_parts:
        heads = (part - query_parts) * GROUP + lanes
        safe = tl.minimum(heads, K - 1)
        x = _rotate(row + (H + safe)[:, None] * D, table, dims, D, ROTATED, INTERLEAVED)
        if slot >= 0:
            _store_kv(keys_ptr, key_scale_ptr, heads, slot, x, dims, K, D, LIMIT)
    else:
        heads = (part - query_parts - key_parts) * GROUP + lanes
        safe = tl.minimum(heads, K - 1)
        x = tl.load(row + (H + K + safe)[:, None] * D + dims[None, :], mask=(dims < D)[None, :], other=0.0)
        if slot >= 0:
            _store_kv(values_ptr, value_scale_ptr, heads, slot, x, dims, K, D, LIMIT)
    release_next(PDL)


def cache_limit(cache: LayerCache) -> int:
    """0 for a cache in the model's dtype, else the largest magnitude that its dtype stores."""
    return {torch.float8_e4m3fn: 448, torch.int8: 127}.get(cache.keys.dtype, 0)


def rope_and_cache_kv(
    qkv: Tensor, spec: AttentionSpec, table: RopeTable | None, cache: LayerCache, inputs: AttentionInputs
) -> Tensor:
    """See `reference.rope_and_cache_kv`; a token whose slot is negative (padding) is not written."""
    tokens = len(qkv)
    queries = torch.empty((tokens, spec.heads, spec.head_dim), dtype=qkv.dtype, device=qkv.device)
    group = min(HEADS_PER_PROGRAM, triton.next_power_of_2(spec.kv_heads))
    parts = triton.cdiv(spec.heads, group) + 2 * triton.cdiv(spec.kv_heads, group)
    if tokens:
        _rope_kernel[(tokens, parts)](
            qkv,
            queries,
            cache.keys,
            cache.values,
            cache.key_scales if cache.key_scales is not None else cache.keys,
            cache.value_scales if cache.value_scales is not None else cache.values,
            inputs.positions,
            inputs.slot_mapping,
            table.cos_sin if table is not None else inputs.positions,
            qkv.stride(0),
            H=spec.heads,
            K=spec.kv_heads,
            D=spec.head_dim,
            ROTATED=table.rotated if table is not None else 0,
            INTERLEAVED=table.interleaved if table is not None else False,
            LIMIT=cache_limit(cache),
            BLOCK_D=triton.next_power_of_2(spec.head_dim),
            GROUP=group,
            PDL=early_launch(),
            num_warps=4,
            **launch_options(),
        )
    return queries
