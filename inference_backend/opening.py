"""From settings to an engine that is ready to serve: the one place where the parts are chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from inference_backend.adapters import AdapterRegistry
from inference_backend.engine import Engine, EngineParts
from inference_backend.errors import CheckpointError, ResourceError
from inference_backend.executor import Capacity, Executor
from inference_backend.executors import CpuExecutor, Stage
from inference_backend.metrics import EngineMetrics
from inference_backend.models import read_json
from inference_backend.parallel import SINGLE, TensorGroup
from inference_backend.ranks import Link, open_ranks
from inference_backend.settings import EngineSettings, SchedulerSettings, SpeculationSettings
from inference_backend.speculation import Drafter, DraftModelDrafter, NgramDrafter
from inference_backend.text import ChatTemplate, ConstraintCompiler, Tokenizer
from inference_backend.tracing import TraceSink, span_sink

_RECOMMENDED = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")


@dataclass(frozen=True, slots=True)
class OpenedModel:
    """An engine and its text side. `tokenizer` is None where random weights stand in for a checkpoint without one.

    `defaults` are the sampling fields that the model's authors recommend (`generation_config.json`).
    """

    name: str
    engine: Engine
    tokenizer: Tokenizer | None
    template: ChatTemplate | None
    defaults: Mapping[str, Any] = field(default_factory=dict)


def open_model(settings: EngineSettings, name: str | None = None) -> OpenedModel:
    """Load a checkpoint or engine folder; may take minutes.

    Raises:
        CheckpointError: the folder cannot be used.
        ResourceError: the machine is too small for it.
    """
    folder = Path(settings.model)
    served = name or folder.name
    tokenizer = _tokenizer(settings, folder)
    executor = make_executor(settings)
    capacity = _with_tokenizers_end(executor.load(), tokenizer, folder)
    compiler = None if tokenizer is None else _compiler(tokenizer, capacity)
    parts = EngineParts(
        executor=executor,
        scheduler=settings.scheduler,
        speculation=settings.speculation,
        tokenizer=tokenizer,
        compiler=compiler,
        drafter=_drafter(settings, capacity),
        adapters=AdapterRegistry(executor, settings.adapters, capacity.vocab_size),
        metrics=EngineMetrics(served),
        trace=_trace_sink(served),
    )
    template = ChatTemplate.from_folder(folder)
    return OpenedModel(served, Engine(parts, capacity), tokenizer, template, _defaults(folder))


def _with_tokenizers_end(capacity: Capacity, tokenizer: Tokenizer | None, folder: Path) -> Capacity:
    """Fine-tuned models often name the token that ends a turn in `tokenizer_config.json` alone."""
    path = folder / "tokenizer_config.json"
    if tokenizer is None or not path.is_file():
        return capacity
    named = read_json(path).get("eos_token")
    text = named.get("content") if isinstance(named, dict) else named
    end = tokenizer.token_id(text) if isinstance(text, str) else None
    if end is None or end >= capacity.vocab_size:
        return capacity
    return replace(capacity, eos_ids=tuple(dict.fromkeys((*capacity.eos_ids, end))))


def _defaults(folder: Path) -> dict[str, Any]:
    path = folder / "generation_config.json"
    found = read_json(path) if path.is_file() else {}
    sampled = found.get("do_sample", True)
    return {name: found[name] for name in _RECOMMENDED if sampled and found.get(name) is not None}


def make_executor(settings: EngineSettings) -> Executor:
    """The executor for the device that is asked for, or the best there is; several ranks where they are asked for.

    Raises:
        ResourceError: a GPU is asked for and there is none, or there are too few.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if settings.device == "cuda" and not gpus:
        raise ResourceError("device: cuda is asked for, but torch sees no NVIDIA GPU")
    ranks = settings.parallel.tensor * settings.parallel.pipeline
    if ranks == 1:
        return make_local_executor(settings, SINGLE, None)
    if settings.device != "cpu" and 0 < gpus < ranks:
        raise ResourceError(f"{ranks} ranks are asked for, but torch sees {gpus} NVIDIA GPUs")
    return open_ranks(settings, make_local_executor)


def make_local_executor(settings: EngineSettings, group: TensorGroup, link: Link | None) -> Executor:
    """This process's own executor; `link` is set where it is one rank of several."""
    stage = Stage() if link is None else Stage(link.place.stage, settings.parallel.pipeline, link)
    if settings.device == "cpu" or not torch.cuda.is_available():
        return CpuExecutor(settings, group, stage=stage)
    from inference_backend.executors.cuda import CudaExecutor

    return CudaExecutor(settings, group, stage=stage)


def _trace_sink(name: str) -> TraceSink | None:
    """Spans where OpenTelemetry is installed; without a provider set up they go nowhere and cost next to nothing."""
    try:
        from opentelemetry import trace
    except ImportError:
        return None
    return span_sink(trace.get_tracer("interlock.engine"), name)


def _tokenizer(settings: EngineSettings, folder: Path) -> Tokenizer | None:
    if settings.random_weights and not (folder / "tokenizer.json").is_file():
        return None
    if not folder.is_dir():
        raise CheckpointError(f"{folder} is no folder: give the path of a downloaded checkpoint")
    return Tokenizer.from_folder(folder)


def _compiler(tokenizer: Tokenizer, capacity: Capacity) -> ConstraintCompiler:
    return ConstraintCompiler(tokenizer, capacity.vocab_size, capacity.eos_ids)


def _drafter(settings: EngineSettings, capacity: Capacity) -> Drafter | None:
    speculation = settings.speculation
    if speculation.method == "ngram":
        return NgramDrafter(speculation)
    if speculation.method == "draft" and speculation.draft_model:
        engine = _draft_engine(settings, speculation.draft_model)
        if engine.capacity.vocab_size != capacity.vocab_size:
            raise CheckpointError(
                f"{speculation.draft_model} has a vocabulary of {engine.capacity.vocab_size} tokens, the model one of "
                f"{capacity.vocab_size}: a draft model must share its model's tokenizer"
            )
        return DraftModelDrafter(speculation, engine)
    if speculation.method == "draft":
        raise CheckpointError("speculation.method is draft, but speculation.draft_model names no folder")
    return None


def _draft_engine(settings: EngineSettings, folder: str) -> Engine:
    """The draft model's own engine: no more sequences than are ever drafted for, nothing but tokens."""
    scheduler = SchedulerSettings(
        max_sequences=settings.speculation.max_running,
        max_step_tokens=settings.scheduler.max_step_tokens,
        block_size=settings.scheduler.block_size,
        max_positions=settings.scheduler.max_positions,
    )
    small = replace(
        settings,
        model=folder,
        quantization=None,
        kv_blocks=None,
        scheduler=scheduler,
        speculation=SpeculationSettings(),
    )
    executor = make_executor(small)
    return Engine(EngineParts(executor, scheduler), executor.load())
