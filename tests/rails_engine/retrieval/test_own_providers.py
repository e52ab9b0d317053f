"""Search providers and embedding models of users' own, through the whole of a turn."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rails_engine import LLMRails
from rails_engine.config import RailsConfig
from rails_engine.llm import ScriptedLLM
from rails_engine.retrieval import EmbeddingError, EmbeddingModel, EmbeddingsIndex, IndexItem

COLANG = """
define user asks facts
  "tell me a fact"

define flow
  user asks facts
  bot answers with facts
"""
CONFIG = {
    "models": [],
    "docs": [
        {"format": "md", "content": "# Otters\n\nOtters hold hands.\n"},
        {"format": "md", "content": "# Bears\n\nBears eat honey.\n"},
    ],
    "knowledge_base": {"embedding_search_provider": {"name": "own"}},
}


class Own(EmbeddingsIndex):
    """Keeps its items as JSON, as a store outside the process would."""

    def __init__(self) -> None:
        self.stored: list[str] = []

    async def add_items(self, items: list[IndexItem]) -> None:
        self.stored += [json.dumps([item.text, item.meta]) for item in items]

    async def search(self, text: str, max_results: int, threshold: float | None) -> list[IndexItem]:
        return [IndexItem(*json.loads(item)) for item in self.stored[::-1]][:max_results]


class Elsewhere(Own):
    """Finds what no document of the configuration holds."""

    found = IndexItem("An indexed text", {"title": "Wrens", "body": "The wren weighs nine grams."})

    async def search(self, text: str, max_results: int, threshold: float | None) -> list[IndexItem]:
        return [self.found]


class Bare(Elsewhere):
    found = IndexItem("Only a text.")


async def chunks_of(provider: type[EmbeddingsIndex]) -> str:
    rails = LLMRails(
        RailsConfig.from_content(COLANG, config=CONFIG), llm=ScriptedLLM(["asks facts", '"Done."'])
    )
    rails.register_embedding_search_provider("own", provider)
    response: Any = await rails.generate_async(
        messages=[{"role": "user", "content": "a fact"}], options={"output_vars": ["relevant_chunks"]}
    )
    return str(response.output_data["relevant_chunks"])


@pytest.mark.parametrize(
    ("provider", "chunks"),
    [
        (Own, "Bears eat honey.\nOtters hold hands."),
        (Elsewhere, "The wren weighs nine grams."),
        (Bare, "Only a text."),
    ],
)
async def test_what_a_provider_finds_is_what_the_answer_is_given(
    provider: type[EmbeddingsIndex], chunks: str
) -> None:
    assert await chunks_of(provider) == chunks


async def test_a_provider_may_store_its_items_as_json_and_their_places_come_back() -> None:
    rails = LLMRails(RailsConfig.from_content(COLANG, config=CONFIG), llm=ScriptedLLM([]))
    rails.register_embedding_search_provider("own", Own)
    first, second = await rails.kb.search("anything")
    assert (first.title, str(first.provenance)) == ("Bears", "kb/2.md:3-3 (Bears)")
    assert (second.title, str(second.provenance)) == ("Otters", "kb/1.md:3-3 (Otters)")


async def test_what_no_document_holds_has_no_place() -> None:
    rails = LLMRails(RailsConfig.from_content(COLANG, config=CONFIG), llm=ScriptedLLM([]))
    rails.register_embedding_search_provider("own", Elsewhere)
    (found,) = await rails.kb.search_relevant_chunks("anything")
    assert found == {"title": "Wrens", "body": "The wren weighs nine grams.", "source": ""}


def test_chunks_are_there_before_anything_is_indexed() -> None:
    rails = LLMRails(
        RailsConfig.from_content(COLANG, config=CONFIG | {"knowledge_base": {}}), llm=ScriptedLLM([])
    )
    assert [chunk["title"] for chunk in rails.kb.chunks] == ["Otters", "Bears"]
    assert dict(rails.kb.chunks[0]) == {
        "title": "Otters",
        "body": rails.kb.chunks[0].body,
        "source": "kb/1.md:3-3 (Otters)",
    }


def test_code_can_ask_which_embeddings_are_used() -> None:
    model = {"type": "embeddings", "engine": "openai", "model": "small", "parameters": {"dimensions": 8}}
    rails = LLMRails(RailsConfig.from_content(config={"models": [model]}))
    rails.register_embedding_search_provider("own", Own)
    assert rails.embedding_search_providers == {"own": Own}
    assert (rails.default_embedding_engine, rails.default_embedding_model) == ("openai", "small")
    assert rails.default_embedding_params == {"dimensions": 8}
    plain = LLMRails(RailsConfig.from_content(config={"models": []}))
    assert (plain.default_embedding_engine, plain.default_embedding_model) == (None, None)
    assert plain.default_embedding_params == {}


class Growing(EmbeddingModel):
    """Gives longer vectors each time it is asked."""

    engine_name = "growing"

    def __init__(self, embedding_model: str) -> None:
        self.length = 2

    def encode(self, documents: list[str]) -> list[list[float]]:
        raise NotImplementedError

    async def encode_async(self, documents: list[str]) -> list[list[float]]:
        self.length += 1
        return [[1.0] * self.length for _ in documents]


async def test_a_model_whose_vectors_change_their_length_is_a_clear_error() -> None:
    config = CONFIG | {"models": [{"type": "embeddings", "engine": "growing", "model": "m"}]}
    config |= {"knowledge_base": {}}
    rails = LLMRails(RailsConfig.from_content(COLANG, config=config), llm=ScriptedLLM([]))
    rails.register_embedding_provider(Growing)
    with pytest.raises(EmbeddingError, match=r"growing.*vectors of length \d, where it gave \d before"):
        await rails.kb.search("anything")
