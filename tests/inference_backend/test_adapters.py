"""LoRA adapters and prompt-tuned prefixes, several in one batch, against models with the weights merged in."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from inference_backend.adapters import AdapterRegistry
from inference_backend.engine import Engine, EngineParts
from inference_backend.errors import CheckpointError, OverloadedError, UnknownAdapterError
from inference_backend.executors import CpuExecutor
from inference_backend.settings import AdapterSettings, EngineSettings, SchedulerSettings
from inference_backend.values import Request
from tests.inference_backend.checkpoints import VOCAB, Checkpoint
from tests.inference_backend.conftest import Maker, collect, greedy, open_engine, tokens

RANK, ALPHA = 4, 6.0
PROMPT = [5, 17, 31, 8, 60, 61, 62, 63, 64]
TARGETS = {
    "llama": ("q_proj", "v_proj", "o_proj", "gate_proj", "down_proj"),
    "phi3": ("qkv_proj", "down_proj"),
    "gpt2": ("c_attn", "c_fc"),
}


def write_adapter(made: Checkpoint, folder: Path, targets: tuple[str, ...], seed: int, **config: Any) -> Path:
    """A PEFT folder of random pairs; returns the folder of the model with them merged in."""
    generator = torch.Generator().manual_seed(seed)
    merged, pairs = load_file(made.folder / "model.safetensors"), {}
    for name, weight in merged.items():
        root = name.removesuffix(".weight")
        if not name.endswith(".weight") or root.rpartition(".")[2] not in targets:
            continue
        transposed = root.rpartition(".")[2].startswith("c_")
        outputs, inputs = weight.T.shape if transposed else weight.shape
        down = torch.randn(RANK, inputs, generator=generator) * 0.2
        up = torch.randn(outputs, RANK, generator=generator) * 0.2
        pairs[f"base_model.model.{root}.lora_A.weight"] = down
        pairs[f"base_model.model.{root}.lora_B.weight"] = up
        change = ALPHA / RANK * up @ down
        merged[name] = weight + (change.T if transposed else change)
    folder.mkdir()
    save_file(pairs, folder / "adapter_model.safetensors")
    settings = {"peft_type": "LORA", "r": RANK, "lora_alpha": ALPHA, "bias": "none", **config}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    whole = folder / "merged"
    whole.mkdir()
    (whole / "config.json").write_text((made.folder / "config.json").read_text())
    save_file(merged, whole / "model.safetensors", metadata={"format": "pt"})
    return whole


def adapting_engine(folder: Path, **adapters: int) -> Engine:
    scheduler = SchedulerSettings(block_size=4, max_sequences=8, max_step_tokens=24)
    limits = AdapterSettings(**{"max_adapters": 2, "max_rank": 8, "max_prefix_tokens": 16, **adapters})
    settings = EngineSettings(str(folder), device="cpu", kv_blocks=200, scheduler=scheduler, adapters=limits)
    executor = CpuExecutor(settings)
    capacity = executor.load()
    registry = AdapterRegistry(executor, limits, capacity.vocab_size)
    return Engine(EngineParts(executor, scheduler, adapters=registry), capacity)


def answer(folder: Path, prompt: list[int]) -> list[int]:
    engine = open_engine(folder)
    engine.submit(engine.prepare(greedy("r", prompt, 10)))
    return tokens(collect(engine)["r", 0])


def request(name: str, adapter: str | None) -> Request:
    return replace(greedy(name, PROMPT, 10), adapter=adapter)


@pytest.mark.parametrize("family", TARGETS)
def test_different_adapters_in_one_batch(checkpoint: Maker, tmp_path: Path, family: str) -> None:
    made = checkpoint(family)
    merged = {
        name: write_adapter(made, tmp_path / name, TARGETS[family], seed)
        for seed, name in enumerate(("first", "second"))
    }
    engine = adapting_engine(made.folder)
    for name in merged:
        engine.adapter_registry.load(name, str(tmp_path / name))
    for adapter in (None, "first", "second", "first"):
        number = len(engine._groups)
        engine.submit(engine.prepare(request(f"{number}-{adapter}", adapter)))
    got = {name: tokens(deltas) for (name, _), deltas in collect(engine).items()}
    base = answer(made.folder, PROMPT)
    assert got["0-None"] == base
    assert got["1-first"] == got["3-first"] == answer(merged["first"], PROMPT)
    assert got["2-second"] == answer(merged["second"], PROMPT)
    assert len({tuple(value) for value in got.values()}) == 3


def test_an_adapter_in_use_stays_and_an_idle_one_makes_room(checkpoint: Maker, tmp_path: Path) -> None:
    made = checkpoint("llama")
    for seed, name in enumerate("abc"):
        write_adapter(made, tmp_path / name, ("q_proj",), seed)
    engine = adapting_engine(made.folder)
    registry = engine.adapter_registry
    registry.load("a", str(tmp_path / "a"))
    registry.load("b", str(tmp_path / "b"))
    engine.submit(engine.prepare(request("r", "a")))
    with pytest.raises(OverloadedError, match="in use"):
        registry.drop("a")
    registry.load("c", str(tmp_path / "c"))
    assert registry.names == ("a", "c")
    collect(engine)
    registry.drop("a")
    with pytest.raises(UnknownAdapterError, match="loaded are c"):
        engine.submit(engine.prepare(request("later", "a")))


def test_a_reloaded_adapter_shares_nothing_with_its_former_self(checkpoint: Maker, tmp_path: Path) -> None:
    made = checkpoint("llama")
    merged = [write_adapter(made, tmp_path / str(seed), ("k_proj", "v_proj"), seed) for seed in range(2)]
    engine = adapting_engine(made.folder)
    for seed in range(2):
        engine.adapter_registry.load("mine", str(tmp_path / str(seed)))
        engine.submit(engine.prepare(request("r", "mine")))
        assert tokens(collect(engine)["r", 0]) == answer(merged[seed], PROMPT)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"peft_type": "IA3"}, "peft_type"),
        ({"use_dora": True}, "use_dora"),
        ({"r": 64}, "max_rank"),
        ({"bias": "all"}, "bias"),
    ],
)
def test_what_is_not_supported_is_named(
    checkpoint: Maker, tmp_path: Path, config: dict[str, Any], reason: str
) -> None:
    made = checkpoint("llama")
    write_adapter(made, tmp_path / "odd", ("q_proj",), 0, **config)
    engine = adapting_engine(made.folder)
    with pytest.raises(CheckpointError, match=reason):
        engine.adapter_registry.load("odd", str(tmp_path / "odd"))
    assert engine.adapter_registry.names == ()


def test_an_adapter_of_another_model_is_refused(checkpoint: Maker, tmp_path: Path) -> None:
    write_adapter(checkpoint("phi3"), tmp_path / "phi", ("qkv_proj",), 0)
    engine = adapting_engine(checkpoint("llama").folder)
    with pytest.raises(CheckpointError, match="qkv_proj"):
        engine.adapter_registry.load("phi", str(tmp_path / "phi"))


def test_a_prompt_tuned_prefix_steers_a_request(checkpoint: Maker, tmp_path: Path) -> None:
    made = checkpoint("llama")
    learned = torch.randn(6, 32, generator=torch.Generator().manual_seed(1))
    folder = tmp_path / "prefix"
    folder.mkdir()
    save_file({"prompt_embeddings": learned}, folder / "adapter_model.safetensors")
    engine = adapting_engine(made.folder)
    prefix = engine.adapter_registry.load_prefix("mine", str(folder))
    assert prefix.token_ids == tuple(range(VOCAB, VOCAB + 6))
    plain = greedy("plain", PROMPT, 8)
    engine.submit(engine.prepare(plain))
    engine.submit(
        engine.prepare(replace(plain, id="steered", prompt_ids=prefix.token_ids + plain.prompt_ids))
    )
    got = collect(engine)
    with torch.inference_mode():
        embedded = torch.cat((learned, made.model.get_input_embeddings()(torch.tensor(PROMPT))))[None]
        expected = made.model.generate(
            inputs_embeds=embedded, max_new_tokens=8, min_new_tokens=8, do_sample=False, pad_token_id=0
        )
    assert tokens(got["steered", 0]) == expected[0].tolist()
    assert tokens(got["plain", 0]) == made.greedy(PROMPT, 8)
    save_file({"prompt_embeddings": torch.zeros(12, 32)}, folder / "adapter_model.safetensors")
    with pytest.raises(CheckpointError, match="only 10 rows are free"):
        engine.adapter_registry.load_prefix("large", str(folder))
