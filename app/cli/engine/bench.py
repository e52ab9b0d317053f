"""`engine bench`: one workload, all requests at once, in process."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise

import typer

from app.cli.engine.settings import EngineOptions, engine_settings, spare_collector
from app.errors import UsageError
from inference_backend import (
    GPUS,
    Engine,
    EngineParts,
    Load,
    Request,
    SamplingParameters,
    make_executor,
    predict,
)


@dataclass(frozen=True, slots=True)
class Workload:
    """Requests of equal lengths, in tokens; `gpu` names the card whose roofline is printed beside."""

    requests: int
    prompt_tokens: int
    output_tokens: int
    gpu: str | None


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds: of the whole run, and per request to the first token and between tokens."""

    total: float
    first: list[float]
    between: list[float]
    tokens: int


def run_bench(options: EngineOptions, workload: Workload) -> None:
    """Warm up once, measure once, print the conditions with the figures.

    Raises:
        UsageError: the card is unknown.
        EngineError: the model cannot be loaded.
    """
    if workload.gpu is not None and workload.gpu not in GPUS:
        raise UsageError(f"--gpu is {workload.gpu!r}, but must be one of {', '.join(GPUS)}.")
    settings = engine_settings(options)
    settings = replace(settings, scheduler=replace(settings.scheduler, prefix_caching=False))
    executor = make_executor(settings)
    engine = Engine(EngineParts(executor, settings.scheduler), executor.load())
    spare_collector()
    _run(engine, Workload(min(workload.requests, 4), workload.prompt_tokens, 4, None), seed=1)
    _print(_run(engine, workload, seed=2), options, workload)
    executor.close()


def _run(engine: Engine, workload: Workload, seed: int) -> Measured:
    sampling = SamplingParameters(temperature=0.0, max_tokens=workload.output_tokens, ignore_eos=True)
    prepared = [
        engine.prepare(Request(str(number), ids, sampling))
        for number, ids in enumerate(_prompts(engine, workload, seed))
    ]
    start = time.perf_counter()
    for one in prepared:
        engine.submit(one)
    times: dict[str, list[float]] = {}
    tokens = 0
    while engine.busy:
        deltas = engine.step()
        now = time.perf_counter() - start
        for delta in deltas:
            times.setdefault(delta.request_id, []).append(now)
            tokens += len(delta.token_ids)
    first = sorted(seen[0] for seen in times.values())
    between = sorted(b - a for seen in times.values() for a, b in pairwise(seen))
    return Measured(time.perf_counter() - start, first, between, tokens)


def _prompts(engine: Engine, workload: Workload, seed: int) -> Iterable[tuple[int, ...]]:
    chance = random.Random(seed)
    size = engine.capacity.vocab_size
    for _ in range(workload.requests):
        yield tuple(chance.randrange(size) for _ in range(workload.prompt_tokens))


def _print(found: Measured, options: EngineOptions, workload: Workload) -> None:
    typer.echo(
        f"{options.model}: {workload.requests} requests at once, {workload.prompt_tokens} tokens in, "
        f"{workload.output_tokens} out, greedy, end ignored, no prefix cache, no detokenising; "
        f"device {options.device}, quantization {options.quantization or 'none'}, KV {options.kv_dtype}"
    )
    rate = found.tokens / found.total
    typer.echo(f"output            {rate:,.1f} tokens/s ({found.tokens} tokens in {found.total:.3f} s)")
    typer.echo(
        f"first token       median {_at(found.first, 0.5):.1f} ms, 99 % {_at(found.first, 0.99):.1f} ms"
    )
    if found.between:
        typer.echo(
            f"between tokens    median {_at(found.between, 0.5):.2f} ms, 99 % {_at(found.between, 0.99):.2f} ms"
        )
    if workload.gpu is not None:
        _print_bound(rate, options, workload, workload.gpu)


def _print_bound(rate: float, options: EngineOptions, workload: Workload, gpu: str) -> None:
    settings = engine_settings(options)
    load = Load(workload.prompt_tokens, workload.output_tokens, workload.requests)
    bound = predict(options.model, GPUS[gpu], load, settings.quantization, settings.kv_dtype)
    share = rate / bound.served_tokens_per_second
    typer.echo(f"roofline of {gpu}  {bound.served_tokens_per_second:,.0f} tokens/s; reached {share:.1%}")


def _at(ordered: list[float], share: float) -> float:
    """A quantile of sorted seconds, in milliseconds."""
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1e3
