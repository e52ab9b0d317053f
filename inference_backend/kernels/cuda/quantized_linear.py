"""Linear layers with quantized weights: our kernels for few tokens, the tensor cores' libraries for many.

With few tokens the weights are streamed once by `linear.py`'s kernel, which multiplies the scales in at its end. With
many, cuBLAS multiplies. Its FP8 kernels with per-row scales keep up where there are many tiles, and cost up to twice
the time of those without where there are few, or where the reduction is long and has to be split. There products are
left unscaled and travel as a `Product`: the fused operation that reads them multiplies the scales in.
"""

from functools import lru_cache
from typing import Final

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.nn import functional

from inference_backend.kernels.cuda.expand import expanded_int4, expanded_int8
from inference_backend.kernels.cuda.launch import early_launch, launch_options, release_next, wait_previous
from inference_backend.kernels.cuda.linear import (
    FEW_TOKENS,
    Operands,
    Tiling,
    few_tokens_linear,
    one_token_linear,
    one_token_tiling_for,
    reduce_splits,
    tiling_for,
)
from inference_backend.kernels.cuda.scratch import arrival_counters
from inference_backend.kernels.reference_linear import unpack_int4
from inference_backend.kernels.values import Deferred, Output, Product, Quantized

FEW_FP8_TOKENS: Final = 32
LONGEST_ROWWISE: Final = 8192
ROWWISE_TILES: Final = 200  # of 128 by 128
_INT_MM_TOKENS: Final = 17  # torch._int_mm takes no fewer


@lru_cache(maxsize=16)
def _one(device: torch.device) -> Tensor:
    return torch.ones((), device=device)


def fp8_linear(x: Quantized, weight: Tensor, scales: Tensor) -> Output:
    """See `reference_linear.fp8_linear`."""
    outputs, width = weight.shape
    columns = scales.view(-1)
    if len(x.data) <= FEW_FP8_TOKENS and (tiling := tiling_for(outputs, width)):
        return few_tokens_linear(Operands(x.data, weight, x.scales, columns, None, x.dtype), tiling)
    if outputs % 16 or width % 16:
        product = functional.linear(x.data.to(x.dtype), weight.to(x.dtype))
    elif _many_tiles(len(x.data), outputs, width):
        return torch._scaled_mm(  # noqa: SLF001 -- as below
            x.data, weight.t(), x.scales, scales.view(1, -1), out_dtype=x.dtype, use_fast_accum=True
        )
    else:
        one = _one(weight.device)
        product = torch._scaled_mm(  # noqa: SLF001 -- torch's door to cuBLAS's FP8 products has no other name
            x.data, weight.t(), one, one, out_dtype=x.dtype, use_fast_accum=True
        )
    return Product(product, x.scales, columns)


def _many_tiles(tokens: int, outputs: int, width: int) -> bool:
    """Whether cuBLAS's kernels with per-row scales are as fast as those without."""
    return width <= LONGEST_ROWWISE and triton.cdiv(tokens, 128) * triton.cdiv(outputs, 128) >= ROWWISE_TILES


def int8_linear(x: Quantized, weight: Tensor, scales: Tensor) -> Tensor:
    """See `reference_linear.int8_linear`."""
    outputs, width = weight.shape
    columns = scales.view(-1)
    if len(x.data) <= FEW_TOKENS and (tiling := tiling_for(outputs, width)):
        return few_tokens_linear(Operands(x.data, weight, x.scales, columns, None, x.dtype), tiling)
    missing = max(0, _INT_MM_TOKENS - len(x.data))
    data = functional.pad(x.data, (0, -width % 8, 0, missing)) if missing or width % 8 else x.data
    padded = functional.pad(weight, (0, -width % 8, 0, -outputs % 8)) if width % 8 or outputs % 8 else weight
    sums = torch._int_mm(data, padded.t())[: len(x.data), :outputs]  # noqa: SLF001 -- torch's only int8 product
    return _multiplied(sums.contiguous(), x.scales, columns, x.dtype)


def int8_weight_linear(x: Tensor, weight: Tensor, scales: Tensor) -> Output:
    """See `reference_linear.int8_weight_linear`."""
    columns = scales.view(-1)
    op = Operands(x, weight, None, columns, None, x.dtype)
    if len(x) == 1 and (tiling := one_token_tiling_for(weight.shape[1])):
        return one_token_linear(op, tiling)
    if len(x) <= FEW_TOKENS and (tiling := tiling_for(*weight.shape)):
        return few_tokens_linear(op, tiling)
    return Deferred(x, expanded_int8(weight, columns, x.dtype))


@triton.jit
def _plain_kernel(data_ptr, rows_ptr, columns_ptr, out_ptr, width, BLOCK: tl.constexpr, PDL: tl.constexpr):
    row = tl.program_id(1).to(tl.int64)
    cols = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = cols < width
    columns = tl.load(columns_ptr + cols, mask=inside, other=0.0)
    wait_previous(PDL)
    value = tl.load(data_ptr + row * width + cols, mask=inside, other=0.0).to(tl.float32)
    value *= tl.load(rows_ptr + row) * columns
    release_next(PDL)
    tl.store(out_ptr + row * width + cols, value.to(out_ptr.dtype.element_ty), mask=inside)


def multiplied(x: Product) -> Tensor:
    """See `values.Product.plain`."""
    return _multiplied(x.data, x.rows, x.columns, x.data.dtype)


