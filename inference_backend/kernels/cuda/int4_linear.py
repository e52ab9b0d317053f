"""Linear layers with weights of 4 bits and one scale and zero for each group of inputs.

A tile of such weights is a quarter of a bfloat16 one, so that many more programs are needed to keep as many bytes under
way. Up to 64 tokens the values are widened to half precision on their way to the tensor cores; with more, the whole
weight is written out in the activations' dtype.
"""

from typing import Final

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.nn import functional

from inference_backend.kernels.cuda.expand import expanded_int4
from inference_backend.kernels.cuda.launch import early_launch, launch_options, release_next, wait_previous
from inference_backend.kernels.cuda.linear import FEW_TOKENS, Tiling, reduce_splits
from inference_backend.kernels.cuda.scratch import arrival_counters
from inference_backend.kernels.reference_linear import unpack_int4
from inference_backend.kernels.values import Deferred, Output

PROGRAMS_WANTED: Final = 384
ROWS: Final = 64  # of the weight in one tile


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
    k = tl.arange(0, BLOCK_K)
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
        x = tl.load(x_rows + (at + k)[None, :], mask=(m < M)[:, None], other=0.0)
        zero = tl.load(zeros_ptr + rows * GROUPS + at // width).to(tl.float32)[:, None]
        scale = tl.load(scales_ptr + rows * GROUPS + at // width).to(tl.float32)[:, None]
        # Four bits below those of a power of two make that power plus the value, without any conversion. Value minus
        # zero is a small whole number, exact in half precision; the scale is multiplied into the sum.
        kind: tl.constexpr = x.dtype
        power: tl.constexpr = 128.0 if kind == tl.bfloat16 else 1024.0
        bits: tl.constexpr = 0x4300 if kind == tl.bfloat16 else 0x6400
        shifted = (zero + power).to(kind)
        low = ((w & 15).to(tl.int16) | bits).to(kind, bitcast=True) - shifted
        high = ((w >> 4).to(tl.int16) | bits).to(kind, bitcast=True) - shifted
        acc += tl.dot(tl.interleave(low, high), x.T) * scale
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
            splits, tiles = 1, triton.cdiv(outputs, ROWS)
            while tiles * splits < PROGRAMS_WANTED and width // (reduce * splits * 2) >= 2:
                splits *= 2
            return Tiling(rows=ROWS, reduce=reduce, splits=splits, warps=4, stages=3)
    return None


def int4_linear(x: Tensor, packed: Tensor, scales: Tensor, zeros: Tensor) -> Output:
    """See `reference_linear.int4_linear`."""
    outputs, width = len(packed), packed.shape[1] * 2
    tiling = _int4_tiling(outputs, width, scales.shape[1])
    if tiling is None or not len(x) or x.dtype == torch.float32:
        return functional.linear(x, unpack_int4(packed, scales, zeros).to(x.dtype))
    if len(x) > FEW_TOKENS:
        return Deferred(x, expanded_int4(packed, scales, zeros, x.dtype))
    return _few_tokens(x, packed, scales, zeros, tiling)


def _few_tokens(x: Tensor, packed: Tensor, scales: Tensor, zeros: Tensor, tiling: Tiling) -> Tensor:
    outputs, width = len(packed), packed.shape[1] * 2
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
