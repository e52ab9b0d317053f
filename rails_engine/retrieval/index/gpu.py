"""FAISS structures on a GPU. On disk an index is always a CPU one, so it moves freely between machines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rails_engine.retrieval.errors import EmbeddingConfigError
from rails_engine.retrieval.index.settings import Device, IndexSettings, Kind
from rails_engine.retrieval.vectors import Vectors

MOST_NEIGHBOURS = 2048
"""The most neighbours that FAISS's GPU kernels select."""
_ADDED_AT_ONCE = 1 << 20
_MOST_CODES_IN_FLOAT32 = 48
"""Code bytes from which a product quantizer's lookup tables fit a multiprocessor's memory only as float16."""

_NO_GPU = (
    "device: cuda was asked for, but this FAISS has no GPU: install a faiss-gpu wheel (faiss-gpu-cuvs for CAGRA) instead of "
    "faiss-cpu on a machine with an NVIDIA GPU, or use `device: auto` or `cpu`"
)


def pick_device(wanted: Device) -> Literal["cpu", "cuda"]:
    """Where to search.

    Raises:
        EmbeddingConfigError: a GPU was asked for and there is none that this FAISS can use.
    """
    if wanted == "cpu":
        return "cpu"
    import faiss

    if getattr(faiss, "get_num_gpus", lambda: 0)() > 0:
        return "cuda"
    if wanted == "cuda":
        raise EmbeddingConfigError(_NO_GPU)
    return "cpu"


@dataclass(frozen=True, slots=True)
class OnGpu:
    """A structure on the first visible GPU; it keeps its resources alive as long as itself."""

    structure: Any
    resources: Any

    def search(self, queries: Vectors, k: int) -> tuple[Vectors, NDArray[np.int64]]:
        """Scores and rows of the best `k`, at most `MOST_NEIGHBOURS`, each `[n, k]`."""
        scores, rows = self.structure.search(queries, min(k, MOST_NEIGHBOURS))
        return scores, rows

    def add(self, vectors: Vectors) -> None:
        """Append rows, some at a time: the copy on its way to the GPU takes room there too."""
        for start in range(0, len(vectors), _ADDED_AT_ONCE):
            self.structure.add(vectors[start : start + _ADDED_AT_ONCE])

    def to_cpu(self) -> Any:
        """A copy in main memory."""
        import faiss

        if _is_cagra(self.structure):
            graph = faiss.IndexHNSWCagra()
            self.structure.copyTo(graph)
            return graph
        return faiss.index_gpu_to_cpu(self.structure)


def to_gpu(structure: Any, settings: IndexSettings) -> OnGpu:
    """A copy of a CPU structure on the GPU.

    Raises:
        EmbeddingConfigError: the kind does not exist there.
    """
    import faiss

    resources = faiss.StandardGpuResources()
    if isinstance(structure, faiss.IndexHNSW):
        raise EmbeddingConfigError(
            "an HNSW graph is searched on the CPU; on a GPU use flat, ivf_flat, ivf_pq or cagra"
        )
    options = faiss.GpuClonerOptions()
    is_pq = isinstance(structure, faiss.IndexIVFPQ)
    options.useFloat16 = structure.pq.M > _MOST_CODES_IN_FLOAT32 if is_pq else settings.half
    placed = faiss.index_cpu_to_gpu(resources, 0, structure, options)
    if isinstance(structure, faiss.IndexIVF):
        placed.nprobe = structure.nprobe
    return OnGpu(placed, resources)


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
    return OnGpu(structure, resources)


def _is_cagra(structure: Any) -> bool:
    import faiss

    return hasattr(faiss, "GpuIndexCagra") and isinstance(structure, faiss.GpuIndexCagra)
