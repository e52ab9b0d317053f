"""What a model is given to build itself: where weights come from, how they are stored, where they go."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from inference_backend.layers.linear import (
    DenseScheme,
    Linear,
    LinearSpec,
    Piece,
    Placement,
    Scheme,
    require_float,
)
from inference_backend.layers.norm import LayerNorm, RMSNorm
from inference_backend.parallel import TensorGroup
from inference_backend.weights import WeightSource


@dataclass(frozen=True, slots=True)
class LayerBuilder:
    """Builds layers by name. `positions` bounds rotary tables; `layers` is the range [start, stop) of this stage."""

    source: WeightSource
    scheme: Scheme
    place: Placement
    positions: int
    layers: tuple[int, int]
    prefix_rows: int = 0

    @property
    def first_stage(self) -> bool:
        """Whether this stage has the model's first layer, and so takes token ids."""
        return self.layers[0] == 0

    @property
    def device(self) -> torch.device:
        """Where weights are put."""
        return self.place.device

    @property
    def group(self) -> TensorGroup:
        """The ranks that share each layer."""
        return self.place.group

    def tensor(self, name: str, *shape: int) -> Tensor:
        """A stored tensor of this shape, in the placement's dtype."""
        return require_float(name, self.source.read(name, shape)).to(self.place.device, self.place.dtype)

    def linear(self, spec: LinearSpec) -> Linear:
        """A layer under the checkpoint's own scheme."""
        return self.scheme.linear(spec, self.source, self.place)

    def columns(self, names: tuple[tuple[str, int], ...], inputs: int, *, bias: bool = False) -> Linear:
        """Layers of the same input, side by side: (name, outputs) each; split by outputs."""
        pieces = tuple(Piece(name, outputs) for name, outputs in names)
        return self.linear(LinearSpec(pieces, inputs, bias=bias, split="columns"))

    def rows(self, name: str, inputs: int, outputs: int, *, bias: bool = False) -> Linear:
        """A layer split by inputs, its products summed over ranks."""
        return self.linear(LinearSpec((Piece(name, outputs),), inputs, bias=bias, split="rows"))

    def dense(self, spec: LinearSpec) -> Linear:
        """A layer that stays in floating point under every scheme."""
        return DenseScheme().linear(spec, self.source, self.place)

    def rms_norm(self, name: str, size: int, eps: float, *, offset: float = 0.0) -> RMSNorm:
        """The norm whose weight [size] is `name`.weight."""
        return RMSNorm(self.tensor(f"{name}.weight", size), eps, offset)

    def layer_norm(self, name: str, size: int, eps: float) -> LayerNorm:
        """The norm whose weight and bias [size] are `name`.weight and `name`.bias."""
        return LayerNorm(self.tensor(f"{name}.weight", size), self.tensor(f"{name}.bias", size), eps)
