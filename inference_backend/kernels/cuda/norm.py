"""(Add +) RMSNorm in one pass over each row, with per-token quantizing fused at the end."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from inference_backend.kernels.cuda.launch import early_launch, launch_options, release_next, wait_previous
from inference_backend.kernels.cuda.rounding import LIMITS, empty_activation, quantized_row
from inference_backend.kernels.values import (
    Activation,
    ActivationFormat,
    Deferred,
    Output,
    Product,
    Quantized,
)


@triton.jit
def _norm_kernel(
    x_ptr,
    residual_ptr,
    weight_ptr,
    out_ptr,
    sum_ptr,
    scale_ptr,
    rows_ptr,
    columns_ptr,
    row_stride,
    width,
    eps,
    offset,
    LIMIT: tl.constexpr,
    ADD: tl.constexpr,
    OFFSET: tl.constexpr,
    PRODUCT: tl.constexpr,
    BLOCK: tl.constexpr,
    PDL: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    cols = tl.arange(0, BLOCK)
    inside = cols < width
    weight = tl.load(weight_ptr + cols, mask=inside, other=0.0).to(tl.float32)
    if PRODUCT:
        columns = tl.load(columns_ptr + cols, mask=inside, other=0.0)
    wait_previous(PDL)
    x = tl.load(x_ptr + row * row_stride + cols, mask=inside, other=0.0)
    if PRODUCT:
        x = (x.to(tl.float32) * tl.load(rows_ptr + row) * columns).to(x.dtype)
    if ADD:
        residual = tl.load(residual_ptr + row * width + cols, mask=inside, other=0.0)
        x = (x.to(tl.float32) + residual.to(tl.float32)).to(x.dtype)
        tl.store(sum_ptr + row * width + cols, x, mask=inside)
    release_next(PDL)
    wide = x.to(tl.float32)
    normed = wide * tl.rsqrt(tl.sum(wide * wide, axis=0) / width + eps)
    # Rounded where the plain form rounds: models with an offset multiply in float32, the others in their dtype.
    if OFFSET:
        y = (normed * (weight + offset)).to(x.dtype)
    else:
        y = (normed.to(x.dtype).to(tl.float32) * weight).to(x.dtype)
    if LIMIT > 0:
        values, scale = quantized_row(y.to(tl.float32), LIMIT)
        tl.store(scale_ptr + row, scale)
        tl.store(out_ptr + row * width + cols, values.to(out_ptr.dtype.element_ty), mask=inside)
    else:
        tl.store(out_ptr + row * width + cols, y, mask=inside)


def _norm(
    given: Output,
    residual: Tensor | None,
    weight: Tensor,
    epsilons: tuple[float, float],
    form: ActivationFormat,
) -> tuple[Activation, Tensor]:
    eps, offset = epsilons
    if isinstance(given, Deferred):
        if residual is None:
            given = given.plain
        else:
            # cuBLAS adds the product where it writes it: two passes over the tensor less than adding here.
            given, residual = given.added_to(residual), None
    x = given.data if isinstance(given, Product) else given
    shape, width = x.shape, x.shape[-1]
    if x.dim() != 2 or x.stride(-1) != 1:
        x = x.reshape(-1, width)
    out = empty_activation(x, width, form)
    total = torch.empty(x.shape, dtype=x.dtype, device=x.device) if residual is not None else x
    data, scales = (out.data, out.scales) if isinstance(out, Quantized) else (out, out)
    block = triton.next_power_of_2(width)
    if len(x):
        _norm_kernel[(len(x),)](
            x,
            residual if residual is not None else x,
            weight,
            data,
            total,
            scales,
            given.rows if isinstance(given, Product) else x,
            given.columns if isinstance(given, Product) else x,
            x.stride(0),
            width,
            eps,
            offset,
            LIMIT=LIMITS[form],
            ADD=residual is not None,
            OFFSET=offset != 0.0,
            PRODUCT=isinstance(given, Product),
            BLOCK=block,
            PDL=early_launch(),
            num_warps=8 if block >= 2048 else 4,
            **launch_options(),
        )
    return (out.view(shape) if isinstance(out, Tensor) else out), total.view(shape)


def rms_norm(
    x: Tensor, weight: Tensor, eps: float, *, offset: float = 0.0, form: ActivationFormat = "plain"
) -> Activation:
    """See `reference.rms_norm`."""
    return _norm(x, None, weight, (eps, offset), form)[0]


def add_rms_norm(
    x: Output,
    residual: Tensor,
    weight: Tensor,
    eps: float,
    *,
    offset: float = 0.0,
    form: ActivationFormat = "plain",
) -> tuple[Activation, Tensor]:
    """See `reference.add_rms_norm`."""
    return _norm(x, residual, weight, (eps, offset), form)
