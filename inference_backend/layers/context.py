"""What a model is told about the step that it runs."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from inference_backend.kernels import AdapterRows, AttentionInputs, LayerCache


@dataclass(frozen=True, slots=True)
class StepContext:
    """The step's rows, the cache of each layer of this stage, and the adapters of its tokens.

    `wanted` int64 [n]: the tokens whose final hidden states are read; a model whose class says that it `trims` returns
    those alone, and leaves the others out of its last layer once their keys and values are written. None: all.
    """

    inputs: AttentionInputs
    caches: tuple[LayerCache, ...]
    adapters: AdapterRows | None = None
    wanted: Tensor | None = None
