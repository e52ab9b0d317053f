"""Linear layers: the seam where quantized weights plug in.

A model never says how a weight is stored. It describes the layer (`LinearSpec`) and the quantization `Scheme` of
the checkpoint builds it. Each kind of storage is a subclass of `Linear` with its own `product`; splitting over
tensor-parallel ranks, the bias and LoRA adapters are the same for all and live here.

`Linear.form` says which activations the layer wants ("plain", "fp8", "int8"): norms and gated products ask for it, so
that they can quantise in the same kernel. A layer accepts plain activations too and then quantises them itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import torch
from torch import Tensor, nn

from inference_backend import kernels
from inference_backend.errors import CorruptCheckpointError
from inference_backend.kernels import Activation, ActivationFormat, AdapterRows, Multiplier, Output, Quantized
from inference_backend.parallel import SINGLE, TensorGroup
from inference_backend.weights import Part, WeightSource

_PLAIN = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
Split: TypeAlias = Literal["none", "columns", "rows"]


@dataclass(frozen=True, slots=True)
class Piece:
    """`outputs` output features: rows [start, start + outputs) of the tensor `name`.weight, which has `total` rows."""

    name: str
    outputs: int
    start: int = 0
    total: int | None = None


@dataclass(frozen=True, slots=True)
class LinearSpec:
    """A linear layer as the checkpoint describes it, before any split.

    `split` "columns" cuts each piece's outputs over the ranks, "rows" cuts the inputs and sums the products.
    `transposed`: the stored weight is [inputs, outputs] (GPT-2).
    """

    pieces: tuple[Piece, ...]
    inputs: int
    bias: bool = False
    split: Split = "none"
    transposed: bool = False

    @property
    def outputs(self) -> int:
        """Outputs of all pieces together, over all ranks."""
        return sum(piece.outputs for piece in self.pieces)

    @property
    def name(self) -> str:
        """The first piece's name, for messages."""
        return self.pieces[0].name


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a layer lives: device, dtype of plain weights, ranks that share it."""

    device: torch.device
    dtype: torch.dtype
    group: TensorGroup = SINGLE


@dataclass(slots=True)
class AdapterStack:
    """LoRA weights of one layer, for all adapter slots.

    Attributes:
        down: [slots, rank, inputs of this rank]; up: [slots, outputs of this rank, rank]. Slot 0 stays zero.
    """

    down: Tensor
    up: Tensor


class Linear(nn.Module, ABC):
    """Base of every linear layer; subclasses implement `product`."""

    form: ActivationFormat = "plain"

    def __init__(self, spec: LinearSpec, place: Placement) -> None:
        super().__init__()
        self.spec = spec
        self.placement = place
        self.group = place.group if spec.split != "none" else SINGLE
        self.adapters: AdapterStack | None = None
        self.bias: Tensor | None = None

    @property
    def input_columns(self) -> tuple[int, int]:
        """Which inputs this rank holds."""
        return input_range(self.spec, self.placement)

    @property
    def local_shape(self) -> tuple[int, int]:
        """This rank's inputs and outputs."""
        start, stop = self.input_columns
        rows = [self.output_rows(piece) for piece in self.spec.pieces]
        return stop - start, sum(end - begin for begin, end in rows)

    def output_rows(self, piece: Piece) -> tuple[int, int]:
        """Which rows of a piece's stored tensor this rank holds."""
        return output_range(self.spec, piece, self.placement)

    def set_bias(self, bias: Tensor | None, place: Placement) -> None:
        """The bias [outputs of this rank], kept in the placement's dtype."""
        self.bias = None if bias is None else bias.to(place.device, place.dtype)

    @abstractmethod
    def product(self, x: Activation) -> Output:
        """Multiply x [T, inputs of this rank] by the weight: [T, outputs of this rank], no bias."""

    def part(self, start: int, stop: int) -> Linear | None:  # noqa: ARG002 -- for those that can
        """A layer of this rank's outputs [start, stop) alone, of the same weights; None where they cannot be cut."""
        return None

    def forward(self, x: Activation, rows: AdapterRows | None = None) -> Tensor:
        """Inputs [T, inputs of this rank] to [T, outputs of this rank], with adapters, the sum over ranks and the bias."""
        out = kernels.plain(self.product(x))
        if rows is not None and self.adapters is not None and not isinstance(x, Quantized):
            out = kernels.lora(out, x, self.adapters.down, self.adapters.up, rows)
        if self.spec.split == "rows":
            out = self.group.add(out)
        return out if self.bias is None else out + self.bias

    def unscaled(self, x: Activation, rows: AdapterRows | None = None) -> Output:
        """As `forward`, for an operation that multiplies scales in itself, where nothing comes between."""
        if rows is None and self.bias is None and (self.spec.split != "rows" or self.group.size == 1):
            return self.product(x)
        out: Tensor = self(x, rows)
        return out


