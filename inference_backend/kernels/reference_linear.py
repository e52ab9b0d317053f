"""Products with quantised weights in plain torch. Shapes: T tokens, n inputs, o outputs, g input groups."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from inference_backend.kernels.values import Quantized


def fp8_linear(x: Quantized, weight: Tensor, scales: Tensor) -> Tensor:
    """float8_e4m3fn x [T, n] times weight [o, n], both with scales (float32 [T, 1] and [o, 1]): [T, o] in `x.dtype`."""
    product = functional.linear(x.data.float(), weight.float())
    return (product * x.scales * scales.T).to(x.dtype)


def int8_linear(x: Quantized, weight: Tensor, scales: Tensor) -> Tensor:
    """int8 x [T, n] times int8 weight [o, n], with scales (float32 [T, 1] and [o, 1]): [T, o] in `x.dtype`."""
    # Sums of int8 products pass float32's 24 bits from 1,040 inputs on; float64 holds them exactly.
    product = functional.linear(x.data.double(), weight.double()).float()
    return (product * x.scales * scales.T).to(x.dtype)


def int8_weight_linear(x: Tensor, weight: Tensor, scales: Tensor) -> Tensor:
    """Floating-point x [T, n] times int8 weight [o, n] with float32 scales [o, 1]: [T, o]."""
    return (functional.linear(x.float(), weight.float()) * scales.T).to(x.dtype)


def int4_linear(x: Tensor, packed: Tensor, scales: Tensor, zeros: Tensor) -> Tensor:
    """Floating-point x [T, n] times 4-bit weight: [T, o].

    packed uint8 [o, n / 2] holds two unsigned values a byte, the even input in the low half; scales and zeros
    [o, g] in floating point: weight = (value - zero) * scale, for groups of n / g inputs.
    """
    return functional.linear(x.float(), unpack_int4(packed, scales, zeros)).to(x.dtype)


def unpack_int4(packed: Tensor, scales: Tensor, zeros: Tensor) -> Tensor:
    """The float32 weight [o, n] of `int4_linear`."""
    values = torch.stack((packed & 15, packed >> 4), dim=-1).flatten(1).float()
    groups = values.view(len(values), scales.shape[1], -1)
    return ((groups - zeros.float().unsqueeze(-1)) * scales.float().unsqueeze(-1)).flatten(1)


def pack_int4(values: Tensor) -> Tensor:
    """Unsigned 4-bit values [o, n] as uint8 [o, n / 2]."""
    pairs = values.to(torch.uint8).view(len(values), -1, 2)
    return pairs[..., 0] | (pairs[..., 1] << 4)
