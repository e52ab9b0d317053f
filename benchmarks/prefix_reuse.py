"""Guard prompts that share their beginning: what the prefix cache saves.

`--requests` prompts share their first `--shared` tokens and differ in the next `--own`; each answers one token. All are
sent at once, with the prefix cache off, then on (empty at first), then on again (filled). Random weights.

    python benchmarks/prefix_reuse.py --shape llama-10m --device cpu
"""

from __future__ import annotations

import argparse
import random
import time

from benchmarks.engine_shapes import SHAPES, random_engine
from inference_backend import (
    Engine,
    Request,
    SamplingParameters,
    SchedulerSettings,
)


def run(engine: Engine, prompts: list[tuple[int, ...]]) -> tuple[float, int]:
    """Seconds, and prompt tokens that were computed."""
    counters = engine.scheduler.counters
    queries, hits, start = counters.prefix_queries, counters.prefix_hits, time.perf_counter()
    for number, prompt in enumerate(prompts):
        sampling = SamplingParameters(temperature=0.0, max_tokens=1)
        engine.submit(engine.prepare(Request(str(number), prompt, sampling)))
    while engine.busy:
        engine.step()
    seconds = time.perf_counter() - start
    return seconds, counters.prefix_queries - queries - counters.prefix_hits + hits


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=SHAPES, default="llama-10m")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--requests", type=int, default=64)
    parser.add_argument("--shared", type=int, default=600)
    parser.add_argument("--own", type=int, default=40)
    given = parser.parse_args()
    chance = random.Random(3)
    shared = [chance.randrange(3, 4000) for _ in range(given.shared)]
    prompts = [
        tuple(shared + [chance.randrange(3, 4000) for _ in range(given.own)]) for _ in range(given.requests)
    ]
    print(
        f"{given.shape} on {given.device}: {given.requests} prompts, {given.shared} tokens shared, {given.own} own"
    )
    for caching, names in ((False, ["cache off"]), (True, ["cache on, empty", "cache on, filled"])):
        scheduler = SchedulerSettings(max_step_tokens=4096, prefix_caching=caching)
        engine = random_engine(given.shape, given.device, scheduler, kv_blocks=4096)
        run(engine, [(5, 6, 7)])
        for name in names:
            seconds, computed = run(engine, prompts)
            print(f"{name:18} {seconds * 1e3:9.1f} ms, {computed:6d} prompt tokens computed")
        engine.executor.close()


if __name__ == "__main__":
    main()
