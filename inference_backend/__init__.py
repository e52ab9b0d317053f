"""The LLM engine: tokens in, tokens out, on a CPU or a GPU.

A request's life, and the file that has each step:

1. `text/`: a prompt or chat messages become token ids.
2. `engine.py`: `Engine.add` gives the request to the scheduler; `AsyncEngine` runs the engine in one worker thread,
   with one queue per request.
3. `scheduler.py`: each step, running sequences get one token each and waiting prompts get what is left of the token
   budget, in chunks; `kv/` gives them blocks of the cache, reused where an earlier prompt began with the same tokens.
   The outcome is a `StepPlan` (`step.py`): flat arrays, no tensor.
4. `executor.py`: an `Executor` runs plans. `executors/` has the torch one for CPU and the CUDA one; models (`models/`)
   are put together from `layers/`, whose operations are `kernels/`: plain torch on a CPU, Triton on a GPU.
5. `sampling/`: the last position's logits become a token, under the request's parameters and token masks.
6. The `StepResult` goes back to the engine, which applies it: text is decoded character-safe, stops are looked
   for, finished sequences leave their blocks to the prefix cache.

Beside that way stand `opening`, which puts an engine together, `building`, which writes one to a folder, and `chat` and
`bodies`, which read the bodies of OpenAI's API; `toolcalls` finds calls in a model's text. `metrics`, `tracing`, `measure`
and `roofline` tell what happened, what is measured and what a GPU could do; `testing` has a scripted executor.

The next step may be planned while this one runs: a plan names the tokens it does not know yet, and the executor takes
them from where it left them. `kv/`, `scheduler.py`, `values.py` and `step.py` import no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inference_backend.async_engine import AsyncEngine
    from inference_backend.building import BuildProgress, build_engine
    from inference_backend.chat import ChatModel, Prepared
    from inference_backend.engine import Engine, EngineParts
    from inference_backend.errors import (
        CheckpointError,
        DeadlineError,
        EngineError,
        NumericError,
        OverloadedError,
        RequestError,
        RequestTooLongError,
        ResourceError,
        UnknownAdapterError,
        UnknownModelError,
    )
    from inference_backend.opening import OpenedModel, make_executor, open_model
    from inference_backend.roofline import GPUS, Gpu, Load, Prediction, predict
    from inference_backend.settings import (
        AdapterSettings,
        EngineSettings,
        ParallelSettings,
        SchedulerSettings,
        SpeculationSettings,
    )
    from inference_backend.tasks import together
    from inference_backend.toolcalls import CalledTool, ToolCallReader
    from inference_backend.values import Delta, Request, SamplingParameters, TokenLogprob

_DOOR = {
    "async_engine": ("AsyncEngine",),
    "building": ("BuildProgress", "build_engine"),
    "chat": ("ChatModel", "Prepared"),
    "engine": ("Engine", "EngineParts"),
    "errors": (
        "CheckpointError",
        "DeadlineError",
        "EngineError",
        "NumericError",
        "OverloadedError",
        "RequestError",
        "RequestTooLongError",
        "ResourceError",
        "UnknownAdapterError",
        "UnknownModelError",
    ),
    "opening": ("OpenedModel", "make_executor", "open_model"),
    "roofline": ("GPUS", "Gpu", "Load", "Prediction", "predict"),
    "settings": (
        "AdapterSettings",
        "EngineSettings",
        "ParallelSettings",
        "SchedulerSettings",
        "SpeculationSettings",
    ),
    "tasks": ("together",),
    "toolcalls": ("CalledTool", "ToolCallReader"),
    "values": ("Delta", "Request", "SamplingParameters", "TokenLogprob"),
}
_HOME = {name: module for module, names in _DOOR.items() for name in names}

__all__ = [
    "GPUS",
    "AdapterSettings",
    "AsyncEngine",
    "BuildProgress",
    "CalledTool",
    "ChatModel",
    "CheckpointError",
    "DeadlineError",
    "Delta",
    "Engine",
    "EngineError",
    "EngineParts",
    "EngineSettings",
    "Gpu",
    "Load",
    "NumericError",
    "OpenedModel",
    "OverloadedError",
    "ParallelSettings",
    "Prediction",
    "Prepared",
    "Request",
    "RequestError",
    "RequestTooLongError",
    "ResourceError",
    "SamplingParameters",
    "SchedulerSettings",
    "SpeculationSettings",
    "TokenLogprob",
    "ToolCallReader",
    "UnknownAdapterError",
    "UnknownModelError",
    "build_engine",
    "make_executor",
    "open_model",
    "predict",
    "together",
]


def __getattr__(name: str) -> Any:
    """What is behind the door, loaded when it is asked for: planning must be importable without torch."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
