"""Rounding weights to few bits, one scale per output feature or per group of inputs."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from inference_backend.kernels import pack_int4

FP8_MAX = 448.0
INT4_MAX = 15.0
_SHARES = (0.95, 0.9, 0.85, 0.8, 0.75, 0.7)


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
    """Packed uint8 [o, n / 2], scales and zeros float32 [o, n / group].

    Each group spans the part of its range that leaves the least squared error: what lies outside is cut off, the rest is
    resolved the finer.
    """
    groups = weight.float().view(len(weight), -1, group)
    low = groups.amin(dim=-1, keepdim=True).clamp_max(0.0)
    high = groups.amax(dim=-1, keepdim=True).clamp_min(0.0)
    best = _rounded(groups, low, high)
    for share in _SHARES:
        tried = _rounded(groups, low * share, high * share)
        better = tried.error < best.error
        best = _Rounded(*(torch.where(better, new, old) for new, old in zip(tried, best, strict=True)))
    return pack_int4(best.values.flatten(1)), best.scales.squeeze(-1), best.zeros.squeeze(-1)


class _Rounded(NamedTuple):
    """Groups [o, g, n / g] as unsigned 4-bit values, with scales, zeros and squared errors [o, g, 1]."""

    values: Tensor
    scales: Tensor
    zeros: Tensor
    error: Tensor


def _rounded(groups: Tensor, low: Tensor, high: Tensor) -> _Rounded:
    scales = ((high - low) / INT4_MAX).clamp_min(1e-12)
    zeros = (-low / scales).round().clamp(0, INT4_MAX)
    values = (groups / scales + zeros).round().clamp(0, INT4_MAX)
    error = ((values - zeros) * scales - groups).square().sum(dim=-1, keepdim=True)
    return _Rounded(values, scales, zeros, error)
