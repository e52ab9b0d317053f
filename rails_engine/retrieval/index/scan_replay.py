"""Small searches recorded as CUDA graphs: one launch in place of six, each of which takes as long as a small scan."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import torch
from numpy.typing import NDArray

from rails_engine.retrieval.index.scan_steps import (
    MOST_CHOSEN,
    Rows,
    Tile,
    choose,
    room_for,
    room_of,
    tile_for,
)
from rails_engine.retrieval.vectors import Vectors

_MOST_QUERIES = 32
_MOST_RECORDED = 8


class Replay:
    """One search of a fixed shape over fixed rows. Queries are copied from pinned memory; results are written to it."""

    def __init__(self, rows: Rows, k: int, tile: Tile) -> None:
        given = torch.zeros((tile.queries, rows.data.shape[1]), pin_memory=True)
        found = room_for(tile.queries, k, "cpu", pinned=True)
        self._graph = torch.cuda.CUDAGraph()
        # Other threads may use the GPU meanwhile; their work must not spoil the recording.
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            choose(rows, given.to(rows.data.device, non_blocking=True), tile, None, found)
        self._given, self._scores, self._rows = given.numpy(), found.scores.numpy(), found.rows.numpy()
        self._done = torch.cuda.Event()

    def run(self, queries: Vectors) -> tuple[Vectors, NDArray[np.int64]]:
        """Scores and rows of the best for these queries, at most as many as were recorded."""
        count = len(queries)
        self._given[:count] = queries
        self._graph.replay()
        self._done.record()
        self._done.synchronize()
        return self._scores[:count].copy(), self._rows[:count].copy()


class Replays:
    """The recorded searches of rows that do not change; the ones used last are kept."""

    def __init__(self) -> None:
        self._recorded: OrderedDict[tuple[int, int], Replay | None] = OrderedDict()

    def find(self, rows: Rows, queries: int, k: int) -> Replay | None:
        """The replay for so many queries; None for many, for a shape seen first (that compiles the kernels), and off GPUs."""
        if not 0 < queries <= _MOST_QUERIES or k > MOST_CHOSEN or rows.data.device.type != "cuda":
            return None
        key = (room_of(queries), k)
        if key not in self._recorded:
            self._recorded[key] = None
        elif self._recorded[key] is None:
            self._recorded[key] = Replay(rows, k, tile_for(queries, rows.data.dtype == torch.float16))
        self._recorded.move_to_end(key)
        while len(self._recorded) > _MOST_RECORDED:
            self._recorded.popitem(last=False)
        return self._recorded[key]
