"""In-flight against static batching, on one ragged trace and the same kernels.

Static batching admits a batch, runs it until its longest answer ends, and only then admits the next. Where a step takes
the same time whatever the batch holds, the gain of in-flight batching is at most max / mean of the answers' lengths in
a batch. The trace: prompts of `--prompt` tokens, answers of exponential length with mean `--mean` (at most 8 times that),
seeded. Random weights, greedy, end of sequence ignored, no detokenising, prefix cache off. `--device none` runs no
model at all and counts steps: what the scheduler reaches, whatever the hardware.

    python benchmarks/inflight_batching.py --device none --requests 1024
    python benchmarks/inflight_batching.py --shape llama-3.1-8b --device cuda --batch 64 --requests 2048
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.engine_shapes import SHAPES, write_shape
from inference_backend import (
    Engine,
    EngineParts,
    EngineSettings,
    Request,
    SamplingParameters,
    SchedulerSettings,
    make_executor,
)
from inference_backend.executor import Capacity, Executor
from inference_backend.testing import ScriptedExecutor


@dataclass(frozen=True)
class Run:
    seconds: float
    steps: int


def trace(count: int, prompt: int, mean: int, vocab: int) -> list[Request]:
    chance = random.Random(7)
    made = []
    for number in range(count):
        length = min(max(int(chance.expovariate(1 / mean)), 1), 8 * mean)
        ids = tuple(chance.randrange(3, vocab) for _ in range(prompt))
        sampling = SamplingParameters(temperature=0.0, max_tokens=length, ignore_eos=True)
        made.append(Request(str(number), ids, sampling))
    return made


def drain(engine: Engine, requests: list[Request]) -> None:
    for request in requests:
        engine.submit(engine.prepare(request))
    while engine.busy:
        engine.step()


def timed(engine: Engine, batches: list[list[Request]]) -> Run:
    steps, start = engine.scheduler.counters.steps, time.perf_counter()
    for batch in batches:
        drain(engine, batch)
    return Run(time.perf_counter() - start, engine.scheduler.counters.steps - steps)


def open_engine(shape: str, device: str, scheduler: SchedulerSettings) -> Engine:
    executor: Executor
    if device == "none":
        executor = ScriptedExecutor(Capacity(4096, 16, 4096, 4096, 1, ()), lambda _: 5)
        return Engine(EngineParts(executor, scheduler), executor.load())
    with tempfile.TemporaryDirectory() as folder:
        model = str(write_shape(shape, Path(folder)))
        settings = EngineSettings(model, device=device, random_weights=True, scheduler=scheduler)
        executor = make_executor(settings)
        return Engine(EngineParts(executor, scheduler), executor.load())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=SHAPES, default="llama-10m")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--requests", type=int, default=256)
    parser.add_argument("--prompt", type=int, default=16)
    parser.add_argument("--mean", type=int, default=48)
    given = parser.parse_args()
    scheduler = SchedulerSettings(
        max_sequences=given.batch, max_step_tokens=4096, prefix_caching=False, max_waiting=given.requests
    )
    engine = open_engine(given.shape, given.device, scheduler)
    requests = trace(given.requests, given.prompt, given.mean, engine.capacity.vocab_size)
    batches = [requests[at : at + given.batch] for at in range(0, len(requests), given.batch)]
    lengths = [[request.sampling.max_tokens or 0 for request in batch] for batch in batches]
    total = sum(map(sum, lengths))
    ideal = given.batch * sum(max(batch) for batch in lengths) / total
    drain(engine, [Request("warm", requests[0].prompt_ids, SamplingParameters(max_tokens=4))])
    static, flight = timed(engine, batches), timed(engine, [requests])
    print(
        f"{given.shape} on {given.device}, {given.requests} requests, batch {given.batch}, prompts of {given.prompt}, "
        f"answers of mean {total / len(requests):.1f}, longest {max(map(max, lengths))}"
    )
    print(
        f"static     {static.steps:6d} steps  {static.seconds:8.2f} s  {total / static.seconds:9.1f} tokens/s"
    )
    print(
        f"in-flight  {flight.steps:6d} steps  {flight.seconds:8.2f} s  {total / flight.seconds:9.1f} tokens/s"
    )
    gain_steps, gain_time = static.steps / flight.steps, static.seconds / flight.seconds
    print(
        f"ideal gain (max / mean) {ideal:.2f}; reached in steps {gain_steps:.2f} ({gain_steps / ideal:.0%}), "
        f"in time {gain_time:.2f} ({gain_time / ideal:.0%})"
    )
    engine.executor.close()


if __name__ == "__main__":
    main()
