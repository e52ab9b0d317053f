"""Embedders of ours as the embedding models that users' code knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rails_engine.background import background_loop
from rails_engine.retrieval.base import EmbeddingKind
from rails_engine.retrieval.custom_providers import EmbeddingModel
from rails_engine.retrieval.registry import EMBEDDING_PROVIDERS


class EngineModel(EmbeddingModel):
    """The model of an engine that a configuration may name; `parameters` are those of such an entry."""

    def __init__(self, embedding_model: str | None = None, **parameters: Any) -> None:
        self.model = embedding_model
        self._embedder = EMBEDDING_PROVIDERS.embedder(self.engine_name, embedding_model, parameters)

    async def encode_async(self, documents: list[str]) -> list[list[float]]:
        """One vector a document, of unit length.

        Raises:
            EmbeddingError: the model or its endpoint failed.
        """
        rows: list[list[float]] = (await self._embedder.embed(documents, EmbeddingKind.PASSAGE)).tolist()
        return rows

    def encode(self, documents: list[str]) -> list[list[float]]:
        """As `encode_async`, for code without an event loop.

        Raises:
            RuntimeError: called inside a running event loop.
        """
        return background_loop().run(self.encode_async(documents), "encode_async(…)")


class AzureEmbeddingModel(EngineModel):
    """Azure OpenAI's."""

    engine_name = "AzureOpenAI"


class CohereEmbeddingModel(EngineModel):
    """Cohere's."""

    engine_name = "cohere"


class FastEmbedEmbeddingModel(EngineModel):
    """Those of FastEmbed, which run here."""

    engine_name = "FastEmbed"


class GoogleEmbeddingModel(EngineModel):
    """Google's."""

    engine_name = "google"


class NIMEmbeddingModel(EngineModel):
    """Those of a NIM."""

    engine_name = "nim"


class NVIDIAAIEndpointsEmbeddingModel(EngineModel):
    """Those of NVIDIA's API catalog."""

    engine_name = "nvidia_ai_endpoints"


class OpenAIEmbeddingModel(EngineModel):
    """OpenAI's, and those of compatible endpoints."""

    engine_name = "openai"


class SentenceTransformerEmbeddingModel(EngineModel):
    """Those of sentence-transformers, which run here."""

    engine_name = "SentenceTransformers"


def init_embedding_model(
    embedding_model: str | None, embedding_engine: str, embedding_params: Mapping[str, Any] | None = None
) -> EmbeddingModel:
    """The model of an engine, a caller's own or ours, by their names.

    Raises:
        EmbeddingConfigError: the engine is unknown or lacks what it needs.
    """
    own = EMBEDDING_PROVIDERS.own(embedding_engine)
    if own is not None:
        return own(**{"embedding_model": embedding_model, **(embedding_params or {})})

    class Named(EngineModel):
        engine_name = embedding_engine

    return Named(embedding_model, **(embedding_params or {}))
