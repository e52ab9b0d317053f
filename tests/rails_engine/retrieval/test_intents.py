"""Utterances to intents: nearest examples where there are few, a calibrated head where there are enough."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rails_engine.config import RailsConfig
from rails_engine.retrieval import EmbeddingsIndex, IndexItem, RetrievalSetup, StaticEmbedder
from rails_engine.retrieval.base import EmbeddingKind
from rails_engine.retrieval.intents import FittedHeads, IntentIndex
from rails_engine.retrieval.intents.head import class_similarity, fit
from rails_engine.retrieval.intents.lbfgs import minimise
from rails_engine.retrieval.intents.surface import count_features, joined, rarity, width_for

FEW = {
    "asks about refunds": ["how do refunds work", "refund policy"],
    "asks about shipping": ["when will my parcel ship", "shipping time"],
}

SUBJECTS = ["my card", "the credit card", "a debit card", "this card", "our bank card"]
MANY = {
    "lost card": [f"I lost {s}" for s in SUBJECTS] + [f"{s} was stolen yesterday" for s in SUBJECTS],
    "card fees": [f"what does {s} cost" for s in SUBJECTS] + [f"fees of {s}" for s in SUBJECTS],
    "card limit": [f"raise the limit of {s}" for s in SUBJECTS]
    + [f"maximum spend with {s}" for s in SUBJECTS],
}


class CountingEmbedder(StaticEmbedder):
    def __init__(self) -> None:
        super().__init__()
        self.texts = 0

    async def embed(self, texts: Sequence[str], kind: EmbeddingKind) -> NDArray[np.float32]:
        self.texts += len(texts)
        return await super().embed(texts, kind)


@pytest.mark.parametrize("examples", [FEW, MANY], ids=["few", "many"])
async def test_an_example_itself_is_certain(examples: dict[str, list[str]]) -> None:
    intents = IntentIndex(examples, StaticEmbedder())
    for intent, texts in examples.items():
        for text in texts:
            match = await intents.match(f"  {text.upper()}? ")
            assert match is not None
            assert (match.intent, match.probability, match.in_scope) == (intent, 1.0, True)


async def test_other_words_for_the_same_thing_are_understood() -> None:
    intents = IntentIndex(FEW, StaticEmbedder())
    match = await intents.match("can I get my money refunded")
    assert match is not None
    assert match.intent == "asks about refunds"
    assert 0 < match.probability < 1
    assert match.margin == pytest.approx(match.probability - match.ranked[1].probability)


async def test_the_head_tells_intents_apart_and_its_ranking_sums_to_one() -> None:
    intents = IntentIndex(MANY, StaticEmbedder())
    for said, meant in [
        ("somebody has stolen my card", "lost card"),
        ("how much do I pay for the card", "card fees"),
        ("can you raise my spending limit", "card limit"),
    ]:
        match = await intents.match(said)
        assert match is not None
        assert match.intent == meant
        assert sum(ranked.probability for ranked in match.ranked) == pytest.approx(1, abs=1e-5)


async def test_what_is_like_no_example_is_out_of_scope() -> None:
    intents = IntentIndex(MANY, StaticEmbedder())
    known, foreign = (
        await intents.match("I have lost the card"),
        await intents.match("who won the chess game"),
    )
    assert known is not None
    assert foreign is not None
    assert known.in_scope
    assert not foreign.in_scope
    assert known.familiarity > foreign.familiarity


async def test_a_threshold_decides_the_scope_instead() -> None:
    intents = IntentIndex(FEW, StaticEmbedder())
    for threshold, expected in [(0.0, True), (0.999, False)]:
        match = await intents.match("refunds policies", threshold)
        assert match is not None
        assert match.in_scope is expected


async def test_the_nearest_examples_come_best_first_above_the_threshold() -> None:
    intents = IntentIndex(FEW, StaticEmbedder())
    hits = await intents.nearest("the refund policy", 3)
    assert [hit.item.text for hit in hits][:2] == ["refund policy", "how do refunds work"]
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert len(await intents.nearest("the refund policy", 3, hits[0].score)) == 1


async def test_no_examples_no_match() -> None:
    assert await IntentIndex({}, StaticEmbedder()).match("anything") is None
    assert await IntentIndex({"empty": []}, StaticEmbedder()).nearest("anything", 5) == []


async def test_a_single_intent_is_always_the_answer() -> None:
    match = await IntentIndex({"greets": ["hi"] * 10}, StaticEmbedder()).match("good day")
    assert match is not None
    assert (match.intent, match.probability) == ("greets", 1.0)


async def test_intents_that_differ_in_one_word_are_told_apart() -> None:
    things = ["card", "account", "loan", "transfer", "payment", "statement", "limit", "fee"]
    examples = {
        f"{verb} it": [f"{verb} my {thing}" for thing in things]
        for verb in ("freeze", "unfreeze", "renew", "replace")
    }
    intents = IntentIndex(examples, StaticEmbedder())
    said = [await intents.match(f"please {verb.split()[0]} the mortgage") for verb in examples]
    assert [match and match.intent for match in said] == list(examples)


def test_a_fitted_head_is_kept_and_found_again(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    labels = np.repeat(np.arange(3), 30)
    vectors = rng.normal(size=(90, 8)).astype(np.float32) + np.eye(3, 8, dtype=np.float32)[labels] * 5
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    texts = [f"example {number}" for number in range(90)]
    head = fit(vectors, texts, labels, 3)
    FittedHeads(tmp_path).save("key", "model", head)
    again = FittedHeads(tmp_path).load("key", "model")
    assert again is not None
    nearness = class_similarity(vectors, vectors, labels, 3)
    expected = head.probabilities(vectors, texts, nearness)
    assert again.probabilities(vectors, texts, nearness) == pytest.approx(expected)
    assert again.scope_threshold == pytest.approx(head.scope_threshold)
    assert FittedHeads(tmp_path).load("key", "other model") is None
    assert FittedHeads(tmp_path).load("other key", "model") is None


async def test_the_second_start_reads_the_head_and_gives_the_same_answers(tmp_path: Path) -> None:
    examples = {
        intent: [f"{text} {i}" for text in texts for i in range(14)] for intent, texts in MANY.items()
    }
    first = await IntentIndex(examples, StaticEmbedder(), FittedHeads(tmp_path)).match("is there a limit")
    assert len(kept_in(tmp_path)) == 1
    second = await IntentIndex(examples, StaticEmbedder(), FittedHeads(tmp_path)).match("is there a limit")
    assert first == second


def kept_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def spoil(folder: Path) -> None:
    for path in folder.glob("*/weights.*"):
        path.write_bytes(b"\0" * path.stat().st_size)


async def test_a_tampered_head_is_fitted_again(tmp_path: Path) -> None:
    examples = {
        intent: [f"{text} {i}" for text in texts for i in range(14)] for intent, texts in MANY.items()
    }
    first = await IntentIndex(examples, StaticEmbedder(), FittedHeads(tmp_path)).match("is there a limit")
    spoil(tmp_path)
    second = await IntentIndex(examples, StaticEmbedder(), FittedHeads(tmp_path)).match("is there a limit")
    assert first == second


async def test_a_folder_that_cannot_be_written_fails_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    examples = {
        intent: [f"{text} {i}" for text in texts for i in range(14)] for intent, texts in MANY.items()
    }
    assert (
        await IntentIndex(examples, StaticEmbedder(), FittedHeads(tmp_path / "file")).match("limit")
        is not None
    )


async def test_a_query_is_embedded_once_a_match() -> None:
    embedder = CountingEmbedder()
    intents = IntentIndex(FEW, embedder)
    await intents.build()
    before = embedder.texts
    await intents.match("refunds")
    assert embedder.texts - before == 1


class FirstItems(EmbeddingsIndex):
    def __init__(self) -> None:
        self.items: list[IndexItem] = []

    async def add_items(self, items: list[IndexItem]) -> None:
        self.items.extend(items)

    async def search(self, text: str, max_results: int, threshold: float | None) -> list[IndexItem]:
        found = [item for item in self.items if text in item.text]
        return found[:max_results]


async def test_a_users_search_provider_decides_by_its_order() -> None:
    config = RailsConfig.from_content(
        config={
            "models": [],
            "user_messages": FEW,
            "core": {"embedding_search_provider": {"name": "mine"}},
        }
    )
    setup = RetrievalSetup(config)
    setup.search_providers.register("mine", FirstItems)
    match = await setup.intents().match("shipping")
    assert match is not None
    assert (match.intent, match.in_scope) == ("asks about shipping", True)
    assert math.isnan(match.similarity)
    assert await setup.intents().match("nothing of it") is None


def test_the_minimiser_finds_the_bottom_of_a_narrow_valley() -> None:
    scale = np.array([1, 10, 100, 1000], np.float32)
    goal = np.array([1, -2, 3, -4], np.float32)

    def valley(point: NDArray[np.float32]) -> tuple[float, NDArray[np.float32]]:
        away = point - goal
        return float(scale @ away**2), 2 * scale * away

    assert minimise(valley, np.zeros(4, np.float32), 200, 1e-9) == pytest.approx(goal, abs=1e-2)


def test_the_fitted_head_is_as_good_as_the_best() -> None:
    """Against the optimum that torch's optimiser finds for the same loss, in double precision."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(5)
    labels = np.repeat(np.arange(4), 25)
    vectors = rng.normal(size=(100, 6)).astype(np.float32) + np.eye(4, 6, dtype=np.float32)[labels] * 2
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    texts = [f"says {chr(97 + number % 7)} for {label}" for number, label in enumerate(labels)]
    counts = count_features(texts, width_for(len(texts)))
    wording = joined(vectors, counts, rarity(counts))
    inputs, targets = torch.tensor(10 * wording, dtype=torch.float64), torch.tensor(labels)
    weights = torch.zeros(wording.shape[1], 4, dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights, bias], max_iter=500, line_search_fn="strong_wolfe")

    def loss_of(log_odds: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.nll_loss(log_odds, targets) + (weights**2).sum() / len(targets)

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = loss_of((inputs @ weights + bias).log_softmax(1), weights)
        loss.backward()
        return loss

    optimiser.step(closure)
    head = fit(vectors, texts, labels, 4)
    log_odds = torch.tensor(wording @ head.weights + head.bias).log_softmax(1)
    ours = loss_of(log_odds, torch.tensor(head.weights) / 10)
    assert float(ours) == pytest.approx(closure().item(), rel=0.005)
