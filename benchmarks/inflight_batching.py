"""In-flight against static batching, on one ragged trace and the same kernels.

Static batching admits a batch, runs it until its longest answer ends, and only then admits the next; the rows of shorter
answers are computed on until then, as padding. So its steps are those of max, in-flight batching's those of mean answer
lengths, and the gain is at most max / mean of a batch. With `--shedding` the static side drops finished rows, which
needs most of what in-flight batching needs and makes its last steps cheaper. Prompts cost both sides the same and have no
part in max / mean: they are timed alone, with answers of one token, and the gain is shown with and without them.

Traces, seeded: `uniform` prompts of 256 to 768 tokens and answers of 16 to 240; `exponential` prompts of `--prompt`
tokens, answers of mean `--mean` (at most 8 times that). Random weights, greedy, end of sequence ignored, no
detokenising, prefix cache off. `--device none` runs no model at all and counts steps: what the scheduler reaches,
whatever the hardware.

    python benchmarks/inflight_batching.py --device none --requests 1024
    python benchmarks/inflight_batching.py --shape llama-3.1-8b --device cuda --batch 64 --requests 1024 --trace uniform
"""

from __future__ import annotations

import argparse
import random
import time
from dataclasses import dataclass, replace

from benchmarks.engine_shapes import SHAPES, random_engine
from inference_backend import (
    Engine,
    EngineParts,
    Request,
    SamplingParameters,
    SchedulerSettings,
)
from inference_backend.executor import Capacity
from inference_backend.testing import ScriptedExecutor


@dataclass(frozen=True)
class Run:
    seconds: float
    steps: int


def lengths(kind: str, count: int, prompt: int, mean: int) -> list[tuple[int, int]]:
    """(prompt, answer) lengths."""
    chance = random.Random(7)
    if kind == "uniform":
        return [(chance.randint(256, 768), chance.randint(16, 240)) for _ in range(count)]
    return [(prompt, min(max(int(chance.expovariate(1 / mean)), 1), 8 * mean)) for _ in range(count)]


def trace(given: list[tuple[int, int]], vocab: int) -> list[Request]:
    chance = random.Random(8)
    made = []
    for number, (prompt, answer) in enumerate(given):
        ids = tuple(chance.randrange(3, vocab) for _ in range(prompt))
        sampling = SamplingParameters(temperature=0.0, max_tokens=answer, ignore_eos=True)
        made.append(Request(str(number), ids, sampling))
    return made


def with_answers(batch: list[Request], length: int) -> list[Request]:
    return [replace(request, sampling=replace(request.sampling, max_tokens=length)) for request in batch]


def padded(batch: list[Request]) -> list[Request]:
    """All with the longest one's answer length."""
    return with_answers(batch, max(request.sampling.max_tokens or 0 for request in batch))


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
    if device != "none":
        return random_engine(shape, device, scheduler)
    executor = ScriptedExecutor(Capacity(4096, 16, 4096, 4096, 1, ()), lambda _: 5)
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
    parser.add_argument("--trace", choices=["exponential", "uniform"], default="exponential")
    parser.add_argument("--shedding", action="store_true", help="the static side drops finished rows")
    given = parser.parse_args()
    scheduler = SchedulerSettings(
        max_sequences=given.batch, max_step_tokens=4096, prefix_caching=False, max_waiting=given.requests
    )
    engine = open_engine(given.shape, given.device, scheduler)
    pairs = lengths(given.trace, given.requests, given.prompt, given.mean)
    requests = trace(pairs, engine.capacity.vocab_size)
    batches = [requests[at : at + given.batch] for at in range(0, len(requests), given.batch)]
    answers = [
        [answer for _, answer in pairs[at : at + given.batch]] for at in range(0, len(pairs), given.batch)
    ]
    total = sum(map(sum, answers))
    ideal = given.batch * sum(map(max, answers)) / total
    drain(engine, requests[: given.batch])
    static = timed(engine, batches if given.shedding else [padded(batch) for batch in batches])
    flight = timed(engine, [requests])
    prompts = timed(engine, [with_answers(requests, 1)])
    print(
        f"{given.shape} on {given.device}, {given.trace} trace of {given.requests} requests, batch {given.batch}, "
        f"prompts of mean {sum(prompt for prompt, _ in pairs) / len(pairs):.0f}, "
        f"answers of mean {total / len(pairs):.1f}, longest {max(map(max, answers))}; "
        f"static {'sheds' if given.shedding else 'pads'} finished rows"
    )
    print(
        f"static     {static.steps:6d} steps  {static.seconds:8.2f} s  {total / static.seconds:9.1f} tokens/s"
    )
    print(
        f"in-flight  {flight.steps:6d} steps  {flight.seconds:8.2f} s  {total / flight.seconds:9.1f} tokens/s"
    )
    print(f"prompts    {prompts.steps:6d} steps  {prompts.seconds:8.2f} s")
    gain_steps, gain_time = static.steps / flight.steps, static.seconds / flight.seconds
    decoding = (static.seconds - prompts.seconds) / (flight.seconds - prompts.seconds)
    print(
        f"ideal gain (max / mean) {ideal:.2f}; reached in steps {gain_steps:.2f} ({gain_steps / ideal:.0%}), "
        f"in time {gain_time:.2f} ({gain_time / ideal:.0%}), without the prompts' time {decoding:.2f} ({decoding / ideal:.0%})"
    )
    engine.executor.close()


if __name__ == "__main__":
    main()