def _multiplied(data: Tensor, rows: Tensor, columns: Tensor, dtype: torch.dtype) -> Tensor:
    """Data [T, n] * rows [T, 1] * columns [n] in `dtype`."""
    tokens, width = data.shape
    out = torch.empty((tokens, width), dtype=dtype, device=data.device)
    if tokens:
        _plain_kernel[(triton.cdiv(width, 1024), tokens)](
            data,
            rows,
            columns,
            out,
            width,
            BLOCK=1024,
            PDL=early_launch(),
            num_warps=4,
            **launch_options(),
        )
    return out


@triton.jit(do_not_specialize=["M"])
def _int4_kernel(
    x_ptr,
    w_ptr,
    scales_ptr,
    zeros_ptr,
    out_ptr,
    partial_ptr,
    arrivals_ptr,
    M,
    N,
    K,
    x_stride,
    GROUPS,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    SPLITS: tl.constexpr,
    STAGES: tl.constexpr,
    PDL: tl.constexpr,
):
    tile = tl.program_id(0)
    split = tl.program_id(1)
    n = tile * BLOCK_N + tl.arange(0, BLOCK_N)
    m = tl.arange(0, BLOCK_M)
    pair = tl.arange(0, BLOCK_K // 2)
    share = tl.cdiv(K, BLOCK_K * SPLITS) * BLOCK_K
    first = split * share
    end = tl.minimum(first + share, K)
    rows = tl.minimum(n, N - 1).to(tl.int64)
    w_rows = w_ptr + rows[:, None] * (K // 2)
    x_rows = x_ptr + m.to(tl.int64)[:, None] * x_stride
    width = K // GROUPS
    wait_previous(PDL)
    acc = tl.zeros((BLOCK_N, BLOCK_M), dtype=tl.float32)
    for at in tl.range(first, end, BLOCK_K, num_stages=STAGES):
        w = tl.load(w_rows + (at // 2 + pair)[None, :], eviction_policy="evict_first")
        even = tl.load(x_rows + (at + 2 * pair)[None, :], mask=(m < M)[:, None], other=0.0)
        odd = tl.load(x_rows + (at + 2 * pair + 1)[None, :], mask=(m < M)[:, None], other=0.0)
        zero = tl.load(zeros_ptr + rows * GROUPS + at // width).to(tl.float32)[:, None]
        scale = tl.load(scales_ptr + rows * GROUPS + at // width).to(tl.float32)[:, None]
        # Four bits below those of a power of two make that power plus the value, without any conversion. Value minus
        # zero is a small whole number, exact in half precision; the scale is multiplied into the sum.
        kind: tl.constexpr = even.dtype
        power: tl.constexpr = 128.0 if kind == tl.bfloat16 else 1024.0
        bits: tl.constexpr = 0x4300 if kind == tl.bfloat16 else 0x6400
        shifted = (zero + power).to(kind)
        low = ((w & 15).to(tl.int16) | bits).to(kind, bitcast=True) - shifted
        high = ((w >> 4).to(tl.int16) | bits).to(kind, bitcast=True) - shifted
        part = tl.dot(low, even.T)
        part = tl.dot(high, odd.T, part)
        acc += part * scale
    release_next(PDL)
    last = True
    if SPLITS > 1:
        inner = tl.arange(0, BLOCK_N)[:, None] * BLOCK_M + m[None, :]
        acc, last = reduce_splits(
            acc, partial_ptr, arrivals_ptr, tile, split, inner, SPLITS, BLOCK_N * BLOCK_M
        )
    if last:
        where = m.to(tl.int64)[None, :] * N + n[:, None]
        ok = (n < N)[:, None] & (m < M)[None, :]
        tl.store(out_ptr + where, acc.to(out_ptr.dtype.element_ty), mask=ok)


def _int4_tiling(outputs: int, width: int, groups: int) -> Tiling | None:
    """A tile's inputs lie in one group; None where no tile does."""
    for reduce in (128, 64, 32):
        if width % reduce == 0 and (width // groups) % reduce == 0:
            found = tiling_for(outputs, width) or Tiling(64, reduce, 1, 4, 4)
            return Tiling(rows=64, reduce=reduce, splits=found.splits, warps=4, stages=4)
    return None


def int4_linear(x: Tensor, packed: Tensor, scales: Tensor, zeros: Tensor) -> Output:
    """See `reference_linear.int4_linear`."""
    outputs, width = len(packed), packed.shape[1] * 2
    tiling = _int4_tiling(outputs, width, scales.shape[1])
    if tiling is None or not len(x) or x.dtype == torch.float32:
        return functional.linear(x, unpack_int4(packed, scales, zeros).to(x.dtype))
    if len(x) > FEW_TOKENS:
        return Deferred(x, expanded_int4(packed, scales, zeros, x.dtype))
    out = torch.empty((len(x), outputs), dtype=x.dtype, device=x.device)
    block_m = max(16, triton.next_power_of_2(len(x)))
    tiles = triton.cdiv(outputs, tiling.rows)
    size = tiles * tiling.splits * tiling.rows * block_m if tiling.splits > 1 else 1
    _int4_kernel[(tiles, tiling.splits)](
        x, packed, scales, zeros, out, torch.empty(size, dtype=torch.float32, device=x.device),
        arrival_counters(x.device, tiles), len(x), outputs, width, x.stride(0), scales.shape[1],
        BLOCK_M=block_m, BLOCK_N=tiling.rows, BLOCK_K=tiling.reduce, SPLITS=tiling.splits, STAGES=tiling.stages,
        PDL=early_launch(), num_warps=tiling.warps, **launch_options(),
    )  # fmt: skip
    return out
