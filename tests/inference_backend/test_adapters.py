"""LoRA adapters and prompt-tuned prefixes, several in one batch, against models with the weights merged in."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import peft
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


PEFT: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", {"target_modules": "all-linear"}),
    "rank-stabilised, some layers": (
        "qwen3", {"target_modules": ["q_proj", "down_proj"], "use_rslora": True, "layers_to_transform": [1]},
    ),
    "own ranks": (
        "gemma2",
        {"target_modules": ["o_proj", "up_proj"], "rank_pattern": {"up_proj": 2}, "alpha_pattern": {"o_proj": 3.0}},
    ),
    "gpt2": ("gpt2", {"target_modules": ["c_attn", "c_proj"], "fan_in_fan_out": True}),
    "gptj": ("gptj", {"target_modules": ["k_proj", "fc_in", "fc_out"]}),
    "experts": ("mixtral", {"target_modules": ["v_proj", "w1", "w2", "w3"]}),
    "experts and router": (
        "mixtral",
        {"target_modules": ["gate"], "target_parameters": ["mlp.experts.down_proj", "mlp.experts.gate_up_proj"]},
    ),
    "down projections of experts": ("mixtral", {"target_parameters": ["mlp.experts.down_proj"], "target_modules": []}),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")  # PEFT's advice about configurations
@pytest.mark.parametrize("case", PEFT)
def test_an_adapter_that_peft_made(checkpoint: Maker, tmp_path: Path, case: str) -> None:
    family, config = PEFT[case]
    made = checkpoint(family)
    tuned = peft.get_peft_model(
        copy.deepcopy(made.model), peft.LoraConfig(r=3, lora_alpha=5, task_type="CAUSAL_LM", **config)
    )
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for name, parameter in tuned.named_parameters():
            if "lora_" in name:
                parameter.normal_(0.0, 0.3, generator=generator)
    tuned.save_pretrained(tmp_path / "tuned")
    engine = adapting_engine(made.folder)
    engine.adapter_registry.load("tuned", str(tmp_path / "tuned"))
    for name, adapter in (("tuned", "tuned"), ("plain", None), ("again", "tuned")):
        engine.submit(engine.prepare(request(name, adapter)))
    got = {name: tokens(deltas) for (name, _), deltas in collect(engine).items()}
    expected = Checkpoint(made.folder, tuned.eval()).greedy(PROMPT, 10)
    assert got["tuned"] == got["again"] == expected
    assert got["plain"] == made.greedy(PROMPT, 10) != expected


def test_one_pair_per_expert_as_older_adapters_have_it(checkpoint: Maker, tmp_path: Path) -> None:
    made = checkpoint("mixtral")
    merged = write_adapter(made, tmp_path / "older", ("w1", "w2", "w3", "gate"), seed=5)
    engine = adapting_engine(made.folder)
    engine.adapter_registry.load("older", str(tmp_path / "older"))
    engine.submit(engine.prepare(request("r", "older")))
    assert tokens(collect(engine)["r", 0]) == answer(merged, PROMPT) != made.greedy(PROMPT, 10)


def test_an_adapter_leaves_nothing_to_the_next_in_its_slot(checkpoint: Maker, tmp_path: Path) -> None:
    made = checkpoint("mixtral")
    write_adapter(made, tmp_path / "experts", ("w1", "w2", "w3"), seed=5)
    merged = write_adapter(made, tmp_path / "attention", ("q_proj",), seed=6)
    engine = adapting_engine(made.folder, max_adapters=1)
    for name in ("experts", "attention"):
        engine.adapter_registry.load(name, str(tmp_path / name))
    engine.submit(engine.prepare(request("r", "attention")))
    assert tokens(collect(engine)["r", 0]) == answer(merged, PROMPT)


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
        ({"bias": "all"}, "bias"),
        ({"alpha_pattern": {"q_(proj": 2}}, "no pattern"),
        ({"alpha_pattern": {"q_proj": "two"}}, "must be a number"),
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


def test_a_pair_that_is_no_matrix_is_refused(checkpoint: Maker, tmp_path: Path) -> None:
    write_adapter(checkpoint("llama"), tmp_path / "odd", ("q_proj",), 0)
    path = tmp_path / "odd" / "adapter_model.safetensors"
    save_file({name: torch.tensor(1.0) for name in load_file(path)}, path)
    engine = adapting_engine(checkpoint("llama").folder)
    with pytest.raises(CheckpointError, match=r"has shape \[\], but must be a matrix"):
        engine.adapter_registry.load("odd", str(tmp_path / "odd"))


def test_a_rank_above_the_engines_is_refused(checkpoint: Maker, tmp_path: Path) -> None:
    made = checkpoint("llama")
    write_adapter(made, tmp_path / "large", ("q_proj",), 0)
    with pytest.raises(CheckpointError, match=r"rank 4 is above the engine's max_rank \(2\)"):
        adapting_engine(made.folder, max_rank=2).adapter_registry.load("large", str(tmp_path / "large"))


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


def test_a_prefix_loaded_again_leaves_the_others_their_rows(checkpoint: Maker, tmp_path: Path) -> None:
    engine = adapting_engine(checkpoint("llama").folder)
    ids: list[int] = []
    for name in ("mine", "mine", "other"):
        save_file({"prompt_embeddings": torch.zeros(4, 32)}, tmp_path / "adapter_model.safetensors")
        ids += engine.adapter_registry.load_prefix(name, str(tmp_path)).token_ids
    assert ids == list(range(VOCAB, VOCAB + 12))


@pytest.mark.filterwarnings("ignore")  # PEFT's advice about configurations
@pytest.mark.parametrize("kind", ["prompt tuning", "p-tuning"])
def test_a_prefix_that_peft_made(checkpoint: Maker, tmp_path: Path, kind: str) -> None:
    made = checkpoint("qwen3")
    config = (
        peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5)
        if kind == "prompt tuning"
        else peft.PromptEncoderConfig(
            task_type="CAUSAL_LM", num_virtual_tokens=5, encoder_hidden_size=16, token_dim=32
        )
    )
    torch.manual_seed(3)
    tuned = peft.get_peft_model(copy.deepcopy(made.model), config).eval()
    with torch.no_grad():
        for parameter in tuned.prompt_encoder.parameters():
            parameter.normal_(0.0, 0.7)
    tuned.save_pretrained(tmp_path / "prefix")
    engine = adapting_engine(made.folder)
    prefix = engine.adapter_registry.load_prefix("mine", str(tmp_path / "prefix"))
    engine.submit(engine.prepare(greedy("r", [*prefix.token_ids, *PROMPT], 8)))
    with torch.inference_mode():
        expected = tuned.generate(
            input_ids=torch.tensor([PROMPT]), max_new_tokens=8, min_new_tokens=8, do_sample=False
        )
    assert tokens(collect(engine)["r", 0]) == expected[0, len(PROMPT) :].tolist()


@pytest.mark.filterwarnings("ignore")
def test_prefix_tuning_is_told_from_prompt_tuning(checkpoint: Maker, tmp_path: Path) -> None:
    made = checkpoint("llama")
    tuned = peft.get_peft_model(
        copy.deepcopy(made.model), peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5)
    )
    tuned.save_pretrained(tmp_path / "prefix")
    with pytest.raises(CheckpointError, match="PREFIX_TUNING"):
        adapting_engine(made.folder).adapter_registry.load_prefix("mine", str(tmp_path / "prefix"))
