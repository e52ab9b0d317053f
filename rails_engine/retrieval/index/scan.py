"""Exact search on a GPU in one reading of the vectors, by our own kernels (`scan_kernels`).

Writing every score to memory and choosing among them costs as much as the scan itself. So the scan keeps the best
score of each part of a few rows alone. The `k` best rows lie in the `k` parts with the best maxima: were a row of
theirs in another part, `k` parts would each hold a better one. Those parts, and two more against rounding, are scored
again in float32, and the best rows are chosen from them. The memory is read once; what is written is a hundredth of
it. Small batches would wait for the launches of these steps, so they are recorded and replayed (`scan_replay`).
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rails_engine.retrieval.errors import EmbeddingConfigError
from rails_engine.retrieval.index.scan_steps import (
    MOST_CHOSEN,
    TILE,
    Rows,
    choose,
    ranked,
    room_for,
    tile_for,
)
from rails_engine.retrieval.vectors import Vectors

if TYPE_CHECKING:
    import torch

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


class GpuScan:
    """Rows `[n, d]` on a GPU in float32 or float16, searched exactly by inner product.

    Not thread safe. `device` names another device than the first GPU; tests run the kernels in Triton's interpreter.
    """

    def __init__(self, dimension: int, half: bool, device: str = "cuda") -> None:
        import torch

        from rails_engine.retrieval.index.scan_replay import Replays

        self._dimension = dimension
        self._half = half
        self._device = torch.device(device)
        self._rows = Rows(self._room(0), 0)
        self._replays = Replays()

    def __len__(self) -> int:
        return self._rows.count

    def add(self, vectors: Vectors) -> None:
        """Append rows; room grows by half at least, so that adding little by little stays linear.

        Raises:
            EmbeddingConfigError: the GPU has no room for them.
        """
        import torch

        held, needed = self._rows.count, self._rows.count + len(vectors)
        room = self._rows.data
        if needed > len(room):
            room = self._room(max(needed, held * 3 // 2))
            room[:held] = self._rows.data[:held]
        for start in range(0, len(vectors), COPIED_AT_ONCE):
            part = torch.from_numpy(np.ascontiguousarray(vectors[start : start + COPIED_AT_ONCE]))
            room[held + start : held + start + len(part)] = part.to(self._device)
        self._rows = Rows(room, needed)
        self._replays = type(self._replays)()

    def vectors(self, rows: NDArray[np.int64]) -> Vectors:
        """The vectors in these rows, float32."""
        import torch

        chosen: Vectors = self._rows.data[torch.from_numpy(rows).to(self._device)].float().cpu().numpy()
        return chosen

    def to_cpu(self) -> Any:
        """The same rows as a flat FAISS index."""
        import faiss

        flat = faiss.IndexFlatIP(self._dimension)
        for start in range(0, len(self), COPIED_AT_ONCE):
            part = self._rows.data[start : min(start + COPIED_AT_ONCE, len(self))]
            flat.add(part.float().cpu().numpy())
        return flat

    def search(
        self, queries: Vectors, k: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[Vectors, NDArray[np.int64]]:
        """Scores and rows of the best `k` among those that are `allowed` `[n]`: both `[len(queries), k]`, best first.

        Where there are fewer, -inf and -1.
        """
        import torch

        mask = None
        if allowed is None:
            replay = self._replays.find(self._rows, len(queries), k)
            if replay is not None:
                return replay.run(queries)
        else:
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
        given = torch.from_numpy(padded).to(self._device)
        if k > MOST_CHOSEN:
            found = ranked(self._rows, given, k, mask)
        else:
            found = room_for(len(padded), k, self._device)
            choose(self._rows, given, tile, mask, found)
        return found.scores[: len(queries)].cpu().numpy(), found.rows[: len(queries)].cpu().numpy()

    def _room(self, count: int) -> torch.Tensor:
        """Room for `count` rows and the rest of their last tile; the kernels read whole tiles."""
        import torch

        whole = -(-count // TILE) * TILE
        dtype = torch.float16 if self._half else torch.float32
        try:
            return torch.zeros((whole, self._dimension), dtype=dtype, device=self._device)
        except torch.OutOfMemoryError as error:
            raise EmbeddingConfigError(
                f"the GPU has no room for {whole:,} vectors of length {self._dimension}: set `half: true` for the index, "
                "or a kind that keeps codes (`ivf_pq`, with faiss-gpu), or `device: cpu`"
            ) from error
