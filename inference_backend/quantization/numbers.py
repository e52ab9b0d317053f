"""Rounding weights to few bits, one scale per output feature or per group of inputs."""

from __future__ import annotations

import torch
from torch import Tensor

from inference_backend.kernels import pack_int4

FP8_MAX = 448.0
INT4_MAX = 15.0


def to_fp8(weight: Tensor) -> tuple[Tensor, Tensor]:
    """float8_e4m3fn [o, n] and float32 scales [o, 1] of a floating-point weight [o, n]."""
    wide = weight.float()
    scales = (wide.abs().amax(dim=1, keepdim=True) / FP8_MAX).clamp_min(1e-12)
    return (wide / scales).to(torch.float8_e4m3fn), scales


def to_int8(weight: Tensor) -> tuple[Tensor, Tensor]:
    """int8 [o, n] in -127 to 127 and float32 scales [o, 1]."""
    wide = weight.float()
    scales = (wide.abs().amax(dim=1, keepdim=True) / 127.0).clamp_min(1e-12)
    return (wide / scales).round().clamp(-127, 127).to(torch.int8), scales


def to_int4(weight: Tensor, group: int) -> tuple[Tensor, Tensor, Tensor]:
    """Packed uint8 [o, n / 2], scales and zeros float32 [o, n / group]; each group spans its least to its greatest."""
    groups = weight.float().view(len(weight), -1, group)
    low = groups.amin(dim=-1, keepdim=True).clamp_max(0.0)
    high = groups.amax(dim=-1, keepdim=True).clamp_min(0.0)
    scales = ((high - low) / INT4_MAX).clamp_min(1e-12)
    zeros = (-low / scales).round().clamp(0, INT4_MAX)
    values = (groups / scales + zeros).round().clamp(0, INT4_MAX)
    return pack_int4(values.flatten(1)), scales.squeeze(-1), zeros.squeeze(-1)
