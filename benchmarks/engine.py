"""Output tokens a second of the local engine on one GPU, over the rows that other engines are measured by.

Conditions: the model's shape with random weights, all requests of a row sent at once, prompts of random token ids,
greedy, end of sequence ignored, no detokenizing, prefix caching off; one warm-up row, then one timed run per row, from
the first submit to the last token. `floor` is the roofline of the machine the rows were first measured on: the
model's matrix products as cuBLAS runs them, plus reading the KV cache, plus prefill, and nothing else.

    python benchmarks/engine.py                          bf16
    python benchmarks/engine.py --quantization fp8       FP8 weights and activations
    python benchmarks/engine.py --kv-dtype fp8           the same with an FP8 KV cache
    python benchmarks/engine.py --transformers           HF transformers in the same run
    python benchmarks/engine.py --features               first token, prefix reuse
    python benchmarks/engine.py --tensor 2               two GPUs that share each layer
    python benchmarks/engine.py --pipeline 2             two GPUs with half of the layers each
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.engine_rows import LLAMA_8B, LLAMA_70B, Lengths, chosen, prompt, same
from inference_backend.engine import Engine
from inference_backend.opening import open_model
from inference_backend.settings import EngineSettings, ParallelSettings, SchedulerSettings
from inference_backend.values import Request, SamplingParameters


def requests(lengths: Lengths, tag: str) -> list[Request]:
    draw = random.Random(tag)
    return [
        Request(
            id=f"{tag}-{number}",
            prompt_ids=prompt(length, draw),
            sampling=SamplingParameters(temperature=0.0, max_tokens=output, ignore_eos=True),
        )
        for number, (length, output) in enumerate(lengths)
    ]


def run(engine: Engine, given: list[Request]) -> float:
    """Seconds from the first submit to the last token."""
    prepared = [engine.prepare(request) for request in given]
    torch.cuda.synchronize()
    start = time.perf_counter()
    for request in prepared:
        engine.submit(request)
    tokens = 0
    while engine.busy:
        tokens += sum(len(delta.token_ids) for delta in engine.step())
    elapsed = time.perf_counter() - start
    wanted = sum(request.sampling.max_tokens or 0 for request in given)
    if tokens != wanted:
        raise SystemExit(f"{tokens} tokens came, {wanted} were asked for")
    return elapsed


def open_engine(folder: Path, options: argparse.Namespace, **limits: Any) -> Engine:
    scheduler = SchedulerSettings(
        **{
            "max_sequences": 512,
            "max_step_tokens": options.step_tokens,
            "prefix_caching": False,
            "max_positions": 4096,
            **limits,
        }
    )
    settings = EngineSettings(
        str(folder),
        device="cuda",
        dtype="bfloat16",
        quantization=options.quantization,
        kv_dtype=options.kv_dtype,
        memory_share=0.85,
        random_weights=True,
        scheduler=scheduler,
        parallel=ParallelSettings(options.tensor, options.pipeline),
    )
    return open_model(settings).engine


def table(engine: Engine, options: argparse.Namespace) -> dict[str, float]:
    kind = "fp8" if options.quantization == "fp8" else "bf16"
    run(engine, requests(same(64, 200, 8), "warm"))
    gc.collect()
    gc.freeze()  # as `engine serve` does: a full collection in a timed run costs it some 70 ms
    found = {}
    print(f"{'requests x in/out':24}{'tok/s':>9}{'floor':>9}{'share':>7}{'vLLM':>9}{'ratio':>7}")
    for row in chosen(options.rows):
        rates = [
            row.output / run(engine, requests(row.lengths, f"{row.name}{i}")) for i in range(options.repeat)
        ]
        rate = statistics.median(rates)
        found[row.name] = rate
        floor, rival = row.floors[kind], row.recorded[kind]
        shares = f"{floor:9,}{rate / floor:7.1%}{rival:9,}{rate / rival:7.2f}"
        if options.shape != "8b" or options.tensor * options.pipeline > 1:
            shares = f"{'-':>9}{'-':>7}{'-':>9}{'-':>7}"
        print(
            f"{row.name:24}{rate:9,.0f}{shares}   runs: {', '.join(f'{r:,.0f}' for r in rates)}", flush=True
        )
    return found


def first_token(engine: Engine) -> None:
    """Time to first token of one 512-token prompt on an idle engine."""
    times = []
    for number in range(12):
        given = requests(same(1, 512, 2), f"first{number}")
        prepared = [engine.prepare(request) for request in given]
        torch.cuda.synchronize()
        start = time.perf_counter()
        engine.submit(prepared[0])
        while not engine.step():
            pass
        times.append((time.perf_counter() - start) * 1e3)
        while engine.busy:
            engine.step()
    print(f"first token of a 512-token prompt, idle: median {statistics.median(times[2:]):.1f} ms "
          f"(best {min(times):.1f})")  # fmt: skip


def prefix_reuse(engine: Engine) -> None:
    """64 guard prompts that share 600 tokens: how many tokens are computed."""
    draw = random.Random(5)
    shared = tuple(draw.randrange(1000, 100_000) for _ in range(600))
    sampling = SamplingParameters(temperature=0.0, max_tokens=4, ignore_eos=True)
    given = [
        Request(f"guard-{i}", shared + tuple(draw.randrange(1000, 100_000) for _ in range(40)), sampling)
        for i in range(64)
    ]
    counters = engine.scheduler.counters
    before = counters.prefix_hits, counters.prefix_queries
    seconds = run(engine, given)
    hits, queries = counters.prefix_hits - before[0], counters.prefix_queries - before[1]
    print(
        f"64 prompts sharing 600 tokens: {queries - hits:,} of {queries:,} prompt tokens computed, {seconds * 1e3:.0f} ms"
    )


def transformers_rows(folder: Path) -> None:
    """HF transformers' `generate` at 128/128, the same shape and card."""
    import transformers

    config = transformers.LlamaConfig.from_pretrained(folder)
    with torch.device("cuda"):
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).eval()
    for batch in (1, 32, 128):
        ids = torch.randint(1000, 100_000, (batch, 128), device="cuda")
        options = {"do_sample": False, "min_new_tokens": 128, "max_new_tokens": 128, "pad_token_id": 0}
        model.generate(ids, **{**options, "min_new_tokens": 4, "max_new_tokens": 4})
        torch.cuda.synchronize()
        start = time.perf_counter()
        model.generate(ids, **options)
        torch.cuda.synchronize()
        print(f"transformers {transformers.__version__} generate, {batch} x 128/128: "
              f"{batch * 128 / (time.perf_counter() - start):,.0f} tok/s", flush=True)  # fmt: skip


