"""Which stored tensors are linear layers."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from inference_backend.layers import DenseScheme, LayerBuilder, Linear, LinearSpec, Placement
from inference_backend.models import ModelConfig, build_model
from inference_backend.weights import Part, SafetensorsFolder, WeightSource


@dataclass(frozen=True, slots=True)
class _Shapes:
    """A source that has the checkpoint's names, and tensors without content."""

    folder: SafetensorsFolder

    def has(self, name: str) -> bool:
        """See `WeightSource.has`."""
        return self.folder.has(name)

    def shape(self, name: str) -> tuple[int, ...]:
        """See `WeightSource.shape`."""
        return self.folder.shape(name)

    def read(self, name: str, shape: tuple[int, ...], parts: tuple[Part, ...] = ()) -> Tensor:
        """See `WeightSource.read`."""
        lengths = list(self.folder.read_shape(name, shape))
        for part in parts:
            lengths[part.dim] = part.stop - part.start
        return torch.empty(lengths, device="meta")


@dataclass(slots=True)
class _Noting:
    """A scheme that notes what it is asked for."""

    specs: list[LinearSpec] = field(default_factory=list)

    def linear(self, spec: LinearSpec, source: WeightSource, place: Placement) -> Linear:
        """See `Scheme.linear`."""
        self.specs.append(spec)
        return DenseScheme().linear(spec, source, place)


def survey(folder: SafetensorsFolder, config: ModelConfig) -> list[LinearSpec]:
    """Every linear layer that a scheme may quantise; checks names and shapes on the way.

    Raises:
        CorruptCheckpointError: a tensor is missing or of another shape.
    """
    noting = _Noting()
    place = Placement(torch.device("meta"), torch.float32)
    build_model(LayerBuilder(_Shapes(folder), noting, place, 1, (0, config.layers)), config)
    return noting.specs
