"""Decoder families, one per file, read from Hugging Face checkpoint folders.

A family file says what is particular about it: how its `config.json` is spelt (`read_config`), and which layers it
is made of under which names (`build`). The shared pre-norm decoder is in `base.py`. A new family is a new file and a
line in the table below. Models are written against `layers` and `kernels` alone, so the same code runs on CPU
and GPU, whole or cut into tensor-parallel ranks and pipeline stages, whatever the numbers are stored as.
"""

from dataclasses import replace
from pathlib import Path

from inference_backend.errors import UnknownArchitectureError
from inference_backend.layers import LayerBuilder
from inference_backend.models import gemma2, gpt2, gptj, llama, mixtral, phi3, qwen
from inference_backend.models.base import CausalLM, Family
from inference_backend.models.config import Fields, ModelConfig, read_json

__all__ = ["CausalLM", "Fields", "ModelConfig", "build_model", "load_config", "read_json"]

_ALL = (
    llama.FAMILY,
    qwen.QWEN2,
    qwen.QWEN3,
    phi3.FAMILY,
    gemma2.FAMILY,
    gptj.FAMILY,
    gpt2.FAMILY,
    mixtral.FAMILY,
)
FAMILIES: dict[str, Family] = {name: family for family in _ALL for name in family.architectures}
_BY_NAME = {family.name: family for family in _ALL}


def load_config(folder: Path) -> ModelConfig:
    """The model's shape from `config.json`; `generation_config.json` may add end-of-sequence ids.

    Raises:
        CheckpointError: a file or key is missing or malformed.
        UnknownArchitectureError: no family serves this model.
    """
    path = folder / "config.json"
    fields = Fields(read_json(path), str(path))
    named = fields.raw.get("architectures") or []
    for name in named:
        if name in FAMILIES:
            return _with_generation(FAMILIES[name].config(fields), folder)
    raise UnknownArchitectureError(
        f"{path}: architectures is {named}, but this engine serves {', '.join(sorted(FAMILIES))}"
    )


def _with_generation(config: ModelConfig, folder: Path) -> ModelConfig:
    path = folder / "generation_config.json"
    if not path.is_file():
        return config
    more = Fields(read_json(path), str(path)).ids("eos_token_id")
    return replace(config, eos_ids=tuple(dict.fromkeys((*config.eos_ids, *more))))


def build_model(builder: LayerBuilder, config: ModelConfig) -> CausalLM:
    """The model, or the stage of it that the builder covers, with its weights.

    Raises:
        CorruptCheckpointError: a tensor is missing or has another shape than the config gives it.
    """
    return _BY_NAME[config.architecture].build(builder, config)
