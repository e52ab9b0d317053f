"""What is folded round an embedder: joining concurrent queries, and remembering."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rails_engine.retrieval import EmbeddingKind, EmbeddingRemoteError
from rails_engine.retrieval.embedding import (
    BatchingEmbedder,
    CachingEmbedder,
    MemoryStore,
    SqliteStore,
    VectorStore,
    cache_key,
)
from tests.rails_engine.retrieval.doubles import DIMENSION, WordEmbedder, word_vector

QUERY, PASSAGE = EmbeddingKind.QUERY, EmbeddingKind.PASSAGE


class FailingEmbedder(WordEmbedder):
    async def embed(self, texts: Sequence[str], kind: EmbeddingKind) -> NDArray[np.float32]:
        await super().embed(texts, kind)
        raise EmbeddingRemoteError("down", 503)


async def test_concurrent_queries_share_calls(embedder: WordEmbedder) -> None:
    joined = BatchingEmbedder(embedder, max_batch=8)
    answers = await asyncio.gather(*(joined.embed([f"word{i}"], QUERY) for i in range(20)))
    assert [len(texts) for texts, _ in embedder.calls] == [8, 8, 4]
    for i, answer in enumerate(answers):
        assert answer[0] == pytest.approx(word_vector(f"word{i}"))


async def test_queries_and_passages_are_never_mixed(embedder: WordEmbedder) -> None:
    joined = BatchingEmbedder(embedder)
    await asyncio.gather(*(joined.embed([f"w{i}"], QUERY if i % 2 else PASSAGE) for i in range(6)))
    assert sorted((len(texts), kind.value) for texts, kind in embedder.calls) == [
        (3, "passage"),
        (3, "query"),
    ]


async def test_a_large_call_passes_straight_through(embedder: WordEmbedder) -> None:
    await BatchingEmbedder(embedder, max_batch=4).embed([f"w{i}" for i in range(9)], PASSAGE)
    assert [len(texts) for texts, _ in embedder.calls] == [9]


async def test_a_failure_reaches_every_waiter() -> None:
    joined = BatchingEmbedder(FailingEmbedder())
    answers = await asyncio.gather(
        *(joined.embed([f"w{i}"], QUERY) for i in range(3)), return_exceptions=True
    )
    assert [(type(answer), str(answer), getattr(answer, "status", 0)) for answer in answers] == [
        (EmbeddingRemoteError, "down", 503)
    ] * 3
    assert len({id(answer) for answer in answers}) == 3


async def test_a_waiter_that_leaves_does_not_disturb_the_others(embedder: WordEmbedder) -> None:
    joined = BatchingEmbedder(embedder, hold_s=0.01)
    leaving = asyncio.create_task(joined.embed(["a"], QUERY))
    staying = asyncio.create_task(joined.embed(["b"], QUERY))
    await asyncio.sleep(0)
    leaving.cancel()
    assert (await staying)[0] == pytest.approx(word_vector("b"))
    assert leaving.cancelled()


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> VectorStore:
    return MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "sub" / "v.sqlite")


async def test_a_text_is_embedded_once(embedder: WordEmbedder, store: VectorStore) -> None:
    cached = CachingEmbedder(embedder, store)
    first = await cached.embed(["a", "b", "a"], QUERY)
    again = await cached.embed(["b", "c", "a"], QUERY)
    assert [texts for texts, _ in embedder.calls] == [["a", "b"], ["c"]]
    assert first == pytest.approx(np.stack([word_vector(text) for text in "aba"]))
    assert again == pytest.approx(np.stack([word_vector(text) for text in "bca"]))
    assert (await cached.embed([], QUERY)).shape == (0, DIMENSION)


async def test_clearing_forgets(embedder: WordEmbedder, store: VectorStore) -> None:
    cached = CachingEmbedder(embedder, store)
    await cached.embed(["a"], QUERY)
    await store.clear()
    await cached.embed(["a"], QUERY)
    assert len(embedder.calls) == 2


def test_the_key_tells_models_kinds_and_texts_apart() -> None:
    keys = [
        cache_key("m", QUERY, "t"),
        cache_key("n", QUERY, "t"),
        cache_key("m", PASSAGE, "t"),
        cache_key("m", QUERY, "u"),
        cache_key("mq", QUERY, "t"),
        cache_key("m", QUERY, "\udcff"),
    ]
    assert len(set(keys)) == len(keys)


async def test_memory_is_bounded_and_the_longest_unused_goes_first() -> None:
    store = MemoryStore(max_bytes=30)
    await store.put({"a": b"x" * 10, "b": b"x" * 10, "c": b"x" * 10})
    await store.get(["a"])
    await store.put({"d": b"x" * 10})
    assert set(await store.get(["a", "b", "c", "d"])) == {"a", "c", "d"}


async def test_the_file_is_bounded_and_outlives_the_process(tmp_path: Path) -> None:
    path = tmp_path / "v.sqlite"
    store = SqliteStore(path, max_bytes=100)
    for i in range(30):
        await store.put({f"k{i}": bytes(10)})
    store.close()
    with sqlite3.connect(path) as connection:
        (held,) = connection.execute("SELECT sum(length(value)) FROM vectors").fetchone()
    connection.close()
    assert 0 < held <= 100
    reopened = SqliteStore(path)
    assert set(await reopened.get(["k0", "k29"])) == {"k29"}
    reopened.close()


async def test_a_broken_store_costs_time_and_no_answer(
    embedder: WordEmbedder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "v.sqlite"
    path.write_bytes(b"this is no database, whatever its name says" * 50)
    cached = CachingEmbedder(embedder, SqliteStore(path))
    assert (await cached.embed(["a"], QUERY))[0] == pytest.approx(word_vector("a"))
    assert "the embedding cache cannot be read" in caplog.text


async def test_vectors_of_another_length_are_not_believed(embedder: WordEmbedder) -> None:
    store = MemoryStore()
    await store.put({cache_key("words", QUERY, "a"): b"\0" * 8})
    assert (await CachingEmbedder(embedder, store).embed(["a"], QUERY))[0] == pytest.approx(word_vector("a"))
