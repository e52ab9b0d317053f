"""How fast the indexes search on the CPU, and at which recall.

    OMP_NUM_THREADS=2 python benchmarks/retrieval_index.py [--count 1000000] [--dimension 384] [--kinds ivf_flat hnsw]

The vectors are clustered and made by this script (a Gaussian around each of one centre for 100 vectors, all of unit
length), and so are the queries. Recall@10 is against exact search over the same vectors. For lists, `nprobe` is
raised until the recall passes 0.95. Queries go one by one, as a conversation asks them.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rails_engine.retrieval.index import FaissIndex, IndexSettings, Kind

QUERIES = 200
VECTORS_A_CENTRE = 100
SPREAD = 0.7
PROBES = (4, 8, 16, 32, 64, 128, 256)


def clustered(count: int, dimension: int, seed: int, centres: NDArray[np.float32]) -> NDArray[np.float32]:
    """Unit vectors `[count, dimension]` around the centres; made in parts to bound the memory."""
    rng = np.random.default_rng(seed)
    points = np.empty((count, dimension), np.float32)
    for start in range(0, count, 100_000):
        size = min(100_000, count - start)
        part = rng.standard_normal((size, dimension), np.float32) * np.float32(SPREAD / np.sqrt(dimension))
        part += centres[rng.integers(0, len(centres), size)]
        points[start : start + size] = part / np.linalg.norm(part, axis=1, keepdims=True)
    return points


def unit_centres(count: int, dimension: int) -> NDArray[np.float32]:
    raw = np.random.default_rng(0).standard_normal((count, dimension), np.float32)
    return raw / np.linalg.norm(raw, axis=1, keepdims=True)


def exact_neighbours(vectors: NDArray[np.float32], queries: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    best = np.full((len(queries), k), -np.inf, np.float32)
    ids = np.full((len(queries), k), -1, np.int64)
    for start in range(0, len(vectors), 200_000):
        scores = queries @ vectors[start : start + 200_000].T
        top = np.argpartition(-scores, k, axis=1)[:, :k]
        merged = np.concatenate((best, np.take_along_axis(scores, top, 1)), axis=1)
        merged_ids = np.concatenate((ids, top + start), axis=1)
        order = np.argsort(-merged, axis=1)[:, :k]
        best, ids = np.take_along_axis(merged, order, 1), np.take_along_axis(merged_ids, order, 1)
    return ids


def recall(found: NDArray[np.int64], expected: NDArray[np.int64]) -> float:
    return float(
        np.mean(
            [len(set(f) & set(e)) / len(e) for f, e in zip(found.tolist(), expected.tolist(), strict=True)]
        )
    )


def timed(index: FaissIndex, queries: NDArray[np.float32]) -> tuple[NDArray[np.int64], float]:
    """Ids `[n, 10]` of queries asked one by one, and the median seconds of one."""
    index.search(queries[:1], 10)
    found, seconds = [], []
    for i in range(len(queries)):
        start = time.perf_counter()
        found.append(index.search(queries[i : i + 1], 10)[0])
        seconds.append(time.perf_counter() - start)
    return np.concatenate(found), float(np.median(seconds))


def main(arguments: argparse.Namespace) -> None:
    centres = unit_centres(max(1, arguments.count // VECTORS_A_CENTRE), arguments.dimension)
    vectors = clustered(arguments.count, arguments.dimension, 1, centres)
    queries = clustered(QUERIES, arguments.dimension, 2, centres)
    expected = exact_neighbours(vectors, queries, 10)
    print(
        f"{arguments.count:,} x {arguments.dimension}, {len(centres):,} centres, {QUERIES} queries one by one"
    )
    for name in arguments.kinds:
        settings = IndexSettings(kind=Kind(name), device="cpu")
        index = FaissIndex(arguments.dimension, settings)
        start = time.perf_counter()
        index.add(np.arange(len(vectors)), vectors)
        print(f"{name}: built in {time.perf_counter() - start:.1f} s")
        for probes in PROBES if name.startswith("ivf") else (0,):
            if probes:
                index.tune(replace(settings, nprobe=probes))
            found, seconds = timed(index, queries)
            reached = recall(found, expected)
            knob = (
                f"nlist {settings.lists(arguments.count)}, nprobe {probes}"
                if probes
                else f"efSearch {settings.ef_search}"
            )
            print(f"  {knob}: recall@10 {reached:.4f}, median {seconds * 1000:.2f} ms a query")
            if reached >= arguments.recall:
                break


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--recall", type=float, default=0.99, help="stop raising nprobe here")
    parser.add_argument(
        "--kinds", nargs="+", default=["ivf_flat"], choices=["flat", "ivf_flat", "ivf_pq", "hnsw"]
    )
    main(parser.parse_args())
