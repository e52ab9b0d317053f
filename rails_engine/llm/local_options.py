"""An entry of `models` with `engine: local`, read: the settings of the engine, and the defaults of each request.

Everything here is checked when the configuration is loaded; no weights are read.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rails_engine.config import Model
from rails_engine.errors import InvalidModelConfigurationError
from rails_engine.spelling import nearest

if TYPE_CHECKING:
    from inference_backend import AdapterSettings, EngineSettings

_NEEDED = ("torch", "safetensors", "tokenizers", "llguidance")
_ENGINE = ("device", "dtype", "quantization", "kv_dtype", "kv_memory_gib", "kv_blocks", "memory_share")
_SCHEDULER = (
    "max_sequences",
    "max_step_tokens",
    "max_waiting",
    "block_size",
    "prefix_caching",
    "max_positions",
)
_SPECULATION = "speculation"
_SAMPLING = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "max_tokens",
    "min_tokens",
    "stop",
    "stop_token_ids",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
    "logit_bias",
    "ignore_eos",
    "priority",
    "deadline_s",
    "cache_salt",
    "guided_choice",
    "guided_regex",
    "guided_json",
    "prompt_prefix",
    "chat_template_kwargs",
)


@dataclass(frozen=True, slots=True)
class LocalOptions:
    """A `models` entry, read: the engine's settings and the defaults of each request."""

    settings: EngineSettings
    defaults: Mapping[str, Any]
    adapters: Mapping[str, str]
    prefixes: Mapping[str, str]
    adapter: str | None = None


def local_options(entry: Model) -> LocalOptions:
    """Read a `models` entry of `engine: local`; loads no weights.

    Raises:
        InvalidModelConfigurationError: a parameter is unknown, or `model` is no checkpoint folder.
    """
    from inference_backend import EngineSettings, SchedulerSettings, SpeculationSettings

    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise InvalidModelConfigurationError(
            f"models[{entry.type}]: engine: local needs {', '.join(missing)}: pip install interlock-rails[local]"
        )
    folder = Path(entry.model or "").expanduser()
    if not (folder / "config.json").is_file():
        raise InvalidModelConfigurationError(
            f"models[{entry.type}]: model: {entry.model!r} is no checkpoint folder (it has no config.json)"
        )
    given = dict(entry.parameters)
    adapters = _texts(entry, given, "adapters")
    prefixes = _texts(entry, given, "prefixes")
    adapter = given.pop("adapter", None)
    speculation = given.pop(_SPECULATION, None)
    _check_names(entry, given)
    parts: dict[str, Any] = {name: given.pop(name) for name in _ENGINE if name in given}
    scheduler = SchedulerSettings(**{name: given.pop(name) for name in _SCHEDULER if name in given})
    try:
        speculating = SpeculationSettings(**(speculation or {}))
    except TypeError as error:
        raise InvalidModelConfigurationError(
            f"models[{entry.type}]: parameters.speculation: {error}"
        ) from error
    settings = EngineSettings(str(folder), **parts, scheduler=scheduler, speculation=speculating)
    room = _room(adapters, prefixes)
    return LocalOptions(replace(settings, adapters=room), given, adapters, prefixes, adapter)


def _room(adapters: Mapping[str, str], prefixes: Mapping[str, str]) -> AdapterSettings:
    """A slot for each adapter, and rows for prefixes of up to 128 tokens."""
    from inference_backend import AdapterSettings

    return AdapterSettings(max_adapters=len(adapters), max_rank=64, max_prefix_tokens=128 * len(prefixes))


def _check_names(entry: Model, given: Mapping[str, Any]) -> None:
    known = (*_ENGINE, *_SCHEDULER, *_SAMPLING, _SPECULATION, "adapters", "adapter", "prefixes")
    for name in given:
        if name not in known:
            hint = nearest(name, known)
            meant = f"; did you mean `{hint}`?" if hint else ""
            raise InvalidModelConfigurationError(
                f"models[{entry.type}]: parameters.{name} means nothing to engine: local{meant}"
            )


def _texts(entry: Model, given: dict[str, Any], name: str) -> dict[str, str]:
    value = given.pop(name, None) or {}
    if not isinstance(value, Mapping):
        raise InvalidModelConfigurationError(
            f"models[{entry.type}]: parameters.{name} must map names to folders"
        )
    return {str(key): str(folder) for key, folder in value.items()}
