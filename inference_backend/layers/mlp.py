"""Feed-forward layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

from torch import Tensor, nn
from torch.nn import functional

from inference_backend import kernels
from inference_backend.kernels import Activation, Output
from inference_backend.layers.context import StepContext
from inference_backend.layers.linear import Linear

Gate: TypeAlias = Literal["silu", "gelu_tanh"]


class GatedMLP(nn.Module):
    """down(act(gate(x)) * up(x)) (Shazeer, GLU variants, 2020), gate and up in one product."""

    def __init__(self, gate_up: Linear, down: Linear, gate: Gate = "silu") -> None:
        super().__init__()
        self.gate_up = gate_up
        self.down = down
        self.product = kernels.silu_mul if gate == "silu" else kernels.gelu_tanh_mul

    def forward(self, x: Activation, step: StepContext) -> Output:
        """Inputs [T, hidden size] to a product [T, hidden size]."""
        form = "plain" if step.adapters is not None else self.down.form
        return self.down.unscaled(
            self.product(self.gate_up.unscaled(x, step.adapters), form=form), step.adapters
        )


class PlainMLP(nn.Module):
    """down(gelu(up(x))), with the tanh approximation of gelu (GPT-2, GPT-J)."""

    def __init__(self, up: Linear, down: Linear) -> None:
        super().__init__()
        self.up = up
        self.down = down
        self.act: Callable[[Tensor], Tensor] = lambda x: functional.gelu(x, approximate="tanh")

    def forward(self, x: Tensor, step: StepContext) -> Tensor:
        """Inputs [T, hidden size] to [T, hidden size]."""
        out: Tensor = self.down(self.act(self.up(x, step.adapters)), step.adapters)
        return out
