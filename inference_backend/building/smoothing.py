"""SmoothQuant (Xiao et al., 2023): outliers moved from activations, where they spoil a token's scale, to weights.

Input j of the layers behind a norm is divided by s(j) = max|x(j)|^a / max|w(j)|^(1 - a), by dividing the norm's weight
(and bias), and column j of their weights is multiplied by it: the product stays what it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from inference_backend.models import ModelConfig
from inference_backend.weights import SafetensorsFolder

_ATTENTION = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.qkv_proj")
_MLP = ("mlp.gate_proj", "mlp.up_proj", "mlp.gate_up_proj")


@dataclass(frozen=True, slots=True)
class Smoothing:
    """What each stored tensor is multiplied with, by its name: norms along their length, weights along inputs.

    `offset` is what a norm adds to its weight before use.
    """

    norms: Mapping[str, Tensor]
    weights: Mapping[str, Tensor]
    offset: float = 0.0

    def applied(self, name: str, tensor: Tensor) -> Tensor:
        """The tensor as it is to be stored, or quantised next."""
        if name in self.norms:
            factor = self.norms[name].to(torch.float64)
            return ((tensor.double() + self.offset) * factor - self.offset).to(tensor.dtype)
        if name in self.weights:
            return (tensor.double() * self.weights[name].double()).to(tensor.dtype)
        return tensor


NONE = Smoothing({}, {})


def smoothing(
    folder: SafetensorsFolder, config: ModelConfig, peaks: Mapping[str, Tensor], alpha: float = 0.5
) -> Smoothing:
    """The factors for every norm whose readers are known; `peaks` as `activation_peaks` gives them."""
    norms, weights = {}, {}
    for layer in range(config.layers):
        root = f"model.layers.{layer}"
        for norm, readers in _readers(folder, root):
            names = [f"{root}.{reader}" for reader in readers if f"{root}.{reader}" in peaks]
            if not names:
                continue
            factor = _factor(peaks[names[0]], _column_peaks(folder, names), alpha)
            norms[f"{root}.{norm}.weight"] = 1 / factor
            weights.update({f"{name}.weight": factor for name in names})
    return Smoothing(norms, weights, offset=1.0 if config.architecture == "gemma2" else 0.0)


def _readers(folder: SafetensorsFolder, root: str) -> Iterable[tuple[str, tuple[str, ...]]]:
    """Norms and the layers that read nothing else."""
    gemma = folder.has(f"{root}.pre_feedforward_layernorm.weight")
    mlp_norm = "pre_feedforward_layernorm" if gemma else "post_attention_layernorm"
    return ("input_layernorm", _ATTENTION), (mlp_norm, _MLP)


def _column_peaks(folder: SafetensorsFolder, names: list[str]) -> Tensor:
    """The greatest magnitude of each input's weights over several layers, float32 [n]."""
    peaks = []
    for name in names:
        weight = folder.read(f"{name}.weight", folder.shape(f"{name}.weight"))
        peaks.append(weight.float().abs().amax(dim=0))
    return torch.stack(peaks).amax(dim=0)


def _factor(activations: Tensor, weights: Tensor, alpha: float) -> Tensor:
    return (activations.clamp_min(1e-5) ** alpha / weights.clamp_min(1e-5) ** (1 - alpha)).clamp(1e-3, 1e3)
