"""act(gate) * up over the packed gate-up projection, with per-token quantizing fused at the end."""

import triton
import triton.language as tl

from inference_backend.kernels.cuda.launch import early_launch, launch_options, release_next, wait_previous
from inference_backend.kernels.cuda.rounding import LIMITS, empty_activation, quantized_row
from inference_backend.kernels.values import Activation, ActivationFormat, Output, Product, Quantized

PLAIN_BLOCK = 1024


@triton.jit
def _gated(gate, up, GELU: tl.constexpr):
    """The activation is rounded to its dtype before the product, as the plain form does."""
    g = gate.to(tl.float32)
    if GELU:
        # 0.5 (1 + tanh(u)) is sigmoid(2 u), with u = sqrt(2 / pi) (g + 0.044715 g^3).
        act = g * tl.sigmoid(1.5957691216057308 * (g + 0.044715 * g * g * g))
    else:
        act = g * tl.sigmoid(g)
    return (act.to(gate.dtype).to(tl.float32) * up.to(tl.float32)).to(gate.dtype)


@triton.jit
def _gated_kernel(
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
    row = tl.program_id(1).to(tl.int64)
    cols = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = cols < width
    wait_previous(PDL)
    gate = tl.load(x_ptr + row * 2 * width + cols, mask=inside, other=0.0)
    up = tl.load(x_ptr + row * 2 * width + width + cols, mask=inside, other=0.0)
    release_next(PDL)
    if PRODUCT:
        size = tl.load(rows_ptr + row)
        gate_size = size * tl.load(columns_ptr + cols, mask=inside, other=0.0)
        up_size = size * tl.load(columns_ptr + width + cols, mask=inside, other=0.0)
        gate = (gate.to(tl.float32) * gate_size).to(gate.dtype)
        up = (up.to(tl.float32) * up_size).to(up.dtype)
    y = _gated(gate, up, GELU)
    if LIMIT > 0:
        values, scale = quantized_row(y.to(tl.float32), LIMIT)
        tl.store(scale_ptr + row, scale)
        tl.store(out_ptr + row * width + cols, values.to(out_ptr.dtype.element_ty), mask=inside)
    else:
        tl.store(out_ptr + row * width + cols, y, mask=inside)


def _gated_mul(given: Output, form: ActivationFormat, *, gelu: bool) -> Activation:
    """The row is one block where it is quantized (its scale needs all of it), many blocks where not."""
    gate_up = given.data if isinstance(given, Product) else given
    tokens, width = gate_up.shape[0], gate_up.shape[1] // 2
    out = empty_activation(gate_up, width, form)
    data, scales = (out.data, out.scales) if isinstance(out, Quantized) else (out, out)
    block = PLAIN_BLOCK if form == "plain" else triton.next_power_of_2(width)
    if tokens:
        _gated_kernel[(triton.cdiv(width, block), tokens)](
            gate_up.contiguous(),
            data,
            scales,
            given.rows if isinstance(given, Product) else gate_up,
            given.columns if isinstance(given, Product) else gate_up,
            width,
            LIMIT=LIMITS[form],
            GELU=gelu,
            PRODUCT=isinstance(given, Product),
            BLOCK=block,
            PDL=early_launch(),
            num_warps=16 if block >= 8192 else 4,
            **launch_options(),
        )
    return out


def silu_mul(gate_up: Output, *, form: ActivationFormat = "plain") -> Activation:
    """See `reference.silu_mul`."""
    return _gated_mul(gate_up, form, gelu=False)


def gelu_tanh_mul(gate_up: Output, *, form: ActivationFormat = "plain") -> Activation:
    """See `reference.gelu_tanh_mul`."""
    return _gated_mul(gate_up, form, gelu=True)
