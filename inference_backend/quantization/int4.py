"""INT4 weights in groups of inputs: rounded at load or ahead, or read from AWQ and GPTQ checkpoints.

All end in one layout (see `kernels.int4_linear`), so that there is one kernel:

- AWQ (Lin et al., 2023) stores [inputs, outputs], eight outputs to an int32 in the order 0 2 4 6 1 3 5 7.
- GPTQ (Frantar et al., 2022) stores eight inputs to an int32, in order; zeros are stored one too small, except in
  its newer format; with activation order, `g_idx` gives each input's group, and inputs are then sorted by group here.
- An engine folder has the layout itself: `x.weight` uint8, `x.weight_scale` and `x.weight_zero`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from inference_backend import kernels
from inference_backend.errors import CheckpointError
from inference_backend.kernels import Activation, Output, Quantized
from inference_backend.layers import (
    Linear,
    LinearSpec,
    Piece,
    Placement,
    input_range,
    output_range,
    read_bias,
    read_weight,
)
from inference_backend.quantization.numbers import to_int4
from inference_backend.weights import Part, WeightSource

PER_WORD = 8
_GROUP = 128
_AWQ_ORDER = (0, 4, 1, 5, 2, 6, 3, 7)  # where each output's nibble is found in the word
_GPTQ_ORDER = tuple(range(PER_WORD))


@dataclass(frozen=True, slots=True)
class Int4Weight:
    """See `kernels.int4_linear`. `order` int64 [n] is the order in which the inputs are taken, or None."""

    packed: Tensor
    scales: Tensor
    zeros: Tensor
    order: Tensor | None = None


class Int4Linear(Linear):
    """A weight of 4 bits with a scale and a zero for each group of inputs."""

    def __init__(self, spec: LinearSpec, place: Placement, weight: Int4Weight) -> None:
        super().__init__(spec, place)
        self.packed = nn.Parameter(weight.packed.contiguous().to(place.device), requires_grad=False)
        self.scales = nn.Parameter(
            weight.scales.to(place.device, place.dtype).contiguous(), requires_grad=False
        )
        self.zeros = nn.Parameter(
            weight.zeros.to(place.device, place.dtype).contiguous(), requires_grad=False
        )
        self.order = None if weight.order is None else weight.order.to(place.device)

    def product(self, x: Activation) -> Output:
        """[T, outputs] of x [T, inputs], in x's dtype."""
        if isinstance(x, Quantized):
            x = x.plain()
        if self.order is not None:
            x = x[:, self.order]
        return kernels.int4_linear(x, self.packed, self.scales, self.zeros)


def int4_group(inputs: int) -> int:
    """How many inputs share a scale: 128, or all of them where that does not divide."""
    return _GROUP if inputs % _GROUP == 0 else inputs


class Int4Scheme:
    """`stored`: an engine folder holds 4-bit weights; else they are rounded as they are loaded."""

    def __init__(self, *, stored: bool) -> None:
        self.stored = stored

    def linear(self, spec: LinearSpec, source: WeightSource, place: Placement) -> Linear:
        """See `Scheme.linear`."""
        if self.stored:
            read = [_stored_piece(spec, piece, source, place) for piece in spec.pieces]
            weight = Int4Weight(*(torch.cat(parts) for parts in zip(*read, strict=True)))
        else:
            full = read_weight(spec, source, place).to(place.device)
            weight = Int4Weight(*to_int4(full, int4_group(full.shape[1])))
        return _layer(spec, weight, source, place)


def _layer(spec: LinearSpec, weight: Int4Weight, source: WeightSource, place: Placement) -> Int4Linear:
    made = Int4Linear(spec, place, weight)
    made.set_bias(read_bias(spec, source, place), place)
    return made


