"""What each quantisation changes: layer by layer, and in the distribution of the next token.

The reference is the same model in its stored floating-point type. Per kind of layer: |difference| / |reference| of its
outputs (Frobenius norms), averaged over layers. Over all positions of the prompts: the mean Kullback-Leibler
divergence of the next-token distributions in nats, and how often the likeliest token stays the same. With
`--shape` the weights are random (normal, 0.02), which says what the number formats do, not what a trained model loses.

    python benchmarks/quantization_error.py --shape llama-100m
    python benchmarks/quantization_error.py --model FOLDER --prompts texts.txt
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.engine_shapes import SHAPES, write_shape
from inference_backend.executors import load_model
from inference_backend.measure import Reading, agreement, divergence, read_prompt, relative_error
from inference_backend.settings import EngineSettings
from inference_backend.text import Tokenizer

VARIANTS: dict[str, dict[str, Any]] = {
    "FP8 W8A8": {"quantization": "fp8"},
    "INT8 weights": {"quantization": "int8-weights"},
    "INT4 weights, groups of 128": {"quantization": "int4"},
    "FP8 KV": {"kv_dtype": "fp8"},
    "INT8 KV": {"kv_dtype": "int8"},
    "FP8 W8A8 + FP8 KV": {"quantization": "fp8", "kv_dtype": "fp8"},
}
KINDS = {"q_proj": "qkv", "qkv_proj": "qkv", "o_proj": "out", "gate_proj": "gate, up", "down_proj": "down"}


def readings(settings: EngineSettings, device: torch.device, prompts: list[tuple[int, ...]]) -> list[Reading]:
    loaded = load_model(settings, device)
    return [read_prompt(loaded, settings, prompt) for prompt in prompts]


def row(name: str, reference: list[Reading], other: list[Reading]) -> str:
    errors: dict[str, list[float]] = defaultdict(list)
    for first, second in zip(reference, other, strict=True):
        for layer, outputs in first.outputs.items():
            kind = KINDS.get(layer.rpartition(".")[2])
            if kind:
                errors[kind].append(relative_error(outputs, second.outputs[layer]))
    cells = [f"{sum(errors[kind]) / len(errors[kind]):.2%}" for kind in dict.fromkeys(KINDS.values())]
    first = torch.cat([reading.logits for reading in reference])
    second = torch.cat([reading.logits for reading in other])
    cells += [f"{divergence(first, second):.5f}", f"{agreement(first, second):.1%}"]
    return f"| {name} | " + " | ".join(cells) + " |"


def random_prompts(vocab: int) -> list[tuple[int, ...]]:
    chance = random.Random(5)
    return [tuple(chance.randrange(3, vocab) for _ in range(96)) for _ in range(4)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--shape", choices=SHAPES)
    source.add_argument("--model", type=Path)
    parser.add_argument("--prompts", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="auto")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = given.model or write_shape(given.shape, Path(folder))
        settings = EngineSettings(str(model), dtype=given.dtype, random_weights=given.model is None)
        if given.prompts:
            tokenizer = Tokenizer.from_folder(given.model)
            prompts = [
                tuple(tokenizer.encode(line)) for line in given.prompts.read_text().splitlines() if line
            ]
        else:
            prompts = random_prompts(SHAPES[given.shape]["vocab_size"] if given.shape else 1000)
        device = torch.device(given.device)
        reference = readings(settings, device, prompts)
        print(f"{given.shape or given.model} on {given.device}, {sum(map(len, prompts))} positions")
        print("| variant | " + " | ".join(dict.fromkeys(KINDS.values())) + " | KL (nats) | same token |")
        print("|---|" + "---|" * (len(set(KINDS.values())) + 2))
        for name, change in VARIANTS.items():
            print(row(name, reference, readings(replace(settings, **change), device, prompts)), flush=True)


if __name__ == "__main__":
    main()
