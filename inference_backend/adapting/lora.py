"""LoRA (Hu et al., 2021): y = W x + (alpha / r) B A x, with A [r, n] and B [o, r] from a PEFT folder.

A fused layer (query, key and value in one) holds the pairs of its pieces side by side: their A's one below the other,
their B's along a block diagonal, so that one pair of products serves them all.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from inference_backend.adapting.peft import PeftFolder
from inference_backend.errors import CheckpointError, ResourceError
from inference_backend.layers import AdapterStack, Head, Linear
from inference_backend.models import CausalLM
from inference_backend.settings import AdapterSettings


def prepare_lora(model: CausalLM, settings: AdapterSettings) -> None:
    """Set room aside in every layer that adapters usually change; slot 0 is the base model and stays zero.

    Experts get theirs when the first adapter that changes them is loaded: for all of them it may be as much as the
    model itself.
    """
    if not settings.max_adapters:
        return
    for layer in _adaptable(model):
        if ".experts." not in layer.spec.name:
            layer.adapters = _stack(layer, settings)


def load_lora(model: CausalLM, slot: int, folder: Path, settings: AdapterSettings) -> None:
    """Fill a slot from a PEFT folder.

    Raises:
        CheckpointError: not a LoRA adapter of this model, of a variant or rank that is not supported, or no slot.
        CorruptCheckpointError: a tensor has another shape than the layer it changes.
        ResourceError: there is no room for pairs of experts.
    """
    if not 1 <= slot <= settings.max_adapters:
        raise CheckpointError("this engine was started without room for LoRA adapters (max_adapters)")
    adapter = PeftFolder(folder, settings.max_rank, model.config.experts)
    read = [(layer, _pair(layer, adapter, settings.max_rank)) for layer in _adaptable(model)]
    if adapter.unused is not None:
        raise CheckpointError(
            f"{folder}: {adapter.unused} changes no layer of this model that can have an adapter"
        )
    for layer, pair in read:
        if pair is not None and layer.adapters is None:
            layer.adapters = _stack(layer, settings)
    for layer, pair in read:
        if layer.adapters is not None:
            _fill(layer.adapters, slot, pair)


def _stack(layer: Linear, settings: AdapterSettings) -> AdapterStack:
    place = layer.placement
    rank = settings.max_rank * len(layer.spec.pieces)
    inputs, outputs = layer.local_shape
    slots = settings.max_adapters + 1
    try:
        return AdapterStack(
            down=torch.zeros(slots, rank, inputs, device=place.device, dtype=place.dtype),
            up=torch.zeros(slots, outputs, rank, device=place.device, dtype=place.dtype),
        )
    except (MemoryError, RuntimeError) as error:
        raise ResourceError(f"no memory is left for adapters of {layer.spec.name}") from error


def _fill(stack: AdapterStack, slot: int, pair: tuple[Tensor, Tensor] | None) -> None:
    if pair is None:
        stack.down[slot] = 0
        stack.up[slot] = 0
    else:
        stack.down[slot] = pair[0].to(stack.down)
        stack.up[slot] = pair[1].to(stack.up)


def _adaptable(model: CausalLM) -> Iterable[Linear]:
    """Linear layers of attention, feed-forwards, experts and routers; the head has no adapters."""
    heads = {id(module.linear) for module in model.modules() if isinstance(module, Head)}
    for module in model.modules():
        if isinstance(module, Linear) and id(module) not in heads:
            yield module


def _pair(layer: Linear, adapter: PeftFolder, max_rank: int) -> tuple[Tensor, Tensor] | None:
    """This rank's A [pieces * max_rank, n] and B [o, pieces * max_rank] of a layer; None where it is not changed."""
    inputs, outputs = layer.local_shape
    start, stop = layer.input_columns
    pairs = [adapter.pair(piece, layer.spec.inputs) for piece in layer.spec.pieces]
    if not any(pairs):
        return None
    down = torch.zeros(max_rank * len(pairs), inputs)
    up = torch.zeros(outputs, max_rank * len(pairs))
    row = 0
    for number, (piece, pair) in enumerate(zip(layer.spec.pieces, pairs, strict=True)):
        first, last = layer.output_rows(piece)
        if pair is not None:
            at = slice(number * max_rank, number * max_rank + len(pair.down))
            down[at] = pair.down[:, start:stop]
            up[row : row + last - first, at] = pair.up[first:last]
        row += last - first
    return down, up
