"""vLLM beside our engine on the same card, one after the other: output tokens a second, and the ratio.

Conditions of both sides: the shape of Llama-3.1-8B with random weights, all requests of a row sent at once, prompts of
the same random token ids, greedy, end of sequence ignored, no detokenizing, at most 512 sequences and 16,384 tokens a
step, 0.85 of the memory, prefix caching off, the engine in process; a short warm-up, then `--repeat` timed runs
per row, of which the median counts. Each engine has a process of its own, and the card to itself.

    python benchmarks/engine_peer.py --site DIR                  vLLM's packages are in DIR
    python benchmarks/engine_peer.py --site DIR --quantization fp8
    python benchmarks/engine_peer.py --peer-json FILE            vLLM's rates from an earlier call
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.engine_rows import LLAMA_8B, Lengths, chosen, prompt, same

HERE = Path(__file__).resolve()


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Rates of vLLM in tokens/s by row name; runs where it can be imported."""
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    from vllm import LLM, SamplingParams, __version__

    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "config.json").write_text(json.dumps(LLAMA_8B))
        start = time.perf_counter()
        engine = LLM(
            model=name,
            skip_tokenizer_init=True,
            load_format="dummy",
            dtype="bfloat16",
            quantization=options.quantization,
            max_num_seqs=512,
            max_num_batched_tokens=16384,
            max_model_len=4096,
            gpu_memory_utilization=0.85,
            enable_prefix_caching=False,
        )
        print(f"vLLM {__version__} loaded in {time.perf_counter() - start:.0f} s", flush=True)

        def run(lengths: Lengths, tag: str) -> float:
            draw = random.Random(tag)
            prompts = [{"prompt_token_ids": list(prompt(length, draw))} for length, _ in lengths]
            sampling = [
                SamplingParams(temperature=0.0, max_tokens=output, ignore_eos=True, detokenize=False)
                for _, output in lengths
            ]
            begin = time.perf_counter()
            done = engine.generate(prompts, sampling, use_tqdm=False)
            elapsed = time.perf_counter() - begin
            tokens = sum(len(answer.outputs[0].token_ids) for answer in done)
            if tokens != sum(output for _, output in lengths):
                raise SystemExit(f"vLLM gave {tokens} tokens")
            return tokens / elapsed

        run(same(64, 200, 8), "warm")
        found = {}
        for row in chosen(options.rows):
            rates = [run(row.lengths, f"{row.name}{number}") for number in range(options.repeat)]
            found[row.name] = statistics.median(rates)
            print(f"vLLM {row.name}: {', '.join(f'{rate:,.0f}' for rate in rates)}", flush=True)
        return found


def run_elsewhere(script: Path, site: str | None, options: argparse.Namespace) -> dict[str, float]:
    """A script's rates by row name, from a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        rates = Path(name) / "rates.json"
        command = [options.interpreter, str(script), "--json", str(rates), "--repeat", str(options.repeat)]
        command += ["--rows", options.rows] if options.rows else []
        command += ["--quantization", options.quantization] if options.quantization else []
        command += ["--worker"] if script == HERE else []
        paths = [path for path in (str(HERE.parent.parent), site, os.environ.get("PYTHONPATH")) if path]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
        subprocess.run(command, check=True, env=environment)
        found: dict[str, float] = json.loads(rates.read_text())
        return found


def table(ours: dict[str, float], theirs: dict[str, float], options: argparse.Namespace) -> None:
    kind = "fp8" if options.quantization == "fp8" else "bf16"
    print(
        f"\n{'requests x in/out, ' + kind:28}{'ours':>9}{'vLLM':>9}{'ratio':>7}{'floor':>9}{'ours':>7}{'vLLM':>7}"
    )
    for row in chosen(options.rows):
        own, other, floor = ours[row.name], theirs[row.name], row.floors[kind]
        rates = f"{own:9,.0f}{other:9,.0f}{own / other:7.2f}"
        print(f"{row.name:28}{rates}{floor:9,}{own / floor:7.0%}{other / floor:7.0%}")


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--interpreter", default=sys.executable, help="the Python that runs both engines")
    parser.add_argument("--site", help="a folder with vLLM's packages, put on the path of its process alone")
    parser.add_argument("--quantization", choices=["fp8"])
    parser.add_argument("--rows", help="numbers of the rows to run, comma-separated; all if left out")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the peer's rates here")
    parser.add_argument("--peer-json", type=Path, help="read the peer's rates instead of measuring them")
    parser.add_argument("--ours-json", type=Path, help="read our rates instead of measuring them")
    parser.add_argument("--worker", action="store_true", help="measure vLLM in this process, nothing else")
    options = parser.parse_args()
    if options.worker:
        options.json.write_text(json.dumps(measure(options)))
        return
    theirs = read(options.peer_json) if options.peer_json else run_elsewhere(HERE, options.site, options)
    if options.json:
        options.json.write_text(json.dumps(theirs))
    own = (
        read(options.ours_json)
        if options.ours_json
        else run_elsewhere(HERE.with_name("engine.py"), None, options)
    )
    table(own, theirs, options)


if __name__ == "__main__":
    main()
