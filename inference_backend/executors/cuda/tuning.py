"""How a model's products of many tokens are multiplied: tried out once, when it has been loaded."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

import torch
from torch import Tensor, nn

from inference_backend.executors.cuda.graphs import bucket_sizes, mixed_sizes
from inference_backend.executors.cuda.machine import LARGEST_MIXED_GRAPH
from inference_backend.kernels.cuda import FEW_TOKENS, TunedProducts, can_tune, fewest_gated_tokens
from inference_backend.layers import DenseLinear, GatedMLP, Head
from inference_backend.settings import SchedulerSettings

_SMALLEST: Final = 1 << 22  # elements; the products of smaller weights take less time than a launch
_TURNS: Final = 6  # weights of one shape that take turns in a trial


def tune_products(model: nn.Module, limits: SchedulerSettings) -> None:
    """Find the fastest algorithm for each shape of floating-point weight and each size of step that will be common.

    Takes some seconds for a model of 8 billion parameters, and nothing for one whose products are all small.
    """
    largest = _largest_steps(model, limits)
    alike: dict[tuple[torch.Size, torch.dtype, bool, int], list[DenseLinear]] = defaultdict(list)
    for module in model.modules():
        if isinstance(module, DenseLinear) and module.weight.numel() >= _SMALLEST and can_tune(module.weight):
            most = largest.get(module, limits.max_step_tokens)
            alike[module.weight.shape, module.weight.dtype, module.adds_up, most].append(module)
    for (_, _, _, most), layers in alike.items():
        tuned = TunedProducts(layers[0].weight, added=layers[0].adds_up)
        weights: list[Tensor] = [layer.weight for layer in layers[:_TURNS]]
        tuned.tune(weights, _sizes(limits, most))
        for layer in layers:
            layer.multiplier = tuned


def _largest_steps(model: nn.Module, limits: SchedulerSettings) -> dict[nn.Module, int]:
    """Layers that see fewer tokens than a step has: heads, and gates, which have a kernel of their own for many."""
    most: dict[nn.Module, int] = {}
    for module in model.modules():
        if isinstance(module, GatedMLP) and isinstance(module.gate_up, DenseLinear):
            most[module.gate_up] = fewest_gated_tokens(module.gate_up.weight.device) - 1
        elif isinstance(module, Head):
            most[module.linear] = limits.max_sequences
    return most


def _sizes(limits: SchedulerSettings, most: int) -> list[int]:
    """Numbers of tokens, `most` at most: those of graphs, and the largest step, whose choice serves all large ones."""
    largest = limits.max_step_tokens
    sizes = {*bucket_sizes(limits.max_sequences), *mixed_sizes(min(largest, LARGEST_MIXED_GRAPH)), largest}
    return sorted(size for size in sizes if FEW_TOKENS < size <= min(largest, most))
