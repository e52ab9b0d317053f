"""When the examples decide on the intent, when the fallback does, and when the model is asked."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from rails_engine import LLMRails
from rails_engine.config import RailsConfig
from rails_engine.llm import ScriptedLLM
from rails_engine.retrieval import EmbeddingsIndex, IndexItem
from rails_engine.retrieval.errors import EmbeddingConfigError

COLANG = """
define user ask about refunds
  "how do refunds work"
  "refund policy"

define user ask about shipping
  "when will my parcel ship"
  "shipping time"

define user ask something else
  "something else entirely"

define bot explain refunds
  "Refunds take a week."

define bot explain shipping
  "Parcels ship on Monday."

define bot decline
  "I cannot help with that."

define flow
  user ask about refunds
  bot explain refunds

define flow
  user ask about shipping
  bot explain shipping

define flow
  user ask something else
  bot decline
"""
FALLBACK = {"embeddings_only_fallback_intent": "ask something else"}
FOREIGN = "who painted the mona lisa"
AMBIGUOUS = "refund for shipping"


async def answer(said: str, settings: dict[str, Any], *replies: str) -> tuple[str, int]:
    """The bot's answer and how often the model was asked."""
    config = RailsConfig.from_content(
        COLANG,
        config={"models": [], "rails": {"dialog": {"user_messages": {"embeddings_only": True} | settings}}},
    )
    model = ScriptedLLM(replies)
    rails = LLMRails(config, llm=model)
    reply = await rails.generate_async(messages=[{"role": "user", "content": said}])
    assert isinstance(reply, dict)
    return str(reply["content"]), len(model.requests)


async def test_the_examples_decide_without_a_model() -> None:
    assert await answer("how does the refund policy work", {}) == ("Refunds take a week.", 0)


async def test_below_the_threshold_the_fallback_is_taken() -> None:
    settings = {"embeddings_only_similarity_threshold": 0.7} | FALLBACK
    assert await answer(FOREIGN, settings) == ("I cannot help with that.", 0)


async def test_below_the_threshold_without_a_fallback_the_model_is_asked() -> None:
    settings = {"embeddings_only_similarity_threshold": 0.7}
    assert await answer(FOREIGN, settings, "ask about shipping") == ("Parcels ship on Monday.", 1)


async def test_without_a_threshold_the_nearest_intent_is_taken() -> None:
    assert (await answer(FOREIGN, {}))[1] == 0


async def test_the_model_is_asked_only_where_the_margin_is_small() -> None:
    settings = {"embeddings_only_margin": 0.99}
    assert await answer(AMBIGUOUS, settings, "ask about refunds") == ("Refunds take a week.", 1)
    assert await answer("refund policy", settings) == ("Refunds take a week.", 0)


@pytest.mark.parametrize("margin", [0.0, None])
async def test_without_a_margin_the_model_is_never_asked(margin: float | None) -> None:
    assert (await answer(AMBIGUOUS, {"embeddings_only_margin": margin}))[1] == 0


# --- a search provider of the user's own ---------------------------------------------------------------------------


class Literal(EmbeddingsIndex):
    """Finds what is said word for word, and keeps what it was asked."""

    asked: ClassVar[list[tuple[str, float | None]]] = []

    def __init__(self) -> None:
        self.items: list[IndexItem] = []

    async def add_item(self, item: IndexItem) -> None:
        self.items.append(item)

    async def search(self, text: str, max_results: int, threshold: float | None) -> list[IndexItem]:
        self.asked.append((text, threshold))
        return [item for item in self.items if item.text == text][:max_results]


class Deaf(EmbeddingsIndex):
    async def search(self, text: str, max_results: int, threshold: float | None) -> list[IndexItem]:
        return []


def searched_by(provider: type[EmbeddingsIndex], **settings: Any) -> LLMRails:
    config = {
        "models": [],
        "core": {"embedding_search_provider": {"name": "own"}},
        "rails": {"dialog": {"user_messages": {"embeddings_only": True} | settings}},
    }
    rails = LLMRails(RailsConfig.from_content(COLANG, config=config), llm=ScriptedLLM([]))
    return rails.register_embedding_search_provider("own", provider)


@pytest.mark.parametrize("threshold", [0.75, 0.9, 0.33])
async def test_a_search_provider_hears_the_threshold_as_it_is_configured(threshold: float) -> None:
    Literal.asked.clear()
    rails = searched_by(Literal, embeddings_only_similarity_threshold=threshold, **FALLBACK)
    said = [{"role": "user", "content": "shipping time"}]
    assert await rails.generate_async(messages=said) == {
        "role": "assistant",
        "content": "Parcels ship on Monday.",
    }
    said = [{"role": "user", "content": "zzz"}]
    assert await rails.generate_async(messages=said) == {
        "role": "assistant",
        "content": "I cannot help with that.",
    }
    assert Literal.asked == [("shipping time", threshold), ("zzz", threshold)]


async def test_a_search_provider_without_a_way_in_is_refused_by_name() -> None:
    with pytest.raises(EmbeddingConfigError, match="'own' defines neither `add_items` nor `add_item`"):
        searched_by(Deaf)._parts.resources.knowledge.setup.intents()


# --- thresholds, in the turn ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "asked"),
    [("refund policy", 0), ("how do refunds work please", 0), (AMBIGUOUS, 1)],
)
async def test_what_is_clear_costs_no_call_and_what_is_not_costs_one(said: str, asked: int) -> None:
    settings = {"embeddings_only_margin": 0.6, "embeddings_only_similarity_threshold": 0.3} | FALLBACK
    assert (await answer(said, settings, "ask about refunds"))[1] == asked


async def test_what_is_out_of_scope_takes_the_fallback_however_small_its_margin() -> None:
    settings = {"embeddings_only_margin": 0.99, "embeddings_only_similarity_threshold": 0.7} | FALLBACK
    assert await answer(FOREIGN, settings) == ("I cannot help with that.", 0)


async def test_an_intent_that_the_model_does_not_know_either_falls_back_on_the_model() -> None:
    settings = {"embeddings_only_margin": 0.99}
    reply, calls = await answer(AMBIGUOUS, settings, "ask about the weather", "bot x", '"It may rain."')
    assert calls >= 1
    assert reply != "Refunds take a week."


async def test_a_threshold_without_an_engine_is_mapped_in_the_turn_and_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """0.6 on the scale of all-MiniLM-L6-v2 is cosine 0.68, which is as rare as cosine 0.73 of the built-in embedder."""
    config = RailsConfig.from_content(
        COLANG,
        config={
            "models": [],
            "rails": {
                "dialog": {
                    "user_messages": {"embeddings_only": True, "embeddings_only_similarity_threshold": 0.6}
                    | FALLBACK
                }
            },
        },
    )
    rails = LLMRails(config, llm=ScriptedLLM([]))
    for said, reply in ((FOREIGN, "I cannot help with that."), ("the refund policy", "Refunds take a week.")):
        answered = await rails.generate_async(messages=[{"role": "user", "content": said}])
        assert isinstance(answered, dict)
        assert answered["content"] == reply
    warnings = [
        record.getMessage() for record in caplog.records if "has another scale" in record.getMessage()
    ]
    assert len(warnings) == 1
    assert "applied as cosine 0.673 instead of 0.680" in warnings[0]
