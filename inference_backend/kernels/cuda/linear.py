"""Linear layers for few tokens: kernels that stream the weights once at the memory's rate.

With few tokens a linear layer is bound by reading its weights. The weights are the left operand (their rows fill the
tensor cores' 64-row tiles, the tokens are the narrow side), several tiles are under way at a time, and the reduction
dimension is split among programs where the rows alone are too few to fill the card; the last program of a tile adds
up the partial sums in order, so the result does not depend on who was last.
"""

from dataclasses import dataclass
from typing import Final

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.nn import functional

from inference_backend.kernels.cuda.launch import early_launch, launch_options, release_next, wait_previous
from inference_backend.kernels.cuda.scratch import arrival_counters
from inference_backend.kernels.values import Deferred, Multiplier, Output


@dataclass(frozen=True, slots=True)
class Tiling:
    """How one linear layer is cut: rows of weights and reduction elements per tile, splits, warps, stages."""

    rows: int
    reduce: int
    splits: int
    warps: int
    stages: int


@triton.jit
def reduce_splits(
    acc, partial_ptr, arrivals_ptr, tile, split, inner, SPLITS: tl.constexpr, SIZE: tl.constexpr
):
    """Leaves this program's sum; returns the whole sum and whether this program is the last of its tile."""
    part = partial_ptr + tile * SPLITS * SIZE + inner
    tl.store(part + split * SIZE, acc)
    tl.debug_barrier()
    last = tl.atomic_add(arrivals_ptr + tile, 1, sem="acq_rel") == SPLITS - 1
    if last:
        acc = tl.zeros_like(acc)
        for i in range(SPLITS):
            acc += tl.load(part + i * SIZE, cache_modifier=".cg")
        tl.store(arrivals_ptr + tile, 0)
    return acc, last


@triton.jit(do_not_specialize=["M"])
def _linear_kernel(
    x_ptr,
    x_scale_ptr,
    w_ptr,
    w_scale_ptr,
    bias_ptr,
    out_ptr,
    partial_ptr,
    arrivals_ptr,
    M,
    N,
    K,
    x_stride,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    SPLITS: tl.constexpr,
    X_SCALED: tl.constexpr,
    W_SCALED: tl.constexpr,
    BIAS: tl.constexpr,
    STAGES: tl.constexpr,
    PDL: tl.constexpr,
):
    tile = tl.program_id(0)
    split = tl.program_id(1)
    n = tile * BLOCK_N + tl.arange(0, BLOCK_N)
    m = tl.arange(0, BLOCK_M)
    k = tl.arange(0, BLOCK_K)
    share = tl.cdiv(K, BLOCK_K * SPLITS) * BLOCK_K
    first = split * share
    end = tl.minimum(first + share, K)
    w_rows = w_ptr + tl.minimum(n, N - 1).to(tl.int64)[:, None] * K
    wait_previous(PDL)
    x_rows = x_ptr + m.to(tl.int64)[:, None] * x_stride
    if w_ptr.dtype.element_ty == tl.int8 and x_ptr.dtype.element_ty == tl.int8:
        acc = tl.zeros((BLOCK_N, BLOCK_M), dtype=tl.int32)
    else:
        acc = tl.zeros((BLOCK_N, BLOCK_M), dtype=tl.float32)
    for at in tl.range(first, end, BLOCK_K, num_stages=STAGES):
        w = tl.load(w_rows + (at + k)[None, :], eviction_policy="evict_first")
        x = tl.load(x_rows + (at + k)[None, :], mask=(m < M)[:, None], other=0.0)
        if w.dtype == tl.int8 and x.dtype != tl.int8:
            w = w.to(x.dtype)
        acc = tl.dot(w, x.T, acc, out_dtype=acc.dtype)
    release_next(PDL)
    total = acc.to(tl.float32)
    last = True
    if SPLITS > 1:
        inner = tl.arange(0, BLOCK_N)[:, None] * BLOCK_M + m[None, :]
        total, last = reduce_splits(
            total, partial_ptr, arrivals_ptr, tile, split, inner, SPLITS, BLOCK_N * BLOCK_M
        )
    if last:
        if W_SCALED:
            total *= tl.load(w_scale_ptr + n, mask=n < N, other=0.0).to(tl.float32)[:, None]
        if X_SCALED:
            total *= tl.load(x_scale_ptr + m, mask=m < M, other=0.0)[None, :]
        if BIAS:
            total += tl.load(bias_ptr + n, mask=n < N, other=0.0).to(tl.float32)[:, None]
        where = m.to(tl.int64)[None, :] * N + n[:, None]
        ok = (n < N)[:, None] & (m < M)[None, :]
        tl.store(out_ptr + where, total.to(out_ptr.dtype.element_ty), mask=ok)


