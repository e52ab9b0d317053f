"""Which row of a structure holds which id, and which rows are still alive.

FAISS structures are append-only here: a replaced or removed vector leaves a dead row behind, which searches mask out
and which `FaissIndex` sweeps once there are many.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class RowTable:
    """Ids by row, growing. The way back, from id to row, is made when it is first needed: loading stays cheap."""

    def __init__(self, ids: NDArray[np.int64] | None = None) -> None:
        self._ids = np.empty(0, np.int64) if ids is None else ids
        self._alive = np.ones(len(self._ids), np.bool_)
        self._rows: dict[int, int] | None = None
        self._dead = 0

    def __len__(self) -> int:
        return len(self._ids) - self._dead

    @property
    def rows(self) -> int:
        """Rows of the structure, the dead ones included."""
        return len(self._ids)

    @property
    def dead(self) -> int:
        """Rows whose ids were removed or replaced."""
        return self._dead

    @property
    def ids(self) -> NDArray[np.int64]:
        """The id of each row `[rows]`, dead ones included."""
        return self._ids

    @property
    def alive(self) -> NDArray[np.bool_]:
        """Whether each row counts `[rows]`."""
        return self._alive

    def append(self, ids: NDArray[np.int64]) -> None:
        """New rows for `ids`, which are distinct; rows that held them before are dead from now on."""
        if not len(self._ids):
            self._ids, self._alive, self._rows = ids.copy(), np.ones(len(ids), np.bool_), None
            return
        self.kill(ids)
        start = len(self._ids)
        self._ids = np.concatenate((self._ids, ids))
        self._alive = np.concatenate((self._alive, np.ones(len(ids), np.bool_)))
        by_id = self._by_id()
        by_id.update(zip(ids.tolist(), range(start, start + len(ids)), strict=True))

    def kill(self, ids: NDArray[np.int64]) -> None:
        """Forget these ids; unknown ones are ignored."""
        by_id = self._by_id()
        dead = [row for id_ in ids.tolist() if (row := by_id.pop(id_, None)) is not None]
        self._alive[dead] = False
        self._dead += len(dead)

    def rows_of(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """The living rows of those of `ids` that are known."""
        by_id = self._by_id()
        return np.array([by_id[id_] for id_ in ids.tolist() if id_ in by_id], np.int64)

    def to_ids(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows to ids; -1 stays -1."""
        if not rows.size or not len(self._ids):
            return rows
        if rows.min() >= 0:  # nearly always, and worth ten microseconds
            return self._ids[rows]
        result: NDArray[np.int64] = np.where(rows < 0, -1, self._ids[np.maximum(rows, 0)])
        return result

    def _by_id(self) -> dict[int, int]:
        if self._rows is None:
            self._rows = {id_: row for row, id_ in enumerate(self._ids.tolist()) if self._alive[row]}
        return self._rows


def last_of_each(ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """The places in `ids` where each distinct id stands last, in order: of two vectors for one id the later counts."""
    _, from_the_end = np.unique(ids[::-1], return_index=True)
    return np.sort(len(ids) - 1 - from_the_end)
