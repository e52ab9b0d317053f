"""Linear layers with quantized weights of 8 bits: our kernels for few tokens, the tensor cores' libraries for many.

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

from inference_backend.kernels.cuda.expand import expanded_int8
from inference_backend.kernels.cuda.launch import early_launch, launch_options, release_next, wait_previous
from inference_backend.kernels.cuda.linear import (
    FEW_TOKENS,
    Operands,
    few_tokens_linear,
    narrow_tiling_for,
    one_token_linear,
    one_token_tiling_for,
    tiling_for,
)
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
    if len(x.data) <= FEW_FP8_TOKENS and (tiling := narrow_tiling_for(outputs, width)):
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
    if len(x.data) <= FEW_TOKENS and (tiling := narrow_tiling_for(outputs, width)):
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