@dataclass(frozen=True, slots=True)
class Operands:
    """One product: `x` `[M, K]` by `weight` `[N, K]`, each with its scales if it is quantized.

    Attributes:
        x: bfloat16, float16, float8_e4m3fn or int8, last dimension contiguous.
        weight: the same, or int8 under a floating `x` (weight-only quantizing); contiguous.
        x_scales: float32 `[M, 1]` or None.
        weight_scales: `[N]` or None.
        bias: `[N]` or None.
        dtype: of the product.
    """

    x: Tensor
    weight: Tensor
    x_scales: Tensor | None
    weight_scales: Tensor | None
    bias: Tensor | None
    dtype: torch.dtype


def few_tokens_linear(op: Operands, tiling: Tiling) -> Tensor:
    """`x @ weight.T`, scaled, plus bias: `[M, N]`. K must be a multiple of the tiling's `reduce`."""
    tokens, width = op.x.shape
    rows = len(op.weight)
    out = torch.empty((tokens, rows), dtype=op.dtype, device=op.x.device)
    block_m = max(16, triton.next_power_of_2(tokens))
    tiles = triton.cdiv(rows, tiling.rows)
    partial = out
    if tiling.splits > 1:
        size = tiles * tiling.splits * tiling.rows * block_m
        partial = torch.empty(size, dtype=torch.float32, device=out.device)
    _linear_kernel[(tiles, tiling.splits)](
        op.x,
        op.x_scales if op.x_scales is not None else out,
        op.weight,
        op.weight_scales if op.weight_scales is not None else out,
        op.bias if op.bias is not None else out,
        out,
        partial,
        arrival_counters(out.device, tiles),
        tokens,
        rows,
        width,
        op.x.stride(0),
        BLOCK_M=block_m,
        BLOCK_N=tiling.rows,
        BLOCK_K=tiling.reduce,
        SPLITS=tiling.splits,
        X_SCALED=op.x_scales is not None,
        W_SCALED=op.weight_scales is not None,
        BIAS=op.bias is not None,
        STAGES=tiling.stages,
        PDL=early_launch(),
        num_warps=tiling.warps,
        **launch_options(),
    )
    return out


@triton.jit
def _gemv_kernel(
    x_ptr,
    w_ptr,
    w_scale_ptr,
    bias_ptr,
    out_ptr,
    N,
    K: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    W_SCALED: tl.constexpr,
    BIAS: tl.constexpr,
    PDL: tl.constexpr,
):
    n = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    k = tl.arange(0, BLOCK_K)
    w_rows = w_ptr + tl.minimum(n, N - 1).to(tl.int64)[:, None] * K
    w = tl.load(w_rows + k[None, :], eviction_policy="evict_first")
    wait_previous(PDL)
    acc = tl.zeros((BLOCK_N, BLOCK_K), dtype=tl.float32)
    for at in tl.static_range(BLOCK_K, K, BLOCK_K):
        following = tl.load(w_rows + (at + k)[None, :], eviction_policy="evict_first")
        x = tl.load(x_ptr + at - BLOCK_K + k).to(tl.float32)
        acc += w.to(tl.float32) * x[None, :]
        w = following
    x = tl.load(x_ptr + K - BLOCK_K + k).to(tl.float32)
    acc += w.to(tl.float32) * x[None, :]
    release_next(PDL)
    total = tl.sum(acc, axis=1)
    if W_SCALED:
        total *= tl.load(w_scale_ptr + n, mask=n < N, other=0.0).to(tl.float32)
    if BIAS:
        total += tl.load(bias_ptr + n, mask=n < N, other=0.0).to(tl.float32)
    tl.store(out_ptr + n, total.to(out_ptr.dtype.element_ty), mask=n < N)


