"""What operations take and give: a step's rows, caches, activations and products, as tensors on the device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

ActivationFormat: TypeAlias = Literal["plain", "fp8", "int8"]


@dataclass(frozen=True, slots=True)
class AttentionInputs:
    """A step's rows as attention kernels see them (see `inference_backend.step` for the meaning of each array).

    Attributes:
        positions: int64 [T].
        slot_mapping: int64 [T].
        query_starts: int32 [R + 1].
        context_lengths: int32 [R].
        block_tables: int32 [R, B].
        decode_rows: rows from the first that have exactly one token.
        max_context: longest context, in tokens (an upper bound where lengths live on the device alone).
        by_length: kernels tell decode rows from others by their lengths on the device, and `decode_rows` is not used:
            for steps that are replayed with other numbers of both. Rows may then be empty, and tokens in no row.
    """

    positions: Tensor
    slot_mapping: Tensor
    query_starts: Tensor
    context_lengths: Tensor
    block_tables: Tensor
    decode_rows: int
    max_context: int
    by_length: bool = False

    @property
    def has_chunks(self) -> bool:
        """Whether rows of more than one token may be among them."""
        return self.by_length or self.decode_rows < len(self.context_lengths)

    def of_tokens(self, tokens: Tensor) -> AttentionInputs:
        """Tokens int64 [n] of the step's rows, each as a row of its own that sees all up to its own position."""
        rows = torch.searchsorted(self.query_starts, tokens.int(), right=True) - 1
        positions = self.positions[tokens]
        return AttentionInputs(
            positions=positions,
            slot_mapping=self.slot_mapping[tokens],
            query_starts=torch.arange(len(tokens) + 1, dtype=torch.int32, device=tokens.device),
            context_lengths=(positions + 1).int(),
            block_tables=self.block_tables[rows],
            decode_rows=len(tokens),
            max_context=self.max_context,
        )


@dataclass(frozen=True, slots=True)
class AttentionSpec:
    """What never changes for one attention layer.

    `window` None attends to everything before; w attends to the last w tokens, the own one included. `soft_cap` c
    replaces a score s by c * tanh(s / c).
    """

    heads: int
    kv_heads: int
    head_dim: int
    scale: float
    window: int | None = None
    soft_cap: float | None = None


@dataclass(frozen=True, slots=True)
class RopeTable:
    """Rotary angles of one model: cosines then sines.

    Attributes:
        cos_sin: float32 [positions, rotated], the first half cosines, the second half sines, `rotated` // 2 each.
        rotated: how many of a head's dimensions turn (the first ones).
        interleaved: GPT-J pairs dimensions (0, 1), (2, 3) ...; else dimension i pairs with i + rotated / 2.
    """

    cos_sin: Tensor
    rotated: int
    interleaved: bool = False


@dataclass(frozen=True, slots=True)
class LayerCache:
    """The paged keys and values of one layer.

    Attributes:
        keys, values: [blocks, block_size, kv_heads, head_dim], in the model's dtype, float8_e4m3fn or int8.
        key_scales, value_scales: float32 [blocks, block_size, kv_heads], int8 caches only: value = int8 * scale.
    """

    keys: Tensor
    values: Tensor
    key_scales: Tensor | None = None
    value_scales: Tensor | None = None

    @property
    def block_size(self) -> int:
        """Tokens in a block."""
        return int(self.keys.shape[1])


@dataclass(frozen=True, slots=True)
class Rotated:
    """A step's queries with its own keys and values, for attention that need not gather those from the cache.

    Attributes:
        queries: [T, H, D], contiguous.
        keys, values: [T, K, D], as they were written to the cache; tokens may lie apart, heads and dimensions do not.
    """

    queries: Tensor
    keys: Tensor
    values: Tensor

    def after(self, tokens: int) -> Rotated:
        """All but the first so many tokens."""
        return Rotated(self.queries[tokens:], self.keys[tokens:], self.values[tokens:])


Queries: TypeAlias = Tensor | Rotated


@dataclass(frozen=True, slots=True)
class Quantized:
    """Activations quantised per token: value = data * scales.

    Attributes:
        data: float8_e4m3fn or int8 [T, n].
        scales: float32 [T, 1].
        dtype: what a product of them is returned in.
    """

    data: Tensor
    scales: Tensor
    dtype: torch.dtype

    @property
    def shape(self) -> torch.Size:
        """Of the data: [T, n]."""
        return self.data.shape

    def of_tokens(self, tokens: Tensor) -> Quantized:
        """The activations of tokens int64 [n]."""
        bits = self.data.view(torch.uint8)[tokens]  # not every operation knows of float8
        return Quantized(bits.view(self.data.dtype), self.scales[tokens], self.dtype)

    def plain(self) -> Tensor:
        """The activations in `dtype`."""
        return (self.data.float() * self.scales).to(self.dtype)


Activation: TypeAlias = Tensor | Quantized


@dataclass(frozen=True, slots=True)
class Product:
    """A quantised product whose scales the operation that takes it multiplies in: value = data * rows * columns.

    Attributes:
        data: [T, n], in the model's dtype.
        rows: float32 [T, 1], the scales of the activations.
        columns: float32 [n], the scales of the weight's outputs.
    """

    data: Tensor
    rows: Tensor
    columns: Tensor

    @property
    def plain(self) -> Tensor:
        """The values themselves, in the dtype of `data`."""
        return (self.data.float() * self.rows * self.columns).to(self.data.dtype)


class Multiplier(Protocol):
    """Multiplies by weights of one shape in a way that was chosen when the model was loaded."""

    def product(self, x: Tensor, weight: Tensor) -> Tensor:
        """The product x [T, n] @ weight [outputs, n].T: [T, outputs]."""
        ...

    def add_product(self, total: Tensor, x: Tensor, weight: Tensor) -> Tensor:
        """`total` [T, outputs], to which the product has been added where it lies."""
        ...


@dataclass(frozen=True, slots=True)
class Deferred:
    """A product of floating-point numbers, left to the operation that takes it: value = x @ weight.T.

    That operation multiplies with its own work at the end, so that the product itself is never written.

    Attributes:
        x: [T, n]; weight: [outputs, n]; of one dtype.
        by: who multiplies, if not torch.
    """

    x: Tensor
    weight: Tensor
    by: Multiplier | None = None

    @property
    def plain(self) -> Tensor:
        """The product."""
        if self.by is not None:
            return self.by.product(self.x, self.weight)
        return functional.linear(self.x, self.weight)

    def added_to(self, total: Tensor) -> Tensor:
        """`total` [T, outputs], to which the product has been added where it lies."""
        if self.by is not None:
            return self.by.add_product(total, self.x, self.weight)
        return total.addmm_(self.x, self.weight.t())


Output: TypeAlias = Tensor | Product | Deferred


@dataclass(frozen=True, slots=True)
class AdapterRows:
    """Which LoRA adapter each token of the step uses.

    Attributes:
        indexes: int64 [T]; 0 is the base model.
        active: the adapter slots present in this step, ascending, 0 left out.
    """

    indexes: Tensor
    active: tuple[int, ...]
