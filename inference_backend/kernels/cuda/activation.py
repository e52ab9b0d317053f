"""act(gate) * up over the packed gate-up projection, with per-token quantizing fused at the end.

Without quantizing, rows are cut into blocks. With it a program holds a whole row, because the row's scale needs all
of it.
"""

from typing import Final

import triton
import triton.language as tl

from inference_backend.kernels.cuda.gated_linear import fits_gated, gated, gated_linear
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

PLAIN_BLOCK: Final = 1024


@triton.jit
def _scaled(x, rows_ptr, row, columns, PRODUCT: tl.constexpr):
    if PRODUCT:
        x = (x.to(tl.float32) * tl.load(rows_ptr + row) * columns).to(x.dtype)
    return x


@triton.jit
def _plain_kernel(
    x_ptr,
    out_ptr,
    rows_ptr,
    columns_ptr,
    width,
    GELU: tl.constexpr,
    PRODUCT: tl.constexpr,
    BLOCK: tl.constexpr,
    PDL: tl.constexpr,
):
    row = tl.program_id(1).to(tl.int64)
    cols = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = cols < width
    gate_size = 1.0
    up_size = 1.0
    if PRODUCT:
        gate_size = tl.load(columns_ptr + cols, mask=inside, other=0.0)
        up_size = tl.load(columns_ptr + width + cols, mask=inside, other=0.0)
    wait_previous(PDL)
    gate = tl.load(x_ptr + row * 2 * width + cols, mask=inside, other=0.0)
    up = tl.load(x_ptr + row * 2 * width + width + cols, mask=inside, other=0.0)
    release_next(PDL)
    gate = _scaled(gate, rows_ptr, row, gate_size, PRODUCT)
    up = _scaled(up, rows_ptr, row, up_size, PRODUCT)
    tl.store(out_ptr + row * width + cols, gated(gate, up, GELU), mask=inside)


@triton.jit
def _quantizing_kernel(
    x_ptr,
    out_ptr,
    scale_ptr,
    rows_ptr,
    columns_ptr,
    width,
    LIMIT: tl.constexpr,
    GELU: tl.constexpr,
    PRODUCT: tl.constexpr,
    BLOCK: tl.constexpr,
    PDL: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    cols = tl.arange(0, BLOCK)
    inside = cols < width
    gate_size = 1.0
    up_size = 1.0
    if PRODUCT:
        gate_size = tl.load(columns_ptr + cols, mask=inside, other=0.0)
        up_size = tl.load(columns_ptr + width + cols, mask=inside, other=0.0)
    wait_previous(PDL)
    gate = tl.load(x_ptr + row * 2 * width + cols, mask=inside, other=0.0)
    up = tl.load(x_ptr + row * 2 * width + width + cols, mask=inside, other=0.0)
    release_next(PDL)
    gate = _scaled(gate, rows_ptr, row, gate_size, PRODUCT)
    up = _scaled(up, rows_ptr, row, up_size, PRODUCT)
    values, scale = quantized_row(gated(gate, up, GELU).to(tl.float32), LIMIT)
    tl.store(scale_ptr + row, scale)
    tl.store(out_ptr + row * width + cols, values.to(out_ptr.dtype.element_ty), mask=inside)


def _gated_mul(given: Output, form: ActivationFormat, *, gelu: bool) -> Activation:
    if isinstance(given, Deferred):
        if form == "plain" and fits_gated(given):
            return gated_linear(given, gelu=gelu)
        given = given.plain
    gate_up = (given.data if isinstance(given, Product) else given).contiguous()
    tokens, width = gate_up.shape[0], gate_up.shape[1] // 2
    out = empty_activation(gate_up, width, form)
    rows, columns = (given.rows, given.columns) if isinstance(given, Product) else (gate_up, gate_up)
    product = isinstance(given, Product)
    if not tokens:
        return out
    if isinstance(out, Quantized):
        block = triton.next_power_of_2(width)
        _quantizing_kernel[(tokens,)](
            gate_up, out.data, out.scales, rows, columns, width,
            LIMIT=LIMITS[form], GELU=gelu, PRODUCT=product, BLOCK=block, PDL=early_launch(),
            num_warps=16 if block >= 8192 else 8, **launch_options(),
        )  # fmt: skip
    else:
        _plain_kernel[(triton.cdiv(width, PLAIN_BLOCK), tokens)](
            gate_up, out, rows, columns, width,
            GELU=gelu, PRODUCT=product, BLOCK=PLAIN_BLOCK, PDL=early_launch(), num_warps=4, **launch_options(),
        )  # fmt: skip
    return out


def silu_mul(gate_up: Output, *, form: ActivationFormat = "plain") -> Activation:
    """See `reference.silu_mul`."""
    return _gated_mul(gate_up, form, gelu=False)


def gelu_tanh_mul(gate_up: Output, *, form: ActivationFormat = "plain") -> Activation:
    """See `reference.gelu_tanh_mul`."""
    return _gated_mul(gate_up, form, gelu=True)
