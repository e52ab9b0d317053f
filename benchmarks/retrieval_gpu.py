"""How fast indexes are searched on a GPU, beside the CPU in the same run, and how near to what the memory allows.

    python benchmarks/retrieval_gpu.py [--sizes 1000000x384 10000000x768] [--seconds 2] [--skip-cpu] [--device cpu]

Needs torch and Triton with an NVIDIA GPU for the flat scan, and a faiss-gpu build for the rest (faiss-gpu-cuvs for
CAGRA). The vectors are clustered, of unit length, and made by this script. For each size it measures flat search in
float32 and float16 (our scan, and FAISS's beside it), IVF-Flat, IVF-PQ and CAGRA through `FaissIndex`, at batches of
1, 32 and 1024 queries, numpy in and numpy out: queries a second, recall@10 against exact search, and for flat search
the ratio to the scan bound
    t >= max(N * d * bytes / bandwidth, 2 * N * d * queries / arithmetic)
with 4.3 TB/s and 395 (float32 by TF32) or 790 (float16) TFLOP/s, the rates of an H200. It checks that flat results
equal the CPU's (scores within float32 rounding where ids differ: ties), and that IVF on the GPU is within 0.01 recall
of the same trained index on the CPU. A check that fails is printed and makes the exit status 1. On the CPU a
measurement that takes longer than its time is made once. `--device cpu` goes through the same steps without a GPU.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from rails_engine.retrieval import RetrievalError
from rails_engine.retrieval.index import FaissIndex, IndexSettings, Kind
from rails_engine.retrieval.index.gpu import OnGpu, gpu_kinds
from rails_engine.retrieval.index.settings import Device

BANDWIDTH = 4.3e12
ARITHMETIC = {2: 790e12, 4: 395e12}
BATCHES = (1, 32, 1024)
NEIGHBOURS = 10
CHECKED_QUERIES = 100
COMPARED_QUERIES = 32
VECTORS_A_CENTRE = 100
LONGEST = 20.0
SPREAD = 0.7
PROBES = (16, 64)
WIDTHS = (64, 128)


@dataclass(frozen=True, slots=True)
class Data:
    vectors: NDArray[np.float32]
    queries: NDArray[np.float32]

    @property
    def shape(self) -> str:
        return f"{len(self.vectors):,} x {self.vectors.shape[1]}"


def make(count: int, dimension: int, device: Device) -> Data:
    """Unit vectors around one centre for each hundred, made in parts."""
    import torch

    torch.manual_seed(0)
    centres = torch.nn.functional.normalize(
        torch.randn(max(1, count // VECTORS_A_CENTRE), dimension, device=device)
    )

    def around(size: int) -> NDArray[np.float32]:
        chosen = centres[torch.randint(len(centres), (size,), device=device)]
        noise = torch.randn(size, dimension, device=device) * (SPREAD / dimension**0.5)
        result: NDArray[np.float32] = torch.nn.functional.normalize(chosen + noise).cpu().numpy()
        return result

    vectors = np.empty((count, dimension), np.float32)
    for start in range(0, count, 500_000):
        vectors[start : start + 500_000] = around(min(500_000, count - start))
    data = Data(vectors, around(max(BATCHES)))
    if device == "cuda":
        torch.cuda.empty_cache()
    return data


def seconds_a_call(call: Callable[[], object], budget: float, patient: bool = True) -> float:
    """The median of repeated calls for about `budget` seconds; unless `patient`, one call where that takes as long."""
    start = time.perf_counter()
    call()
    first = time.perf_counter() - start
    if not patient and first > budget:
        return first
    times: list[float] = []
    while sum(times) < budget and len(times) < 2000:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def recall(found: NDArray[np.int64], expected: NDArray[np.int64]) -> float:
    pairs = zip(found.tolist(), expected.tolist(), strict=True)
    return float(np.mean([len(set(f) & set(e)) / NEIGHBOURS for f, e in pairs]))


def bound(data: Data, queries: int, width: int) -> float:
    """The least seconds of one flat search."""
    count, dimension = data.vectors.shape
    return max(count * dimension * width / BANDWIDTH, 2 * count * dimension * queries / ARITHMETIC[width])


def table(name: str, index: Any, data: Data, budget: float, width: int | None = None) -> None:
    """One line a batch size; `width` bytes a number makes the ratio to the scan bound be printed."""
    seconds = 0.0
    for batch in BATCHES:
        if seconds * batch / 32 > LONGEST:
            print(
                f"  {name:26s} batch {batch:4d}: left out, it would take about {seconds * batch / 32:.0f} s"
            )
            continue
        queries = data.queries[:batch]
        seconds = seconds_a_call(
            lambda queries=queries: index.search(queries, NEIGHBOURS), budget, patient="CPU" not in name
        )
        ratio = f"  {bound(data, batch, width) / seconds:6.1%} of the scan bound" if width else ""
        print(
            f"  {name:26s} batch {batch:4d}: {batch / seconds:12,.0f} queries/s, {seconds * 1e3:9.3f} ms{ratio}",
            flush=True,
        )


class Checks:
    """What must hold; failures are printed and remembered."""

    def __init__(self) -> None:
        self.failed = 0

    def expect(self, holds: bool, what: str) -> None:
        print(f"  {'ok   ' if holds else 'FAILS'} {what}", flush=True)
        self.failed += not holds


def built(data: Data, settings: IndexSettings) -> FaissIndex:
    index = FaissIndex(data.vectors.shape[1], settings)
    start = time.perf_counter()
    index.add(np.arange(len(data.vectors)), data.vectors)
    print(
        f"  {settings.kind.value}{' float16' if settings.half else ''} on {index.device}: "
        f"built in {time.perf_counter() - start:.1f} s",
        flush=True,
    )
    return index


def faiss_flat(data: Data, half: bool) -> OnGpu:
    """FAISS's own flat search, which `FaissIndex` uses where torch and Triton are missing."""
    resources, options = faiss.StandardGpuResources(), faiss.GpuClonerOptions()
    options.useFloat16 = half
    empty = faiss.IndexFlatIP(data.vectors.shape[1])
    placed = OnGpu(
        faiss.index_cpu_to_gpu(resources, 0, empty, options), resources, IndexSettings(kind=Kind.FLAT)
    )
    placed.add(data.vectors)
    return placed


