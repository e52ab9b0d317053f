"""What a model is told about the step that it runs."""

from __future__ import annotations

from dataclasses import dataclass

from inference_backend.kernels import AdapterRows, AttentionInputs, LayerCache


@dataclass(frozen=True, slots=True)
class StepContext:
    """The step's rows, the cache of each layer of this stage, and the adapters of its tokens."""

    inputs: AttentionInputs
    caches: tuple[LayerCache, ...]
    adapters: AdapterRows | None = None
