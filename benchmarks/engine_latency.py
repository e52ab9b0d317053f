"""Time to first token and between tokens while requests arrive at random, at a share of what the engine can do.

First the capacity: `--requests` requests at once, and how many a second that makes. Then the same number arrives as a
Poisson process (seeded) at `--load` of that rate, each waiting for nobody; times count from the moment a request is
due. Prompts of random token ids, greedy, end of sequence ignored. In process by default, with random weights of
`--shape`; with `--url` over HTTP against any OpenAI-compatible server, so that a peer can be measured the same way.

    python benchmarks/engine_latency.py --shape llama-3.1-8b --device cuda --prompt 512 --output 128 --requests 1000
    python benchmarks/engine_latency.py --url http://127.0.0.1:8000 --model NAME --prompt 512 --output 128
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from benchmarks.engine_shapes import SHAPES, write_shape
from inference_backend import (
    AsyncEngine,
    Engine,
    EngineParts,
    EngineSettings,
    Request,
    SamplingParameters,
    SchedulerSettings,
    make_executor,
)

Ids = tuple[int, ...]
Ask = Callable[[str, Ids, int], AsyncIterator[int]]
"""Sends a prompt and yields the number of tokens in each piece of the answer."""


@dataclass(frozen=True)
class Times:
    """Seconds of one request: until its first token, and the gaps between the pieces after it."""

    first: float
    gaps: list[float]


async def one(ask: Ask, name: str, ids: Ids, output: int, due: float) -> Times:
    first, gaps, last = 0.0, [], due
    async for _ in ask(name, ids, output):
        now = time.perf_counter()
        if first:
            gaps.append(now - last)
        else:
            first = now - due
        last = now
    return Times(first, gaps)


async def arrivals(
    ask: Ask, prompts: list[Ids], output: int, rate: float | None
) -> tuple[list[Times], float]:
    """All at once (`rate` None) or as a Poisson process; the times, and how long it took."""
    chance, start = random.Random(11), time.perf_counter()
    due, tasks = start, []
    for number, ids in enumerate(prompts):
        if rate is not None:
            due += chance.expovariate(rate)
            await asyncio.sleep(max(due - time.perf_counter(), 0.0))
        tasks.append(asyncio.create_task(one(ask, f"{rate}-{number}", ids, output, due)))
    found = await asyncio.gather(*tasks)
    return found, time.perf_counter() - start


def over_http(url: str, model: str, session: aiohttp.ClientSession) -> Ask:
    async def ask(name: str, ids: Ids, output: int) -> AsyncIterator[int]:
        body = {
            "model": model, "prompt": list(ids), "max_tokens": output, "temperature": 0.0, "ignore_eos": True,
            "stream": True,
        }  # fmt: skip
        async with session.post(
            f"{url}/v1/completions", json=body, headers={"X-Request-ID": name}
        ) as response:
            response.raise_for_status()
            async for line in response.content:
                if line.startswith(b"data: {") and json.loads(line[6:]).get("choices"):
                    yield 1

    return ask


def in_process(engine: AsyncEngine) -> Ask:
    async def ask(name: str, ids: Ids, output: int) -> AsyncIterator[int]:
        sampling = SamplingParameters(temperature=0.0, max_tokens=output, ignore_eos=True)
        async for delta in engine.generate(Request(name, ids, sampling)):
            if delta.token_ids:
                yield len(delta.token_ids)

    return ask


@contextmanager
def opened(chosen: argparse.Namespace) -> Iterator[AsyncEngine]:
    limits = SchedulerSettings(
        max_sequences=chosen.sequences, max_step_tokens=chosen.step_tokens, prefix_caching=False,
        max_positions=chosen.prompt + chosen.output + 16, max_waiting=100_000,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        write_shape(chosen.shape, Path(folder))
        settings = EngineSettings(
            folder,
            device=chosen.device,
            quantization=chosen.quantization,
            kv_dtype=chosen.kv_dtype,
            random_weights=True,
            scheduler=limits,
        )
        executor = make_executor(settings)
        engine = AsyncEngine(Engine(EngineParts(executor, limits), executor.load()))
        yield engine
        engine.close()


def at(values: list[float], share: float) -> float:
    """A quantile in milliseconds."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1e3


async def measure(ask: Ask, chosen: argparse.Namespace) -> None:
    chance = random.Random(3)
    prompts = [
        tuple(chance.randrange(3, chosen.vocab) for _ in range(chosen.prompt)) for _ in range(chosen.requests)
    ]
    await arrivals(ask, prompts[: max(chosen.requests // 10, 2)], chosen.output, None)  # warm-up
    alone, _ = await arrivals(ask, prompts[:1], chosen.output, None)
    _, seconds = await arrivals(ask, prompts, chosen.output, None)
    capacity = len(prompts) / seconds
    print(f"alone: first token {alone[0].first * 1e3:.1f} ms")
    print(f"capacity: {capacity:.2f} requests/s, {capacity * chosen.output:,.0f} output tokens/s")
    for load in chosen.load:
        times, _ = await arrivals(ask, prompts, chosen.output, capacity * load)
        first, gaps = [t.first for t in times], [gap for t in times for gap in t.gaps] or [0.0]
        print(
            f"load {load:.0%} ({capacity * load:.2f} requests/s): first token median {at(first, 0.5):.1f}, "
            f"90 % {at(first, 0.9):.1f}, 99 % {at(first, 0.99):.1f} ms; between tokens median {at(gaps, 0.5):.2f}, "
            f"99 % {at(gaps, 0.99):.2f} ms"
        )


async def over_url(chosen: argparse.Namespace) -> None:
    limits = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=limits, timeout=aiohttp.ClientTimeout(total=None)) as session:
        await measure(over_http(chosen.url, chosen.model, session), chosen)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url")
    parser.add_argument("--model", default="model", help="the served model's name, with --url")
    parser.add_argument("--shape", choices=sorted(SHAPES), default="llama-10m")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--quantization", choices=["fp8", "int8-weights", "smoothquant", "int4"])
    parser.add_argument("--kv-dtype", choices=["auto", "fp8", "int8"], default="auto")
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--output", type=int, default=128)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--load", type=float, nargs="+", default=[0.8])
    parser.add_argument("--sequences", type=int, default=256)
    parser.add_argument("--step-tokens", type=int, default=2048)
    parser.add_argument("--vocab", type=int, default=4096, help="token ids are drawn below this")
    chosen = parser.parse_args()
    served = (
        chosen.url
        or f"{chosen.shape} on {chosen.device}, weights {chosen.quantization or 'as they are'}, KV {chosen.kv_dtype}"
    )
    print(f"{served}: {chosen.requests} requests, {chosen.prompt} tokens in, {chosen.output} out")
    if chosen.url:
        asyncio.run(over_url(chosen))
        return
    with opened(chosen) as engine:
        asyncio.run(measure(in_process(engine), chosen))


if __name__ == "__main__":
    main()