def flat(data: Data, exact: NDArray[np.int64], checks: Checks, arguments: argparse.Namespace) -> None:
    """Flat search in both precisions, and FAISS's beside it."""
    queries, device = data.queries[:CHECKED_QUERIES], arguments.device
    index = built(data, IndexSettings(kind=Kind.FLAT, device=device))
    ids, scores = index.search(queries, NEIGHBOURS)
    table("flat float32", index, data, arguments.seconds, 4)
    del index
    if not arguments.skip_cpu:
        cpu = built(data, IndexSettings(kind=Kind.FLAT, device="cpu"))
        cpu_ids, cpu_scores = cpu.search(queries[:COMPARED_QUERIES], NEIGHBOURS)
        same = ids[:COMPARED_QUERIES] == cpu_ids
        tied = np.abs(scores[:COMPARED_QUERIES] - cpu_scores) < 1e-5
        checks.expect(
            bool((same | tied).all()),
            f"flat results equal the CPU's, ties aside ({same.mean():.4%} same ids)",
        )
        table("flat float32, CPU", cpu, data, arguments.seconds)
        del cpu
    index = built(data, IndexSettings(kind=Kind.FLAT, device=device, half=True))
    print(f"  flat float16: recall@10 {recall(index.search(queries, NEIGHBOURS)[0], exact):.4f}")
    table("flat float16", index, data, arguments.seconds, 2)
    del index
    if hasattr(faiss, "StandardGpuResources"):
        for half in (False, True):
            theirs = faiss_flat(data, half)
            table(
                f"FAISS's flat float{16 if half else 32}", theirs, data, arguments.seconds, 2 if half else 4
            )
            del theirs


