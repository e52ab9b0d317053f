"""LoRA (Hu et al., 2021): y = W x + (alpha / r) B A x, with A [r, n] and B [o, r] from a PEFT folder.

A fused layer (query, key and value in one) holds the pairs of its pieces side by side: their A's one below the other,
their B's along a block diagonal, so that one pair of products serves them all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from inference_backend.errors import CheckpointError
from inference_backend.layers import AdapterStack, Linear, LinearSpec, Piece
from inference_backend.models import CausalLM, Fields, read_json
from inference_backend.settings import AdapterSettings
from inference_backend.weights import SafetensorsFolder

_PREFIXES = ("base_model.model.", "")


@dataclass(frozen=True, slots=True)
class _Adapter:
    """An opened PEFT folder; `scale` is what B is multiplied with."""

    source: SafetensorsFolder
    rank: int
    scale: float

    def name(self, piece: str, part: str) -> str | None:
        """The stored name of a piece's A or B."""
        names = [f"{prefix}{piece}.lora_{part}.weight" for prefix in _PREFIXES]
        return next((name for name in names if self.source.has(name)), None)


def prepare_lora(model: CausalLM, settings: AdapterSettings) -> None:
    """Set room aside in every layer that an adapter may change; slot 0 is the base model and stays zero."""
    if not settings.max_adapters:
        return
    for layer in _adaptable(model):
        device, dtype = layer.placement.device, layer.placement.dtype
        rank = settings.max_rank * len(layer.spec.pieces)
        inputs, outputs = layer.local_shape
        slots = settings.max_adapters + 1
        layer.adapters = AdapterStack(
            down=torch.zeros(slots, rank, inputs, device=device, dtype=dtype),
            up=torch.zeros(slots, outputs, rank, device=device, dtype=dtype),
        )


def load_lora(model: CausalLM, slot: int, folder: Path, settings: AdapterSettings) -> None:
    """Fill a slot from a PEFT folder.

    Raises:
        CheckpointError: not a LoRA adapter of this model, of a variant or rank that is not supported, or no slot.
        CorruptCheckpointError: a tensor has another shape than the layer it changes.
    """
    if not 1 <= slot <= settings.max_adapters:
        raise CheckpointError("this engine was started without room for LoRA adapters (max_adapters)")
    adapter = _open(folder, settings.max_rank)
    left = set(adapter.source.names())
    read = [(layer, _pair(layer, adapter, left, settings.max_rank)) for layer in _adaptable(model)]
    if left:
        raise CheckpointError(
            f"{folder}: {min(left)} changes no layer of this model that can have an adapter"
        )
    for layer, (down, up) in read:
        if layer.adapters is not None:
            layer.adapters.down[slot] = down.to(layer.adapters.down)
            layer.adapters.up[slot] = up.to(layer.adapters.up)


def _adaptable(model: CausalLM) -> Iterable[Linear]:
    """Linear layers of attention and of dense feed-forwards; experts and the head have no adapters."""
    for module in model.modules():
        if isinstance(module, Linear) and _is_adaptable(module.spec):
            yield module


def _is_adaptable(spec: LinearSpec) -> bool:
    return spec.split != "none" and ".experts." not in spec.name and not spec.name.startswith("lm_head")


def _open(folder: Path, max_rank: int) -> _Adapter:
    path = folder / "adapter_config.json"
    fields = Fields(read_json(path), str(path))
    if fields.text("peft_type") != "LORA":
        raise CheckpointError(f"{path}: peft_type is {fields.text('peft_type')!r}, but must be LORA")
    for name, plain in (("use_dora", False), ("bias", "none"), ("modules_to_save", None)):
        if fields.raw.get(name) not in {plain, None}:
            raise CheckpointError(f"{path}: {name} {fields.raw[name]!r} is not supported")
    if fields.raw.get("rank_pattern") or fields.raw.get("alpha_pattern"):
        raise CheckpointError(f"{path}: rank_pattern and alpha_pattern are not supported")
    rank = fields.integer("r")
    if not 1 <= rank <= max_rank:
        raise CheckpointError(f"{path}: rank {rank} is above the engine's max_rank ({max_rank})")
    alpha = fields.number("lora_alpha", float(rank))
    scale = alpha / math.sqrt(rank) if fields.flag("use_rslora") else alpha / rank
    return _Adapter(SafetensorsFolder(folder), rank, scale)


def _pair(layer: Linear, adapter: _Adapter, left: set[str], max_rank: int) -> tuple[Tensor, Tensor]:
    """This rank's A [pieces * max_rank, n] and B [o, pieces * max_rank] of a layer; zero where it is not changed."""
    inputs, outputs = layer.local_shape
    down = torch.zeros(max_rank * len(layer.spec.pieces), inputs)
    up = torch.zeros(outputs, max_rank * len(layer.spec.pieces))
    row = 0
    for number, piece in enumerate(layer.spec.pieces):
        rows = layer.output_rows(piece)
        names = adapter.name(piece.name, "A"), adapter.name(piece.name, "B")
        if names[0] is not None and names[1] is not None:
            left.difference_update(names)
            at = slice(number * max_rank, number * max_rank + adapter.rank)
            down[at] = _read_down(layer, adapter, names[0])
            up[row : row + rows[1] - rows[0], at] = _read_up(piece, adapter, names[1], rows)
        row += rows[1] - rows[0]
    return down, up


def _read_down(layer: Linear, adapter: _Adapter, name: str) -> Tensor:
    start, stop = layer.input_columns
    return adapter.source.read(name, (adapter.rank, layer.spec.inputs)).float()[:, start:stop]


def _read_up(piece: Piece, adapter: _Adapter, name: str, rows: tuple[int, int]) -> Tensor:
    stored = adapter.source.read(name, (piece.total or piece.outputs, adapter.rank))
    return stored.float()[rows[0] : rows[1]] * adapter.scale
