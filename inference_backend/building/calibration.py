"""The largest activation of each input channel of each linear layer, watched while the model writes.

The text is the model's own: it continues from random tokens, sampling. That needs no data set, and the activations are
those of the text that the model will see most, its own (Liu et al., LLM-QAT, 2023).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from inference_backend.engine import Engine, EngineParts
from inference_backend.executors import CpuExecutor
from inference_backend.kernels import Activation, Output
from inference_backend.layers import DenseLinear, Linear, LinearSpec, Placement, read_bias, read_weight
from inference_backend.settings import EngineSettings, SchedulerSettings
from inference_backend.values import Request, SamplingParameters
from inference_backend.weights import WeightSource


class _WatchedLinear(DenseLinear):
    """Keeps the greatest magnitude of each input, float32 [n]."""

    peaks: Tensor

    def product(self, x: Activation) -> Output:
        plain = x if isinstance(x, Tensor) else x.plain()
        self.peaks = torch.maximum(self.peaks, plain.float().abs().amax(dim=0))
        return super().product(x)


@dataclass(slots=True)
class _Watching:
    """A scheme of watched layers."""

    layers: list[_WatchedLinear] = field(default_factory=list)

    def linear(self, spec: LinearSpec, source: WeightSource, place: Placement) -> Linear:
        """See `Scheme.linear`."""
        weight, bias = read_weight(spec, source, place), read_bias(spec, source, place)
        made = _WatchedLinear(spec, place, weight, bias)
        made.peaks = torch.zeros(spec.inputs)
        self.layers.append(made)
        return made


def activation_peaks(
    folder: Path, *, sequences: int = 16, tokens: int = 64, seed: int = 0
) -> dict[str, Tensor]:
    """Name of each piece of each linear layer to the peaks of its inputs, float32 [n].

    Raises:
        CheckpointError: the model cannot be loaded.
    """
    watching = _Watching()
    scheduler = SchedulerSettings(max_sequences=sequences, max_step_tokens=max(sequences, 256))
    settings = EngineSettings(str(folder), device="cpu", scheduler=scheduler)
    executor = CpuExecutor(settings, scheme=watching)
    engine = Engine(EngineParts(executor, scheduler), executor.load())
    starts = torch.randint(
        engine.capacity.vocab_size, (sequences,), generator=torch.Generator().manual_seed(seed)
    )
    length = min(tokens, engine.scheduler.max_tokens - 1)
    for number, start in enumerate(starts.tolist()):
        sampling = SamplingParameters(max_tokens=length, seed=seed + number, ignore_eos=True)
        engine.submit(engine.prepare(Request(str(number), (start,), sampling)))
    while engine.busy:
        engine.step()
    executor.close()
    return {piece.name: layer.peaks for layer in watching.layers for piece in layer.spec.pieces}
