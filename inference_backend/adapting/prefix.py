"""Prompt-tuned prefixes (Lester et al., 2021; p-tuning, Liu et al., 2021): learned embeddings before the prompt."""

from __future__ import annotations

from pathlib import Path

from inference_backend.errors import CheckpointError
from inference_backend.models import CausalLM, read_json
from inference_backend.settings import AdapterSettings
from inference_backend.weights import SafetensorsFolder

_NAMES = ("prompt_embeddings", "prompt_embeddings.weight", "base_model.prompt_embeddings")


_KINDS = {"PROMPT_TUNING", "P_TUNING"}


def load_prefix(model: CausalLM, start: int, folder: Path, settings: AdapterSettings) -> int:
    """Put a PEFT folder's prompt embeddings [n, hidden size] behind those already loaded; returns n.

    Raises:
        CheckpointError: the folder has none, they are of another width, or there is no room for them.
    """
    _check_kind(folder)
    source = SafetensorsFolder(folder)
    name = next((name for name in _NAMES if source.has(name)), None)
    if name is None:
        raise CheckpointError(f"{folder} holds no prompt-tuned prefix (no tensor {_NAMES[0]})")
    shape = source.shape(name)
    width = model.config.hidden_size
    if len(shape) != 2 or shape[1] != width:
        raise CheckpointError(f"{folder}: {name} has shape {list(shape)}, but this model needs [n, {width}]")
    if start + shape[0] > settings.max_prefix_tokens:
        raise CheckpointError(
            f"{folder} has {shape[0]} virtual tokens, but only {settings.max_prefix_tokens - start} rows are free "
            "(max_prefix_tokens)"
        )
    if model.embedding is not None:
        model.embedding.set_prefix(start, source.read(name, shape))
    return shape[0]


def _check_kind(folder: Path) -> None:
    """Prefix tuning stores keys and values of every layer under the same name: those are no embeddings."""
    path = folder / "adapter_config.json"
    kind = read_json(path).get("peft_type") if path.is_file() else "PROMPT_TUNING"
    if kind not in _KINDS:
        raise CheckpointError(f"{path}: peft_type is {kind!r}, but must be {' or '.join(sorted(_KINDS))}")
