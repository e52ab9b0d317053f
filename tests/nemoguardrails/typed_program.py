"""A program of a user's that `make types` checks strictly: what each public call gives, by what it is given."""

from __future__ import annotations

from typing import Any, assert_type

from nemoguardrails import ChatMessage, LLMRails, RailsConfig
from nemoguardrails.actions import action
from nemoguardrails.embeddings.providers import EmbeddingModel, register_embedding_provider
from nemoguardrails.rails.llm.config import Model
from nemoguardrails.rails.llm.options import GenerationOptions, GenerationResponse, RailsResult, RailStatus
from nemoguardrails.streaming import StreamingHandler
from nemoguardrails.types import LLMModel

ASKED = [{"role": "user", "content": "hi"}]


@action(is_system_action=True, name="check")
async def check(context: dict[str, Any] | None = None, llm: LLMModel | None = None) -> bool:
    """An action keeps its signature."""
    return llm is None or bool(context)


class Vectors(EmbeddingModel):
    """An embedding model of one's own."""

    engine_name = "vectors"

    async def encode_async(self, documents: list[str]) -> list[list[float]]:
        return self.encode(documents)

    def encode(self, documents: list[str]) -> list[list[float]]:
        return [[float(len(text))] for text in documents]


class Mine(LLMRails):
    """Rails of one's own."""


def configured(path: str) -> LLMRails:
    config = RailsConfig.from_path(path)
    assert_type(config, RailsConfig)
    assert_type(config.models, list[Model])
    assert_type(config.rails.input.flows, list[str])
    register_embedding_provider(Vectors)
    return Mine(config).register_action(check).register_action_param("db", 1)


def ask(rails: LLMRails) -> None:
    assert_type(rails.generate("hi"), str)
    assert_type(rails.generate(prompt="hi"), str)
    assert_type(rails.generate(messages=ASKED), dict[str, Any])
    assert_type(rails.generate(messages=ASKED, options={"log": {}}), GenerationResponse)
    assert_type(rails.generate(prompt="hi", options=GenerationOptions()), GenerationResponse)
    assert_type(rails.generate(messages=ASKED, state={}), GenerationResponse)
    result = rails.check(ASKED)
    assert_type(result, RailsResult)
    assert_type(result.status, RailStatus)


async def stream(rails: LLMRails) -> None:
    async for piece in rails.stream_async(messages=ASKED):
        assert_type(piece, str)
    async for framed in rails.stream_async(messages=ASKED, include_metadata=True):
        assert_type(framed, dict[str, Any])
    assert_type(
        await rails.generate_async(messages=ASKED, streaming_handler=StreamingHandler()), dict[str, Any]
    )
    assert_type(ChatMessage.from_user("hi"), ChatMessage)
