"""Weights of eight bits with one scale per output: FP8 and INT8, with activations in floating point or quantised too.

The layers differ in the numbers that weights are rounded to and in the kernel that multiplies. How they are read, and
quantised where they are not stored so, is the same for all (`ScaledScheme`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from inference_backend import kernels
from inference_backend.errors import CheckpointError
from inference_backend.kernels import Activation, ActivationFormat, Output, Quantized
from inference_backend.layers import Linear, LinearSpec, Placement, Scheme, read_bias, read_weight
from inference_backend.quantization.numbers import to_fp8, to_int8
from inference_backend.quantization.stored import read_scaled
from inference_backend.weights import WeightSource


class ScaledLinear(Linear):
    """weight [o, n] in `numbers`, scales float32 [o, 1]; `form` says what it wants its activations to be."""

    numbers: ClassVar[torch.dtype] = torch.int8

    def __init__(self, spec: LinearSpec, place: Placement, weight: Tensor, scales: Tensor) -> None:
        super().__init__(spec, place)
        self.weight = nn.Parameter(weight.to(place.device), requires_grad=False)
        self.scales = nn.Parameter(scales.float().to(place.device), requires_grad=False)

    @staticmethod
    def rounded(weight: Tensor) -> tuple[Tensor, Tensor]:
        """A floating-point weight [o, n] in `numbers`, and its scales [o, 1]."""
        return to_int8(weight)


class Fp8Linear(ScaledLinear):
    """weight float8_e4m3fn; activations FP8 with one scale per token, worked out as they come."""

    form = "fp8"
    numbers = torch.float8_e4m3fn

    @staticmethod
    def rounded(weight: Tensor) -> tuple[Tensor, Tensor]:
        """See `ScaledLinear.rounded`."""
        return to_fp8(weight)

    def part(self, start: int, stop: int) -> Linear:
        """See `Linear.part`."""
        made = Fp8Linear(self.spec, self.placement, self.weight[start:stop], self.scales[start:stop])
        made.set_bias(None if self.bias is None else self.bias[start:stop], self.placement)
        return made

    def product(self, x: Activation) -> Output:
        """[T, outputs] of x [T, inputs], which is quantised here unless it comes quantised."""
        return kernels.fp8_linear(_quantized(x, "fp8"), self.weight, self.scales)


class Int8WeightLinear(ScaledLinear):
    """weight int8; activations in floating point."""

    def product(self, x: Activation) -> Output:
        """[T, outputs] of x [T, inputs], in x's dtype."""
        plain = x.plain() if isinstance(x, Quantized) else x
        return kernels.int8_weight_linear(plain, self.weight, self.scales)


class Int8Linear(ScaledLinear):
    """weight int8; activations int8 with one scale per token."""

    form = "int8"

    def product(self, x: Activation) -> Output:
        """[T, outputs] of x [T, inputs], which is quantised here unless it comes quantised."""
        return kernels.int8_linear(_quantized(x, "int8"), self.weight, self.scales)


def _quantized(x: Activation, form: ActivationFormat) -> Quantized:
    made = x if isinstance(x, Quantized) else kernels.quantize_per_token(x, form)
    if not isinstance(made, Quantized):
        raise TypeError(f"{form} quantisation returned plain activations")
    return made


@dataclass(frozen=True, slots=True)
class ScaledScheme:
    """Makes layers of one kind. `stored`: the checkpoint holds its weights and scales; else they are rounded at load."""

    kind: type[ScaledLinear]
    stored: bool

    def linear(self, spec: LinearSpec, source: WeightSource, place: Placement) -> Linear:
        """See `Scheme.linear`."""
        if self.stored:
            weight, scales = read_scaled(spec, source, place, self.kind.numbers)
        else:
            weight, scales = self.kind.rounded(read_weight(spec, source, place).to(place.device))
        made = self.kind(spec, place, weight, scales)
        made.set_bias(read_bias(spec, source, place), place)
        return made


def smoothquant(*, stored: bool, drawn: bool = False) -> Scheme:
    """W8A8 from an engine folder, whose norms already carry the smoothing (Xiao et al., SmoothQuant, 2023).

    `drawn` weights (random ones, for benchmarks) have nothing to smooth and are quantised at load.

    Raises:
        CheckpointError: neither; the calibration needs a build.
    """
    if not stored and not drawn:
        raise CheckpointError(
            "smoothquant needs calibration: build an engine folder first "
            "(nemoguardrails engine build CHECKPOINT --quantization smoothquant --out DIR)"
        )
    return ScaledScheme(Int8Linear, stored)
