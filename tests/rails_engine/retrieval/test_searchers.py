"""Searching texts: by vectors, by words, by both, and with a reranker."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rails_engine.retrieval import (
    EmbeddingKind,
    EmbeddingRemoteError,
    HybridSearcher,
    Item,
    LexicalSearcher,
    RerankedSearcher,
    Searcher,
    SearcherSettings,
    VectorSearcher,
)
from rails_engine.retrieval.hybrid import fuse
from rails_engine.retrieval.lexical import words_of
from tests.rails_engine.retrieval.doubles import WordEmbedder

ANIMALS = [
    Item("the otter swims in the river"),
    Item("the wren weighs nine grams"),
    Item("an owl hunts at night"),
    Item("the fox hunts at dusk near the river"),
]


async def found_by(searcher: Searcher, text: str, limit: int = 2, **options: object) -> list[str]:
    return [hit.item.text for hit in await searcher.search(text, limit, **options)]  # type: ignore[arg-type]


@pytest.fixture(params=["vectors", "words", "hybrid"])
async def animals(request: pytest.FixtureRequest, embedder: WordEmbedder) -> Searcher:
    searcher: Searcher = {
        "vectors": VectorSearcher(embedder),
        "words": LexicalSearcher(),
        "hybrid": HybridSearcher(VectorSearcher(embedder), LexicalSearcher()),
    }[request.param]
    await searcher.add(ANIMALS)
    await searcher.build()
    return searcher


async def test_the_nearest_item_comes_first(animals: Searcher) -> None:
    assert (await found_by(animals, "how many grams does a wren weigh"))[0] == "the wren weighs nine grams"


async def test_the_limit_is_kept(animals: Searcher) -> None:
    assert len(await found_by(animals, "hunts river", 1)) == 1
    assert await found_by(animals, "hunts river", 0) == []


async def test_items_added_later_are_found(animals: Searcher) -> None:
    await animals.add([Item("a heron stands still")])
    assert (await found_by(animals, "heron stands"))[0] == "a heron stands still"


async def test_a_tenant_sees_its_own_and_everybodys(animals: Searcher) -> None:
    await animals.add([Item("price list of acme", tenant="acme"), Item("price list of blue", tenant="blue")])
    assert "price list of acme" in await found_by(animals, "price list", tenant="acme")
    assert "price list of blue" not in await found_by(animals, "price list", 9, tenant="acme")
    assert not {"price list of acme", "price list of blue"} & set(await found_by(animals, "price list", 9))


async def test_the_same_text_of_two_tenants_is_kept_apart(animals: Searcher) -> None:
    await animals.add(
        [Item("our refund policy", {"n": 1}, "acme"), Item("our refund policy", {"n": 2}, "blue")]
    )
    hits = await animals.search("refund policy", 1, None, "blue")
    assert [hit.item.meta for hit in hits] == [{"n": 2}]


async def test_a_threshold_of_cosines_leaves_out_what_is_far(embedder: WordEmbedder) -> None:
    searcher = HybridSearcher(VectorSearcher(embedder), LexicalSearcher())
    await searcher.add(ANIMALS)
    assert await found_by(searcher, "the wren weighs nine grams", 4, threshold=0.9) == [
        "the wren weighs nine grams"
    ]


async def test_an_empty_searcher_finds_nothing(embedder: WordEmbedder) -> None:
    for searcher in (VectorSearcher(embedder), LexicalSearcher()):
        await searcher.build()
        assert await found_by(searcher, "anything") == []


async def test_removed_items_are_gone(embedder: WordEmbedder) -> None:
    searcher = VectorSearcher(embedder)
    await searcher.add(ANIMALS)
    await searcher.remove([ANIMALS[1], Item("never there")])
    assert "the wren weighs nine grams" not in await found_by(searcher, "wren grams", 4)


async def test_only_what_changed_is_embedded_again(embedder: WordEmbedder, tmp_path: Path) -> None:
    settings = SearcherSettings(folder=tmp_path / "index")
    first = VectorSearcher(embedder, settings)
    await first.add(ANIMALS)
    await first.build()
    embedder.calls.clear()
    second = VectorSearcher(embedder, settings)
    await second.add([*ANIMALS[1:], Item("a heron stands still")])
    await second.build()
    assert [texts for texts, _ in embedder.calls] == [["a heron stands still"]]
    assert (await found_by(second, "heron stands"))[0] == "a heron stands still"
    assert "the otter swims in the river" not in await found_by(second, "otter swims", 4)


def forge(folder: Path) -> None:
    next(folder.glob("vectors.*")).write_bytes(b"forged")


async def test_a_tampered_folder_is_built_anew(embedder: WordEmbedder, tmp_path: Path) -> None:
    settings = SearcherSettings(folder=tmp_path)
    first = VectorSearcher(embedder, settings)
    await first.add(ANIMALS)
    await first.build()
    forge(tmp_path)
    second = VectorSearcher(embedder, settings)
    await second.add(ANIMALS)
    assert (await found_by(second, "wren grams"))[0] == "the wren weighs nine grams"
    assert [len(texts) for texts, _ in embedder.calls] == [4, 4, 1]


async def test_a_folder_that_cannot_be_written_is_said_and_costs_nothing_else(
    embedder: WordEmbedder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    searcher = VectorSearcher(embedder, SearcherSettings(folder=tmp_path / "file"))
    await searcher.add(ANIMALS)
    assert (await found_by(searcher, "wren grams"))[0] == "the wren weighs nine grams"
    assert "could not be saved" in caplog.text


async def test_progress_is_told(embedder: WordEmbedder) -> None:
    told: list[tuple[int, int]] = []
    searcher = VectorSearcher(embedder, SearcherSettings(progress=lambda done, of: told.append((done, of))))
    await searcher.add([Item(f"text {i}") for i in range(300)])
    await searcher.build()
    assert told == [(256, 300), (300, 300)]


async def test_a_failed_build_is_tried_again(embedder: WordEmbedder) -> None:
    class FailsOnce(WordEmbedder):
        failed = False

        async def embed(self, texts: Sequence[str], kind: EmbeddingKind) -> NDArray[np.float32]:
            if not self.failed:
                self.failed = True
                raise EmbeddingRemoteError("down")
            return await super().embed(texts, kind)

    searcher = VectorSearcher(FailsOnce())
    await searcher.add(ANIMALS)
    with pytest.raises(EmbeddingRemoteError):
        await searcher.build()
    assert (await found_by(searcher, "wren grams"))[0] == "the wren weighs nine grams"


async def test_searches_and_additions_may_be_concurrent(embedder: WordEmbedder) -> None:
    searcher = VectorSearcher(embedder)
    await searcher.add(ANIMALS)

    async def grow(i: int) -> None:
        await searcher.add([Item(f"bird number {i}")])
        await searcher.build()

    await asyncio.gather(*(grow(i) for i in range(10)), *(searcher.search("wren", 2) for _ in range(10)))
    assert await found_by(searcher, "bird number 7", 1) == ["bird number 7"]


def test_words_lose_their_endings_and_cjk_is_taken_by_pairs() -> None:
    assert list(words_of("Cards, lost WAITING; is 3x")) == ["card", "lost", "wait", "is", "3x"]
    assert list(words_of("東京都 は")) == ["東京", "京都", "は"]
    assert list(words_of("")) == []


def test_fusion_prefers_what_both_rankings_have() -> None:
    a, b, c = ANIMALS[:3]
    assert fuse([[a, b], [b, c]]) == [b, a, c]


async def test_what_only_words_found_has_no_cosine(embedder: WordEmbedder) -> None:
    vectors = VectorSearcher(embedder)
    words = LexicalSearcher()
    await words.add(ANIMALS)
    hits = await HybridSearcher(vectors, words).search("wren", 1)
    assert hits[0].item is ANIMALS[1]
    assert math.isnan(hits[0].score)


class LongestFirst:
    def __init__(self) -> None:
        self.seen = 0

    async def scores(self, question: str, passages: Sequence[str]) -> NDArray[np.float32]:
        self.seen = len(passages)
        return np.array([len(passage) for passage in passages], np.float32)


async def test_a_reranker_orders_the_candidates(embedder: WordEmbedder) -> None:
    reranker = LongestFirst()
    searcher = RerankedSearcher(VectorSearcher(embedder), reranker, candidates=4)
    await searcher.add(ANIMALS)
    assert await found_by(searcher, "the wren") == [
        "the fox hunts at dusk near the river",
        "the otter swims in the river",
    ]
    assert reranker.seen == 4