def _stored_piece(
    spec: LinearSpec, piece: Piece, source: WeightSource, place: Placement
) -> tuple[Tensor, Tensor, Tensor]:
    """Packed weight, scales and zeros of this rank's share of a piece."""
    rows, columns = output_range(spec, piece, place), input_range(spec, place)
    total, group = piece.total or piece.outputs, int4_group(spec.inputs)
    if columns[0] % group or columns[1] % group:
        raise CheckpointError(f"{piece.name}: groups of {group} inputs cannot be split over these ranks")
    packed = source.read(
        f"{piece.name}.weight",
        (total, spec.inputs // 2),
        (Part(0, *rows), Part(1, columns[0] // 2, columns[1] // 2)),
    )
    parts = Part(0, *rows), Part(1, columns[0] // group, columns[1] // group)
    shape = total, spec.inputs // group
    scales = source.read(f"{piece.name}.weight_scale", shape, parts)
    return packed, scales, source.read(f"{piece.name}.weight_zero", shape, parts)


class AwqScheme:
    """AWQ checkpoints (GEMM layout)."""

    def __init__(self, group: int) -> None:
        self.group = group

    def linear(self, spec: LinearSpec, source: WeightSource, place: Placement) -> Linear:
        """See `Scheme.linear`."""
        read = [self._piece(spec, piece, source, place) for piece in spec.pieces]
        weight = Int4Weight(*(torch.cat(parts) for parts in zip(*read, strict=True)))
        return _layer(spec, weight, source, place)

    def _piece(
        self, spec: LinearSpec, piece: Piece, source: WeightSource, place: Placement
    ) -> tuple[Tensor, Tensor, Tensor]:
        total = piece.total or piece.outputs
        group = self.group if self.group > 0 else spec.inputs
        rows, columns = output_range(spec, piece, place), input_range(spec, place)
        words = Part(1, rows[0] // PER_WORD, rows[1] // PER_WORD)
        groups = Part(0, columns[0] // group, columns[1] // group)
        packed_total = total // PER_WORD
        values = source.read(f"{piece.name}.qweight", (spec.inputs, packed_total), (Part(0, *columns), words))
        zeros = source.read(f"{piece.name}.qzeros", (spec.inputs // group, packed_total), (groups, words))
        scales = source.read(f"{piece.name}.scales", (spec.inputs // group, total), (groups, Part(1, *rows)))
        return (
            kernels.pack_int4(_nibbles(values, _AWQ_ORDER).T),
            scales.T,
            _nibbles(zeros, _AWQ_ORDER).T.float(),
        )


class GptqScheme:
    """GPTQ checkpoints of 4 bits. `zeros_offset`: 1 for the format that stores zeros one too small."""

    def __init__(self, group: int, zeros_offset: int) -> None:
        self.group = group
        self.zeros_offset = zeros_offset

    def linear(self, spec: LinearSpec, source: WeightSource, place: Placement) -> Linear:
        """See `Scheme.linear`."""
        read = [self._piece(spec, piece, source, place) for piece in spec.pieces]
        order = read[0].order
        if any(not _same(part.order, order) for part in read):
            raise CheckpointError(f"{spec.name}: layers that are fused here have different g_idx")
        weight = Int4Weight(
            packed=torch.cat([part.packed for part in read]),
            scales=torch.cat([part.scales for part in read]),
            zeros=torch.cat([part.zeros for part in read]),
            order=order,
        )
        return _layer(spec, weight, source, place)

    def _piece(self, spec: LinearSpec, piece: Piece, source: WeightSource, place: Placement) -> Int4Weight:
        total = piece.total or piece.outputs
        group = self.group if self.group > 0 else spec.inputs
        rows, columns = output_range(spec, piece, place), input_range(spec, place)
        order = self._order(spec, piece, source)
        if order is not None and columns != (0, spec.inputs):
            raise CheckpointError(
                f"{piece.name}: activation order cannot be split over tensor-parallel ranks"
            )
        groups = Part(0, columns[0] // group, columns[1] // group)
        words = Part(0, columns[0] // PER_WORD, columns[1] // PER_WORD)
        stored = source.read(
            f"{piece.name}.qweight", (spec.inputs // PER_WORD, total), (words, Part(1, *rows))
        )
        values = _nibbles(stored.T, _GPTQ_ORDER)
        zero_words = Part(1, rows[0] // PER_WORD, rows[1] // PER_WORD)
        zeros = source.read(
            f"{piece.name}.qzeros", (spec.inputs // group, total // PER_WORD), (groups, zero_words)
        )
        scales = source.read(f"{piece.name}.scales", (spec.inputs // group, total), (groups, Part(1, *rows)))
        if order is not None:
            values = values[:, order]
        zeros_out = (_nibbles(zeros, _GPTQ_ORDER).T + self.zeros_offset).float()
        return Int4Weight(kernels.pack_int4(values), scales.T, zeros_out, order)

    def _order(self, spec: LinearSpec, piece: Piece, source: WeightSource) -> Tensor | None:
        name = f"{piece.name}.g_idx"
        if not source.has(name):
            return None
        groups = source.read(name, (spec.inputs,))
        order = torch.argsort(groups, stable=True)
        return None if torch.equal(order, torch.arange(spec.inputs)) else order


def _nibbles(words: Tensor, order: tuple[int, ...]) -> Tensor:
    """int32 [a, b] to its values [a, b * 8]; `order` says which four bits of a word each of its values is."""
    shifts = torch.tensor(order, dtype=torch.int32) * 4
    return ((words.unsqueeze(-1) >> shifts) & 15).flatten(1)


def _same(first: Tensor | None, second: Tensor | None) -> bool:
    if first is None or second is None:
        return first is second
    return torch.equal(first, second)
