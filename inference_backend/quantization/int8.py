"""INT8: weights alone (small batches, bound by memory), or weights and activations (SmoothQuant)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from inference_backend import kernels
from inference_backend.errors import CheckpointError
from inference_backend.kernels import Activation, Output, Quantized
from inference_backend.layers import Linear, LinearSpec, Placement, read_bias, read_weight
from inference_backend.quantization.numbers import to_int8
from inference_backend.quantization.stored import read_scaled
from inference_backend.weights import WeightSource


class Int8WeightLinear(Linear):
    """weight int8 [o, n], scales float32 [o, 1]; activations in floating point."""

    def __init__(self, spec: LinearSpec, place: Placement, weight: Tensor, scales: Tensor) -> None:
        super().__init__(spec, place)
        self.weight = nn.Parameter(weight.to(place.device), requires_grad=False)
        self.scales = nn.Parameter(scales.float().to(place.device), requires_grad=False)

    def product(self, x: Activation) -> Output:
        """[T, outputs] of x [T, inputs], in x's dtype."""
        if isinstance(x, Quantized):
            x = x.plain()
        return kernels.int8_weight_linear(x, self.weight, self.scales)


class Int8Linear(Int8WeightLinear):
    """The same weight; activations int8 with one scale per token."""

    form = "int8"

    def product(self, x: Activation) -> Output:
        """[T, outputs] of x [T, inputs], which is quantised here unless it comes quantised."""
        quantized = x if isinstance(x, Quantized) else kernels.quantize_per_token(x, "int8")
        if not isinstance(quantized, Quantized):
            raise TypeError("int8 quantisation returned plain activations")
        return kernels.int8_linear(quantized, self.weight, self.scales)


class Int8WeightScheme:
    """Weight-only INT8, stored or quantised at load."""

    def __init__(self, *, stored: bool) -> None:
        self.stored = stored

    def linear(self, spec: LinearSpec, source: WeightSource, place: Placement) -> Linear:
        if self.stored:
            weight, scales = read_scaled(spec, source, place, torch.int8)
        else:
            weight, scales = to_int8(read_weight(spec, source, place).to(place.device))
        made = Int8WeightLinear(spec, place, weight, scales)
        made.set_bias(read_bias(spec, source, place), place)
        return made


class SmoothQuantScheme:
    """W8A8 from an engine folder, whose norms already carry the smoothing (Xiao et al., SmoothQuant, 2023).

    `drawn` weights (random ones, for benchmarks) have nothing to smooth and are quantised at load.
    """

    def __init__(self, *, stored: bool, drawn: bool = False) -> None:
        self._stored = stored
        if not stored and not drawn:
            raise CheckpointError(
                "smoothquant needs calibration: build an engine folder first "
                "(nemoguardrails engine build CHECKPOINT --quantization smoothquant --out DIR)"
            )

    def linear(self, spec: LinearSpec, source: WeightSource, place: Placement) -> Linear:
        if self._stored:
            weight, scales = read_scaled(spec, source, place, torch.int8)
        else:
            weight, scales = to_int8(read_weight(spec, source, place).to(place.device))
        made = Int8Linear(spec, place, weight, scales)
        made.set_bias(read_bias(spec, source, place), place)
        return made
