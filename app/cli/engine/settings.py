"""What the engine's commands have in common: options to settings."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar

from app.errors import UsageError
from inference_backend import (
    AdapterSettings,
    EngineSettings,
    ParallelSettings,
    SchedulerSettings,
    SpeculationSettings,
)

QuantizationName: TypeAlias = Literal["fp8", "int8-weights", "smoothquant", "int4"]

_QUANTIZATIONS: tuple[QuantizationName, ...] = ("fp8", "int8-weights", "smoothquant", "int4")

T = TypeVar("T", bound=str)


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Options as they are typed."""

    model: Path
    device: str = "auto"
    quantization: str | None = None
    kv_dtype: str = "auto"
    max_sequences: int = 256
    max_step_tokens: int = 2048
    max_positions: int | None = None
    max_waiting: int = 4096
    dtype: str = "auto"
    kv_memory_gib: float | None = None
    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    speculation: str = "off"
    draft_model: str | None = None
    max_adapters: int = 0
    max_prefix_tokens: int = 0
    random_weights: bool = False


def engine_settings(options: EngineOptions) -> EngineSettings:
    """The settings.

    Raises:
        UsageError: an option has a value that does not exist.
    """
    scheduler = SchedulerSettings(
        max_sequences=options.max_sequences,
        max_step_tokens=options.max_step_tokens,
        max_positions=options.max_positions,
        max_waiting=options.max_waiting,
    )
    speculation = SpeculationSettings(
        method=one_of("--speculation", options.speculation, ("off", "ngram", "draft")),
        draft_model=options.draft_model,
    )
    return EngineSettings(
        str(options.model),
        device=one_of("--device", options.device, ("auto", "cpu", "cuda")),
        quantization=None if options.quantization is None else quantization(options.quantization),
        dtype=one_of("--dtype", options.dtype, ("auto", "float32", "float16", "bfloat16")),
        kv_memory_gib=options.kv_memory_gib,
        kv_dtype=one_of("--kv-dtype", options.kv_dtype, ("auto", "fp8", "int8")),
        random_weights=options.random_weights,
        scheduler=scheduler,
        speculation=speculation,
        adapters=AdapterSettings(
            max_adapters=options.max_adapters, max_rank=64, max_prefix_tokens=options.max_prefix_tokens
        ),
        parallel=ParallelSettings(tensor=options.tensor_parallel, pipeline=options.pipeline_parallel),
    )


def quantization(name: str) -> QuantizationName:
    """A quantization by its name.

    Raises:
        UsageError: there is none of that name.
    """
    return one_of("--quantization", name, _QUANTIZATIONS)


def one_of(option: str, value: str, known: tuple[T, ...]) -> T:
    """That one of `known` which `value` spells.

    Raises:
        UsageError: it is none of them.
    """
    for name in known:
        if name == value:
            return name
    raise UsageError(f"{option} is {value!r}, but must be one of {', '.join(known)}.")


def spare_collector() -> None:
    """Take what lives as long as the process out of the garbage collector's sight, once a model is loaded.

    With torch in the process a full collection looks at a million objects, and the GPU waits for it.
    """
    gc.collect()
    gc.freeze()
