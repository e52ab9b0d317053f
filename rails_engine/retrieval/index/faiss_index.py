"""An `Index` over FAISS (Douze et al. 2024, arXiv:2401.08281): flat, IVF-Flat, IVF-PQ, HNSW, and CAGRA on a GPU.

The structure is append-only: see `rows`. A CPU search hands FAISS a bitmap of the rows that count; FAISS's GPU kernels
take none, so there more neighbours are fetched until enough of them count, and a narrow restriction is answered exactly.
A loaded index is memory-mapped and read again into memory before its first change.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rails_engine.retrieval.errors import IndexFormatError
from rails_engine.retrieval.index.gpu import MOST_NEIGHBOURS, OnGpu, Placed, build_cagra, pick_device, to_gpu
from rails_engine.retrieval.index.rows import RowTable, last_of_each
from rails_engine.retrieval.index.scan import GpuScan
from rails_engine.retrieval.index.settings import IndexSettings, Kind
from rails_engine.retrieval.index.storage import Content, open_folder, save_folder
from rails_engine.retrieval.index.structures import (
    emptied,
    new_structure,
    search,
    train,
    vectors_of,
)
from rails_engine.retrieval.vectors import Vectors, check_rows

SWEEP_SHARE = 0.25
"""Share of dead rows from which they are swept."""
_EXACT_UP_TO = 4096
_SWEPT_AT_ONCE = 65_536


class FaissIndex:
    """One kind of structure; the first `add` trains it, so that one should bring a fair sample of what comes."""

    def __init__(self, dimension: int, settings: IndexSettings) -> None:
        """`settings.kind` is one of FAISS's; `device: auto` uses a GPU where FAISS sees one and the kind exists there.

        Raises:
            EmbeddingConfigError: a GPU was asked for and there is none.
        """
        self._dimension = dimension
        self._settings = settings
        self._kind = settings.kind
        self._device: Literal["cpu", "cuda"] = pick_device(settings.device, settings.kind)
        self._table = RowTable()
        self._structure: Any = None
        self._on_gpu: Placed | None = None
        self._mapped: Path | None = None

    @property
    def dimension(self) -> int:
        """See `Index.dimension`."""
        return self._dimension

    @property
    def kind(self) -> Kind:
        """Which of FAISS's structures holds the vectors."""
        return self._kind

    @property
    def device(self) -> Literal["cpu", "cuda"]:
        """Where they are searched."""
        return self._device

    @property
    def ids(self) -> NDArray[np.int64]:
        """See `Index.ids`."""
        return self._table.ids[self._table.alive]

    def __len__(self) -> int:
        return len(self._table)

    def tune(self, settings: IndexSettings) -> None:
        """Search with other knobs from now on: `nprobe`, `ef_search`. What was built stays as it is."""
        self._settings = settings
        if isinstance(self._on_gpu, OnGpu):
            self._on_gpu.tune(settings)
        elif hasattr(self._structure, "nprobe"):
            self._structure.nprobe = settings.probes(self._structure.nlist)

    def add(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """See `Index.add`."""
        rows = check_rows(vectors, self._dimension)
        if len(ids) > 1 and not (np.diff(ids) > 0).all():
            kept = last_of_each(ids)
            ids, rows = ids[kept], rows[kept]
        if not len(ids):
            return
        self._make_writable()
        if self._structure is None and self._on_gpu is None:
            self._begin(rows)
        elif self._on_gpu is not None and self._kind is Kind.CAGRA:
            self._rebuild_graph(rows)
        else:
            (self._on_gpu or self._structure).add(rows)
        self._table.append(ids)
        self._sweep()

    def remove(self, ids: NDArray[np.int64]) -> None:
        """See `Index.remove`."""
        self._table.kill(ids)
        self._sweep()

    def search(
        self, vectors: NDArray[np.float32], k: int, only: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """See `Index.search`."""
        queries = check_rows(vectors, self._dimension)
        allowed = self._allowed(only)
        if not len(queries) or not len(self._table) or (allowed is not None and not allowed.any()):
            return np.full((len(queries), k), -1, np.int64), np.full((len(queries), k), -np.inf, np.float32)
        if isinstance(self._on_gpu, GpuScan):
            scores, rows = self._on_gpu.search(queries, k, allowed)
            return self._table.to_ids(rows), scores
        if self._on_gpu is not None:
            scores, rows = self._search_gpu(self._on_gpu, queries, k, allowed)
        else:
            scores, rows = search(self._structure, queries, k, self._settings, allowed)
        return self._table.to_ids(rows), np.where(rows < 0, -np.inf, scores).astype(np.float32)

    def save(self, folder: Path, model: str) -> None:
        """See `Index.save`."""
        structure, ids = self._compact_copy()

        def write_ids(path: Path) -> None:
            with path.open("wb") as stream:
                np.save(stream, ids, allow_pickle=False)

        def write_structure(path: Path) -> None:
            import faiss

            if structure is not None:
                faiss.write_index(structure, str(path))
            else:
                path.touch()

        writers = {"ids": write_ids, "structure": write_structure}
        save_folder(folder, Content(self._kind.value, model, self._dimension, len(ids), writers))

    def load(self, folder: Path, model: str) -> None:
        """See `Index.load`."""
        import faiss

        manifest, paths = open_folder(folder, self._kind.value, model)
        try:
            ids: NDArray[np.int64] = np.load(paths["ids"], mmap_mode="r", allow_pickle=False)
            path = paths["structure"]
            structure = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC) if len(ids) else None
        except (KeyError, ValueError, OSError, RuntimeError) as error:
            raise IndexFormatError(folder, f"the index cannot be read ({error})") from error
        if manifest.dimension != self._dimension or (structure is not None and structure.ntotal != len(ids)):
            raise IndexFormatError(
                folder, f"holds vectors of length {manifest.dimension}, not {self._dimension}"
            )
        self._table, self._structure, self._mapped, self._on_gpu = RowTable(ids), structure, path, None
        self._to_gpu()

    def _begin(self, rows: Vectors) -> None:
        if self._kind is Kind.CAGRA and self._device == "cuda":
            self._on_gpu = build_cagra(rows, self._settings)
            return
        structure = new_structure(self._kind, self._settings, *rows.shape)
        if self._device == "cuda":
            self._on_gpu = to_gpu(structure, self._settings)
            if isinstance(self._on_gpu, OnGpu):
                train(self._on_gpu.structure, rows)
            self._on_gpu.add(rows)
        else:
            train(structure, rows)
            structure.add(rows)
            self._structure = structure

    def _to_gpu(self) -> None:
        if self._device == "cuda" and self._structure is not None:
            if self._kind is Kind.CAGRA:
                self._on_gpu = build_cagra(
                    vectors_of(self._structure, np.arange(self._structure.ntotal)), self._settings
                )
            else:
                self._on_gpu = to_gpu(self._structure, self._settings)
            self._structure = self._mapped = None

    def _rebuild_graph(self, rows: Vectors) -> None:
        """A CAGRA graph cannot grow: it is built anew over the living rows and the new ones."""
        structure, ids = self._compact_copy()
        vectors = np.concatenate((vectors_of(structure, np.arange(len(ids))), rows))
        self._table = RowTable(ids)
        self._on_gpu = build_cagra(vectors, self._settings)

    def _make_writable(self) -> None:
        """A mapped structure is read-only: FAISS aborts the process when one is changed."""
        if self._mapped is not None:
            import faiss

            self._structure = faiss.read_index(str(self._mapped))
            self._mapped = None

    def _allowed(self, only: NDArray[np.int64] | None) -> NDArray[np.bool_] | None:
        """Which rows count, None where all do."""
        if only is None:
            return self._table.alive if self._table.dead else None
        allowed = np.zeros(self._table.rows, np.bool_)
        allowed[self._table.rows_of(only)] = True
        return allowed

    def _search_gpu(
        self, placed: Placed, queries: Vectors, k: int, allowed: NDArray[np.bool_] | None
    ) -> tuple[Vectors, NDArray[np.int64]]:
        if allowed is None:
            return _widened(*placed.search(queries, k), k)
        living = np.flatnonzero(allowed)
        if len(living) <= _EXACT_UP_TO:
            return _exact(queries, placed.vectors(living), living, k)
        fetched = k
        while True:
            fetched = min(MOST_NEIGHBOURS, 2 * fetched, self._table.rows)
            scores, rows = _only_allowed(*placed.search(queries, fetched), allowed, k)
            if fetched in (MOST_NEIGHBOURS, self._table.rows) or (rows >= 0).all():
                return scores, rows

    def _compact_copy(self) -> tuple[Any, NDArray[np.int64]]:
        """A CPU structure of the living rows alone, and their ids. The index itself stays as it is."""
        structure = self._on_gpu.to_cpu() if self._on_gpu is not None else self._structure
        if structure is None or not self._table.dead:
            return structure, self._table.ids
        living = np.flatnonzero(self._table.alive)
        copy = emptied(structure)
        for i in range(0, len(living), _SWEPT_AT_ONCE):
            copy.add(vectors_of(structure, living[i : i + _SWEPT_AT_ONCE]))
        return copy, self._table.ids[living]

    def _sweep(self) -> None:
        if not self._table.rows or self._table.dead < SWEEP_SHARE * self._table.rows:
            return
        if not len(self._table):
            self._table, self._structure, self._on_gpu, self._mapped = RowTable(), None, None, None
            return
        self._make_writable()
        self._structure, ids = self._compact_copy()
        self._table, self._on_gpu = RowTable(ids), None
        self._to_gpu()


def _widened(scores: Vectors, rows: NDArray[np.int64], k: int) -> tuple[Vectors, NDArray[np.int64]]:
    """`[n, k]`, filled with -inf and -1 where fewer were found."""
    missing = ((0, 0), (0, k - rows.shape[1]))
    return np.pad(scores, missing, constant_values=-np.inf), np.pad(rows, missing, constant_values=-1)


def _only_allowed(
    scores: Vectors, rows: NDArray[np.int64], allowed: NDArray[np.bool_], k: int
) -> tuple[Vectors, NDArray[np.int64]]:
    """The best `k` of each row of results whose rows are allowed, in their order."""
    good = (rows >= 0) & allowed[np.maximum(rows, 0)]
    order = np.argsort(~good, axis=1, kind="stable")[:, :k]
    kept = np.take_along_axis(good, order, axis=1)
    scores = np.where(kept, np.take_along_axis(scores, order, axis=1), -np.inf).astype(np.float32)
    return _widened(scores, np.where(kept, np.take_along_axis(rows, order, axis=1), -1), k)


def _exact(
    queries: Vectors, vectors: Vectors, rows: NDArray[np.int64], k: int
) -> tuple[Vectors, NDArray[np.int64]]:
    scores = queries @ vectors.T
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return _widened(np.take_along_axis(scores, order, axis=1), rows[order], k)
