"""How an engine is set up. Read by everything, changed by nothing after construction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Device: TypeAlias = Literal["auto", "cpu", "cuda"]
DType: TypeAlias = Literal["auto", "float32", "float16", "bfloat16"]
Quantization: TypeAlias = Literal["fp8", "int8-weights", "smoothquant", "int4"]
KVDType: TypeAlias = Literal["auto", "fp8", "int8"]


@dataclass(frozen=True, slots=True)
class SchedulerSettings:
    """Limits of one step and of the waiting line.

    `max_step_tokens` is the token budget of a step (decode rows first, prompt chunks in what is left);
    `max_waiting` bounds the queue. `block_size` is in tokens.
    """

    max_sequences: int = 256
    max_step_tokens: int = 2048
    max_waiting: int = 4096
    block_size: int = 16
    prefix_caching: bool = True
    max_positions: int | None = None


@dataclass(frozen=True, slots=True)
class SpeculationSettings:
    """Speculative decoding: `ngram` looks drafts up in the sequence itself, `draft` asks a smaller model.

    Off while more than `max_running` sequences run: under load the verified tokens cost more than they bring.
    """

    method: Literal["off", "ngram", "draft"] = "off"
    tokens: int = 4
    max_running: int = 8
    ngram_max: int = 4
    ngram_min: int = 2
    draft_model: str | None = None


@dataclass(frozen=True, slots=True)
class AdapterSettings:
    """LoRA slots and prompt-tuned prefix rows that are set aside at load."""

    max_adapters: int = 0
    max_rank: int = 16
    max_prefix_tokens: int = 0


@dataclass(frozen=True, slots=True)
class ParallelSettings:
    """How many ranks share a layer (tensor) and how many shares the layers are cut into (pipeline)."""

    tensor: int = 1
    pipeline: int = 1


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Everything an engine needs besides the checkpoint folder.

    `kv_memory_gib` None takes `memory_share` of what is free after the weights (CPU: a quarter of the free memory,
    at most 4 GiB). `random_weights` ignores weight files and draws them: for benchmarks of shapes.
    """

    model: str
    device: Device = "auto"
    dtype: DType = "auto"
    quantization: Quantization | None = None
    kv_dtype: KVDType = "auto"
    kv_memory_gib: float | None = None
    kv_blocks: int | None = None
    memory_share: float = 0.9
    plan_ahead: bool | None = None
    random_weights: bool = False
    scheduler: SchedulerSettings = SchedulerSettings()
    speculation: SpeculationSettings = SpeculationSettings()
    adapters: AdapterSettings = AdapterSettings()
    parallel: ParallelSettings = ParallelSettings()
