"""Structures on a GPU: FAISS's, and our own scan. On disk an index is a CPU one, so that any machine can read it."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from rails_engine.retrieval.errors import EmbeddingConfigError
from rails_engine.retrieval.index.scan import COPIED_AT_ONCE, GpuScan, scan_available
from rails_engine.retrieval.index.settings import Device, IndexSettings, Kind
from rails_engine.retrieval.index.structures import vectors_of
from rails_engine.retrieval.vectors import Vectors

MOST_NEIGHBOURS = 2048
"""The most neighbours that FAISS's GPU kernels select."""
_ADDED_AT_ONCE = 1 << 20
_MOST_CODES_IN_FLOAT32 = 48
"""Code bytes from which a product quantizer's lookup tables fit a multiprocessor's memory only as float16."""

_NO_GRAPH = "an HNSW graph is searched on the CPU; on a GPU use flat, ivf_flat, ivf_pq or cagra"
_NO_GPU = (
    "device: cuda was asked for, but {kinds} cannot be searched on a GPU here: `flat` needs torch and Triton (the extra `gpu`) "
    "or a faiss-gpu wheel instead of faiss-cpu, the other kinds faiss-gpu (cagra faiss-gpu-cuvs), on a machine with an "
    "NVIDIA GPU; or use `device: auto` or `cpu`"
)


class Placed(Protocol):
    """A structure on a GPU. Rows are numbered in the order in which they were added."""

    def add(self, vectors: Vectors) -> None:
        """Append vectors `[n, dimension]`."""

    def search(self, queries: Vectors, k: int) -> tuple[Vectors, NDArray[np.int64]]:
        """Scores and rows of the best, best first, each `[n, at most k]`; row -1 where there is none."""
        ...

    def vectors(self, rows: NDArray[np.int64]) -> Vectors:
        """The vectors of these rows `[n, dimension]`, as the structure holds them: a quantized one gives back what it can."""

    def to_cpu(self) -> Any:
        """A FAISS structure with the same content in main memory."""
        ...


def gpu_kinds() -> frozenset[Kind]:
    """The kinds that can be searched on a GPU of this machine with what is installed."""
    import faiss

    kinds = set()
    if getattr(faiss, "get_num_gpus", lambda: 0)() > 0:
        kinds |= {Kind.FLAT, Kind.IVF_FLAT, Kind.IVF_PQ}
        if hasattr(faiss, "GpuIndexCagra"):
            kinds.add(Kind.CAGRA)
    if Kind.FLAT not in kinds and scan_available():
        kinds.add(Kind.FLAT)
    return frozenset(kinds)


def pick_device(wanted: Device, kind: Kind = Kind.AUTO) -> Literal["cpu", "cuda"]:
    """Where to search; `Kind.AUTO` asks whether any kind can be searched on a GPU.

    Raises:
        EmbeddingConfigError: a GPU was asked for, and the kind cannot be searched on one here.
    """
    if wanted == "cpu":
        return "cpu"
    if kind is Kind.HNSW:
        if wanted == "cuda":
            raise EmbeddingConfigError(_NO_GRAPH)
        return "cpu"
    there = gpu_kinds()
    if kind in there or (kind is Kind.AUTO and there):
        return "cuda"
    if wanted == "cuda":
        raise EmbeddingConfigError(
            _NO_GPU.format(kinds="an index" if kind is Kind.AUTO else f"kind {kind.value}")
        )
    return "cpu"


class OnGpu:
    """A FAISS structure on the first visible GPU; it keeps its resources alive as long as itself."""

    def __init__(self, structure: Any, resources: Any, settings: IndexSettings) -> None:
        self.structure = structure
        self._resources = resources
        self._settings = settings

    def tune(self, settings: IndexSettings) -> None:
        """Search with other knobs from now on."""
        self._settings = settings
        if hasattr(self.structure, "nprobe"):
            self.structure.nprobe = settings.probes(self.structure.nlist)

    def search(self, queries: Vectors, k: int) -> tuple[Vectors, NDArray[np.int64]]:
        """Scores and rows of the best `k`, at most `MOST_NEIGHBOURS`, each `[n, k]`."""
        k = min(k, MOST_NEIGHBOURS)
        if _is_cagra(self.structure):
            scores, rows = self.structure.search(queries, k, params=_walk(self._settings, k))
        else:
            scores, rows = self.structure.search(queries, k)
        return scores, rows

    def add(self, vectors: Vectors) -> None:
        """Append rows, some at a time: the copy on its way to the GPU takes room there too."""
        for start in range(0, len(vectors), _ADDED_AT_ONCE):
            self.structure.add(vectors[start : start + _ADDED_AT_ONCE])

    def vectors(self, rows: NDArray[np.int64]) -> Vectors:
        """The vectors in these rows, as the structure keeps them."""
        return vectors_of(self.to_cpu(), rows)

    def to_cpu(self) -> Any:
        """A copy in main memory."""
        import faiss

        if _is_cagra(self.structure):
            graph = faiss.IndexHNSWCagra()
            self.structure.copyTo(graph)
            return graph
        return faiss.index_gpu_to_cpu(self.structure)


def to_gpu(structure: Any, settings: IndexSettings) -> Placed:
    """A copy of a CPU structure on the GPU; a flat one is scanned by our own kernels where torch and Triton are there."""
    import faiss

    if isinstance(structure, faiss.IndexFlat) and scan_available():
        scan = GpuScan(structure.d, settings.half)
        for start in range(0, structure.ntotal, COPIED_AT_ONCE):
            scan.add(structure.reconstruct_n(start, min(COPIED_AT_ONCE, structure.ntotal - start)))
        return scan
    resources = faiss.StandardGpuResources()
    options = faiss.GpuClonerOptions()
    is_pq = isinstance(structure, faiss.IndexIVFPQ)
    options.useFloat16 = structure.pq.M > _MOST_CODES_IN_FLOAT32 if is_pq else settings.half
    placed = faiss.index_cpu_to_gpu(resources, 0, structure, options)
    if isinstance(structure, faiss.IndexIVF):
        placed.nprobe = structure.nprobe
    return OnGpu(placed, resources, settings)


def build_cagra(vectors: Vectors, settings: IndexSettings) -> OnGpu:
    """A CAGRA graph over `vectors` `[n, d]` (Ootomo et al. 2023, arXiv:2308.15136); its rows are fixed once built.

    Raises:
        EmbeddingConfigError: this FAISS was built without cuVS.
    """
    import faiss

    if not hasattr(faiss, "GpuIndexCagra"):
        raise EmbeddingConfigError(
            f"index kind {Kind.CAGRA.value} needs FAISS with cuVS: install faiss-gpu-cuvs"
        )
    resources = faiss.StandardGpuResources()
    config = faiss.GpuIndexCagraConfig()
    config.graph_degree = 2 * settings.links
    config.intermediate_graph_degree = 4 * settings.links
    structure = faiss.GpuIndexCagra(resources, vectors.shape[1], faiss.METRIC_INNER_PRODUCT, config)
    structure.train(vectors)
    return OnGpu(structure, resources, settings)


def _walk(settings: IndexSettings, k: int) -> Any:
    """How a CAGRA graph is searched: `ef_search` candidates are kept, in the multiples of 32 that its kernels take."""
    import faiss

    parameters = faiss.SearchParametersCagra()
    parameters.itopk_size = -(-max(settings.ef_search, k) // 32) * 32
    return parameters


def _is_cagra(structure: Any) -> bool:
    import faiss

    return hasattr(faiss, "GpuIndexCagra") and isinstance(structure, faiss.GpuIndexCagra)