def lists(
    kind: Kind, data: Data, exact: NDArray[np.int64], checks: Checks, arguments: argparse.Namespace
) -> None:
    """An IVF index on the GPU and the very same one on the CPU."""
    queries, device = data.queries[:CHECKED_QUERIES], arguments.device
    index = built(data, IndexSettings(kind=kind, device=device))
    on_cpu = FaissIndex(data.vectors.shape[1], IndexSettings(kind=kind, device="cpu"))
    with tempfile.TemporaryDirectory() as folder:
        index.save(Path(folder), "benchmark")
        on_cpu.load(Path(folder), "benchmark")
        for probes in PROBES:
            index.tune(IndexSettings(kind=kind, device=device, nprobe=probes))
            on_cpu.tune(IndexSettings(kind=kind, device="cpu", nprobe=probes))
            gpu = recall(index.search(queries, NEIGHBOURS)[0], exact)
            cpu = recall(on_cpu.search(queries, NEIGHBOURS)[0], exact)
            name = f"{kind.value} nprobe {probes}"
            checks.expect(
                abs(gpu - cpu) <= 0.01, f"{name}: recall@10 {gpu:.4f} on the GPU, {cpu:.4f} on the CPU"
            )
            table(name, index, data, arguments.seconds)
            if not arguments.skip_cpu:
                table(f"{name}, CPU", on_cpu, data, arguments.seconds)


def graph(data: Data, exact: NDArray[np.int64], arguments: argparse.Namespace) -> None:
    """CAGRA; without a GPU the HNSW graph that stands in for it."""
    index = built(data, IndexSettings(kind=Kind.CAGRA, device=arguments.device))
    for width in WIDTHS:
        index.tune(IndexSettings(kind=Kind.CAGRA, device=arguments.device, ef_search=width))
        found = recall(index.search(data.queries[:CHECKED_QUERIES], NEIGHBOURS)[0], exact)
        print(f"  cagra ef_search {width}: recall@10 {found:.4f}")
        table(f"cagra ef_search {width}", index, data, arguments.seconds)


def exact_neighbours(data: Data, device: Device) -> NDArray[np.int64]:
    """What recall is measured against `[100, 10]`."""
    index = built(data, IndexSettings(kind=Kind.FLAT, device=device))
    return index.search(data.queries[:CHECKED_QUERIES], NEIGHBOURS)[0]


def measure(data: Data, checks: Checks, arguments: argparse.Namespace) -> None:
    """Every kind that was asked for; one that fails is noted, and the next is measured."""
    exact = exact_neighbours(data, arguments.device)
    for kind in map(Kind, arguments.kinds):
        try:
            if kind is Kind.FLAT:
                flat(data, exact, checks, arguments)
            elif kind is Kind.CAGRA:
                graph(data, exact, arguments)
            else:
                lists(kind, data, exact, checks, arguments)
        except (RuntimeError, RetrievalError) as error:
            checks.expect(False, f"{kind.value}: {error}")


def main(arguments: argparse.Namespace) -> int:
    print(f"FAISS {faiss.__version__}; GPU kinds: {', '.join(sorted(kind.value for kind in gpu_kinds()))}")
    checks = Checks()
    for size in arguments.sizes:
        count, dimension = map(int, size.split("x"))
        data = make(count, dimension, arguments.device)
        print(f"{data.shape}, {len(data.queries)} queries", flush=True)
        measure(data, checks, arguments)
    return int(checks.failed > 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--sizes", nargs="+", default=["1000000x384", "1000000x768", "10000000x384", "10000000x768"]
    )
    parser.add_argument(
        "--seconds", type=float, default=2.0, help="about how long to repeat each measurement"
    )
    parser.add_argument("--skip-cpu", action="store_true", help="leave out the CPU's speed and flat results")
    parser.add_argument(
        "--kinds", nargs="*", default=["flat", "ivf_flat", "ivf_pq", "cagra"], help="which to measure"
    )
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    sys.exit(main(parser.parse_args()))
