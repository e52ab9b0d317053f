"""Rotary positions (Su et al., RoFormer, 2021) and the ways they are stretched beyond the trained length.

All variants end in one table of cosines and sines per position, computed once in float64.

- linear: every angle divided by the factor (Chen et al., Position Interpolation, 2023).
- dynamic: beyond the trained length the base grows with the position. Keys are cached as they were rotated, so each
  position uses the base that belongs to a sequence ending there: what generation token by token computes.
- yarn: high frequencies kept, low ones interpolated, a ramp between (Peng et al., YaRN, 2023).
- llama3: the same idea with a ramp over wavelengths.
- longrope: one factor per dimension, another set once sequences pass the trained length (Ding et al., LongRoPE, 2024).
  A paged cache outlives the switch, so the set follows the engine's longest sequence, not each request's length.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from inference_backend.kernels import RopeTable


@dataclass(frozen=True, slots=True)
class RopeScaling:
    """Parameters of a variant, under the names of their papers; `original` is the trained length in tokens."""

    kind: str
    factor: float
    original: int
    low: float = 1.0
    high: float = 4.0
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    truncate: bool = True
    attention_factor: float | None = None
    mscale: float = 0.0
    mscale_all_dim: float = 0.0
    short_factor: tuple[float, ...] = ()
    long_factor: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class RopeSettings:
    """`rotated` dimensions of each head turn; `positions` is the model's longest sequence."""

    theta: float
    rotated: int
    positions: int
    scaling: RopeScaling | None = None
    interleaved: bool = False


def rope_table(settings: RopeSettings, positions: int, device: torch.device) -> RopeTable:
    """The table for positions 0 to `positions` - 1."""
    angles = _angles(settings, positions)
    size = _amplitude(settings.scaling)
    cos_sin = torch.cat((angles.cos() * size, angles.sin() * size), dim=-1).float()
    return RopeTable(cos_sin.to(device), settings.rotated, settings.interleaved)


def _angles(settings: RopeSettings, positions: int) -> Tensor:
    """Float64 [positions, rotated / 2]."""
    at = torch.arange(positions, dtype=torch.float64)
    scaling = settings.scaling
    if scaling is not None and scaling.kind == "dynamic":
        return at[:, None] * _dynamic(settings, scaling, at)
    return torch.outer(at, _frequencies(settings, positions))


def _plain(settings: RopeSettings, theta: float | Tensor) -> Tensor:
    exponents = torch.arange(0, settings.rotated, 2, dtype=torch.float64) / settings.rotated
    return 1.0 / (theta**exponents)


def _frequencies(settings: RopeSettings, positions: int) -> Tensor:
    plain, scaling = _plain(settings, settings.theta), settings.scaling
    if scaling is None:
        return plain
    if scaling.kind == "linear":
        return plain / scaling.factor
    if scaling.kind == "llama3":
        return _llama3(plain, scaling)
    if scaling.kind == "yarn":
        return _yarn(plain, settings, scaling)
    factors = scaling.long_factor if positions > scaling.original else scaling.short_factor
    return plain / torch.tensor(factors, dtype=torch.float64)


def _dynamic(settings: RopeSettings, scaling: RopeScaling, at: Tensor) -> Tensor:
    """One row of frequencies per position."""
    length = (at + 1).clamp_min(settings.positions)
    stretch = scaling.factor * length / settings.positions - (scaling.factor - 1)
    theta = settings.theta * stretch ** (settings.rotated / (settings.rotated - 2))
    return _plain(settings, theta[:, None])


def _llama3(plain: Tensor, scaling: RopeScaling) -> Tensor:
    wavelength = 2 * math.pi / plain
    ramp = (scaling.original / wavelength - scaling.low) / (scaling.high - scaling.low)
    ramp = ramp.clamp(0, 1)
    return (1 - ramp) * plain / scaling.factor + ramp * plain


def _yarn(plain: Tensor, settings: RopeSettings, scaling: RopeScaling) -> Tensor:
    low = _turns_at(scaling.beta_fast, settings, scaling)
    high = _turns_at(scaling.beta_slow, settings, scaling)
    if scaling.truncate:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, settings.rotated - 1)
    if low == high:
        high += 0.001
    dims = torch.arange(settings.rotated // 2, dtype=torch.float64)
    ramp = ((dims - low) / (high - low)).clamp(0, 1)
    return plain / scaling.factor * ramp + plain * (1 - ramp)


def _turns_at(turns: float, settings: RopeSettings, scaling: RopeScaling) -> float:
    """The dimension that turns so many times within the trained length."""
    return (settings.rotated * math.log(scaling.original / (turns * 2 * math.pi))) / (
        2 * math.log(settings.theta)
    )


def _amplitude(scaling: RopeScaling | None) -> float:
    """What cosines and sines are multiplied with."""
    if scaling is None or scaling.kind not in {"yarn", "longrope"}:
        return 1.0
    if scaling.attention_factor is not None:
        return scaling.attention_factor
    if scaling.factor <= 1:
        return 1.0
    if scaling.kind == "longrope":
        return math.sqrt(1 + math.log(scaling.factor) / math.log(scaling.original))
    if scaling.mscale and scaling.mscale_all_dim:
        return _mscale(scaling.factor, scaling.mscale) / _mscale(scaling.factor, scaling.mscale_all_dim)
    return _mscale(scaling.factor, 1.0)


def _mscale(factor: float, weight: float) -> float:
    return 0.1 * weight * math.log(factor) + 1.0
