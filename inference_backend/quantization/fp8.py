"""FP8 (e4m3) weights with one scale per output, FP8 activations with one scale per token, worked out as they come."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from inference_backend import kernels
from inference_backend.kernels import Activation, Output, Quantized
from inference_backend.layers import Linear, LinearSpec, Placement, read_bias, read_weight
from inference_backend.quantization.numbers import to_fp8
from inference_backend.quantization.stored import read_scaled
from inference_backend.weights import WeightSource


class Fp8Linear(Linear):
    """weight float8_e4m3fn [o, n], scales float32 [o, 1]."""

    form = "fp8"

    def __init__(self, spec: LinearSpec, place: Placement, weight: Tensor, scales: Tensor) -> None:
        super().__init__(spec, place)
        self.weight = nn.Parameter(weight.to(place.device), requires_grad=False)
        self.scales = nn.Parameter(scales.float().to(place.device), requires_grad=False)

    def part(self, start: int, stop: int) -> Linear:
        made = Fp8Linear(self.spec, self.placement, self.weight[start:stop], self.scales[start:stop])
        made.set_bias(None if self.bias is None else self.bias[start:stop], self.placement)
        return made

    def product(self, x: Activation) -> Output:
        """[T, outputs] of x [T, inputs], which is quantised here unless it comes quantised."""
        quantized = x if isinstance(x, Quantized) else kernels.quantize_per_token(x, "fp8")
        if not isinstance(quantized, Quantized):
            raise TypeError("fp8 quantisation returned plain activations")
        return kernels.fp8_linear(quantized, self.weight, self.scales)


class Fp8Scheme:
    """`stored`: the checkpoint holds FP8 weights and their scales; else they are quantised as they are loaded."""

    def __init__(self, *, stored: bool) -> None:
        self.stored = stored

    def linear(self, spec: LinearSpec, source: WeightSource, place: Placement) -> Linear:
        if self.stored:
            weight, scales = read_scaled(spec, source, place, torch.float8_e4m3fn)
        else:
            weight, scales = to_fp8(read_weight(spec, source, place).to(place.device))
        made = Fp8Linear(spec, place, weight, scales)
        made.set_bias(read_bias(spec, source, place), place)
        return made