class DenseLinear(Linear):
    """A weight in the model's own dtype."""

    def __init__(self, spec: LinearSpec, place: Placement, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__(spec, place)
        self.weight = nn.Parameter(weight.to(place.device, place.dtype), requires_grad=False)
        self.set_bias(bias, place)
        self.multiplier: Multiplier | None = None

    @property
    def adds_up(self) -> bool:
        """Whether its product of many tokens is usually added to the residual by whoever takes it."""
        return self.spec.split == "rows" and self.group.size == 1 and self.bias is None

    def part(self, start: int, stop: int) -> Linear:
        """See `Linear.part`."""
        bias = None if self.bias is None else self.bias[start:stop]
        return DenseLinear(self.spec, self.placement, self.weight[start:stop], bias)

    def product(self, x: Activation) -> Output:
        """[T, outputs] of x [T, inputs], in x's dtype."""
        if isinstance(x, Quantized):
            x = x.plain()
        return kernels.dense_linear(x, self.weight, self.multiplier)


class Scheme(Protocol):
    """How linear layers are stored; one per quantization format."""

    def linear(self, spec: LinearSpec, source: WeightSource, place: Placement) -> Linear:
        """Pull the layer's tensors and build it.

        Raises:
            CorruptCheckpointError: a tensor is missing or of another shape.
        """
        ...


class DenseScheme:
    """Weights as the checkpoint has them, in floating point."""

    def linear(self, spec: LinearSpec, source: WeightSource, place: Placement) -> Linear:
        """See `Scheme.linear`."""
        return DenseLinear(spec, place, read_weight(spec, source, place), read_bias(spec, source, place))


def read_weight(spec: LinearSpec, source: WeightSource, place: Placement) -> Tensor:
    """This rank's floating-point weight [outputs, inputs], pieces one below the other.

    Raises:
        CorruptCheckpointError: a tensor is missing, of another shape, or not in plain floating point.
    """
    pieces = [_read_piece(spec, piece, source, place) for piece in spec.pieces]
    for piece, tensor in zip(spec.pieces, pieces, strict=True):
        require_float(f"{piece.name}.weight", tensor)
    return torch.cat(pieces)


def require_float(name: str, tensor: Tensor) -> Tensor:
    """The tensor, if it is in a floating-point type that needs no scale.

    Raises:
        CorruptCheckpointError: it is not: quantised weights whose config.json does not say so.
    """
    if tensor.dtype not in _PLAIN:
        raise CorruptCheckpointError(
            f"{name} is {str(tensor.dtype).removeprefix('torch.')}, but config.json names no quantization: "
            "weights must be float32, float16 or bfloat16"
        )
    return tensor


def read_bias(spec: LinearSpec, source: WeightSource, place: Placement) -> Tensor | None:
    """This rank's bias [outputs], or None."""
    if not spec.bias:
        return None
    parts = []
    for piece in spec.pieces:
        start, stop = output_range(spec, piece, place)
        total = piece.total or piece.outputs
        parts.append(source.read(f"{piece.name}.bias", (total,), (Part(0, start, stop),)))
    return torch.cat(parts)


def output_range(spec: LinearSpec, piece: Piece, place: Placement) -> tuple[int, int]:
    """Which rows of the stored tensor this rank holds of a piece."""
    if spec.split != "columns":
        return piece.start, piece.start + piece.outputs
    start, stop = place.group.share(piece.outputs, f"the outputs of {piece.name}")
    return piece.start + start, piece.start + stop


def input_range(spec: LinearSpec, place: Placement) -> tuple[int, int]:
    """Which inputs this rank holds."""
    if spec.split != "rows":
        return 0, spec.inputs
    return place.group.share(spec.inputs, f"the inputs of {spec.name}")


def _read_piece(spec: LinearSpec, piece: Piece, source: WeightSource, place: Placement) -> Tensor:
    rows, columns = output_range(spec, piece, place), input_range(spec, place)
    total = piece.total or piece.outputs
    name = f"{piece.name}.weight"
    if spec.transposed:
        return source.read(name, (spec.inputs, total), (Part(0, *columns), Part(1, *rows))).T.contiguous()
    return source.read(name, (total, spec.inputs), (Part(0, *rows), Part(1, *columns)))