def one_token_linear(op: Operands, tiling: Tiling) -> Tensor:
    """`few_tokens_linear` for one floating row, without tensor cores: `[1, N]`."""
    rows, width = op.weight.shape
    out = torch.empty((1, rows), dtype=op.dtype, device=op.x.device)
    _gemv_kernel[(triton.cdiv(rows, tiling.rows),)](
        op.x,
        op.weight,
        op.weight_scales if op.weight_scales is not None else out,
        op.bias if op.bias is not None else out,
        out,
        rows,
        K=width,
        BLOCK_N=tiling.rows,
        BLOCK_K=tiling.reduce,
        W_SCALED=op.weight_scales is not None,
        BIAS=op.bias is not None,
        PDL=early_launch(),
        num_warps=tiling.warps,
        **launch_options(),
    )
    return out


MULTIPROCESSORS: Final = 132
FEW_TOKENS: Final = 64  # above, a dense product is cuBLAS's: the tensor cores are busy enough


def tiling_for(rows: int, width: int) -> Tiling | None:
    """How to cut a weight `[rows, width]` for 2 to 64 tokens; None where no tiling fits its width.

    Measured on an H200 over the layers of an 8B model: large weights want large tiles, small ones enough programs.
    """
    if width % 128:
        return None
    if rows >= 4 * MULTIPROCESSORS * 32:
        return Tiling(rows=128, reduce=128, splits=1, warps=8, stages=4)
    tiles = triton.cdiv(rows, 64)
    splits = 1
    while tiles * splits < 90 and width // (128 * splits * 2) >= 4:
        splits *= 2
    return Tiling(rows=64, reduce=128, splits=splits, warps=4, stages=6)


def narrow_tiling_for(rows: int, width: int) -> Tiling | None:
    """`tiling_for` where weights and activations have 8 bits: as many bytes a tile as there, so twice the width.

    Measured on an H200 over the layers of an 8B model and their halves, for FP8 and 1 and 32 tokens.
    """
    tiles = triton.cdiv(rows, 64)
    if width % 256 or tiles >= 2 * MULTIPROCESSORS:
        return Tiling(rows=64, reduce=128, splits=1, warps=4, stages=4) if width % 128 == 0 else None
    splits = 1
    while tiles * splits < 90 and width // (256 * splits * 2) >= 2:
        splits *= 2
    return Tiling(rows=64, reduce=256, splits=splits, warps=4, stages=6 if tiles < MULTIPROCESSORS else 4)


def one_token_tiling_for(width: int) -> Tiling | None:
    """How to cut a weight of that width for one token; None where no tiling fits."""
    for reduce, rows, warps in ((2048, 4, 8), (1024, 4, 4), (512, 4, 2), (256, 8, 2)):
        if width % reduce == 0:
            return Tiling(rows=rows, reduce=reduce, splits=1, warps=warps, stages=1)
    return None


def dense_linear(x: Tensor, weight: Tensor, by: Multiplier | None = None) -> Output:
    """See `reference.dense_linear`; a product of many tokens is left to the operation that takes it."""
    if x.dim() != 2 or x.dtype == torch.float32 or not weight.is_contiguous() or not len(x):
        return functional.linear(x, weight)
    if len(x) > FEW_TOKENS:
        return Deferred(x, weight, by)
    op = Operands(x, weight, None, None, None, x.dtype)
    if len(x) == 1 and (tiling := one_token_tiling_for(weight.shape[1])):
        return one_token_linear(op, tiling)
    if tiling := tiling_for(*weight.shape):
        return few_tokens_linear(op, tiling)
    return functional.linear(x, weight)
