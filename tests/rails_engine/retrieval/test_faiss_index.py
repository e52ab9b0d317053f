"""FAISS indexes keep the same promises as the exact one, each kind within its recall."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rails_engine.retrieval import DimensionError, EmbeddingConfigError, IndexFormatError, IndexStorageError
from rails_engine.retrieval.base import Index
from rails_engine.retrieval.index import (
    ExactIndex,
    FaissIndex,
    IndexSettings,
    Kind,
    choose,
    make_index,
    structures,
)

DIMENSION = 16
COUNT = 3000
KINDS = [Kind.FLAT, Kind.IVF_FLAT, Kind.IVF_PQ, Kind.HNSW]
EXACT_KINDS = [Kind.FLAT, Kind.IVF_FLAT]


def clustered(count: int, seed: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(40, DIMENSION))
    points = centres[rng.integers(0, 40, count)] + 0.3 * rng.normal(size=(count, DIMENSION))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def settings_for(kind: Kind) -> IndexSettings:
    return IndexSettings(kind=kind, device="cpu", nlist=16, nprobe=16, m=8)


def filled(kind: Kind, ids: NDArray[np.int64] | None = None) -> tuple[FaissIndex, ExactIndex]:
    """The index and an exact one with the same content."""
    index, exact = FaissIndex(DIMENSION, settings_for(kind)), ExactIndex(DIMENSION)
    ids = np.arange(COUNT) * 7 if ids is None else ids
    for part in np.array_split(np.arange(len(ids)), 3):
        index.add(ids[part], clustered(len(ids))[part])
        exact.add(ids[part], clustered(len(ids))[part])
    return index, exact


def recall(index: Index, exact: Index, k: int = 10, only: NDArray[np.int64] | None = None) -> float:
    queries = clustered(50, seed=9)
    found, expected = index.search(queries, k, only)[0], exact.search(queries, k, only)[0]
    return float(
        np.mean([len(set(f) & set(e)) / k for f, e in zip(found.tolist(), expected.tolist(), strict=True)])
    )


@pytest.mark.parametrize(
    ("kind", "least"), [(Kind.FLAT, 1.0), (Kind.IVF_FLAT, 1.0), (Kind.IVF_PQ, 0.6), (Kind.HNSW, 0.95)]
)
def test_neighbours_are_the_exact_ones_within_the_kinds_recall(kind: Kind, least: float) -> None:
    index, exact = filled(kind)
    assert recall(index, exact) >= least


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_inner_products_best_first(kind: Kind) -> None:
    index, _ = filled(kind)
    vectors = clustered(COUNT)
    ids, scores = index.search(vectors[:5], 4)
    assert (np.diff(scores, axis=1) <= 0).all()
    if kind is not Kind.IVF_PQ:
        assert scores == pytest.approx(np.einsum("nd,nkd->nk", vectors[:5], vectors[ids // 7]), abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_removed_is_never_found(kind: Kind) -> None:
    index, exact = filled(kind)
    gone = np.arange(0, COUNT, 11) * 7
    for one in (index, exact):
        one.remove(np.concatenate((gone, [10**9])))
    assert len(index) == len(exact)
    found = index.search(clustered(50, seed=9), 20)[0]
    assert not np.isin(found, gone).any()
    assert recall(index, exact) >= 0.6


@pytest.mark.parametrize("kind", KINDS)
def test_many_removals_are_swept_and_the_rest_is_found(kind: Kind) -> None:
    index, exact = filled(kind)
    gone = np.arange(0, COUNT, 2) * 7
    for one in (index, exact):
        one.remove(gone)
    assert index._table.rows == len(index) == COUNT // 2
    assert recall(index, exact) >= 0.6


@pytest.mark.parametrize("kind", KINDS)
def test_an_id_added_again_is_replaced(kind: Kind) -> None:
    index, _ = filled(kind)
    opposite = -clustered(COUNT)[:1]
    index.add(np.array([0]), opposite)
    assert len(index) == COUNT
    assert index.search(opposite, 1)[0].tolist() == [[0]]


@pytest.mark.parametrize("kind", KINDS)
def test_a_restriction_is_kept(kind: Kind) -> None:
    index, exact = filled(kind)
    only = np.arange(0, COUNT, 5) * 7
    assert np.isin(index.search(clustered(50, seed=9), 10, only)[0], only).all()
    assert recall(index, exact, only=only) >= 0.6


@pytest.mark.parametrize("kind", EXACT_KINDS)
def test_a_narrow_restriction_finds_all_there_is(kind: Kind) -> None:
    found, scores = filled(kind)[0].search(clustered(1, seed=9), 5, np.array([7, 14, 999_999]))
    assert set(found[0].tolist()) == {7, 14, -1}
    assert np.isneginf(scores[0, 2:]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_save_and_load_give_the_same_answers(kind: Kind, tmp_path: Path) -> None:
    index, _ = filled(kind)
    index.remove(np.arange(0, 700, 7))
    index.save(tmp_path, "m")
    loaded = FaissIndex(DIMENSION, settings_for(kind))
    loaded.load(tmp_path, "m")
    queries = clustered(20, seed=9)
    assert len(loaded) == len(index)
    if kind is not Kind.HNSW:  # a graph is built again without its dead, so ties in the walk may differ
        assert loaded.search(queries, 5)[0].tolist() == index.search(queries, 5)[0].tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_a_loaded_index_can_be_changed(kind: Kind, tmp_path: Path) -> None:
    filled(kind)[0].save(tmp_path, "m")
    loaded = FaissIndex(DIMENSION, settings_for(kind))
    loaded.load(tmp_path, "m")
    opposite = -clustered(COUNT)[:1]
    loaded.add(np.array([5]), opposite)
    loaded.remove(np.array([0]))
    assert loaded.search(opposite, 1)[0].tolist() == [[5]]
    assert len(loaded) == COUNT


@pytest.fixture
def four_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Four threads for FAISS, also for searches so small that one would do."""
    monkeypatch.setattr(structures, "_ONE_THREAD_UP_TO", 0)
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(4)
    yield
    faiss.omp_set_num_threads(before)


