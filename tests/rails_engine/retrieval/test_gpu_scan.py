"""The flat scan for GPUs finds what exact search finds; without a GPU its kernels run in Triton's interpreter."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rails_engine.retrieval import EmbeddingConfigError
from rails_engine.retrieval.index import FaissIndex, IndexSettings, Kind, make_index
from rails_engine.retrieval.index.scan import GpuScan

pytest.importorskip("triton")

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def unit(count: int, dimension: int, seed: int) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).normal(size=(count, dimension))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def exact(
    queries: NDArray[np.float32], rows: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The same search in float64."""
    scores = queries.astype(np.float64) @ rows.astype(np.float64).T
    if allowed is not None:
        scores[:, ~allowed] = -np.inf
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, order, axis=1), order


def filled(rows: NDArray[np.float32], half: bool = False) -> GpuScan:
    scan = GpuScan(rows.shape[1], half, DEVICE)
    for part in np.array_split(rows, 3):
        scan.add(part)
    return scan


@pytest.mark.parametrize(
    ("half", "queries", "dimension"), [(False, 1, 64), (True, 1, 50), (True, 5, 64), (False, 20, 50)]
)
def test_the_best_rows_are_found_with_their_scores(half: bool, queries: int, dimension: int) -> None:
    scan, wanted = filled(unit(300, dimension, 0), half), unit(queries, dimension, 1)
    expected, order = exact(wanted, scan.vectors(np.arange(300)), 4)
    for _ in range(3 if DEVICE == "cuda" else 1):  # the second search is recorded and the third replayed
        scores, rows = scan.search(wanted, 4)
        assert scores == pytest.approx(expected, abs=1e-5)
        assert (rows == order).mean() > 0.99


def test_a_larger_batch_takes_other_tiles_and_finds_the_same() -> None:
    rows, queries = unit(200, 64, 0), unit(40, 64, 1)
    assert filled(rows).search(queries, 1)[0] == pytest.approx(exact(queries, rows, 1)[0], abs=1e-5)


def test_neighbours_that_crowd_together_are_all_found() -> None:
    rows, query = unit(500, 64, 0), unit(1, 64, 1)
    rows[200:215] = query + 0.05 * rows[200:215]
    assert set(filled(rows).search(query, 15)[1][0].tolist()) == set(range(200, 215))


def test_equal_rows_come_in_their_order() -> None:
    rows = np.repeat(unit(1, 64, 0), 300, axis=0)
    assert filled(rows).search(unit(1, 64, 1), 5)[1].tolist() == [[0, 1, 2, 3, 4]]


@pytest.mark.parametrize("masked", [False, True])
def test_more_neighbours_than_the_kernels_choose_are_ranked(masked: bool) -> None:
    rows, queries = unit(400, 64, 0), unit(3, 64, 1)
    allowed = np.arange(400) % 3 > 0 if masked else None
    scores, found = filled(rows).search(queries, 300, allowed)
    expected, order = exact(queries, rows, 300, allowed)
    assert scores == pytest.approx(expected, abs=1e-5)
    assert (found == np.where(np.isneginf(expected), -1, order)).mean() > 0.99


def test_rows_that_do_not_count_are_not_found() -> None:
    rows, query = unit(500, 64, 0), unit(1, 64, 1)
    allowed = np.arange(500) % 7 == 0
    scores, found = filled(rows).search(query, 5, allowed)
    expected, order = exact(query, rows, 5, allowed)
    assert scores == pytest.approx(expected, abs=1e-5)
    assert found.tolist() == order.tolist()


def test_fewer_rows_than_wanted_are_filled_up() -> None:
    scores, rows = filled(unit(3, 64, 0)).search(unit(1, 64, 1), 5)
    assert sorted(rows[0].tolist()) == [-1, -1, 0, 1, 2]
    assert np.isneginf(scores[0, 3:]).all()


def test_rows_come_back_as_they_were_added() -> None:
    rows = unit(300, 64, 0)
    scan = filled(rows)
    assert len(scan) == 300
    assert (scan.vectors(np.array([0, 299, 7])) == rows[[0, 299, 7]]).all()
    assert (scan.to_cpu().reconstruct_n(0, 300) == rows).all()


@pytest.mark.gpu
@pytest.mark.skipif(DEVICE == "cpu", reason="needs an NVIDIA GPU")
def test_a_flat_index_on_a_gpu_equals_the_one_on_the_cpu() -> None:
    rows, queries = unit(5000, 64, 0), unit(20, 64, 1)
    on_gpu = make_index(64, 5000, IndexSettings(kind=Kind.FLAT, device="cuda"))
    on_cpu = FaissIndex(64, IndexSettings(kind=Kind.FLAT, device="cpu"))
    for index in (on_gpu, on_cpu):
        index.add(np.arange(5000), rows)
        index.remove(np.arange(0, 500, 3))
    only = np.arange(0, 5000, 2)
    assert on_gpu.search(queries, 10)[0].tolist() == on_cpu.search(queries, 10)[0].tolist()
    assert on_gpu.search(queries, 10, only)[0].tolist() == on_cpu.search(queries, 10, only)[0].tolist()


@pytest.mark.skipif(DEVICE == "cuda", reason="there is a GPU here")
@pytest.mark.parametrize("kind", [Kind.FLAT, Kind.IVF_PQ, Kind.CAGRA, Kind.HNSW])
def test_a_kind_that_has_no_gpu_here_is_refused(kind: Kind) -> None:
    with pytest.raises(EmbeddingConfigError, match="on a GPU"):
        make_index(64, 5000, IndexSettings(kind=kind, device="cuda"))
