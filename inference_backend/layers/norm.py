"""Normalisation layers."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from inference_backend import kernels
from inference_backend.kernels import Activation, ActivationFormat, Output


class RMSNorm(nn.Module):
    """Zhang and Sennrich, 2019. `offset` 1 for models that store weights around zero (Gemma)."""

    def __init__(self, weight: Tensor, eps: float, offset: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.eps = eps
        self.offset = offset

    def forward(self, x: Output, form: ActivationFormat = "plain") -> Activation:
        """Inputs [..., n] normalised over its last dimension, in the form that the next layer takes."""
        return kernels.rms_norm(x, self.weight, self.eps, offset=self.offset, form=form)

    def plain(self, x: Output) -> Tensor:
        """As `forward`, never quantised."""
        out = kernels.rms_norm(x, self.weight, self.eps, offset=self.offset)
        return out if isinstance(out, Tensor) else out.data

    def add(self, x: Output, residual: Tensor, form: ActivationFormat = "plain") -> tuple[Activation, Tensor]:
        """Norm of x + residual, and that sum."""
        return kernels.add_rms_norm(x, residual, self.weight, self.eps, offset=self.offset, form=form)


class LayerNorm(nn.Module):
    """Ba et al., 2016."""

    def __init__(self, weight: Tensor, bias: Tensor, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = nn.Parameter(bias, requires_grad=False)
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Inputs [..., n] normalised over its last dimension."""
        return functional.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)