def test_queries_together_find_what_each_finds_alone(four_threads: None) -> None:
    """Over so many lists FAISS itself answers wrongly where each of its threads has a query or two."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(10_500, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    index = FaissIndex(4, IndexSettings(kind=Kind.IVF_FLAT, device="cpu", nlist=10_500, nprobe=16))
    index.add(np.arange(len(vectors)), vectors)
    alone = np.concatenate([index.search(vectors[i : i + 1], 3)[0] for i in range(6)])
    assert index.search(vectors[:6], 3)[0].tolist() == alone.tolist()


def test_a_tampered_file_is_not_read(tmp_path: Path) -> None:
    filled(Kind.FLAT)[0].save(tmp_path, "m")
    path = next(tmp_path.glob("structure.*"))
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    with pytest.raises(IndexFormatError, match="not the file that was saved"):
        FaissIndex(DIMENSION, settings_for(Kind.FLAT)).load(tmp_path, "m")


def test_another_kind_is_not_read(tmp_path: Path) -> None:
    filled(Kind.FLAT)[0].save(tmp_path, "m")
    with pytest.raises(IndexFormatError, match="kind 'flat', not 'hnsw'"):
        FaissIndex(DIMENSION, settings_for(Kind.HNSW)).load(tmp_path, "m")


def test_another_dimension_is_not_read(tmp_path: Path) -> None:
    filled(Kind.FLAT)[0].save(tmp_path, "m")
    with pytest.raises(IndexFormatError, match="length 16, not 8"):
        FaissIndex(8, settings_for(Kind.FLAT)).load(tmp_path, "m")


def test_a_full_disk_leaves_the_old_index_intact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index, _ = filled(Kind.IVF_FLAT)
    index.save(tmp_path, "m")

    def no_space(_structure: object, path: str) -> None:
        Path(path).write_bytes(b"half")
        raise RuntimeError("write error: No space left on device")

    index.add(np.array([1]), clustered(1))
    monkeypatch.setattr(faiss, "write_index", no_space)
    with pytest.raises(IndexStorageError, match="the former one is intact"):
        index.save(tmp_path, "m")
    loaded = FaissIndex(DIMENSION, settings_for(Kind.IVF_FLAT))
    loaded.load(tmp_path, "m")
    assert len(loaded) == COUNT


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_lengths_are_refused(kind: Kind) -> None:
    index, _ = filled(kind)
    with pytest.raises(DimensionError):
        index.add(np.array([1]), np.zeros((1, 3), np.float32))
    with pytest.raises(DimensionError):
        index.search(np.zeros((1, 3), np.float32), 1)
    assert len(index) == COUNT


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_index_finds_nothing(kind: Kind, tmp_path: Path) -> None:
    index = FaissIndex(DIMENSION, settings_for(kind))
    assert index.search(clustered(2), 3)[0].tolist() == [[-1] * 3] * 2
    index.add(np.array([3]), clustered(1))
    index.remove(np.array([3]))
    assert index.search(clustered(1), 1)[0].tolist() == [[-1]]
    index.save(tmp_path, "m")
    FaissIndex(DIMENSION, settings_for(kind)).load(tmp_path, "m")


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.lists(st.integers(0, 15), min_size=1, max_size=4)), max_size=30))
def test_any_order_of_changes_ends_in_the_exact_indexs_content(steps: list[tuple[bool, list[int]]]) -> None:
    index, exact = FaissIndex(DIMENSION, settings_for(Kind.FLAT)), ExactIndex(DIMENSION)
    for number, (adds, ids) in enumerate(steps):
        vectors = clustered(len(ids), seed=number)
        for one in (index, exact):
            if adds:
                one.add(np.array(ids), vectors)
            else:
                one.remove(np.array(ids))
    queries = clustered(3, seed=99)
    assert index.search(queries, 20)[1] == pytest.approx(exact.search(queries, 20)[1], abs=1e-6)
    assert index.search(queries, 20)[0].tolist() == exact.search(queries, 20)[0].tolist()


@pytest.mark.parametrize(
    ("count", "device", "expected"),
    [
        (100, "cpu", Kind.EXACT),
        (30_000, "cpu", Kind.FLAT),
        (1_000_000, "cpu", Kind.IVF_FLAT),
        (10_000_000, "cpu", Kind.IVF_PQ),
        (1_000_000, "cuda", Kind.FLAT),
        (10_000_000, "cuda", Kind.IVF_FLAT),
    ],
)
def test_the_kind_is_chosen_by_size(count: int, device: str, expected: Kind) -> None:
    assert choose(Kind.AUTO, count, "cpu" if device == "cpu" else "cuda") is expected
    assert choose(Kind.HNSW, count, "cpu") is Kind.HNSW


def test_a_small_collection_needs_no_faiss() -> None:
    assert isinstance(make_index(4, 10), ExactIndex)
    assert isinstance(make_index(4, 10_000), FaissIndex)


@pytest.mark.skipif(getattr(faiss, "get_num_gpus", lambda: 0)() > 0, reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_a_clear_error() -> None:
    with pytest.raises(EmbeddingConfigError, match="faiss-gpu"):
        make_index(4, 10, IndexSettings(device="cuda"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"knid": "flat"}, "did you mean 'kind'"),
        ({"kind": "annoy"}, "no index kind 'annoy'"),
        ({"device": "tpu"}, "not 'tpu'"),
        ({"nprobe": "many"}, "whole number from 0, not 'many'"),
        ({"nprobe": -1}, "whole number from 0"),
    ],
)
def test_wrong_settings_are_named(given: dict[str, object], message: str) -> None:
    with pytest.raises(EmbeddingConfigError, match=message):
        IndexSettings.read(given)


def test_settings_are_read() -> None:
    assert IndexSettings.read({"kind": "IVF-PQ", "nprobe": 4, "m": 8}) == IndexSettings(
        Kind.IVF_PQ, nprobe=4, m=8
    )
