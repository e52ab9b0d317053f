"""How far a quantised model is from its original: layer by layer, and in what it would say next."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from inference_backend.executors import LoadedModel, allocate_cache
from inference_backend.kernels import Activation, AttentionInputs, Output, plain
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
        max_context=length,
    )
    caches = allocate_cache(loaded, settings, blocks, loaded.config.layers)
    outputs: dict[str, Tensor] = {}
    layers = [module for module in loaded.model.modules() if isinstance(module, Linear)]
    for layer in layers:
        _watch(layer, outputs)
    hidden = loaded.model(torch.tensor(prompt, device=device), StepContext(inputs, caches))
    logits = loaded.model.logits(hidden)
    for layer in layers:
        del layer.__dict__["product"]
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


def _watch(layer: Linear, outputs: dict[str, Tensor]) -> None:
    """Keep what the layer's product gives; on the instance, so that deleting it there ends the watch."""
    product = layer.product

    def watched(x: Activation) -> Output:
        out = product(x)
        outputs[layer.spec.name] = plain(out).clone()
        return out

    layer.__dict__["product"] = watched
