"""Every operation of the models in plain torch: what runs on a CPU, and what the GPU kernels are held against.

Shapes: T tokens, R rows, H query heads, K key/value heads, D head dimension. Sums are taken in float32.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from inference_backend.kernels.values import (
    Activation,
    ActivationFormat,
    AdapterRows,
    AttentionInputs,
    AttentionSpec,
    LayerCache,
    Quantized,
    RopeTable,
)

FP8 = torch.float8_e4m3fn
FP8_MAX = 448.0
INT8_MAX = 127.0
_SCORES_AT_ONCE = 2**26


def quantize_per_token(x: Tensor, form: ActivationFormat) -> Activation:
    """Scale each row of [T, n] to the range of fp8 (e4m3) or int8 and round; "plain" returns it as it is."""
    if form == "plain":
        return x
    wide = x.float()
    limit = FP8_MAX if form == "fp8" else INT8_MAX
    scales = (wide.abs().amax(dim=-1, keepdim=True) / limit).clamp_min(1e-12)
    scaled = wide / scales
    data = scaled.to(FP8) if form == "fp8" else scaled.round().clamp(-127, 127).to(torch.int8)
    return Quantized(data=data, scales=scales, dtype=x.dtype)


def rms_norm(
    x: Tensor, weight: Tensor, eps: float, *, offset: float = 0.0, form: ActivationFormat = "plain"
) -> Activation:
    """The RMS norm x / sqrt(mean(x^2) + eps) * (weight + offset), over the last dimension of [..., n]."""
    wide = x.float()
    normed = wide * torch.rsqrt(wide.pow(2).mean(dim=-1, keepdim=True) + eps)
    if offset:
        return quantize_per_token((normed * (weight.float() + offset)).to(x.dtype), form)
    return quantize_per_token(weight * normed.to(x.dtype), form)


def add_rms_norm(
    x: Tensor,
    residual: Tensor,
    weight: Tensor,
    eps: float,
    *,
    offset: float = 0.0,
    form: ActivationFormat = "plain",
) -> tuple[Activation, Tensor]:
    """`residual + x`, and its RMS norm; returns (norm, sum). Kernels may write the sum over `residual`."""
    total = residual + x
    return rms_norm(total, weight, eps, offset=offset, form=form), total


def silu_mul(gate_up: Tensor, *, form: ActivationFormat = "plain") -> Activation:
    """silu(gate) * up, where [T, 2n] holds gate then up; returns [T, n]."""
    gate, up = gate_up.chunk(2, dim=-1)
    return quantize_per_token(functional.silu(gate) * up, form)


def gelu_tanh_mul(gate_up: Tensor, *, form: ActivationFormat = "plain") -> Activation:
    """gelu(gate) * up with the tanh approximation, where [T, 2n] holds gate then up; returns [T, n]."""
    gate, up = gate_up.chunk(2, dim=-1)
    return quantize_per_token(functional.gelu(gate, approximate="tanh") * up, form)


def rope(x: Tensor, positions: Tensor, table: RopeTable) -> Tensor:
    """Rotate the first `table.rotated` dimensions of heads [T, h, D] by the angles of their positions [T]."""
    cos, sin = table.cos_sin[positions].unsqueeze(1).chunk(2, dim=-1)
    turned, kept = x[..., : table.rotated].float(), x[..., table.rotated :]
    if table.interleaved:
        a, b = turned[..., 0::2], turned[..., 1::2]
        out = torch.stack((a * cos - b * sin, b * cos + a * sin), dim=-1).flatten(-2)
    else:
        a, b = turned.chunk(2, dim=-1)
        out = torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)
    return torch.cat((out.to(x.dtype), kept), dim=-1)


def write_cache(keys: Tensor, values: Tensor, cache: LayerCache, slot_mapping: Tensor) -> None:
    """Put keys and values [T, K, D] where `slot_mapping` says."""
    for new, store, scales in (
        (keys, cache.keys, cache.key_scales),
        (values, cache.values, cache.value_scales),
    ):
        flat = store.view(-1, *store.shape[2:])
        if scales is None:
            _index_put(flat, slot_mapping, new)
            continue
        wide = new.float()
        size = (wide.abs().amax(dim=-1) / INT8_MAX).clamp_min(1e-12)
        scales.view(-1, scales.shape[-1])[slot_mapping] = size
        flat[slot_mapping] = (wide / size.unsqueeze(-1)).round().clamp(-127, 127).to(torch.int8)


def _index_put(flat: Tensor, slot_mapping: Tensor, new: Tensor) -> None:
    if flat.dtype == FP8:
        # Indexing float8 is missing from some torch builds; the bytes are the same.
        narrow = new.float().clamp(-FP8_MAX, FP8_MAX).to(FP8)
        flat.view(torch.uint8)[slot_mapping] = narrow.view(torch.uint8)
    else:
        flat[slot_mapping] = new.to(flat.dtype)


def rope_and_cache_kv(
    qkv: Tensor, spec: AttentionSpec, table: RopeTable | None, cache: LayerCache, inputs: AttentionInputs
) -> Tensor:
    """Rotate queries and keys, write keys and values to the cache, return the queries [T, H, D].

    `qkv` is [T, (H + 2 K) * D]: queries, keys, values; H or K may be 0. `table` None rotates nothing.
    """
    heads = qkv.view(len(qkv), -1, spec.head_dim)
    values_at = spec.heads + spec.kv_heads
    queries, keys, values = heads[:, : spec.heads], heads[:, spec.heads : values_at], heads[:, values_at:]
    if table is not None:
        queries = rope(queries, inputs.positions, table)
        keys = rope(keys, inputs.positions, table)
    if spec.kv_heads:
        write_cache(keys, values, cache, inputs.slot_mapping)
    return queries


def paged_attention(
    queries: Tensor, cache: LayerCache, inputs: AttentionInputs, spec: AttentionSpec
) -> Tensor:
    """Causal attention of [T, H, D] over the paged cache; returns [T, H * D].

    Keys and values of this step's own tokens are already in the cache, those of other rows of the step too: a row may
    read blocks that another row has just written.
    """
    split = inputs.decode_rows
    parts = []
    if split:
        parts.append(paged_attention_decode(queries[:split], cache, inputs, spec))
    if split < len(inputs.context_lengths):
        parts.append(paged_attention_prefill(queries[split:], cache, inputs, spec))
    out = parts[0] if len(parts) == 1 else torch.cat(parts)
    return out.reshape(len(queries), -1)


def paged_attention_decode(
    queries: Tensor, cache: LayerCache, inputs: AttentionInputs, spec: AttentionSpec
) -> Tensor:
    """The step's first `decode_rows` rows, one query each: [decode_rows, H, D] to the same shape."""
    rows = inputs.decode_rows
    lengths = inputs.context_lengths[:rows].long()
    width = -(-int(lengths.max()) // cache.block_size)
    tables = inputs.block_tables[:rows, :width].long()
    keys, values = read_blocks(cache, tables, queries.dtype)
    at = torch.arange(keys.shape[1], device=queries.device)
    seen = at < lengths[:, None]
    if spec.window is not None:
        seen &= at >= lengths[:, None] - spec.window
    grouped = queries.view(rows, spec.kv_heads, -1, spec.head_dim)
    scores = torch.einsum("rkgd,rckd->rkgc", grouped.float(), keys.float()) * spec.scale
    weights = _softmax(scores, seen[:, None, None, :], spec)
    # Places beyond a row's end may hold another sequence's NaN, and 0 * NaN is NaN.
    clean = values.float().masked_fill(~seen[:, :, None, None], 0.0)
    return torch.einsum("rkgc,rckd->rkgd", weights, clean).reshape(queries.shape).to(queries.dtype)


def paged_attention_prefill(
    queries: Tensor, cache: LayerCache, inputs: AttentionInputs, spec: AttentionSpec
) -> Tensor:
    """The step's rows after the decode rows, of any length: [tokens, H, D] to the same shape."""
    out = torch.empty_like(queries)
    starts = inputs.query_starts.tolist()
    lengths = inputs.context_lengths.tolist()
    base = starts[inputs.decode_rows]
    for row in range(inputs.decode_rows, len(lengths)):
        span = slice(starts[row] - base, starts[row + 1] - base)
        table = inputs.block_tables[row : row + 1, : -(-lengths[row] // cache.block_size)].long()
        keys, values = read_blocks(cache, table, queries.dtype)
        out[span] = _attend_in_parts(queries[span], keys[0, : lengths[row]], values[0, : lengths[row]], spec)
    return out


def _attend_in_parts(queries: Tensor, keys: Tensor, values: Tensor, spec: AttentionSpec) -> Tensor:
    """As `_attend`, as many queries at once as keep their scores within bounds."""
    length, context = len(queries), len(keys)
    size = max(_SCORES_AT_ONCE // (context * spec.heads), 1)
    if size >= length:
        return _attend(queries, keys, values, spec)
    parts = []
    for start in range(0, length, size):
        part = queries[start : start + size]
        seen = context - length + start + len(part)
        parts.append(_attend(part, keys[:seen], values[:seen], spec))
    return torch.cat(parts)


def _attend(queries: Tensor, keys: Tensor, values: Tensor, spec: AttentionSpec) -> Tensor:
    """Queries [q, H, D] are the last q positions of keys and values [c, K, D]."""
    length, context = len(queries), len(keys)
    query_at = torch.arange(context - length, context, device=queries.device)[:, None]
    key_at = torch.arange(context, device=queries.device)
    seen = key_at <= query_at
    if spec.window is not None:
        seen &= key_at > query_at - spec.window
    grouped = queries.view(length, spec.kv_heads, -1, spec.head_dim)
    scores = torch.einsum("qkgd,ckd->kgqc", grouped.float(), keys.float()) * spec.scale
    weights = _softmax(scores, seen, spec)
    return torch.einsum("kgqc,ckd->qkgd", weights, values.float()).reshape(queries.shape).to(queries.dtype)


def _softmax(scores: Tensor, seen: Tensor, spec: AttentionSpec) -> Tensor:
    if spec.soft_cap is not None:
        scores = spec.soft_cap * torch.tanh(scores / spec.soft_cap)
    return torch.softmax(scores.masked_fill(~seen, float("-inf")), dim=-1)


def read_blocks(cache: LayerCache, tables: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Keys and values of block tables [r, b] as [r, b * block_size, K, D], dequantised to `dtype`."""
    read = [_gather(cache.keys, cache.key_scales, tables), _gather(cache.values, cache.value_scales, tables)]
    return read[0].to(dtype), read[1].to(dtype)


def _gather(store: Tensor, scales: Tensor | None, tables: Tensor) -> Tensor:
    raw = store.view(torch.uint8)[tables].view(FP8).float() if store.dtype == FP8 else store[tables]
    if scales is not None:
        raw = raw.float() * scales[tables].unsqueeze(-1)
    return raw.flatten(1, 2)


def lora(out: Tensor, x: Tensor, down: Tensor, up: Tensor, rows: AdapterRows) -> Tensor:
    """Add up[i] @ down[i] @ x to each token whose adapter index i is not 0.

    out [T, o], x [T, n], down [adapters, r, n], up [adapters, o, r]; `out` is changed in place.
    """
    for adapter in rows.active:
        chosen = rows.indexes == adapter
        out[chosen] += x[chosen] @ down[adapter].T @ up[adapter].T
    return out


def dense_linear(x: Tensor, weight: Tensor) -> Tensor:
    """`x` [..., n] by a floating-point weight [outputs, n]: [..., outputs]."""
    return functional.linear(x, weight)
