"""Quantised weights as an engine folder holds them.

A piece `x` of a linear layer has `x.weight` [outputs, inputs] in its own number format and `x.weight_scale`
[outputs, 1] in floating point (also [1], one scale for all); `x.bias` stays as it was. Weights of 4 bits have scales and
zeros per group of inputs, see `int4.py`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from inference_backend.errors import CorruptCheckpointError
from inference_backend.layers import LinearSpec, Piece, Placement, input_range, output_range
from inference_backend.weights import Part, WeightSource


def read_scaled(
    spec: LinearSpec, source: WeightSource, place: Placement, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """This rank's weight [o, n] of `dtype` and scales [o, 1], pieces one below the other.

    Raises:
        CorruptCheckpointError: a tensor is missing, or of another shape or dtype.
    """
    read = [_piece(spec, piece, source, place) for piece in spec.pieces]
    for piece, (weight, _) in zip(spec.pieces, read, strict=True):
        if weight.dtype != dtype:
            raise CorruptCheckpointError(f"{piece.name}.weight is {weight.dtype}, but must be {dtype}")
    return torch.cat([weight for weight, _ in read]), torch.cat([scales for _, scales in read])


def _piece(spec: LinearSpec, piece: Piece, source: WeightSource, place: Placement) -> tuple[Tensor, Tensor]:
    rows, columns = output_range(spec, piece, place), input_range(spec, place)
    total = piece.total or piece.outputs
    weight = source.read(f"{piece.name}.weight", (total, spec.inputs), (Part(0, *rows), Part(1, *columns)))
    name = f"{piece.name}.weight_scale"
    if _single(source, name):
        return weight, source.read(name, source.shape(name)).float().reshape(1, 1).expand(len(weight), 1)
    return weight, source.read(name, (total, 1), (Part(0, *rows),)).float()


def _single(source: WeightSource, name: str) -> bool:
    return source.has(name) and all(size == 1 for size in source.shape(name))
