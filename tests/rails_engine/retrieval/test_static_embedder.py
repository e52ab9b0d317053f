"""The shipped embedder: what is in the package, and what it is good for."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from rails_engine.retrieval import EmbeddingConfigError, EmbeddingKind
from rails_engine.retrieval.embedding import StaticEmbedder, static

FOLDER = files("rails_engine.retrieval.embedding") / "minilm_static"
SHIPPED = {
    "vectors.npy": "97243a67d3f750daddd179101cb34e9ad724711eb22e50f3cc52b09df65a2b20",
    "scales.npy": "cc5d7252649cf9a47a1f6a304a7270885bfebc26a234cc78559c53462a6182ce",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}


def test_the_files_are_the_ones_that_were_distilled() -> None:
    contents = {name: (FOLDER / name).read_bytes() for name in SHIPPED}
    assert {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()} == SHIPPED
    assert json.loads((FOLDER / "checksums.json").read_text("utf-8")) == SHIPPED
    assert sum(map(len, contents.values())) <= 16 << 20


def test_the_notice_names_the_model_and_its_licence() -> None:
    notice = (FOLDER / "NOTICE").read_text("utf-8")
    assert "sentence-transformers/all-MiniLM-L6-v2" in notice
    assert "Apache License, Version 2.0" in notice


async def embed(*texts: str) -> np.ndarray:
    return await StaticEmbedder().embed(texts, EmbeddingKind.QUERY)


async def test_rows_are_of_unit_length_and_do_not_depend_on_their_neighbours() -> None:
    together = await embed("my card is lost", "hello", "my card is lost " * 50)
    assert np.linalg.norm(together, axis=1) == pytest.approx([1, 1, 1])
    assert together[0] == pytest.approx((await embed("my card is lost"))[0])
    assert together[0] @ together[2] == pytest.approx(1, abs=1e-5)


async def test_many_texts_give_the_same_as_few() -> None:
    texts = [f"text number {i} about {word}" for i, word in enumerate(["cards", "cheese", "rain"] * 60)]
    many = await embed(*texts)
    few = np.concatenate([await embed(text) for text in texts[:5]])
    assert many[:5] == pytest.approx(few, abs=1e-6)


async def test_a_text_without_words_is_near_nothing() -> None:
    assert (await embed("", " \n", "x"))[:2].tolist() == [[0.0] * 384] * 2
    assert (await embed()).shape == (0, 384)


async def test_the_same_meaning_in_other_words_is_nearer_than_another_meaning() -> None:
    question, same, other = await embed(
        "When will my parcel arrive?",
        "how long does shipping take",
        "what is the opening balance of my account",
    )
    assert question @ same > question @ other


async def test_a_damaged_installation_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "minilm_static"
    folder.mkdir()
    for name in (*SHIPPED, "checksums.json"):
        (folder / name).write_bytes((FOLDER / name).read_bytes())
    (folder / "scales.npy").write_bytes(b"something else")
    monkeypatch.setattr(static, "files", lambda _package: tmp_path)
    with pytest.raises(EmbeddingConfigError, match=r"scales\.npy was changed; install the package again"):
        await embed("x")
