"""Decoding with LoRA adapters beside the base model's speed: all requests of a row at once, random weights, one GPU.

Adapters of rank `--rank` on every projection, as PEFT folders of random pairs. A row is run with the base model, with one
adapter, with all of them in turns, and with every other request on the base model. Greedy, end of sequence ignored,
prefix caching off, one timed run each after a warm-up.

    python benchmarks/engine_adapters.py --rows 1,2 --adapters 8
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from benchmarks.engine import requests, run
from benchmarks.engine_rows import LLAMA_8B, Row, chosen, same
from inference_backend.engine import Engine
from inference_backend.opening import open_model
from inference_backend.settings import AdapterSettings, EngineSettings, SchedulerSettings


def sizes(config: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """Each projection's (inputs, outputs)."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    keys = config["num_key_value_heads"] * config["head_dim"]
    return {
        "self_attn.q_proj": (hidden, hidden),
        "self_attn.k_proj": (hidden, keys),
        "self_attn.v_proj": (hidden, keys),
        "self_attn.o_proj": (hidden, hidden),
        "mlp.gate_proj": (hidden, inner),
        "mlp.up_proj": (hidden, inner),
        "mlp.down_proj": (inner, hidden),
    }


def write_adapter(folder: Path, rank: int) -> None:
    folder.mkdir()
    pairs = {}
    for layer in range(LLAMA_8B["num_hidden_layers"]):
        for name, (inputs, outputs) in sizes(LLAMA_8B).items():
            root = f"base_model.model.model.layers.{layer}.{name}"
            pairs[f"{root}.lora_A.weight"] = torch.randn(rank, inputs, dtype=torch.bfloat16) * 0.01
            pairs[f"{root}.lora_B.weight"] = torch.randn(outputs, rank, dtype=torch.bfloat16) * 0.01
    save_file(pairs, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": rank, "bias": "none"}
    (folder / "adapter_config.json").write_text(json.dumps(config))


def open_engine(folder: Path, options: argparse.Namespace) -> Engine:
    settings = EngineSettings(
        str(folder),
        device="cuda",
        dtype="bfloat16",
        quantization=options.quantization,
        memory_share=0.85,
        random_weights=True,
        scheduler=SchedulerSettings(
            max_sequences=512, max_step_tokens=16384, prefix_caching=False, max_positions=4096
        ),
        adapters=AdapterSettings(max_adapters=options.adapters, max_rank=options.rank),
    )
    return open_model(settings).engine


def rate(engine: Engine, row: Row, names: list[str | None], tag: str) -> float:
    """Output tokens a second, the requests taking the adapters in turns."""
    given = requests(row.lengths, f"{row.name}{tag}")
    adapted = [replace(request, adapter=names[number % len(names)]) for number, request in enumerate(given)]
    return row.output / run(engine, adapted)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", default="1,2", help="numbers of the rows of engine.py to run")
    parser.add_argument("--adapters", type=int, default=8)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--quantization", choices=["fp8", "int8-weights", "int4"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config.json").write_text(json.dumps(LLAMA_8B))
        engine = open_engine(folder, options)
        all_names = [f"adapter-{number}" for number in range(options.adapters)]
        for adapter in all_names:
            write_adapter(folder / adapter, options.rank)
            engine.adapter_registry.load(adapter, str(folder / adapter))
        print(
            f"{options.adapters} adapters of rank {options.rank} on all projections, weights {options.quantization or 'bf16'}"
        )
        cases: dict[str, list[str | None]] = {
            "one adapter": [all_names[0]],
            "all adapters": [*all_names],
            "every other row base": [None, *all_names[:1], None, *all_names[-1:]],
        }
        for row in chosen(options.rows):
            run(engine, requests(same(len(row.lengths), 128, 4), f"warm {row.name}"))
            base = rate(engine, row, [None], "base")
            print(f"{row.name:16} base {base:9,.0f} tok/s")
            for title, names in cases.items():
                found = rate(engine, row, names, title)
                print(f"{row.name:16} {title}: {found:9,.0f} tok/s, {found / base:.0%} of base", flush=True)
        engine.executor.close()


if __name__ == "__main__":
    main()