def conditions(options: argparse.Namespace) -> None:
    import triton

    print(
        f"{torch.cuda.get_device_name()}, torch {torch.__version__}, Triton {triton.__version__}, "
        f"Python {platform.python_version()}; Llama-3.1-{options.shape.upper()} shape, random weights, {options.tensor * options.pipeline} GPU(s), "
        f"weights {options.quantization or 'bf16'}, KV {options.kv_dtype if options.kv_dtype != 'auto' else 'bf16'}, "
        f"512 sequences and {options.step_tokens} tokens a step at most, 0.85 of the memory"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quantization", choices=["fp8", "int8-weights", "smoothquant", "int4"])
    parser.add_argument("--kv-dtype", default="auto", choices=["auto", "fp8", "int8"])
    parser.add_argument("--rows", help="numbers of the rows to run, comma-separated; all if left out")
    parser.add_argument("--tensor", type=int, default=1, help="GPUs that share each layer")
    parser.add_argument("--pipeline", type=int, default=1, help="stages that the layers are cut into")
    parser.add_argument("--shape", default="8b", choices=["8b", "70b"])
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--step-tokens", type=int, default=16384)
    parser.add_argument("--json", type=Path, help="write the rates here")
    parser.add_argument("--transformers", action="store_true", help="run HF transformers too")
    parser.add_argument("--features", action="store_true", help="first token, prefix reuse")
    options = parser.parse_args()
    conditions(options)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config.json").write_text(json.dumps(LLAMA_70B if options.shape == "70b" else LLAMA_8B))
        start = time.perf_counter()
        engine = open_engine(folder, options)
        print(
            f"loaded in {time.perf_counter() - start:.1f} s, {engine.capacity.blocks:,} KV blocks", flush=True
        )
        found = table(engine, options)
        if options.features:
            first_token(engine)
        engine.executor.close()
        del engine
        gc.unfreeze()
        gc.collect()
        if options.features:
            small = open_engine(folder, options, max_sequences=32, prefix_caching=True)
            run(small, requests(same(64, 32, 8), "warm"))
            prefix_reuse(small)
            small.executor.close()
        if options.transformers:
            transformers_rows(folder)
        if options.json:
            options.json.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
