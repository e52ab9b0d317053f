"""Exact search on a GPU in one reading of the vectors, by our own kernels (`scan_kernels`).

Writing every score to memory and choosing among them costs as much as the scan itself. So the scan keeps the best score of
each group of 128 rows alone. The `k` best rows lie in the `k` groups with the best maxima: were a row of theirs in another
group, `k` groups would each hold a better one. Those groups, and a few more against rounding, are scored again in
float32, and the best rows are chosen from them. The memory is read once; what is written is a hundredth of it.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rails_engine.retrieval.errors import EmbeddingConfigError
from rails_engine.retrieval.vectors import Vectors

if TYPE_CHECKING:
    import torch

GROUP = 128
_SPARE_GROUPS = 6
_QUERIES_AT_ONCE = 1024
COPIED_AT_ONCE = 1 << 18


def scan_available() -> bool:
    """Whether torch, Triton and an NVIDIA GPU are there; asks the driver before it imports torch."""
    if not all(importlib.util.find_spec(name) for name in ("torch", "triton")) or not _driver_there():
        return False
    import torch

    return torch.cuda.is_available()


def _driver_there() -> bool:
    import ctypes

    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Tile:
    """How the scan is divided for a number of queries; `queries` 1 has its own path in the kernel."""

    queries: int
    block: int
    warps: int
    stages: int


def tile_for(queries: int, half: bool) -> Tile:
    """Measured on an H200 to be the quickest of those tried."""
    if queries == 1:
        return Tile(1, 64, 4, 3)
    if queries <= 16:
        return Tile(16, 64, 4, 4)
    if queries <= 32:
        return Tile(32, 64, 4, 4)
    return Tile(128, 64, 8, 3) if half else Tile(64, 32, 4, 3)


class GpuScan:
    """Rows `[n, d]` on a GPU in float32 or float16, searched exactly by inner product.

    Not thread safe. `device` names another device than the first GPU; tests run the kernels in Triton's interpreter.
    """

    def __init__(self, dimension: int, half: bool, device: str = "cuda") -> None:
        import torch

        self._dimension = dimension
        self._half = half
        self._device = torch.device(device)
        self._count = 0
        self._rows = self._room(0)

    def __len__(self) -> int:
        return self._count

    def add(self, vectors: Vectors) -> None:
        """Append rows; room grows by half at least, so that adding little by little stays linear."""
        import torch

        needed = self._count + len(vectors)
        if needed > len(self._rows):
            larger = self._room(needed if not self._count else max(needed, self._count * 3 // 2))
            larger[: self._count] = self._rows[: self._count]
            self._rows = larger
        for start in range(0, len(vectors), COPIED_AT_ONCE):
            part = torch.from_numpy(np.ascontiguousarray(vectors[start : start + COPIED_AT_ONCE]))
            self._rows[self._count + start : self._count + start + len(part)] = part.to(self._device)
        self._count = needed

    def vectors(self, rows: NDArray[np.int64]) -> Vectors:
        """The vectors in these rows, float32."""
        import torch

        chosen: Vectors = self._rows[torch.from_numpy(rows).to(self._device)].float().cpu().numpy()
        return chosen

    def to_cpu(self) -> Any:
        """The same rows as a flat FAISS index."""
        import faiss

        flat = faiss.IndexFlatIP(self._dimension)
        for start in range(0, self._count, COPIED_AT_ONCE):
            flat.add(self._rows[start : min(start + COPIED_AT_ONCE, self._count)].float().cpu().numpy())
        return flat

    def search(
        self, queries: Vectors, k: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[Vectors, NDArray[np.int64]]:
        """Scores and rows of the best `k` among those that are `allowed` `[n]`: both `[len(queries), k]`, best first.

        Where there are fewer, -inf and -1.
        """
        import torch

        mask = None
        if allowed is not None:
            mask = torch.from_numpy(np.asarray(allowed).view(np.uint8)).to(self._device)
        parts = [
            self._search(queries[start : start + _QUERIES_AT_ONCE], k, mask)
            for start in range(0, len(queries), _QUERIES_AT_ONCE)
        ]
        return np.concatenate([scores for scores, _ in parts]), np.concatenate([rows for _, rows in parts])

    def _search(
        self, queries: Vectors, k: int, mask: torch.Tensor | None
    ) -> tuple[Vectors, NDArray[np.int64]]:
        import torch

        tile = tile_for(len(queries), self._half)
        padded = np.zeros((-(-len(queries) // tile.queries) * tile.queries, self._dimension), np.float32)
        padded[: len(queries)] = queries
        placed = torch.from_numpy(padded).to(self._device)
        maxima = self._maxima(placed, tile, mask)[: len(queries)]
        chosen = maxima.topk(min(maxima.shape[1], k + _SPARE_GROUPS), sorted=False).indices
        scores = self._scores(placed, chosen, mask)
        best, places = scores.topk(min(k, scores.shape[1]))
        rows = chosen.gather(1, places // GROUP) * GROUP + places % GROUP
        rows = torch.where(torch.isinf(best), -1, rows)
        return _filled(best.cpu().numpy(), -np.inf, k), _filled(rows.cpu().numpy(), -1, k)

    def _maxima(self, queries: torch.Tensor, tile: Tile, mask: torch.Tensor | None) -> torch.Tensor:
        import torch

        from rails_engine.retrieval.index.scan_kernels import group_maxima

        groups = -(-self._count // GROUP)
        blocks = len(queries) // tile.queries
        maxima = torch.empty((len(queries), groups), dtype=torch.float32, device=self._device)
        group_maxima[(groups * blocks,)](
            self._rows,
            queries.to(self._rows.dtype),
            self._rows if mask is None else mask,
            maxima,
            self._count,
            groups,
            blocks,
            WIDTH=self._dimension,
            GROUP=GROUP,
            QUERIES=tile.queries,
            BLOCK=tile.block,
            EVEN=self._dimension % tile.block == 0,
            ONE=tile.queries == 1,
            MASKED=mask is not None,
            PRECISION="ieee" if self._half else "tf32x3",
            num_warps=tile.warps,
            num_stages=tile.stages,
        )
        return maxima

    def _scores(self, queries: torch.Tensor, chosen: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        import torch

        from rails_engine.retrieval.index.scan_kernels import group_scores

        count, groups = chosen.shape
        scores = torch.empty((count, groups * GROUP), dtype=torch.float32, device=self._device)
        group_scores[(count, groups)](
            self._rows,
            queries,
            self._rows if mask is None else mask,
            chosen,
            scores,
            self._count,
            groups,
            WIDTH=self._dimension,
            GROUP=GROUP,
            BLOCK=64,
            MASKED=mask is not None,
        )
        return scores

    def _room(self, count: int) -> torch.Tensor:
        """Room for `count` rows and the rest of their last group; the kernels read whole groups."""
        import torch

        whole = -(-count // GROUP) * GROUP
        dtype = torch.float16 if self._half else torch.float32
        try:
            return torch.zeros((whole, self._dimension), dtype=dtype, device=self._device)
        except torch.OutOfMemoryError as error:
            raise EmbeddingConfigError(
                f"the GPU has no room for {whole:,} vectors of length {self._dimension}: set `half: true` for the index, "
                "or a kind that keeps codes (`ivf_pq`, with faiss-gpu), or `device: cpu`"
            ) from error


def _filled(found: NDArray[Any], missing: float, k: int) -> NDArray[Any]:
    """`[n, k]`, with `missing` where fewer were found."""
    return np.pad(found, ((0, 0), (0, k - found.shape[1])), constant_values=missing)
