"""Small searches recorded as CUDA graphs: one launch in place of ten, each of which takes as long as a small scan."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rails_engine.retrieval.index.scan_steps import Rows, Tile, best_of, tile_for
from rails_engine.retrieval.vectors import Vectors

_MOST_QUERIES = 32
_MOST_RECORDED = 8


class Replay:
    """One search of a fixed shape over fixed rows, from queries in main memory to results there."""

    def __init__(self, rows: Rows, k: int, tile: Tile) -> None:
        self._given = torch.zeros((tile.queries, rows.data.shape[1]), pin_memory=True)
        self._stream = torch.cuda.Stream()
        self._graph = torch.cuda.CUDAGraph()
        # Other threads may use the GPU meanwhile; their work must not spoil the recording.
        with torch.cuda.graph(self._graph, stream=self._stream, capture_error_mode="thread_local"):
            found = best_of(rows, self._given.to("cuda", non_blocking=True), k, tile, None)
            self._taken = [torch.empty(part.shape, dtype=part.dtype, pin_memory=True) for part in found]
            for taken, part in zip(self._taken, found, strict=True):
                taken.copy_(part, non_blocking=True)

    def run(self, queries: Vectors) -> list[NDArray[Any]]:
        """What `best_of` finds for these queries, whose rows beyond `len(queries)` mean nothing."""
        self._given.numpy()[: len(queries)] = queries
        with torch.cuda.stream(self._stream):
            self._graph.replay()
        self._stream.synchronize()
        return [np.array(part) for part in self._taken]


class Replays:
    """The recorded searches of rows that do not change; the ones used last are kept."""

    def __init__(self) -> None:
        self._recorded: OrderedDict[tuple[Tile, int], Replay | None] = OrderedDict()

    def find(self, rows: Rows, queries: int, k: int) -> Replay | None:
        """The replay for so many queries; None for many, for a shape seen first (that compiles the kernels), and off GPUs."""
        if queries > _MOST_QUERIES or rows.data.device.type != "cuda":
            return None
        tile = tile_for(queries, rows.data.dtype == torch.float16)
        key = (tile, k)
        if key not in self._recorded:
            self._recorded[key] = None
        elif self._recorded[key] is None:
            self._recorded[key] = Replay(rows, k, tile)
        self._recorded.move_to_end(key)
        while len(self._recorded) > _MOST_RECORDED:
            self._recorded.popitem(last=False)
        return self._recorded[key]
