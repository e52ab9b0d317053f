"""How far quantized models stray from the same weights in bf16, layer by layer and in the next-token distribution.

One forward pass over random prompts; after each layer the relative error of the residual stream, ||q - b|| / ||b||, and
at the end the mean KL divergence of the next-token distribution from bf16's, in nats, and how often the likeliest
token is the same. With `--random-weights` the weights are drawn; else MODEL is a checkpoint folder.

    python benchmarks/quantization_depth.py MODEL [--random-weights] [--device cuda]
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from inference_backend.executors import LoadedModel, allocate_cache, load_model
from inference_backend.kernels import AttentionInputs, plain
from inference_backend.layers import StepContext
from inference_backend.settings import EngineSettings, SchedulerSettings

BLOCK = 16
VARIANTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("FP8 W8A8", {"quantization": "fp8"}),
    ("INT8 weights", {"quantization": "int8-weights"}),
    ("INT4 weights, groups of 128", {"quantization": "int4"}),
    ("bf16, FP8 KV cache", {"kv_dtype": "fp8"}),
    ("bf16, INT8 KV cache", {"kv_dtype": "int8"}),
    ("FP8 W8A8, FP8 KV cache", {"quantization": "fp8", "kv_dtype": "fp8"}),
)


@dataclass(frozen=True)
class Trace:
    """The residual stream after each layer [T, hidden] and the logits [T, vocabulary] of every eighth position."""

    layers: list[Tensor]
    logits: Tensor


def inputs(rows: int, length: int, device: torch.device) -> AttentionInputs:
    blocks = length // BLOCK
    tables = torch.arange(rows * blocks, dtype=torch.int32, device=device).view(rows, blocks)
    return AttentionInputs(
        positions=torch.arange(length, device=device).repeat(rows),
        slot_mapping=torch.arange(rows * length, device=device),
        query_starts=torch.arange(0, rows * length + 1, length, dtype=torch.int32, device=device),
        context_lengths=torch.full((rows,), length, dtype=torch.int32, device=device),
        block_tables=tables,
        decode_rows=0,
        max_context=length,
    )


def trace(loaded: LoadedModel, settings: EngineSettings, tokens: Tensor, length: int) -> Trace:
    seen: list[Tensor] = []

    def keep(_module: Any, _given: Any, made: Any) -> None:
        out, residual = made
        seen.append((plain(out).float() + residual.float()).cpu())

    hooks = [layer.register_forward_hook(keep) for layer in loaded.model.layers]
    caches = allocate_cache(loaded, settings, len(tokens) // BLOCK, loaded.config.layers)
    step = StepContext(inputs(len(tokens) // length, length, tokens.device), caches)
    hidden = loaded.model(tokens, step)
    for hook in hooks:
        hook.remove()
    return Trace(seen, torch.log_softmax(loaded.model.logits(hidden[::8]), dim=-1).cpu())


def settings_of(options: argparse.Namespace, **more: Any) -> EngineSettings:
    return EngineSettings(
        options.model,
        device=options.device,
        dtype="bfloat16",
        random_weights=options.random_weights,
        scheduler=SchedulerSettings(block_size=BLOCK, max_positions=options.length),
        **more,
    )


@torch.inference_mode()
def measure(options: argparse.Namespace, **more: Any) -> Trace:
    settings = settings_of(options, **more)
    loaded = load_model(settings, torch.device(options.device))
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(0, loaded.config.vocab_size, (options.rows * options.length,), generator=generator)
    return trace(loaded, settings, tokens.to(options.device), options.length)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("--random-weights", action="store_true")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rows", type=int, default=4)
    parser.add_argument("--length", type=int, default=256)
    options = parser.parse_args()
    base = measure(options)
    depth = len(base.layers)
    marks = sorted({0, depth // 4, depth // 2, 3 * depth // 4, depth - 1})
    print(
        f"{Path(options.model).name}: {options.rows} prompts of {options.length} random tokens, {depth} layers"
    )
    print(
        f"| {'against bf16':28} | "
        + " | ".join(f"layer {mark + 1}" for mark in marks)
        + " | KL (nats) | same top token |"
    )
    print("|---|" + "---|" * (len(marks) + 2))
    for name, more in VARIANTS:
        found = measure(options, **more)
        errors = [
            float((found.layers[mark] - base.layers[mark]).norm() / base.layers[mark].norm())
            for mark in marks
        ]
        divergence = float((base.logits.exp() * (base.logits - found.logits)).sum(-1).mean())
        same = float((base.logits.argmax(-1) == found.logits.argmax(-1)).float().mean())
        print(
            f"| {name:28} | "
            + " | ".join(f"{error:.2%}" for error in errors)
            + f" | {divergence:.2e} | {same:.1%} |",
            flush=True,
        )
        del found


if __name__ == "__main__":
    main()
