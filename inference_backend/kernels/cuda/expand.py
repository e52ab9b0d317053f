"""Whole weights of 8 or 4 bits written out in the activations' dtype, for products of many tokens.

Reading a weight and writing it wider takes about as long as one product of 128 tokens; with more tokens the tensor
cores' libraries, which take no such weights, are worth that.
"""

from typing import Final

import torch
import triton
import triton.language as tl
from torch import Tensor

from inference_backend.kernels.cuda.launch import early_launch, launch_options, release_next, wait_previous

BLOCK: Final = 2048


@triton.jit
def _int8_kernel(w_ptr, scale_ptr, out_ptr, width, BLOCK: tl.constexpr, PDL: tl.constexpr):
    row = tl.program_id(1).to(tl.int64)
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < width
    w = tl.load(w_ptr + row * width + at, mask=inside, other=0)
    wide = w.to(tl.float32) * tl.load(scale_ptr + row)
    wait_previous(PDL)
    release_next(PDL)
    tl.store(out_ptr + row * width + at, wide.to(out_ptr.dtype.element_ty), mask=inside)


@triton.jit
def _int4_kernel(w_ptr, scale_ptr, zero_ptr, out_ptr, width, groups, BLOCK: tl.constexpr, PDL: tl.constexpr):
    row = tl.program_id(1).to(tl.int64)
    pair = tl.program_id(0) * (BLOCK // 2) + tl.arange(0, BLOCK // 2)
    inside = pair < width // 2
    w = tl.load(w_ptr + row * (width // 2) + pair, mask=inside, other=0)
    group = row * groups + pair // (width // groups // 2)
    scale = tl.load(scale_ptr + group, mask=inside, other=0.0).to(tl.float32)
    zero = tl.load(zero_ptr + group, mask=inside, other=0.0).to(tl.float32)
    low = ((w & 15).to(tl.float32) - zero) * scale
    high = ((w >> 4).to(tl.float32) - zero) * scale
    wait_previous(PDL)
    release_next(PDL)
    kind: tl.constexpr = out_ptr.dtype.element_ty
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out_ptr + row * width + at, tl.interleave(low.to(kind), high.to(kind)), mask=at < width)


def expanded_int8(weight: Tensor, scales: Tensor, dtype: torch.dtype) -> Tensor:
    """int8 weight [o, n] times float32 scales [o] as [o, n] in `dtype`."""
    outputs, width = weight.shape
    out = torch.empty((outputs, width), dtype=dtype, device=weight.device)
    _int8_kernel[(triton.cdiv(width, BLOCK), outputs)](
        weight, scales, out, width, BLOCK=BLOCK, PDL=early_launch(), num_warps=4, **launch_options()
    )
    return out


def expanded_int4(packed: Tensor, scales: Tensor, zeros: Tensor, dtype: torch.dtype) -> Tensor:
    """The weight [o, n] of `reference_linear.int4_linear` in `dtype`; n / g must be even."""
    outputs, width = len(packed), packed.shape[1] * 2
    out = torch.empty((outputs, width), dtype=dtype, device=packed.device)
    _int4_kernel[(triton.cdiv(width, BLOCK), outputs)](
        packed, scales, zeros, out, width, scales.shape[1], BLOCK=BLOCK, PDL=early_launch(), num_warps=4,
        **launch_options(),
    )  # fmt: skip
    return out
