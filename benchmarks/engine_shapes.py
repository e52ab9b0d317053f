"""Model shapes for benchmarks: folders with a config.json alone, and engines of them with random weights."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from inference_backend import Engine, EngineParts, EngineSettings, SchedulerSettings, make_executor

_LLAMA: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "rms_norm_eps": 1e-5,
    "rope_theta": 500000.0,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "bos_token_id": 1,
    "eos_token_id": 2,
}
SHAPES: dict[str, dict[str, Any]] = {
    "llama-10m": {
        "vocab_size": 4096,
        "hidden_size": 256,
        "intermediate_size": 704,
        "num_hidden_layers": 8,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "max_position_embeddings": 4096,
    },
    "llama-100m": {
        "vocab_size": 32000,
        "hidden_size": 640,
        "intermediate_size": 1728,
        "num_hidden_layers": 12,
        "num_attention_heads": 10,
        "num_key_value_heads": 5,
        "max_position_embeddings": 4096,
    },
    "llama-3.1-8b": {
        "vocab_size": 128256,
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "max_position_embeddings": 131072,
    },
}


def write_shape(name: str, folder: Path) -> Path:
    """A folder that holds the shape's config.json."""
    (folder / "config.json").write_text(json.dumps({**_LLAMA, **SHAPES[name]}))
    return folder


def random_engine(
    name: str, device: str, scheduler: SchedulerSettings, kv_blocks: int | None = None
) -> Engine:
    """An engine of the shape, its weights drawn; `kv_blocks` None: as many as there is room for."""
    with tempfile.TemporaryDirectory() as folder:
        model = str(write_shape(name, Path(folder)))
        settings = EngineSettings(
            model, device=device, random_weights=True, kv_blocks=kv_blocks, scheduler=scheduler
        )
        executor = make_executor(settings)
        return Engine(EngineParts(executor, scheduler), executor.load())
