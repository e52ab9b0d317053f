"""How far a quantised model is from its original: layer by layer, and in what it would say next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from inference_backend.executors import LoadedModel, allocate_cache
from inference_backend.kernels import AttentionInputs
from inference_backend.layers import Linear, StepContext
from inference_backend.settings import EngineSettings


@dataclass(frozen=True, slots=True)
class Reading:
    """One prompt's run: float32 logits [T, vocabulary] and each linear layer's output [T, outputs], by name."""

    logits: Tensor
    outputs: dict[str, Tensor]


@torch.inference_mode()
def read_prompt(loaded: LoadedModel, settings: EngineSettings, prompt: tuple[int, ...]) -> Reading:
    """Run a whole prompt at once, through a cache of its own."""
    size, length = settings.scheduler.block_size, len(prompt)
    blocks = -(-length // size)
    device = loaded.place.device
    at = torch.arange(length, device=device)
    inputs = AttentionInputs(
        positions=at,
        slot_mapping=at,
        query_starts=torch.tensor([0, length], dtype=torch.int32, device=device),
        context_lengths=torch.tensor([length], dtype=torch.int32, device=device),
        block_tables=torch.arange(blocks, dtype=torch.int32, device=device)[None],
        decode_rows=0,
        max_query=length,
        max_context=length,
    )
    caches = allocate_cache(loaded, settings, blocks, loaded.config.layers)
    outputs: dict[str, Tensor] = {}
    hooks = [
        module.register_forward_hook(_keeper(outputs, module.spec.name))
        for module in loaded.model.modules()
        if isinstance(module, Linear)
    ]
    hidden = loaded.model(torch.tensor(prompt, device=device), StepContext(inputs, caches))
    logits = loaded.model.logits(hidden)
    for hook in hooks:
        hook.remove()
    return Reading(logits, outputs)


def divergence(original: Tensor, other: Tensor) -> float:
    """Mean Kullback-Leibler divergence in nats of two sets of logits [T, vocabulary]: KL(original, other)."""
    first, second = torch.log_softmax(original.double(), dim=-1), torch.log_softmax(other.double(), dim=-1)
    return float((first.exp() * (first - second)).sum(dim=-1).mean())


def agreement(original: Tensor, other: Tensor) -> float:
    """Share of positions at which both say the same likeliest token."""
    return float((original.argmax(dim=-1) == other.argmax(dim=-1)).float().mean())


def relative_error(original: Tensor, other: Tensor) -> float:
    """|other - original| over |original|, Frobenius norms."""
    return float((other.double() - original.double()).norm() / original.double().norm())


def _keeper(outputs: dict[str, Tensor], name: str) -> Callable[[nn.Module, tuple[object, ...], Tensor], None]:
    def keep(_module: nn.Module, _inputs: tuple[object, ...], output: Tensor) -> None:
        outputs[name] = output.detach().clone()

    return keep
