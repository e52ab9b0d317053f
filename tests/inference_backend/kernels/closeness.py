"""How near a kernel must come to the plain torch operation of the same name."""

from __future__ import annotations

import torch
from torch import Tensor

from inference_backend.kernels import Quantized

GPU = torch.cuda.is_available()
# The interpreter rounds to bfloat16 and float8 by cutting bits off, and multiplies no matrices of either.
HALF = (torch.bfloat16, torch.float16) if GPU else (torch.float16,)
FP8_TOLERANCE = 2e-2 if GPU else 0.1
TOLERANCE = {torch.bfloat16: 1e-2, torch.float16: 2e-3, torch.float32: 1e-5}
BLOCK = 16


def apart(out: Tensor, expected: Tensor) -> float:
    """Relative distance of two tensors; NaN counts as far."""
    out, expected = out.double(), expected.double()
    distance = (out - expected).norm() / expected.norm().clamp_min(1e-30)
    return float("inf") if bool(distance.isnan()) else float(distance)


def plain(x: Tensor | Quantized) -> Tensor:
    return x.data.float() * x.scales if isinstance(x, Quantized) else x


def quantised_alike(out: Tensor | Quantized, expected: Tensor | Quantized, dtype: torch.dtype) -> bool:
    """Values may round to the neighbouring step of the coarse grid; nearly all agree."""
    allowed = TOLERANCE[dtype]
    if isinstance(out, Quantized):
        allowed = 2e-2 if out.data.dtype == torch.int8 else FP8_TOLERANCE
    return apart(plain(out), plain(expected)) < allowed
