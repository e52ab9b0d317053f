"""The exact index: what was added is found, best first, and survives the disk."""

from __future__ import annotations

from pathlib import Path
from typing import IO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from rails_engine.retrieval import DimensionError, ExactIndex, IndexFormatError, IndexStorageError


def rows(*values: list[float]) -> NDArray[np.float32]:
    return np.asarray(values, np.float32)


def ids(*values: int) -> NDArray[np.int64]:
    return np.asarray(values, np.int64)


def filled() -> ExactIndex:
    index = ExactIndex(2)
    index.add(ids(10, 11, 12), rows([1, 0], [0, 1], [0.6, 0.8]))
    return index


def test_neighbours_come_best_first() -> None:
    found, scores = filled().search(rows([0, 1]), 2)
    assert found.tolist() == [[11, 12]]
    assert scores[0].tolist() == pytest.approx([1.0, 0.8])


def test_what_is_missing_is_minus_one() -> None:
    found, scores = filled().search(rows([0, 1]), 5)
    assert found[0, 3:].tolist() == [-1, -1]
    assert np.isneginf(scores[0, 3:]).all()


def test_an_id_added_again_is_replaced() -> None:
    index = filled()
    index.add(ids(11), rows([-1, 0]))
    assert len(index) == 3
    assert index.search(rows([0, 1]), 1)[0].tolist() == [[12]]


def test_only_some_ids_may_be_searched() -> None:
    assert filled().search(rows([0, 1]), 2, ids(10, 12, 99))[0].tolist() == [[12, 10]]


def test_a_vector_of_another_length_is_refused_and_nothing_is_added() -> None:
    index = filled()
    with pytest.raises(DimensionError, match="length 2, these have length 3"):
        index.add(ids(13), rows([1, 0, 0]))
    with pytest.raises(DimensionError):
        index.search(rows([1, 0, 0]), 1)
    assert len(index) == 3


def test_save_and_load_give_the_same_answers(tmp_path: Path) -> None:
    filled().save(tmp_path / "i", "m")
    loaded = ExactIndex(2)
    loaded.load(tmp_path / "i", "m")
    assert loaded.search(rows([0, 1]), 3)[0].tolist() == [[11, 12, 10]]
    loaded.add(ids(13), rows([0, 1]))
    loaded.remove(ids(11))
    assert loaded.search(rows([0, 1]), 1)[0].tolist() == [[13]]


def test_another_models_vectors_are_stale(tmp_path: Path) -> None:
    filled().save(tmp_path, "m")
    with pytest.raises(IndexFormatError, match="holds vectors of model 'm', not 'n'"):
        ExactIndex(2).load(tmp_path, "n")


def test_a_changed_byte_is_not_trusted(tmp_path: Path) -> None:
    filled().save(tmp_path, "m")
    vectors = next(tmp_path.glob("vectors.*"))
    content = bytearray(vectors.read_bytes())
    content[-1] ^= 1
    vectors.write_bytes(content)
    with pytest.raises(IndexFormatError, match="not the file that was saved"):
        ExactIndex(2).load(tmp_path, "m")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"files": 3}', '{"files": {}, "format": 99}'])
def test_a_broken_manifest_is_a_clear_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(IndexFormatError, match="rebuild the index"):
        ExactIndex(2).load(tmp_path, "m")


def test_a_manifest_cannot_point_outside_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "i"
    filled().save(folder, "m")
    manifest = folder / "manifest.json"
    stored = next(folder.glob("vectors.*"))
    stored.rename(tmp_path / stored.name)
    manifest.write_text(manifest.read_text().replace(stored.name, f"../{stored.name}"))
    with pytest.raises(IndexFormatError):
        ExactIndex(2).load(folder, "m")


def test_a_full_disk_leaves_the_old_index_intact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled().save(tmp_path, "m")
    before = sorted(path.name for path in tmp_path.iterdir())
    bigger = filled()
    bigger.add(ids(13), rows([0, -1]))

    def no_space(stream: IO[bytes], _array: object, **_options: object) -> None:
        stream.write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", no_space)
    with pytest.raises(IndexStorageError, match=r"No space left .* the former one is intact"):
        bigger.save(tmp_path, "m")
    monkeypatch.undo()
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    loaded = ExactIndex(2)
    loaded.load(tmp_path, "m")
    assert len(loaded) == 3


def test_a_second_save_leaves_no_leftovers(tmp_path: Path) -> None:
    filled().save(tmp_path, "m")
    filled().save(tmp_path, "m")
    assert len(list(tmp_path.iterdir())) == 4  # manifest, ids, vectors, lock


@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(0, 12), st.integers(-3, 3), st.integers(-3, 3)), max_size=60
    )
)
def test_any_order_of_additions_and_removals_ends_in_the_same_content(
    steps: list[tuple[bool, int, int, int]],
) -> None:
    index = ExactIndex(2)
    model: dict[int, tuple[int, int]] = {}
    for adds, id_, x, y in steps:
        if adds:
            index.add(ids(id_), rows([x, y]))
            model[id_] = (x, y)
        else:
            index.remove(ids(id_))
            model.pop(id_, None)
    found, scores = index.search(rows([1, 2]), 20)
    expected = sorted(((-(x + 2 * y), id_) for id_, (x, y) in model.items()))
    assert [(-s, i) for i, s in zip(found[0].tolist(), scores[0].tolist(), strict=True) if i >= 0] == expected
