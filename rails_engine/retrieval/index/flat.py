"""Exact search: every vector is compared with the query. Needs numpy alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rails_engine.retrieval.errors import IndexFormatError
from rails_engine.retrieval.index.storage import Content, open_folder, save_folder
from rails_engine.retrieval.vectors import Vectors, check_rows

KIND = "exact"
_FIRST_CAPACITY = 64
_SCORES_AT_ONCE = 1 << 22


class ExactIndex:
    """An `Index` over one matrix that doubles when it is full; a removed row is filled by the last one."""

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension
        self._matrix: Vectors = np.empty((0, dimension), np.float32)
        self._ids: NDArray[np.int64] = np.empty(0, np.int64)
        self._rows: dict[int, int] = {}

    @property
    def dimension(self) -> int:
        """See `Index.dimension`."""
        return self._dimension

    @property
    def ids(self) -> NDArray[np.int64]:
        """See `Index.ids`."""
        return self._ids[: len(self)]

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """See `Index.add`."""
        rows = check_rows(vectors, self._dimension)
        self._reserve(len(self) + len(rows))
        for id_, row in zip(ids.tolist(), rows, strict=True):
            place = self._rows.setdefault(id_, len(self._rows))
            self._matrix[place] = row
            self._ids[place] = id_

    def remove(self, ids: NDArray[np.int64]) -> None:
        """See `Index.remove`."""
        self._reserve(len(self))
        for id_ in ids.tolist():
            place = self._rows.pop(id_, None)
            if place is None:
                continue
            last = len(self._rows)
            if place != last:
                self._matrix[place] = self._matrix[last]
                self._ids[place] = self._ids[last]
                self._rows[int(self._ids[place])] = place

    def search(
        self, vectors: NDArray[np.float32], k: int, only: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """See `Index.search`."""
        queries = check_rows(vectors, self._dimension)
        ids, matrix = self._visible(only)
        step = max(1, _SCORES_AT_ONCE // max(1, len(ids)))
        parts = [_best(queries[i : i + step] @ matrix.T, ids, k) for i in range(0, len(queries), step)]
        if not parts:
            return np.empty((0, k), np.int64), np.empty((0, k), np.float32)
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])

    def save(self, folder: Path, model: str) -> None:
        """See `Index.save`."""
        count = len(self)
        writers = {
            "ids": lambda path: _write(path, self._ids[:count]),
            "vectors": lambda path: _write(path, self._matrix[:count]),
        }
        save_folder(folder, Content(KIND, model, self._dimension, count, writers))

    def load(self, folder: Path, model: str) -> None:
        """See `Index.load`."""
        manifest, paths = open_folder(folder, KIND, model)
        try:
            ids: NDArray[np.int64] = np.load(paths["ids"], allow_pickle=False)
            matrix: Vectors = np.load(paths["vectors"], mmap_mode="r", allow_pickle=False)
        except (KeyError, ValueError, OSError) as error:
            raise IndexFormatError(folder, f"the vectors cannot be read ({error})") from error
        if matrix.shape != (len(ids), self._dimension) or manifest.count != len(ids):
            raise IndexFormatError(folder, f"holds vectors {matrix.shape}, wanted length {self._dimension}")
        self._ids, self._matrix = ids, matrix
        self._rows = {id_: row for row, id_ in enumerate(ids.tolist())}

    def _visible(self, only: NDArray[np.int64] | None) -> tuple[NDArray[np.int64], Vectors]:
        count = len(self)
        if only is None:
            return self._ids[:count], self._matrix[:count]
        rows = [self._rows[id_] for id_ in only.tolist() if id_ in self._rows]
        return self._ids[rows], self._matrix[rows]

    def _reserve(self, count: int) -> None:
        """Room for `count` rows in memory of our own (a loaded matrix is read-only until the first change)."""
        if count <= len(self._matrix) and self._matrix.flags.writeable:
            return
        capacity = max(count, 2 * len(self._matrix), _FIRST_CAPACITY)
        used = len(self)
        matrix = np.empty((capacity, self._dimension), np.float32)
        ids = np.empty(capacity, np.int64)
        matrix[:used], ids[:used] = self._matrix[:used], self._ids[:used]
        self._matrix, self._ids = matrix, ids


def _best(
    scores: NDArray[np.float32], ids: NDArray[np.int64], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The best `k` of each row, equal scores by ascending id."""
    found = min(k, scores.shape[1])
    best_ids = np.full((len(scores), k), -1, np.int64)
    best = np.full((len(scores), k), -np.inf, np.float32)
    if found == 0:
        return best_ids, best
    top = np.argpartition(-scores, found - 1, axis=1)[:, :found]
    top_scores, top_ids = np.take_along_axis(scores, top, axis=1), ids[top]
    order = np.lexsort((top_ids, -top_scores), axis=1)
    best_ids[:, :found] = np.take_along_axis(top_ids, order, axis=1)
    best[:, :found] = np.take_along_axis(top_scores, order, axis=1)
    return best_ids, best


def _write(path: Path, array: NDArray[np.float32] | NDArray[np.int64]) -> None:
    with path.open("wb") as stream:
        np.save(stream, array, allow_pickle=False)
