"""FAISS structures: making, training and searching them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rails_engine.retrieval.errors import EmbeddingConfigError
from rails_engine.retrieval.index.settings import IndexSettings, Kind
from rails_engine.retrieval.vectors import Vectors

TRAINING_VECTORS_PER_LIST = 40
_SEED = 1234
_MANY_LISTS = 4096
_ONE_THREAD_UP_TO = 1 << 23
"""Numbers read in a search up to which one thread is best: two milliseconds' work. On a machine with other work, threads
that wait for one another took two hundred for a search of a tenth."""


def new_structure(kind: Kind, settings: IndexSettings, count: int, dimension: int) -> Any:
    """An empty FAISS index of `kind` for inner products, sized for `count` vectors; lists are not trained yet."""
    import faiss

    inner = faiss.METRIC_INNER_PRODUCT
    if kind is Kind.FLAT:
        return faiss.IndexFlatIP(dimension)
    if kind in (Kind.HNSW, Kind.CAGRA):
        graph = faiss.IndexHNSWFlat(dimension, settings.links, inner)
        graph.hnsw.efConstruction = settings.ef_construction
        return graph
    lists = min(settings.lists(count), count)
    quantizer = faiss.IndexFlatIP(dimension)
    if kind is Kind.IVF_FLAT:
        structure = faiss.IndexIVFFlat(quantizer, dimension, lists, inner)
    elif kind is Kind.IVF_PQ:
        bits = 8 if count >= 256 else max(1, int(np.log2(count)))
        structure = faiss.IndexIVFPQ(quantizer, dimension, lists, settings.code_bytes(dimension), bits, inner)
    else:
        raise EmbeddingConfigError(f"{kind.value} is no FAISS structure")
    structure.nprobe = settings.probes(lists)
    structure.cp.seed = _SEED
    structure.cp.spherical = True  # unit vectors: centroids of unit length serve the inner product
    structure.cp.min_points_per_centroid = 1
    return structure


def train(structure: Any, vectors: Vectors) -> None:
    """Fit the lists and codes of a structure, on whichever device it is, to a sample of `vectors` `[n, d]`."""
    if structure.is_trained:
        return
    sample = _sample(vectors, max(structure.nlist * TRAINING_VECTORS_PER_LIST, 20_000))
    # A handful of vectors is repeated, since clustering wants at least as many points as clusters.
    structure.train(np.resize(sample, (max(len(sample), 2), vectors.shape[1])))


def search(
    structure: Any, queries: Vectors, k: int, settings: IndexSettings, allowed: NDArray[np.bool_] | None
) -> tuple[Vectors, NDArray[np.int64]]:
    """Scores and rows of the best `k` on the CPU, each `[n, k]`; `allowed` `[rows]` masks rows out."""
    import faiss

    parameters = _parameters(structure, settings, allowed)
    with _threads(len(queries) * _numbers_read(structure, settings)) as threads:
        if isinstance(structure, faiss.IndexIVF):
            structure.parallel_mode = _sharing(structure.nlist, len(queries), threads)
        scores, rows = structure.search(queries, k, params=parameters)
    return scores, rows


@contextmanager
def _threads(numbers_read: int) -> Iterator[int]:
    """The threads that FAISS uses for a search meanwhile, when it is called from this thread."""
    import faiss

    there = faiss.omp_get_max_threads()
    used = 1 if numbers_read <= _ONE_THREAD_UP_TO else there
    faiss.omp_set_num_threads(used)
    try:
        yield used
    finally:
        faiss.omp_set_num_threads(there)


def _numbers_read(structure: Any, settings: IndexSettings) -> int:
    """About how many numbers one query is compared with."""
    import faiss

    if isinstance(structure, faiss.IndexIVF):
        rows = structure.nlist + structure.nprobe * -(-structure.ntotal // structure.nlist)
    elif isinstance(structure, faiss.IndexHNSW):
        rows = settings.ef_search * settings.links
    else:
        rows = structure.ntotal
    return int(rows * structure.d)


def _sharing(lists: int, queries: int, threads: int) -> int:
    """What FAISS's threads share: queries (0), or the lists of each query (1).

    Where queries are shared, FAISS 1.15 looks among ten thousand lists and more wrongly if a thread has fewer queries
    than there are threads; sharing the lists is right always.
    """
    return 1 if lists >= _MANY_LISTS and queries < 2 * threads * threads else 0


def _parameters(structure: Any, settings: IndexSettings, allowed: NDArray[np.bool_] | None) -> Any:
    import faiss

    packed = None if allowed is None else np.packbits(allowed, bitorder="little")
    selector = None if packed is None else faiss.IDSelectorBitmap(packed)
    if isinstance(structure, faiss.IndexIVF):
        return faiss.SearchParametersIVF(sel=selector, nprobe=structure.nprobe)
    if isinstance(structure, faiss.IndexHNSW):
        return faiss.SearchParametersHNSW(sel=selector, efSearch=settings.ef_search)
    return faiss.SearchParameters(sel=selector)


def emptied(structure: Any) -> Any:
    """A structure with the same training and no vectors."""
    import faiss

    copy = faiss.clone_index(structure)
    copy.reset()
    return copy


def vectors_of(structure: Any, rows: NDArray[np.int64]) -> Vectors:
    """The vectors in these rows (of a product quantizer, what it keeps of them)."""
    import faiss

    if isinstance(structure, faiss.IndexIVF):
        structure.make_direct_map()
    vectors: Vectors = structure.reconstruct_batch(rows)
    if isinstance(structure, faiss.IndexIVF):
        structure.set_direct_map_type(faiss.DirectMap.NoMap)
    return vectors


def _sample(vectors: Vectors, count: int) -> Vectors:
    if len(vectors) <= count:
        return vectors
    chosen = np.random.default_rng(_SEED).choice(len(vectors), count, replace=False)
    return np.ascontiguousarray(vectors[np.sort(chosen)])
