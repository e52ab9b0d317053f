"""Folders that cannot be used: a clear error that names the file, the key or the tensor."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from inference_backend.engine import Engine, EngineParts
from inference_backend.errors import (
    CheckpointError,
    CorruptCheckpointError,
    InvalidParameterError,
    ResourceError,
    UnknownArchitectureError,
)
from inference_backend.executor import Capacity
from inference_backend.executors import CpuExecutor
from inference_backend.opening import open_model
from inference_backend.scheduler import Scheduler
from inference_backend.settings import EngineSettings, SchedulerSettings
from tests.inference_backend.checkpoints import Checkpoint
from tests.inference_backend.conftest import Maker


@pytest.fixture
def folder(checkpoint: Maker, tmp_path: Path) -> Path:
    """A copy of a sound checkpoint, to be spoilt."""
    for path in checkpoint("llama").folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def load(folder: Path, **settings: Any) -> Capacity:
    return CpuExecutor(EngineSettings(str(folder), device="cpu", **{"kv_blocks": 10, **settings})).load()


def edit_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    config = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not ...}))


def edit_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


def truncate(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def only_a_pickle(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def lying_index(folder: Path) -> None:
    index = {"weight_map": {"a": "../../outside.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


QUERY = "model.layers.0.self_attn.q_proj.weight"
SPOILT: dict[str, tuple[Callable[[Path], object], type[CheckpointError], str]] = {
    "truncated": (truncate, CorruptCheckpointError, "model.safetensors"),
    "pickle": (only_a_pickle, CheckpointError, "pickle"),
    "index": (lying_index, CorruptCheckpointError, "outside.safetensors"),
    "no config": (lambda f: (f / "config.json").unlink(), CheckpointError, "config.json is missing"),
    "config is no JSON": (lambda f: (f / "config.json").write_text("{"), CorruptCheckpointError, "not JSON"),
    "architecture": (
        lambda f: edit_config(f, architectures=["AbacusForCausalLM"]),
        UnknownArchitectureError,
        "AbacusForCausalLM",
    ),
    "missing key": (lambda f: edit_config(f, hidden_size=...), CheckpointError, "hidden_size is missing"),
    "wrong kind": (lambda f: edit_config(f, vocab_size="many"), CheckpointError, "vocab_size is 'many'"),
    "activation": (
        lambda f: edit_config(f, hidden_act="relu"),
        CheckpointError,
        "hidden_act 'relu' is not supported",
    ),
    "dtype": (lambda f: edit_config(f, dtype="float4"), CheckpointError, "float4"),
    "rope": (
        lambda f: edit_config(f, rope_parameters={"rope_type": "spiral", "rope_theta": 1.0}),
        CheckpointError,
        "spiral",
    ),
    "missing tensor": (
        lambda f: edit_weights(f, lambda t: t.pop("model.layers.1.mlp.up_proj.weight")),
        CorruptCheckpointError,
        "model.layers.1.mlp.up_proj.weight",
    ),
    "integers": (
        lambda f: edit_weights(f, lambda t: t.update({QUERY: t[QUERY].to(torch.int8)})),
        CorruptCheckpointError,
        "q_proj.weight is int8, but config.json names no quantization",
    ),
    "shape": (
        lambda f: edit_config(f, intermediate_size=50),
        CorruptCheckpointError,
        r"config.json makes it \[50, 32\]",
    ),
}


@pytest.mark.parametrize("fault", SPOILT)
def test_a_spoilt_checkpoint_says_what_is_wrong(folder: Path, fault: str) -> None:
    spoil, kind, message = SPOILT[fault]
    spoil(folder)
    with pytest.raises(kind, match=message):
        load(folder)


def test_weights_of_another_float_type_are_converted(folder: Path) -> None:
    def halve(tensors: dict[str, torch.Tensor]) -> None:
        tensors.update({name: tensor.to(torch.bfloat16) for name, tensor in tensors.items()})

    edit_weights(folder, halve)
    assert load(folder).vocab_size == 96


def test_too_little_memory_for_one_block_is_said(folder: Path) -> None:
    with pytest.raises(ResourceError, match="one KV block needs"):
        load(folder, kv_blocks=None, kv_memory_gib=1e-9)


def test_a_cache_that_cannot_be_had_is_said(folder: Path) -> None:
    with pytest.raises(ResourceError, match="does not fit into the memory"):
        load(folder, kv_blocks=10**13)


def test_a_model_without_a_tokenizer_says_how_to_get_one(folder: Path) -> None:
    with pytest.raises(CheckpointError, match="save_pretrained"):
        open_model(EngineSettings(str(folder), device="cpu"))


def test_the_tokenizers_end_of_turn_ends_an_answer(chat_checkpoint: Checkpoint, tmp_path: Path) -> None:
    for path in chat_checkpoint.folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    edit_config(tmp_path, eos_token_id=2)
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "eos_token": {"content": "the"}}))
    opened = open_model(EngineSettings(str(tmp_path), device="cpu", kv_blocks=50))
    assert opened.tokenizer is not None
    assert opened.engine.capacity.eos_ids == (2, opened.tokenizer.token_id("the"))


def test_a_path_that_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is no folder"):
        open_model(EngineSettings(str(tmp_path / "nowhere"), device="cpu"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there(folder: Path) -> None:
    with pytest.raises(ResourceError, match="no NVIDIA GPU"):
        open_model(EngineSettings(str(folder), device="cuda", random_weights=True))


def test_a_step_that_cannot_serve_everyone_is_refused() -> None:
    capacity = Capacity(10, 16, 100, 10, 1, ())
    with pytest.raises(InvalidParameterError, match="max_step_tokens"):
        Scheduler(SchedulerSettings(max_sequences=64, max_step_tokens=32), capacity)


def test_random_weights_need_config_json_alone(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    settings = EngineSettings(str(folder), device="cpu", kv_blocks=20, random_weights=True)
    executor = CpuExecutor(settings)
    engine = Engine(EngineParts(executor), executor.load())
    assert engine.capacity.hidden_size == 32
