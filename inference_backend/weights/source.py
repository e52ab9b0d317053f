"""The pull side of loading: a layer asks for the tensors it is made of, by name and shape.

A layer that pulls knows its own slicing rule, so there is no table of weight names anywhere else, and a missing
tensor is an error of the layer that needs it.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from inference_backend.errors import CorruptCheckpointError


@dataclass(frozen=True, slots=True)
class Part:
    """Indexes [start, stop) along one dimension."""

    dim: int
    start: int
    stop: int


class WeightSource(Protocol):
    """A checkpoint's tensors by name."""

    def has(self, name: str) -> bool:
        """Whether there is a tensor of this name."""
        ...

    def shape(self, name: str) -> tuple[int, ...]:
        """A tensor's shape.

        Raises:
            CorruptCheckpointError: no such tensor.
        """
        ...

    def read(self, name: str, shape: tuple[int, ...], parts: tuple[Part, ...] = ()) -> Tensor:
        """The tensor on the CPU in its stored dtype, or the sub-block of it that `parts` name.

        `shape` is the whole tensor's shape.

        Raises:
            CorruptCheckpointError: no such tensor, or of another shape.
        """
        ...


@dataclass(frozen=True, slots=True)
class RandomSource:
    """Seeded normal weights of any name and shape; norms' weights are ones. For benchmarks of shapes alone."""

    dtype: torch.dtype
    device: torch.device
    scale: float = 0.02
    seed: int = 0

    def has(self, name: str) -> bool:
        """See `WeightSource.has`."""
        return name.endswith(".weight")

    def shape(self, name: str) -> tuple[int, ...]:
        """See `WeightSource.shape`."""
        raise CorruptCheckpointError(
            f"random weights have the shape that is asked for; nothing is stored of {name}"
        )

    def read(self, name: str, shape: tuple[int, ...], parts: tuple[Part, ...] = ()) -> Tensor:
        """See `WeightSource.read`."""
        lengths = list(shape)
        for part in parts:
            lengths[part.dim] = part.stop - part.start
        if len(shape) == 1:
            return torch.ones(lengths, dtype=self.dtype, device=self.device)
        generator = torch.Generator(device=self.device).manual_seed(zlib.crc32(name.encode()) + self.seed)
        out = torch.empty(lengths, dtype=self.dtype, device=self.device)
        return out.normal_(0.0, self.scale, generator=generator)
