"""Rounding a row to eight bits by its own largest magnitude, as the fused kernels do it at their end."""

from typing import Final

import torch
import triton
import triton.language as tl
from torch import Tensor

from inference_backend.kernels.cuda.launch import early_launch, launch_options, release_next, wait_previous
from inference_backend.kernels.values import Activation, ActivationFormat, Quantized

LIMITS: Final[dict[ActivationFormat, int]] = {"plain": 0, "fp8": 448, "int8": 127}
DTYPES: Final[dict[ActivationFormat, torch.dtype]] = {"fp8": torch.float8_e4m3fn, "int8": torch.int8}


@triton.jit
def nearest_even(x):
    """Round float32 of magnitude under 2**22 to the nearest integer, ties to even, as torch.round does."""
    return (x + 12582912.0) - 12582912.0


@triton.jit
def quantized_row(row, LIMIT: tl.constexpr):
    """Values in [-LIMIT, LIMIT] (whole ones for 127) and the scale that makes `row` of them."""
    scale = tl.maximum(tl.max(tl.abs(row), axis=0) / LIMIT, 1e-12)
    values = row / scale
    if LIMIT == 127:
        values = nearest_even(values)
    return values, scale


def empty_activation(like: Tensor, width: int, form: ActivationFormat) -> Activation:
    """Room for `[len(like), width]` activations in `form`."""
    if form == "plain":
        return torch.empty((len(like), width), dtype=like.dtype, device=like.device)
    data = torch.empty((len(like), width), dtype=DTYPES[form], device=like.device)
    scales = torch.empty((len(like), 1), dtype=torch.float32, device=like.device)
    return Quantized(data=data, scales=scales, dtype=like.dtype)


@triton.jit
def _quantize_kernel(
    x_ptr, out_ptr, scale_ptr, row_stride, width, LIMIT: tl.constexpr, BLOCK: tl.constexpr, PDL: tl.constexpr
):
    row = tl.program_id(0).to(tl.int64)
    cols = tl.arange(0, BLOCK)
    inside = cols < width
    wait_previous(PDL)
    x = tl.load(x_ptr + row * row_stride + cols, mask=inside, other=0.0).to(tl.float32)
    release_next(PDL)
    values, scale = quantized_row(x, LIMIT)
    tl.store(scale_ptr + row, scale)
    tl.store(out_ptr + row * width + cols, values.to(out_ptr.dtype.element_ty), mask=inside)


def quantize_per_token(x: Tensor, form: ActivationFormat) -> Activation:
    """See `reference.quantize_per_token`."""
    if form == "plain":
        return x
    width = x.shape[-1]
    out = empty_activation(x, width, form)
    if isinstance(out, Quantized) and len(x):
        block = triton.next_power_of_2(width)
        _quantize_kernel[(len(x),)](
            x,
            out.data,
            out.scales,
            x.stride(0),
            width,
            LIMIT=LIMITS[form],
            BLOCK=block,
            PDL=early_launch(),
            num_warps=8 if block >= 2048 else 4,
            **launch_options(),
        )
    return out
