"""Low-rank pairs as PEFT writes them.

Most layers have a pair of their own, `NAME.lora_A.weight` and `NAME.lora_B.weight`. Experts of a mixture come in two
spellings: one pair per expert and layer (`experts.3.w1`), or, since transformers keeps the experts of a layer in one
tensor, one pair for all of them: A holds the experts one below the other, B has them as its fastest index. Whether
such a pair is that of the gate and up projections or of the down projection is told by its shapes.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

import re2
from torch import Tensor

from inference_backend.errors import CheckpointError, CorruptCheckpointError
from inference_backend.layers import Piece
from inference_backend.models import Fields, read_json
from inference_backend.weights import SafetensorsFolder

_PREFIXES = ("base_model.model.", "")
_EXPERT = re.compile(r"(.+)\.block_sparse_moe\.experts\.(\d+)\.(w[123])")
_HOLDERS = ("mlp.experts", "mlp.experts.base_layer")


@dataclass(frozen=True, slots=True)
class Pair:
    """A float32 [rank, inputs], and B float32 [outputs of the stored layer, rank] with the adapter's scale in it."""

    down: Tensor
    up: Tensor


class PeftFolder:
    """An opened LoRA adapter; it notes which of its tensors have been asked for.

    Raises:
        CheckpointError: not a LoRA adapter, or of a variant that is not supported.
    """

    def __init__(self, folder: Path, max_rank: int, experts: int) -> None:
        path = folder / "adapter_config.json"
        self.folder = folder
        self._fields = Fields(read_json(path), str(path))
        _check_kind(self._fields)
        self._max_rank = max_rank
        self._experts = experts
        self._source = SafetensorsFolder(folder)
        self._unused = set(self._source.names())

    @property
    def unused(self) -> str | None:
        """A tensor that nobody has asked for."""
        return min(self._unused, default=None)

    def pair(self, piece: Piece, inputs: int) -> Pair | None:
        """The pair that changes a piece of a layer; None where the adapter leaves it as it is.

        Raises:
            CheckpointError: its rank is above the engine's.
            CorruptCheckpointError: it has other shapes than the layer.
        """
        for name in (piece.name, piece.name.replace(".block_sparse_moe.gate", ".mlp.gate")):
            stored = self._stored(name)
            if stored is not None:
                return self._read(name, stored, (piece.total or piece.outputs, inputs))
        expert = _EXPERT.fullmatch(piece.name)
        return None if expert is None else self._expert_pair(expert, piece.outputs, inputs)

    def _stored(self, name: str) -> str | None:
        """The name up to its A and B, if there are such."""
        found = (f"{prefix}{name}.lora_" for prefix in _PREFIXES)
        return next((stem for stem in found if self._source.has(f"{stem}A.weight")), None)

    def _read(self, name: str, stem: str, shape: tuple[int, int]) -> Pair:
        rank, _ = self._matrix(f"{stem}A.weight")
        self._check_rank(rank)
        down = self._take(f"{stem}A.weight", (rank, shape[1]))
        up = self._take(f"{stem}B.weight", (shape[0], rank))
        return Pair(down, up * self._scale(name, rank))

    def _expert_pair(self, expert: re.Match[str], outputs: int, inputs: int) -> Pair | None:
        root, number, kind = expert[1], int(expert[2]), expert[3]
        fused = outputs if kind == "w2" else 2 * outputs
        for holder in _HOLDERS:
            stem = self._stored(f"{root}.{holder}")
            if stem is not None and self._shapes(stem) == (fused, inputs):
                break
        else:
            return None
        rank = self._matrix(f"{stem}A.weight")[0] // self._experts
        self._check_rank(rank)
        down = self._take(f"{stem}A.weight", (rank * self._experts, inputs))
        up = self._take(f"{stem}B.weight", (fused, rank * self._experts))
        start = outputs if kind == "w3" else 0
        name = f"{root}.mlp.experts.{'down_proj' if kind == 'w2' else 'gate_up_proj'}"
        return Pair(
            down[number * rank : (number + 1) * rank],
            up[start : start + outputs, number :: self._experts] * self._scale(name, rank),
        )

    def _shapes(self, stem: str) -> tuple[int, int]:
        return self._matrix(f"{stem}B.weight")[0], self._matrix(f"{stem}A.weight")[1]

    def _matrix(self, name: str) -> tuple[int, int]:
        """A stored matrix's shape."""
        shape = self._source.shape(name)
        if len(shape) != 2:
            raise CorruptCheckpointError(
                f"{self.folder}: {name} has shape {list(shape)}, but must be a matrix"
            )
        return shape[0], shape[1]

    def _take(self, name: str, shape: tuple[int, int]) -> Tensor:
        self._unused.discard(name)
        return self._source.read(name, shape).float()

    def _check_rank(self, rank: int) -> None:
        if not 1 <= rank <= self._max_rank:
            raise CheckpointError(
                f"{self.folder}: rank {rank} is above the engine's max_rank ({self._max_rank})"
            )

    def _scale(self, name: str, rank: int) -> float:
        """What B is multiplied with; a layer may have an alpha of its own."""
        alpha = self._fields.number("lora_alpha", float(rank))
        patterns = self._fields.inner("alpha_pattern") or Fields({}, self._fields.where)
        for pattern in patterns.raw:
            if _matches(pattern, name, self._fields.where):
                alpha = patterns.number(pattern)
        return alpha / math.sqrt(rank) if self._fields.flag("use_rslora") else alpha / rank


def _matches(pattern: str, name: str, where: str) -> bool:
    """Whether a pattern of the configuration names this layer."""
    try:
        return re2.fullmatch(rf"(?:.*\.)?(?:{pattern})", name) is not None
    except re2.error as error:
        raise CheckpointError(
            f"{where}: alpha_pattern has {pattern!r}, which is no pattern: {error}"
        ) from error


def _check_kind(fields: Fields) -> None:
    if fields.text("peft_type") != "LORA":
        raise CheckpointError(f"{fields.where}: peft_type is {fields.text('peft_type')!r}, but must be LORA")
    for name, plain in (
        ("use_dora", False),
        ("bias", "none"),
        ("modules_to_save", None),
        ("lora_bias", False),
    ):
        if fields.raw.get(name) not in {plain, None}:
            raise CheckpointError(f"{fields.where}: {name} {fields.raw[name]!r} is not supported")
